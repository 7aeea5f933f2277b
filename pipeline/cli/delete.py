"""`trimtab delete`: deletes an App with everything that it created, or lets its objects live."""

from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.output import Format, Shown, show_result
from pipeline.deletion import delete as delete_app
from pipeline.sync import Target


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("delete")(delete)


def delete(
    name: Annotated[str, typer.Argument(help="The App.")],
    namespace: opt.AppNamespace = "",
    release: Annotated[bool, typer.Option("--release", help="Let all its objects live.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve what the guard would hold.")] = False,
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="table, json or yaml.")] = Format.TABLE,
) -> int:
    """Delete an App: prune what it created, release what it adopted, and forget it."""
    app = opt.named(name, namespace, inventory_namespace)
    session = opt.connect(kubeconfig, context)
    store = opt.store_of(session, inventory_namespace)
    with Shown(quiet=output is not Format.TABLE) as shown:
        result = delete_app(app, Target(session, store, shown, approve_all=yes), release=release)
    show_result(result, output)
    return result.exit_code
