"""What lives in the cluster of one App, as one value: a label-selected metadata LIST a kind, no object's content."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.cluster.fields import apply_entry, fingerprint
from pipeline.inventory.names import APPLY_ANNOTATION, OBJECT_ANNOTATION, OWNER_ANNOTATION, PRUNE_ANNOTATION
from renderers.manifest import ObjectId

PROPAGATION_ANNOTATION = "trimtab.dev/propagation"
_HELM_POLICY = "helm.sh/resource-policy"
_FLUX_IGNORE = "fluxcd.io/ignore"


@dataclass(frozen=True, slots=True)
class LiveObject:
    """What metadata says of one object that carries the App's label.

    `owner` and `object` are our annotations as they stand on it: a copy (a Service's Endpoints, a restored
    backup) carries another object's. `has_entry`: whether our field manager has an Apply entry. `prune`, `apply`,
    `propagation` and `keep` are wishes that are written on it. `terminating`: somebody has deleted it, and it goes when
    its `finalizers` are done.
    `metadata` is kept only where the fingerprint is not the expected one, to name the fields that drifted.
    """

    id: ObjectId
    uid: str
    resource_version: str
    fingerprint: str
    owner: str
    object: str
    has_entry: bool
    prune: str = ""
    apply: str = ""
    propagation: str = ""
    keep: bool = False
    terminating: bool = False
    finalizers: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None

    def is_ours(self, owner: str) -> bool:
        """Promise 5's condition for a delete: the owner annotation, the object's own id, and our Apply entry."""
        return self.owner == owner and self.object == str(self.id) and self.has_entry


@dataclass(frozen=True, slots=True)
class Live:
    """All that carries the App's label, by id. `unlisted` are the kinds that could not be listed, with the reason.

    `manager` is the field manager whose Apply entries the fingerprints were taken of.
    """

    manager: str
    objects: Mapping[ObjectId, LiveObject] = field(default_factory=dict)
    unlisted: Mapping[Resource, str] = field(default_factory=dict)

    def get(self, object_id: ObjectId) -> LiveObject | None:
        """The live object of that id, or None where none was seen."""
        return self.objects.get(object_id)


def observe(meta: Mapping[str, Any], resource: Resource, *, manager: str, expected: str = "") -> LiveObject:
    """Read one object's metadata (of a full object or a PartialObjectMetadata)."""
    metadata = meta["metadata"]
    annotations = metadata.get("annotations") or {}
    print_of = fingerprint(metadata, manager)
    object_id = ObjectId(
        kind=resource.kind, group=resource.group, namespace=metadata.get("namespace", ""), name=metadata["name"]
    )
    return LiveObject(
        id=object_id,
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        fingerprint=print_of,
        owner=annotations.get(OWNER_ANNOTATION, ""),
        object=annotations.get(OBJECT_ANNOTATION, ""),
        has_entry=apply_entry(metadata, manager) is not None,
        prune=annotations.get(PRUNE_ANNOTATION, ""),
        apply="ignore" if annotations.get(_FLUX_IGNORE) == "true" else annotations.get(APPLY_ANNOTATION, ""),
        propagation=annotations.get(PROPAGATION_ANNOTATION, ""),
        keep=annotations.get(_HELM_POLICY, "") == "keep",
        terminating="deletionTimestamp" in metadata,
        finalizers=tuple(metadata.get("finalizers") or ()),
        metadata=None if print_of == expected else metadata,
    )


def read_live(
    connection: Connection,
    wanted: Mapping[Resource, Iterable[str]],
    *,
    selector: str,
    manager: str,
    expected: Mapping[ObjectId, str],
) -> Live:
    """List every wanted resource once, in parallel.

    `wanted` says for each resource the namespaces in which the App has (or will have) objects: one namespace is
    listed alone, more by one cluster-wide request, or one by one where the account may not list the whole cluster.
    `expected` are the fingerprints of the inventory.
    """
    found: dict[ObjectId, LiveObject] = {}
    unlisted: dict[Resource, str] = {}

    def scan(resource: Resource, namespace: str | None) -> None:
        for meta in objects.list_metadata(connection, resource, namespace, selector=selector):
            metadata = meta["metadata"]
            object_id = ObjectId(resource.kind, resource.group, metadata.get("namespace", ""), metadata["name"])
            found[object_id] = observe(meta, resource, manager=manager, expected=expected.get(object_id, ""))

    def scan_or_tell(resource: Resource, namespace: str | None) -> None:
        try:
            scan(resource, namespace)
        except ApiError as error:
            # A version that is served no more hides its objects. A namespace that is gone has none.
            if error.kind_missing or not error.not_found:
                unlisted[resource] = error.message

    def scan_all(resource: Resource, namespaces: set[str]) -> None:
        several = not resource.namespaced or len(namespaces) > 1
        if not several:
            scan_or_tell(resource, next(iter(namespaces)))
            return
        scan_or_tell(resource, None)
        if resource in unlisted and resource.namespaced:
            del unlisted[resource]
            for namespace in sorted(namespaces):
                scan_or_tell(resource, namespace)

    # One writer a key and CPython's atomic dict stores: no lock is needed around the two results.
    with ThreadPoolExecutor(max_workers=16) as pool:
        list(pool.map(lambda item: scan_all(item[0], set(item[1])), wanted.items()))
    return Live(manager, found, unlisted)
