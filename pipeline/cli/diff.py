"""`trimtab diff`: what an apply would change, by dry-run; changes nothing."""

import sys
from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.apply.model import Policy
from pipeline.apply.preview import Difference, preview
from pipeline.cli import options as opt
from pipeline.cli.output import Format, emit, warn, warnings
from pipeline.cli.render import default_name
from pipeline.cli.rendering import Rendering, rendered, with_rendering
from pipeline.errors import TrimtabError
from pipeline.plan.model import Action
from pipeline.planning import Wishes, make_plan
from pipeline.rendering import capabilities_of, left_out

_ERROR = 2


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("diff")(with_rendering(diff))


def diff(
    path: opt.PathArgument = None,
    file: opt.FileOption = None,
    name: opt.NameOption = "",
    namespace: opt.TargetNamespace = "",
    *,
    rendering: Rendering,
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="table (a unified diff), json or yaml.")] = (
        Format.TABLE
    ),
) -> int:
    """Show what an apply would change. Exits 0: nothing; 1: it differs; 2: an error."""
    try:
        with opt.choose(path, file, name or default_name(path, file), namespace, home=inventory_namespace) as chosen:
            session = opt.connect(kubeconfig, context)
            store = opt.store_of(session, inventory_namespace, chosen.app)
            options = rendering.options(capabilities_of(session))
            done = rendered(chosen, rendering, options, lambda: session.connection)
            planned = make_plan(chosen.app, done, session, store, Wishes(read_only=True))
            policy = Policy.of(chosen.app.spec, planned.manager)
            differences = list(preview(session.connection, planned.plan, policy))
    except TrimtabError as error:
        # For a diff 1 means that something differs, so that no error may exit with it.
        error.exit_code = _ERROR
        raise
    warnings((*done.warnings, *left_out(done), *planned.plan.warnings))
    show_differences(differences, output)
    if any(item.action in (Action.FAILED, Action.REFUSED) for item in differences):
        return _ERROR
    return 1 if differences else 0


def show_differences(differences: list[Difference], output: Format, *, reasons: bool = False) -> None:
    """On standard output; what is in the way as errors. `reasons`: a line before each diff says why."""
    if output is not Format.TABLE:
        emit(
            [
                {
                    "id": str(item.id),
                    "action": str(item.action),
                    "message": item.message,
                    "origin": item.origin,
                    "diff": item.text,
                }
                for item in differences
            ],
            output,
        )
        return
    for item in differences:
        if item.action in (Action.FAILED, Action.REFUSED):
            warn(f"error: {item.id}: {item.message}")
            continue
        if reasons or not item.text:
            sys.stdout.write(f"{item.action}: {item.id}: {item.message}\n")
        sys.stdout.write(item.text)
