"""Manifest and ManifestSet: Kubernetes objects as data, with where each came from. No reading or writing of files."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from renderers.manifest.errors import ManifestError
from renderers.manifest.objectid import ObjectId


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
        nothing to own.
        """
        kind = _text(data, "kind", origin)
        api_version = _text(data, "apiVersion", origin)
        metadata = data.get("metadata")
        if not isinstance(metadata, Mapping):
            raise ManifestError(f"{kind} has no metadata", where=str(origin), hint="give it metadata.name")
        name = metadata.get("name")
        if not isinstance(name, str) or not name:
            if metadata.get("generateName"):
                raise ManifestError(
                    f"{kind} has metadata.generateName and no name, so it cannot be kept in sync",
                    where=str(origin),
                    hint="give it a metadata.name",
                )
            if name not in (None, ""):
                raise ManifestError(
                    f"{kind} has the {_yaml_type(name)} {name!r} as metadata.name, and a name is text",
                    where=str(origin),
                    hint="put the name in quotes",
                )
            raise ManifestError(f"{kind} has no metadata.name", where=str(origin), hint="give it a name")
        namespace = metadata.get("namespace")
        if namespace is not None and not isinstance(namespace, str):
            raise ManifestError(
                f"{kind} {name} has the {_yaml_type(namespace)} {namespace!r} as metadata.namespace",
                where=str(origin),
                hint="put the namespace in quotes",
            )
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
                    hint="remove one of the two, or exclude its file with .trimtabignore",
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


def _text(data: Mapping[str, Any], key: str, origin: Origin) -> str:
    value = data.get(key)
    if isinstance(value, str) and value:
        return value
    what = f"has no {key}" if value in (None, "") else f"has the {_yaml_type(value)} {value!r} as {key}"
    raise ManifestError(
        f"a document {what}, so it is no Kubernetes object",
        where=str(origin),
        hint=f"give it a {key}, or exclude the file with .trimtabignore",
    )


def _yaml_type(value: object) -> str:
    names = {bool: "boolean", int: "number", float: "number", list: "list", dict: "map", type(None): "null"}
    return names.get(type(value), type(value).__name__)
