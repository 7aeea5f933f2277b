"""From rendered manifests to the set under its final ids: resources, namespaces, options, depths. Pure.

What cannot be sent (an unknown kind, an annotation that cannot be read) becomes a change of its own; the others go on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pipeline.cluster.discovery import Discovery, Resource
from pipeline.errors import InputError
from pipeline.plan.model import Action, Change
from pipeline.plan.options import Options, options_of
from pipeline.plan.order import builtin, depths
from renderers.manifest import Manifest, ManifestSet, ObjectId
from renderers.manifest.shape import part

#: What runs a program, and so may install the kinds of others.
_PROGRAMS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("batch", "Job"), ("", "Pod")}
)


@dataclass(frozen=True, slots=True)
class Awaited:
    """An object whose kind the cluster does not know, and may know once the programs of the same App run.

    `unknown` says so for people, `hint` what to do.
    """

    id: ObjectId
    version: str
    unknown: str
    hint: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The set under its final ids, with the resource of each object, what it asks for, and its depth in its wave.

    `failed` are objects that cannot be sent, `awaited` those that cannot be sent yet; `absent` has the waves of both.
    """

    manifests: ManifestSet
    resources: Mapping[ObjectId, Resource]
    options: Mapping[ObjectId, Options]
    depths: Mapping[ObjectId, int]
    failed: tuple[Change, ...]
    awaited: tuple[Awaited, ...]
    absent: Mapping[ObjectId, int]
    warnings: tuple[str, ...]


def resolve(manifests: Iterable[Manifest], discovery: Discovery, namespace: str) -> Resolved:
    """Give each manifest the namespace it will live in, as discovery knows its kind, and read what it asks for.

    Raises ManifestError where two manifests come to one object.
    """
    resources: dict[ObjectId, Resource] = {}
    options: dict[ObjectId, Options] = {}
    failed: list[Change] = []
    awaited: list[Awaited] = []
    absent: dict[ObjectId, int] = {}
    warnings: list[str] = []
    placed: list[Manifest] = []
    manifests = tuple(manifests)
    programs = any((each.id.group, each.id.kind) in _PROGRAMS for each in manifests)
    for manifest in manifests:
        group, _, version = manifest.api_version.rpartition("/")
        resource = discovery.find(manifest.id.kind, group, version)
        known = resource is not None and resource.version == version
        moved = _placed(manifest, resource, namespace, warnings) if resource is not None else manifest
        try:
            asked = options_of(part(moved.data["metadata"], "annotations"))
        except InputError as error:
            failed.append(Change(moved.id, Action.FAILED, f"{manifest.origin}: {error}"))
            absent[moved.id] = 0
            continue
        if resource is not None and known:
            placed.append(moved)
            resources[moved.id], options[moved.id] = resource, asked
            continue
        absent[moved.id] = asked.wave
        if resource is None and programs and not builtin(group):
            awaited.append(Awaited(moved.id, version, *_unknown_kind(manifest, None)))
        else:
            message = "\n  → ".join(_unknown_kind(manifest, resource))
            failed.append(Change(moved.id, Action.FAILED, message))
    deep, problems = depths(options, absent)
    for manifest in placed:
        if manifest.id in problems:
            failed.append(Change(manifest.id, Action.FAILED, f"{manifest.origin}: {problems[manifest.id]}"))
            absent[manifest.id] = options[manifest.id].wave
    return Resolved(
        manifests=ManifestSet(manifest for manifest in placed if manifest.id not in problems),
        resources=resources,
        options=options,
        depths=deep,
        failed=tuple(failed),
        awaited=tuple(awaited),
        absent=absent,
        warnings=tuple(warnings),
    )


def _placed(manifest: Manifest, resource: Resource, namespace: str, warnings: list[str]) -> Manifest:
    if resource.namespaced and not manifest.id.namespace:
        return _in_namespace(manifest, namespace)
    if not resource.namespaced and manifest.id.namespace:
        warnings.append(
            f"{manifest.origin}: {manifest.id.kind} {manifest.id.name} is cluster-scoped; "
            f"its namespace {manifest.id.namespace} is left out"
        )
        return _in_namespace(manifest, "")
    return manifest


def _in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    metadata = {key: value for key, value in manifest.data["metadata"].items() if key != "namespace"}
    if namespace:
        metadata["namespace"] = namespace
    data = {**manifest.data, "metadata": metadata}
    return Manifest(data=data, origin=manifest.origin, id=replace(manifest.id, namespace=namespace))


def _unknown_kind(manifest: Manifest, other: Resource | None) -> tuple[str, str]:
    """What is wrong, and what to do."""
    text = f"{manifest.origin}: the cluster knows no kind {manifest.id.kind} in {manifest.api_version}"
    if other is not None:
        return f"{text}; it serves {other.api_version}", "change the manifest's apiVersion"
    return text, "install its CustomResourceDefinition, or correct apiVersion and kind"
