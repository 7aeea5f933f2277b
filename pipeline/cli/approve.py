"""`trimtab approve`: lets exactly the prune that the guard holds go on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from pipeline.app import DEFAULT_NAMESPACE, App
from pipeline.app.status import Held, status_of
from pipeline.cli import options as opt
from pipeline.cli.appdata import held_objects
from pipeline.cli.apps import app_named, find, missing
from pipeline.cli.delete import show_begun, show_end
from pipeline.cli.follow import Patience, until_gone
from pipeline.cli.outcome import ask_and_show
from pipeline.cli.output import Format, asks, confirmed, emit, out, warn
from pipeline.cluster.session import Session
from pipeline.control.resource import APPROVED_ANNOTATION, annotate
from pipeline.errors import InputError
from pipeline.inventory.store import Store
from pipeline.result import HELD


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("approve")(approve)


def approve(
    app: Annotated[str, typer.Argument(help="The App.")],
    namespace: opt.AppNamespace = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: opt.FollowTimeout = "5m",
    no_wait: opt.NoFollow = False,
    controller_namespace: opt.ControllerNamespace = "",
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Approve what the guard holds: exactly these objects, at the next sync. Anything else is held anew."""
    patience = Patience.of(timeout, controller_namespace, output)
    named = app_named(app, namespace or inventory_namespace)
    session = opt.connect(kubeconfig, context)
    resource = find(session.connection, named)
    if resource is None:
        return _in_inventory(session, named, inventory_namespace, output, yes=yes)
    held = status_of(resource).held
    if held is None:
        raise _nothing_held(named)
    if not _agreed(_all_held(session, resource, held), held.count, output, yes=yes):
        return HELD
    approval = {APPROVED_ANNOTATION: held.digest}
    if "deletionTimestamp" not in resource["metadata"]:
        return ask_and_show(session.connection, resource, approval, patience, output, no_wait=no_wait)
    meta = resource["metadata"]
    deleted = annotate(session.connection, meta["namespace"], meta["name"], approval)
    if no_wait:
        return show_begun(deleted, output)
    return show_end(resource, until_gone(session.connection, deleted, patience), output)


def _in_inventory(session: Session, app: App, namespace: str, output: Format, *, yes: bool) -> int:
    """An App that no controller serves: the approval is written into its inventory. As data: app, approved (ids)."""
    store = opt.store_of(session, namespace)
    stored = store.load(app)
    record = stored.record
    if record is None and not stored.damage:
        raise missing(session.connection, app, inventory=namespace)
    if record is None or not record.held_digest:
        raise _nothing_held(app)
    if not _agreed(record.held, len(record.held), output, yes=yes):
        return HELD
    store.save(app, stored, replace(record, approved=record.held_digest))
    if output is not Format.TABLE:
        emit({"app": str(app), "approved": list(record.held)}, output)
    else:
        out().print(f"App {app}: the next sync prunes {len(record.held)} objects", markup=False)
    return 0


def _all_held(session: Session, resource: Mapping[str, Any], held: Held) -> Sequence[str]:
    """The ids of what is held, from the inventory where the status does not have room for all."""
    status = status_of(resource)
    home = status.inventory.partition("/")[0]
    if held.count <= len(held.objects) or not home:
        return held.objects
    meta = resource["metadata"]
    return held_objects(status, Store(session.connection, home).load(app_named(meta["name"], meta["namespace"])).record)


def _agreed(ids: Sequence[str], count: int, output: Format, *, yes: bool) -> bool:
    """Show what would be pruned, and ask whoever can answer; a script has asked by calling."""
    if output is Format.TABLE:
        for text in ids:
            out().print(f"{'prune':<10} {text}", markup=False)
        if count > len(ids):
            out().print(f"… and {count - len(ids)} more", markup=False)
    if not yes and asks(output) and not confirmed(f"Prune these {count} objects?"):
        warn("nothing was approved")
        return False
    return True


def _nothing_held(app: App) -> InputError:
    return InputError(f"App {app} holds nothing that could be approved", hint="trimtab status shows what is held")
