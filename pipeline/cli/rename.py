"""`trimtab rename`: an App gets another name, and keeps its objects: they are handed over, and none is deleted."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer

from pipeline.app import DEFAULT_NAMESPACE, App
from pipeline.app.status import status_of
from pipeline.cli import options as opt
from pipeline.cli.appdata import exit_code_of
from pipeline.cli.apps import app_named, command_for, find, full_name, missing
from pipeline.cli.delete import begin_deletion, show_end
from pipeline.cli.follow import Patience, ask, until_answered, until_gone
from pipeline.cli.outcome import show_outcome
from pipeline.cli.output import Format, emit, out, warn
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.session import Session
from pipeline.control.resource import APPS, CLI_MANAGER, get_app
from pipeline.errors import InputError
from pipeline.inventory.names import app_label, new_owner_id
from pipeline.inventory.record import Record
from pipeline.inventory.store import Store

_SHOWN = 5


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("rename")(rename)


def rename(
    app: Annotated[str, typer.Argument(metavar="OLD", help="The App.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    namespace: opt.AppNamespace = "",
    timeout: opt.FollowTimeout = "5m",
    controller_namespace: opt.ControllerNamespace = "",
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Give an App another name: the new one takes its objects over, and the old one goes. Nothing is deleted.

    An App file or a commit that names it has to say the new name from then on.
    """
    patience = Patience.of(timeout, controller_namespace, output)
    home = namespace or inventory_namespace
    old, to = app_named(app, home), app_named(new, home)
    if old == to:
        raise InputError(f"App {old} has that name already", hint="give another one")
    session = opt.connect(kubeconfig, context)
    resource = find(session.connection, old)
    if resource is None:
        return _in_inventory(session, old, to, inventory_namespace, output)
    return _resource(session, resource, to, patience, output)


def _resource(session: Session, old: dict[str, Any], to: App, patience: Patience, output: Format) -> int:
    """The new App claims what the old one has; then the old one is deleted, and leaves it to the new one."""
    connection = session.connection
    successor = _successor(connection, old, to)
    answered = until_answered(connection, ask(connection, successor), patience)
    _check_same(session, old, answered)
    left = begin_deletion(connection, old, release=False)
    if left is not None and (left := until_gone(connection, left, patience)) is not None:
        return show_end(old, left, output)
    done = until_answered(connection, ask(connection, answered), patience)
    return show_outcome(status_of(answered), done, output, exit_code_of(done))


def _successor(connection: Connection, old: dict[str, Any], to: App) -> dict[str, Any]:
    """The new App; one that an earlier, unfinished run made goes on."""
    meta = old["metadata"]
    if (old.get("spec") or {}).get("suspend"):
        raise InputError(
            f"App {full_name(old)} is suspended, and would hand nothing over", hint=command_for("resume", old)
        )
    there = get_app(connection, to.metadata.namespace, to.name)
    if there is not None:
        if there.get("spec") != old.get("spec"):
            raise InputError(f"there is an App {to} already", hint="choose another name")
        return there
    own = {part: _of_people(meta.get(part) or {}) for part in ("labels", "annotations")}
    body = {
        "apiVersion": old["apiVersion"], "kind": old["kind"],
        "metadata": {"name": to.name, "namespace": to.metadata.namespace, **own}, "spec": old["spec"],
    }  # fmt: skip
    return objects.create(connection, APPS, to.metadata.namespace, body, manager=CLI_MANAGER)


def _of_people(marks: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations without our requests to the controller, and without what kubectl remembers."""
    return {key: text for key, text in marks.items() if "trimtab.dev/" not in key and "last-applied" not in key}


def _check_same(session: Session, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise InputError where the new App does not want all that the old one has: that would be deleted with it.

    A chart's objects are named after the release, and the release after the App unless the App says otherwise.
    """
    before, after = (_record(session, resource) for resource in (old, new))
    lost = sorted(before.entries.keys() - after.claims.keys() - after.entries.keys()) if before and after else []
    if before is None or after is None or lost:
        shown = ", ".join(map(str, lost[:_SHOWN])) + (f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else "")
        raise InputError(
            f"App {full_name(new)} does not render what App {full_name(old)} has: {shown or 'it was never synced'}; "
            "both stay as they are",
            hint=f"of a chart, give spec.render a helm step with releaseName: {old['metadata']['name']} in "
            f"{full_name(new)}; or {command_for('delete', new)} and begin again",
        )


def _record(session: Session, resource: Mapping[str, Any]) -> Record | None:
    namespace = status_of(resource).inventory.partition("/")[0]
    meta = resource["metadata"]
    return (
        Store(session.connection, namespace).load(app_named(meta["name"], meta["namespace"])).record
        if namespace
        else None
    )


def _in_inventory(session: Session, old: App, to: App, namespace: str, output: Format) -> int:
    """An App that no controller serves: the inventories say who leaves what to whom, and the next apply does it."""
    store = opt.store_of(session, namespace)
    stored, successor = store.load(old), store.load(to)
    record = stored.record
    if record is None:
        raise missing(session.connection, old, inventory=namespace)
    if successor.record is not None and successor.record.entries:
        raise InputError(f"there is an App {to} already", hint="choose another name")
    fresh = replace(record, app=str(to), owner=new_owner_id(), epoch=0, entries={}, held=(), held_digest="", offers={})
    store.save(to, successor, replace(fresh, claims=dict.fromkeys(record.entries, app_label(old))))
    store.save(old, stored, replace(record, offers=dict.fromkeys(record.entries, app_label(to))))
    if output is not Format.TABLE:
        emit({"app": str(old), "to": str(to), "objects": len(record.entries)}, output)
        return 0
    count = len(record.entries)
    out().print(f"App {old} leaves {count} object{'' if count == 1 else 's'} to App {to}", markup=False)
    warn(f"  → trimtab apply … --name {to.name} takes them over, and trimtab delete {old.name} forgets the old name")
    return 0
