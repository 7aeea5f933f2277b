"""From a ManifestSet to what would be sent: resource, namespace, our marks, digest, stage. Pure.

What cannot be sent at all (an unknown kind) becomes a failed change of its own; the others go on.
"""

import base64
import enum
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.cluster.discovery import Discovery, Resource
from pipeline.errors import InputError
from pipeline.inventory.names import APP_LABEL, OBJECT_ANNOTATION, OWNER_ANNOTATION
from pipeline.plan.model import Action, Change
from pipeline.plan.options import NONE, Options, options_of
from renderers.manifest import Manifest, ManifestSet, ObjectId

#: What the API server alone writes; exported manifests carry it, and it must not be sent back.
_SERVER_FIELDS = frozenset(
    {"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
     "resourceVersion", "selfLink", "uid"}
)  # fmt: skip


class Stage(enum.IntEnum):
    """The order of an apply; a prune goes the other way. The first two are waited for before the next begins."""

    CRDS = 0
    NAMESPACES = 1
    CLASSES = 2
    CONFIGURATION = 3
    WORKLOADS = 4
    CUSTOM = 5
    LAST = 6


_STAGES: Mapping[tuple[str, str], Stage] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Stage.CRDS,
    ("", "Namespace"): Stage.NAMESPACES,
    ("scheduling.k8s.io", "PriorityClass"): Stage.CLASSES,
    ("storage.k8s.io", "StorageClass"): Stage.CLASSES,
    ("storage.k8s.io", "CSIDriver"): Stage.CLASSES,
    ("snapshot.storage.k8s.io", "VolumeSnapshotClass"): Stage.CLASSES,
    ("networking.k8s.io", "IngressClass"): Stage.CLASSES,
    ("node.k8s.io", "RuntimeClass"): Stage.CLASSES,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): Stage.CLASSES,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): Stage.CLASSES,
    ("", "ResourceQuota"): Stage.CLASSES,
    ("", "LimitRange"): Stage.CLASSES,
    ("", "ServiceAccount"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "ClusterRole"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "Role"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "RoleBinding"): Stage.CONFIGURATION,
    ("", "ConfigMap"): Stage.CONFIGURATION,
    ("", "Secret"): Stage.CONFIGURATION,
    ("", "PersistentVolume"): Stage.CONFIGURATION,
    ("", "PersistentVolumeClaim"): Stage.CONFIGURATION,
    ("apiregistration.k8s.io", "APIService"): Stage.LAST,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): Stage.LAST,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): Stage.LAST,
}


@dataclass(frozen=True, slots=True)
class Desired:
    """One object as it would be sent.

    `data` is the manifest with namespace and our marks; `body` the same as canonical JSON. `digest` tells whether
    it is what was last applied: empty where that must not be recorded (a Secret, where no key could be had), so
    that it is sent every time.
    """

    id: ObjectId
    resource: Resource
    data: Mapping[str, Any]
    body: bytes
    digest: str
    stage: Stage
    origin: str
    options: Options = NONE


@dataclass(frozen=True, slots=True)
class Resolved:
    """The set under its final ids, with the resource of each object and what it asks for.

    `failed` are objects that cannot be sent: their kind is unknown, or an annotation cannot be read.
    """

    manifests: ManifestSet
    resources: Mapping[ObjectId, Resource]
    options: Mapping[ObjectId, Options]
    failed: tuple[Change, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """What is written on every object of an App."""

    label: str
    owner: str


def resolve(manifests: Iterable[Manifest], discovery: Discovery, namespace: str) -> Resolved:
    """Give each manifest the namespace it will live in, as discovery knows its kind.

    Raises ManifestError where two manifests come to one object.
    """
    resources: dict[ObjectId, Resource] = {}
    options: dict[ObjectId, Options] = {}
    failed: list[Change] = []
    warnings: list[str] = []
    placed: list[Manifest] = []
    for manifest in manifests:
        group, _, version = manifest.api_version.rpartition("/")
        resource = discovery.find(manifest.id.kind, group, version)
        if resource is None or resource.version != version:
            failed.append(Change(manifest.id, Action.FAILED, _unknown_kind(manifest, resource)))
            continue
        moved = manifest
        if resource.namespaced and not manifest.id.namespace:
            moved = _in_namespace(manifest, namespace)
        elif not resource.namespaced and manifest.id.namespace:
            warnings.append(
                f"{manifest.origin}: {manifest.id.kind} {manifest.id.name} is cluster-scoped; "
                f"its namespace {manifest.id.namespace} is left out"
            )
            moved = _in_namespace(manifest, "")
        try:
            options[moved.id] = options_of(_map(moved.data["metadata"].get("annotations")))
        except InputError as error:
            failed.append(Change(moved.id, Action.FAILED, f"{manifest.origin}: {error}"))
            continue
        placed.append(moved)
        resources[moved.id] = resource
    return Resolved(ManifestSet(placed), resources, options, tuple(failed), tuple(warnings))


def prepare(
    manifests: ManifestSet,
    resources: Mapping[ObjectId, Resource],
    options: Mapping[ObjectId, Options],
    marks: Marks,
    *,
    secret_digest: Callable[[bytes], str],
) -> tuple[Desired, ...]:
    """Write the App's marks on each manifest and take its digest; `secret_digest` takes that of a Secret."""
    prepared = []
    for manifest in manifests:
        data = _stamped(manifest, marks)
        body = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        secret = manifest.id.kind == "Secret" and not manifest.id.group
        prepared.append(
            Desired(
                id=manifest.id,
                resource=resources[manifest.id],
                data=data,
                body=body,
                digest=secret_digest(body) if secret else hashlib.blake2b(body, digest_size=16).hexdigest(),
                stage=stage_of(manifest.id),
                origin=str(manifest.origin),
                options=options[manifest.id],
            )
        )
    return tuple(prepared)


def stage_of(object_id: ObjectId) -> Stage:
    """The stage of a kind; a kind of a group that Kubernetes does not serve itself is a custom resource."""
    stage = _STAGES.get((object_id.group, object_id.kind))
    if stage is not None:
        return stage
    # Kubernetes' own groups have no dot, or end in k8s.io; those names are reserved (API conventions).
    builtin = "." not in object_id.group or object_id.group.endswith(".k8s.io")
    return Stage.WORKLOADS if builtin else Stage.CUSTOM


def _in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    metadata = {key: value for key, value in manifest.data["metadata"].items() if key != "namespace"}
    if namespace:
        metadata["namespace"] = namespace
    data = {**manifest.data, "metadata": metadata}
    return Manifest(data=data, origin=manifest.origin, id=replace(manifest.id, namespace=namespace))


def _stamped(manifest: Manifest, marks: Marks) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest.data["metadata"].items() if key not in _SERVER_FIELDS}
    metadata["labels"] = {**_map(metadata.get("labels")), APP_LABEL: marks.label}
    metadata["annotations"] = {
        **_map(metadata.get("annotations")),
        OWNER_ANNOTATION: marks.owner,
        OBJECT_ANNOTATION: str(manifest.id),
    }
    data = {**manifest.data, "metadata": metadata}
    if manifest.id.kind == "Secret" and not manifest.id.group and isinstance(data.get("stringData"), Mapping):
        data = _without_string_data(data)
    return data


def _without_string_data(data: dict[str, Any]) -> dict[str, Any]:
    """`stringData` is write-only: the API server moves it to `data`, and managedFields then speak of another field.

    Values that are no text are left for the API server to refuse.
    """
    texts = data["stringData"]
    if not all(isinstance(value, str) for value in texts.values()):
        return data
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
    rest = {key: value for key, value in data.items() if key != "stringData"}
    return {**rest, "data": {**_map(data.get("data")), **encoded}}


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _unknown_kind(manifest: Manifest, other: Resource | None) -> str:
    text = f"{manifest.origin}: the cluster knows no kind {manifest.id.kind} in {manifest.api_version}"
    if other is not None:
        return f"{text}; it serves {other.api_version}\n  → change the manifest's apiVersion"
    return f"{text}\n  → install its CustomResourceDefinition, or correct apiVersion and kind"
