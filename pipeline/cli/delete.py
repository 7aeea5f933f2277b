"""`trimtab delete`: deletes an App with everything that it created, or lets its objects live."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import typer

from pipeline.app import DEFAULT_NAMESPACE, App
from pipeline.app.status import Status, status_of
from pipeline.cli import options as opt
from pipeline.cli.appdata import exit_code_of, ready_of
from pipeline.cli.apps import app_named, find, full_name, missing
from pipeline.cli.follow import Patience, until_gone
from pipeline.cli.outcome import show_held, show_problems
from pipeline.cli.output import Format, Shown, asks, confirmed, emit, out, show_result, warn
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.session import Session
from pipeline.control.resource import APPROVED_ANNOTATION, APPS, CLI_MANAGER, annotate, get_app
from pipeline.deletion import delete as delete_app
from pipeline.result import HELD
from pipeline.sync import Target


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("delete")(delete)


def delete(
    app: Annotated[str, typer.Argument(help="The App.")],
    namespace: opt.AppNamespace = "",
    release: Annotated[bool, typer.Option("--release", help="Let all its objects live.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Approve what the guard would hold.")] = False,
    timeout: opt.FollowTimeout = "5m",
    no_wait: opt.NoFollow = False,
    controller_namespace: opt.ControllerNamespace = "",
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Delete an App: prune what it created, release what it adopted, and forget it."""
    patience = Patience.of(timeout, controller_namespace, output)
    named = app_named(app, namespace or inventory_namespace)
    session = opt.connect(kubeconfig, context)
    resource = find(session.connection, named)
    if resource is None:
        return _without_resource(session, named, inventory_namespace, output, release=release, yes=yes)
    left = begin_deletion(session.connection, resource, release=release)
    if left is not None and no_wait:
        return show_begun(left, output)
    return show_end(resource, _until_gone(session.connection, left, patience, output, yes=yes), output)


def show_begun(resource: Mapping[str, Any], output: Format) -> int:
    """The App will be gone when the controller has done its part."""
    if output is not Format.TABLE:
        emit(_data(resource, deleted=False, code=0), output)
    else:
        out().print(f"App {full_name(resource)} is being deleted", markup=False)
    return 0


def show_end(resource: Mapping[str, Any], left: Mapping[str, Any] | None, output: Format) -> int:
    """How a deletion ended: `resource` is the App as it was, `left` what is still there. Returns the exit code."""
    if left is None:
        code = 0
    elif ready_of(left).reason == "PruneHeld":
        code = HELD
    else:
        code = 4 if status_of(left).problems else exit_code_of(left)
    if output is not Format.TABLE:
        emit(_data(left or resource, deleted=left is None, code=code), output)
    elif left is None:
        out().print(f"App {full_name(resource)} is deleted", markup=False)
    else:
        show_problems(status_of(left))
        warn(f"App {full_name(left)} is still being deleted: {ready_of(left).message}")
        show_held(left)
    return code


def _data(resource: Mapping[str, Any], *, deleted: bool, code: int) -> dict[str, Any]:
    """A deletion as data. The keys are a promise.

    app, deleted, exitCode, reason and message (of the condition Ready; empty when deleted), problems, heldDigest, held.
    """
    status, ready = (Status(), None) if deleted else (status_of(resource), ready_of(resource))
    return {
        "app": full_name(resource),
        "deleted": deleted,
        "exitCode": code,
        "reason": ready.reason if ready else "",
        "message": ready.message if ready else "",
        "problems": [msgspec.to_builtins(problem) for problem in status.problems],
        "heldDigest": status.held.digest if status.held else "",
        "held": list(status.held.objects) if status.held else [],
    }


def begin_deletion(connection: Connection, resource: Mapping[str, Any], *, release: bool) -> dict[str, Any] | None:
    """Delete the resource. Returns it as it is then; None when it is gone already."""
    meta = resource["metadata"]
    if release:
        patch = {"spec": {"deletionPolicy": "release"}}
        objects.merge_patch(connection, APPS, meta["namespace"], meta["name"], patch, manager=CLI_MANAGER)
    objects.delete(connection, APPS, meta["namespace"], meta["name"], uid=meta["uid"])
    left = get_app(connection, meta["namespace"], meta["name"])
    return left if left is not None and left["metadata"]["uid"] == meta["uid"] else None


def _until_gone(
    connection: Connection, left: dict[str, Any] | None, patience: Patience, output: Format, *, yes: bool
) -> dict[str, Any] | None:
    """Follow the deletion, and approve what the guard holds where a person says so."""
    while left is not None:
        left = until_gone(connection, left, patience)
        held = status_of(left).held if left is not None else None
        if left is None or held is None or not (yes or _agreed(left, output)):
            break
        meta = left["metadata"]
        left = annotate(connection, meta["namespace"], meta["name"], {APPROVED_ANNOTATION: held.digest})
    return left


def _agreed(left: Mapping[str, Any], output: Format) -> bool:
    if not asks(output):
        return False
    show_held(left)
    return confirmed("Delete them now?")


def _without_resource(session: Session, app: App, namespace: str, output: Format, *, release: bool, yes: bool) -> int:
    """An App that no controller serves is deleted by this process."""
    store = opt.store_of(session, namespace)
    stored = store.load(app)
    if stored.record is None and not stored.damage:
        raise missing(session.connection, app, inventory=namespace)
    with Shown(quiet=output is not Format.TABLE) as shown:
        result = delete_app(app, Target(session, store, shown, approve_all=yes), release=release)
    show_result(result, output)
    if result.owned and not result.exit_code:
        warn(f"App {app} is not gone yet: other Apps claim what is left of it\n  → sync those, then delete it again")
        return HELD
    return result.exit_code
