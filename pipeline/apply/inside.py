"""What is inside a Namespace or a CustomResourceDefinition, and would be lost with it. Looks right before the delete.

Whatever cannot be looked at counts as inside. What remains is what is made between these LISTs and the delete: the
API server knows no precondition about content.
"""

from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource
from pipeline.cluster.errors import ApiError
from renderers.manifest import ObjectId

_THREADS = 16
#: How many objects a message names.
_NAMED = 3
#: What Kubernetes itself puts into every namespace (root-ca-cert-publisher, serviceaccounts-controller).
_EVERYWHERE = frozenset({("", "ConfigMap", "kube-root-ca.crt"), ("", "ServiceAccount", "default")})
_EVENTS = frozenset({("", "Event"), ("events.k8s.io", "Event")})


def others_inside(
    connection: Connection, container: ObjectId, resource: Resource, going: Mapping[str, ObjectId]
) -> str:
    """Why the container must live on, as a sentence that names what is inside; empty where it may go.

    `going` are the objects, by UID, that this App has deleted: neither they count nor what goes with them. Everything
    else counts, also what the App still wants, or has released. Raises ApiError where that cannot be seen now, and may
    be seen later.
    """
    if container.kind == "Namespace":
        kinds = _kinds_of_namespaces(connection)
        found, refused = _listed(connection, kinds, container.name)
    else:
        kinds = _kind_of_definition(connection, container, resource)
        if not kinds:
            return "it serves no version in which its objects could be looked at"
        found, refused = _listed(connection, kinds, None)
    inside = staying(found, {(kind.group, kind.kind) for kind in kinds}, going)
    if inside:
        names = ", ".join(map(str, inside[:_NAMED]))
        more = f" and {len(inside) - _NAMED} more" if len(inside) > _NAMED else ""
        return f"it is not empty: {names}{more}"
    return f"whether it is empty cannot be seen: {refused}" if refused else ""


@dataclass(frozen=True, slots=True)
class Inner:
    """An object as it was listed. `owners` has UID, group and kind of each of its ownerReferences."""

    id: ObjectId
    uid: str
    owners: tuple[tuple[str, str, str], ...] = ()


def staying(
    found: Collection[Inner], kinds: Collection[tuple[str, str]], going: Mapping[str, ObjectId]
) -> list[ObjectId]:
    """What of `found`, all objects of these `kinds`, is neither going nor Kubernetes' own, in the order of ids.

    An object goes when all its owners do, or are gone already: then the garbage collector takes it (Kubernetes, Owners
    and Dependents). A Service takes the Endpoints of its name with it (endpoints controller).
    """
    alive = {item.uid for item in found}
    ids = {*going.values(), *(item.id for item in found)}
    goes = {*going, *(item.uid for item in found if _service_of(item.id) in ids)}

    def is_going(owner: tuple[str, str, str]) -> bool:
        uid, *kind = owner
        return uid in goes or (uid not in alive and tuple(kind) in kinds)

    while more := {item.uid for item in found if item.owners and all(map(is_going, item.owners))} - goes:
        goes |= more
    return sorted(
        item.id
        for item in found
        if item.uid not in goes and (item.id.group, item.id.kind, item.id.name) not in _EVERYWHERE
    )


def _kinds_of_namespaces(connection: Connection) -> list[Resource]:
    """Asked anew: a kind that came since would not be looked at. Raises ApiError where some group does not answer.

    What cannot be deleted (the metrics of Pods) is a view of other objects; the namespace controller goes by the same.
    """
    discovery = Discovery.load(connection)
    if discovery.stale:
        raise ApiError(503, f"what is inside cannot be seen: {', '.join(sorted(discovery.stale))} does not answer")
    return [
        kind
        for kind in discovery.resources()
        if kind.namespaced and {"list", "delete"} <= kind.verbs and (kind.group, kind.kind) not in _EVENTS
    ]


def _kind_of_definition(connection: Connection, container: ObjectId, resource: Resource) -> list[Resource]:
    """The kind that the definition defines, in one version that is served. One request."""
    crd = objects.get(connection, resource, "", container.name)
    spec: Mapping[str, Any] = crd["spec"] if crd is not None else {"versions": ()}
    return [
        Resource(
            spec["group"], version["name"], spec["names"]["kind"], spec["names"]["plural"],
            spec["scope"] == "Namespaced", frozenset({"list"}),
        )
        for version in spec["versions"]
        if version["served"]
    ][:1]  # fmt: skip


def _listed(connection: Connection, kinds: Iterable[Resource], namespace: str | None) -> tuple[list[Inner], str]:
    """All objects of these kinds, and why one of them could not be listed. Raises what may pass."""

    def listed(kind: Resource) -> tuple[list[Inner], str]:
        try:
            return [_read(kind, meta) for meta in objects.list_metadata(connection, kind, namespace, selector="")], ""
        except ApiError as error:
            if error.temporary:
                raise
            return [], "" if error.not_found else error.message

    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        results = list(pool.map(listed, kinds))
    found = {item.uid: item for items, _ in results for item in items}
    return list(found.values()), next((why for _, why in results if why), "")


def _read(kind: Resource, meta: Mapping[str, Any]) -> Inner:
    metadata = meta["metadata"]
    owners = tuple(
        (owner["uid"], owner["apiVersion"].rpartition("/")[0], owner["kind"])
        for owner in metadata.get("ownerReferences") or ()
    )
    object_id = ObjectId(kind.kind, kind.group, metadata.get("namespace", ""), metadata["name"])
    return Inner(object_id, metadata["uid"], owners)


def _service_of(object_id: ObjectId) -> ObjectId | None:
    """The Service that Endpoints belong to, also when they were written by hand; None for another kind."""
    return replace(object_id, kind="Service") if (object_id.group, object_id.kind) == ("", "Endpoints") else None
