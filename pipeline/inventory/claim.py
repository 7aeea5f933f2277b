"""Opening an inventory: read it, make it, or rebuild a lost one from what lives; never a reason to delete."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pipeline.app import App
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.cluster.session import Session
from pipeline.inventory.live import LiveObject, read_live
from pipeline.inventory.names import INVENTORY_LABEL, app_label, field_manager, new_owner_id, selector
from pipeline.inventory.record import Entry, InventoryError, Record, Standing
from pipeline.inventory.store import CONFIG_MAPS, Store, Stored


@dataclass(frozen=True, slots=True)
class Opened:
    """An inventory ready to plan with. `stored` is what the next write is compared against.

    `fresh`: there was none, and nothing of the wanted kinds carries the App's label.
    """

    stored: Stored
    record: Record
    warnings: tuple[str, ...] = ()
    fresh: bool = False


def open_inventory(session: Session, store: Store, app: App, wanted: Iterable[Resource]) -> Opened:
    """Read the App's inventory. Where there is none, `wanted` (the kinds of the set) are looked through for our label.

    Raises InventoryError when a lost inventory cannot be rebuilt without a person.
    """
    stored = store.load(app)
    cluster = session.cluster_uid
    if stored.record is not None:
        if cluster and stored.record.cluster and stored.record.cluster != cluster:
            warning = "the inventory comes from another cluster: everything in it counts as adopted now"
            return Opened(stored, stored.record.doubted(cluster=cluster), (warning,))
        return Opened(stored, stored.record)
    fresh = Record(app=str(app), owner=new_owner_id(), cluster=cluster, target=app.spec.target.namespace)
    if not stored.damage and not _labelled(session.connection, app, wanted):
        return Opened(stored, fresh, fresh=True)
    return _rebuilt(session, app, stored, fresh)


def _rebuilt(session: Session, app: App, stored: Stored, fresh: Record) -> Opened:
    """Promise 13: from labels, annotations and Apply entries, all as adopted; the owner id only when it is certain."""
    resources = [resource for resource in session.discovery.resources() if "list" in resource.verbs]
    left = _labelled(session.connection, app, resources)
    # A copy of our labels (the Endpoints of a Service, an export applied under another name) names another object.
    left = [live for live in left if live.object == str(live.id)]
    owners = {live.owner for live in left}
    why = stored.damage or "no inventory was found"
    if len(owners) > 1:
        raise InventoryError(
            f"the inventory of App {app} is lost ({why}), and what lives carries {len(owners)} owner ids",
            hint="restore the inventory's ConfigMap, or take the label trimtab.dev/app off what is not this App's",
        )
    if not left:
        return Opened(stored, fresh, (f"the inventory was lost ({why}); nothing that it owned was found",))
    owner = owners.pop()
    _unclaimed(session.connection, app, stored, owner)
    versions = {(resource.kind, resource.group): resource.version for resource in resources}
    manager = field_manager(app.name, owner)
    entries = [
        Entry(live.id, versions[live.id.kind, live.id.group], Standing.ADOPTED, uid=live.uid)
        for live in left
        if live.owner == owner
    ]
    warning = (
        f"the inventory was lost ({why}) and is rebuilt from {len(entries)} live objects, all counted as adopted: "
        f"they are released, not deleted, when they leave the set (field manager {manager})"
    )
    return Opened(stored, replace(fresh, owner=owner).with_entries(entries), (warning,))


def _labelled(connection: Connection, app: App, resources: Iterable[Resource]) -> list[LiveObject]:
    """Everything with the App's label, whole cluster; where that may not be listed, the target namespace."""
    namespaces = {app.spec.target.namespace, app.metadata.namespace}
    wanted = {resource: namespaces if resource.namespaced else set() for resource in resources}
    live = read_live(connection, wanted, selector=selector(app), manager="", expected={})
    return [live.objects[object_id] for object_id in sorted(live.objects)]


def _unclaimed(connection: Connection, app: App, stored: Stored, owner: str) -> None:
    """Raise when another inventory has this owner id, or when that cannot be found out."""
    try:
        heads, _ = objects.list_objects(connection, CONFIG_MAPS, None, selector=f"{INVENTORY_LABEL}={app_label(app)}")
    except ApiError as error:
        raise InventoryError(
            f"the inventory of App {app} is lost, and whether another one claims its objects cannot be seen: "
            f"{error.message}",
            hint="run once with an account that may list ConfigMaps in all namespaces",
        ) from error
    for head in heads:
        text = (head.get("data") or {}).get("head", "")
        if head["metadata"]["namespace"] != stored.namespace and f'"{owner}"' in text:
            raise InventoryError(
                f"the objects of App {app} belong to the inventory in namespace {head['metadata']['namespace']}",
                hint=f"use --inventory-namespace {head['metadata']['namespace']}, or give this App another name",
            )
