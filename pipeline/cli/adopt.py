"""`trimtab adopt`: takes over the live objects that a folder describes, and shows first what that would do."""

from typing import Annotated, get_args

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.app.model import Deployer
from pipeline.apply.model import Policy
from pipeline.apply.preview import preview
from pipeline.cli import options as opt
from pipeline.cli.diff import show_differences
from pipeline.cli.output import Format, Shown, asks, confirmed, show_result, warn, warnings
from pipeline.cli.rendering import Rendering, rendered, with_rendering
from pipeline.cli.stopping import stop_on_signals
from pipeline.errors import InputError
from pipeline.plan.model import Action
from pipeline.planning import Wishes, make_plan
from pipeline.rendering import capabilities_of, left_out
from pipeline.result import HELD
from pipeline.sync import Target, sync


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("adopt")(with_rendering(adopt))


def adopt(
    path: opt.PathArgument = None,
    file: opt.FileOption = None,
    name: opt.NameOption = "",
    namespace: opt.TargetNamespace = "",
    *,
    rendering: Rendering,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="DEPLOYER",
            help="Only from these: helm, argocd, flux, kapp, kluctl; default: from all. Repeatable.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do what is shown.")] = False,
    no_wait: opt.NoWait = False,
    timeout: opt.Timeout = "",
    conflicts: opt.Conflicts = "",
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Take over live objects, whoever made them, and show first what would change. Later, apply keeps them.

    What existed is released when it leaves the folder, and never deleted. Objects of other Trimtab Apps are refused.
    """
    if path is not None and file is None and not name:
        raise InputError("an App needs a name", hint="add --name NAME: the inventory is kept under it")
    with opt.choose(path, file, name, namespace, home=inventory_namespace) as chosen, stop_on_signals() as stop:
        app = opt.applied_spec(
            chosen.app, allow_empty=False, conflicts=conflicts, adopt_from=from_ or list(get_args(Deployer)),
            prune_guard="", no_wait=no_wait, timeout=timeout, create_namespace=False,
        )  # fmt: skip
        session = opt.connect(kubeconfig, context)
        store = opt.store_of(session, inventory_namespace, app)
        done = rendered(chosen, rendering, rendering.options(capabilities_of(session)), lambda: session.connection)
        planned = make_plan(app, done, session, store, Wishes(read_only=True))
        differences = list(preview(session.connection, planned.plan, Policy.of(app.spec, planned.manager)))
        warnings((*done.warnings, *left_out(done), *planned.plan.warnings))
        if not yes or output is Format.TABLE:
            show_differences(differences, output, reasons=True)
        if any(item.action in (Action.FAILED, Action.REFUSED) for item in differences):
            raise InputError(f"App {app} cannot take all of it over: nothing was changed", hint="see above")
        if not (yes or (asks(output) and confirmed("Take it over?"))):
            warn("nothing was changed\n  → --yes does it")
            return HELD
        with Shown(quiet=output is not Format.TABLE) as shown:
            result = sync(app, chosen.checkout, lambda: done, Target(session, store, shown, stop))
        show_result(result, output)
    return result.exit_code
