"""Manifest and ManifestSet: Kubernetes objects as data, with where each came from. No reading or writing of files."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from renderers.manifest.errors import ManifestError
from renderers.manifest.guard import clip
from renderers.manifest.objectid import ObjectId

#: A kind as a CustomResourceDefinition may name it, and `group/version` or `version`.
_FORMS = {
    "kind": re.compile(r"[A-Za-z]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"),
    "apiVersion": re.compile(r"([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"),
}
_SEGMENT = re.compile(r"[^/%\s\x00-\x1f\x7f]{1,253}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a manifest came from: beside it, never in it.

    `unit` and `file` are POSIX paths relative to the checkout (`file` is the chart template for Helm, and the
    kustomization's folder for kustomize, which does not say more); `line` counts from 1, 0 where it is not known.
    """

    unit: str
    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Kubernetes object as data. `data` is shared between steps and must not be changed: copy first."""

    data: Mapping[str, Any]
    origin: Origin
    id: ObjectId = field(compare=False)

    @classmethod
    def of(cls, data: Mapping[str, Any], origin: Origin) -> "Manifest":
        """Check what every Kubernetes object has (apiVersion, kind, metadata.name) and take its id.

        Raises ManifestError naming the origin. `metadata.generateName` is refused: without a name there is
        nothing to own. Names become parts of URLs, so what Kubernetes refuses in a path is refused here.
        """
        kind, api_version = type_of(data, "kind", origin), type_of(data, "apiVersion", origin)
        metadata = data.get("metadata")
        if not isinstance(metadata, Mapping):
            raise ManifestError(f"{kind} has no metadata", where=str(origin), hint="give it metadata.name")
        name = metadata.get("name")
        if name in (None, ""):
            if metadata.get("generateName"):
                raise ManifestError(
                    f"{kind} has metadata.generateName and no name, so it cannot be kept in sync",
                    where=str(origin),
                    hint="give it a metadata.name",
                )
            raise ManifestError(f"{kind} has no metadata.name", where=str(origin), hint="give it a name")
        name = _segment(name, f"{kind} has", "name", origin)
        namespace = metadata.get("namespace")
        if namespace not in (None, ""):
            namespace = _segment(namespace, f"{kind} {name} has", "namespace", origin)
        group = api_version.partition("/")[0] if "/" in api_version else ""
        object_id = ObjectId(kind=kind, group=group, namespace=namespace or "", name=name)
        return cls(data=data, origin=origin, id=object_id)

    @property
    def api_version(self) -> str:
        """`group/version`, or `version` for the core group."""
        return str(self.data["apiVersion"])

    @property
    def annotations(self) -> Mapping[str, Any]:
        """`metadata.annotations`, empty where there are none."""
        value = self.data["metadata"].get("annotations")
        return value if isinstance(value, Mapping) else {}


class ManifestSet:
    """All of an App's manifests, no id twice, in the order of their ids. Immutable."""

    __slots__ = ("_by_id",)

    def __init__(self, manifests: Iterable[Manifest]) -> None:
        """Raises ManifestError, naming both places, where two manifests have one id."""
        by_id: dict[ObjectId, Manifest] = {}
        for manifest in manifests:
            other = by_id.setdefault(manifest.id, manifest)
            if other is not manifest:
                raise ManifestError(
                    f"{manifest.id} stands twice: in {other.origin} and in {manifest.origin}",
                    where=str(manifest.origin),
                    hint="remove one of the two",
                )
        self._by_id = dict(sorted(by_id.items()))

    def __iter__(self) -> Iterator[Manifest]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, object_id: ObjectId) -> bool:
        return object_id in self._by_id

    def get(self, object_id: ObjectId) -> Manifest | None:
        """The manifest of that id, or None."""
        return self._by_id.get(object_id)


def type_of(data: Mapping[str, Any], key: str, origin: Origin) -> str:
    """The `kind` or the `apiVersion` of a document. Raises ManifestError where it is none that Kubernetes allows."""
    value = data.get(key)
    if isinstance(value, str) and _FORMS[key].fullmatch(value):
        return value
    if value in (None, ""):
        what = f"has no {key}"
    elif isinstance(value, str):
        what = f"has the {key} {clip(value)}, which Kubernetes does not allow"
    else:
        what = f"has {described(value)} as {key}"
    raise ManifestError(
        f"a document {what}, so it is no Kubernetes object", where=str(origin), hint=f"give it a proper {key}"
    )


def _segment(value: Any, what: str, key: str, origin: Origin) -> str:
    """A name that may stand in a path of the API (Kubernetes, "Path Segment Names")."""
    if not isinstance(value, str):
        raise ManifestError(
            f"{what} {described(value)} as metadata.{key}, and it has to be text",
            where=str(origin),
            hint=f"put the {key} in quotes",
        )
    if value in (".", "..") or not _SEGMENT.fullmatch(value):
        raise ManifestError(
            f"{what} the metadata.{key} {clip(value)}, which Kubernetes does not allow",
            where=str(origin),
            hint="lower case letters, digits, - and . are always right",
        )
    return value


def described(value: object) -> str:
    """What a value is, for a message: without any of its content, but for a number or a boolean."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a map"
