"""`trimtab status`: how every App stands, or one in full: what its resource and its inventory say."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from pipeline.app import DEFAULT_NAMESPACE, App
from pipeline.cli import options as opt
from pipeline.cli.appdata import app_data
from pipeline.cli.apps import app_named, find, full_name, missing
from pipeline.cli.output import Format, age, emit, table, warn
from pipeline.cli.statuspage import show
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.cluster.session import Session
from pipeline.control.resource import list_apps
from pipeline.errors import InputError
from pipeline.inventory.record import Record
from pipeline.inventory.store import Stored
from pipeline.location import short


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("status")(status)


def status(
    app: Annotated[str, typer.Argument(help="One App; without it, all.")] = "",
    namespace: opt.AppNamespace = "",
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="The Apps of all namespaces.")] = False,
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Show the Apps: whether they are ready, at which commit, how many objects; of one App everything."""
    if app and all_namespaces:
        raise InputError("-A does not go with an App's name", hint="choose its namespace with -n")
    home = namespace or inventory_namespace
    named = app_named(app or "default", home)
    session = opt.connect(kubeconfig, context)
    if app:
        resource, record = _one(session, named, inventory_namespace)
        whole = app_data(resource, record, objects=True)
        if output is Format.TABLE:
            show(whole, resource)
        else:
            emit(whole, output)
        return 0
    found = _all(session, None if all_namespaces else home, inventory_namespace)
    data = [app_data(resource, record, objects=False) for resource, record in found]
    if output is not Format.TABLE:
        emit(data, output)
    elif not data:
        warn(f"there is no App {'in any namespace' if all_namespaces else f'in namespace {home}'}")
    else:
        rows = [_row(item, resource) for item, (resource, _) in zip(data, found, strict=True)]
        table(("APP", "STATE", "COMMIT", "OBJECTS", "REF", "MESSAGE", "AGE"), rows)
    return 0


def _one(session: Session, app: App, inventory_namespace: str) -> tuple[Mapping[str, Any] | None, Record | None]:
    """Resource and inventory of an App, of which there is at least one. Raises InputError otherwise."""
    resource = find(session.connection, app)
    home = _inventory_of(resource) or inventory_namespace
    try:
        stored = opt.store_of(session, home).load(app)
    except ApiError as error:
        # Who may read Apps need not be allowed to read inventories.
        if resource is None or not error.forbidden:
            raise
        warn(f"warning: {error.message}")
        stored = Stored(home, None)
    if stored.damage:
        damage = f"the inventory of App {app} is damaged: {stored.damage}"
        hint = "the next sync rebuilds it from what lives; nothing is deleted for it"
        if resource is None:
            raise InputError(damage, hint=hint)
        warn(f"warning: {damage}\n  → {hint}")
    if resource is None and stored.record is None:
        raise missing(session.connection, app, inventory=inventory_namespace)
    return resource, stored.record


def _all(
    session: Session, namespace: str | None, inventory_namespace: str
) -> list[tuple[Mapping[str, Any] | None, Record | None]]:
    """All Apps by name: those that have a resource, and those that only an inventory knows."""
    resources = {full_name(item): item for item in _resources(session.connection, namespace)}
    records = {
        record.app: record
        for stored in opt.store_of(session, inventory_namespace).list()
        if (record := stored.record) is not None and namespace in (None, record.app.partition("/")[0])
    }
    return [(resources.get(name), records.get(name)) for name in sorted(resources.keys() | records.keys())]


def _resources(connection: Connection, namespace: str | None) -> Sequence[Mapping[str, Any]]:
    """The App resources; none where the cluster knows no Apps, or they may not be listed: inventories may tell."""
    try:
        return list_apps(connection, namespace)
    except InputError:
        return ()
    except ApiError as error:
        if not error.forbidden:
            raise
        warn(f"warning: {error}")
        return ()


def _inventory_of(resource: Mapping[str, Any] | None) -> str:
    """The namespace of the App's inventory, where its status says it."""
    inventory = (resource or {}).get("status", {}).get("inventory", "")
    return str(inventory).partition("/")[0]


def _row(data: Mapping[str, Any], resource: Mapping[str, Any] | None) -> tuple[str, ...]:
    born = resource["metadata"]["creationTimestamp"] if resource is not None else ""
    message = data["message"].partition("\n")[0]
    return (
        data["app"], data["state"], short(data["commit"]) or "-", str(data["objectCount"]), data["ref"], message,
        age(born) or "-",
    )  # fmt: skip
