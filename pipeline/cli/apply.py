"""`trimtab apply`: the whole road for one folder or App file, in this process, without a controller."""

import sys
from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.output import Format, Shown, show_result, warnings
from pipeline.cli.rendering import Rendering, rendered, with_rendering
from pipeline.cli.stopping import stop_on_signals
from pipeline.errors import InputError
from pipeline.rendering import capabilities_of, left_out
from pipeline.result import HELD, SyncResult
from pipeline.sync import Target, sync
from renderers.api import Rendered


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("apply")(with_rendering(apply))


def apply(
    path: opt.PathArgument = None,
    file: opt.FileOption = None,
    name: opt.NameOption = "",
    namespace: opt.TargetNamespace = "",
    create_namespace: opt.CreateNamespace = False,
    *,
    rendering: Rendering,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve what the guard would hold.")] = False,
    no_wait: opt.NoWait = False,
    timeout: opt.Timeout = "",
    allow_empty: opt.AllowEmpty = False,
    conflicts: opt.Conflicts = "",
    adopt_from: opt.AdoptFrom = None,
    prune_guard: opt.PruneGuard = "",
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="table, json or yaml.")] = Format.TABLE,
) -> int:
    """Make the cluster equal to what a folder renders to: apply, wait until it is ready, prune what left."""
    if path is not None and file is None and not name:
        raise InputError("an App needs a name", hint="add --name NAME: the inventory is kept under it")
    with opt.choose(path, file, name, namespace, home=inventory_namespace) as chosen, stop_on_signals() as stop:
        app = opt.applied_spec(
            chosen.app, allow_empty=allow_empty, conflicts=conflicts, adopt_from=adopt_from or [],
            prune_guard=prune_guard, no_wait=no_wait, timeout=timeout, create_namespace=create_namespace,
        )  # fmt: skip
        session = opt.connect(kubeconfig, context)
        store = opt.store_of(session, inventory_namespace, app)

        def render() -> Rendered:
            options = rendering.options(capabilities_of(session))
            done = rendered(chosen, rendering, options, lambda: session.connection)
            warnings((*done.warnings, *left_out(done)))
            return done

        def turn(*, approve_all: bool) -> SyncResult:
            with Shown(quiet=output is not Format.TABLE) as shown:
                target = Target(session, store, shown, stop, approve_all=approve_all)
                result = sync(app, chosen.checkout, render, target)
            show_result(result, output)
            return result

        result = turn(approve_all=yes)
        asks = output is Format.TABLE and sys.stdin.isatty() and sys.stderr.isatty()
        if result.exit_code == HELD and asks and typer.confirm("Prune them now?", err=True):
            result = turn(approve_all=True)
    return result.exit_code
