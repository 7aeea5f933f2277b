"""`trimtab approve`: lets exactly the prune that the guard holds go on."""

from dataclasses import replace
from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.output import out
from pipeline.errors import InputError


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("approve")(approve)


def approve(
    name: Annotated[str, typer.Argument(help="The App.")],
    namespace: opt.AppNamespace = "",
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
) -> int:
    """Approve what the guard holds: exactly these objects, at the next sync. Anything else is held anew."""
    app = opt.named(name, namespace, inventory_namespace)
    session = opt.connect(kubeconfig, context)
    store = opt.store_of(session, inventory_namespace)
    stored = store.load(app)
    if stored.record is None or not stored.record.held_digest:
        raise InputError(f"App {app} holds nothing that could be approved", hint="trimtab status shows what is held")
    store.save(app, stored, replace(stored.record, approved=stored.record.held_digest))
    console = out()
    for text in stored.record.held:
        console.print(f"approved   {text}", markup=False)
    console.print(f"App {app}: the next sync prunes {len(stored.record.held)} objects", markup=False)
    return 0
