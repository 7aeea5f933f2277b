"""Which file each manifest came from: kustomize says it in an annotation, where it is asked to, and that is taken off.

The output must be as if nobody had asked. The annotation is there from the beginning, though, so that a replacement
may copy it, and a selector may look for it: where such a thing is used, there is a second build, which counts.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from renderers.boundary import shown
from renderers.kustomize.fields import each, find, slots, text_of
from renderers.kustomize.reach import NAMES
from renderers.kustomize.references import FILE_NAMES, kustomization_files
from renderers.manifest import Manifest, ManifestError, Origin
from renderers.manifest.dump import dump
from renderers.manifest.load import load_text

_ANNOTATION = "config.kubernetes.io/origin"
_OPTION = "originAnnotations"
#: Fields of a kustomization by which the annotation could change more than itself, besides patches.
_OBSERVERS = ("replacements", "vars", "configurations", "labels[].fields", "generators", "transformers", "validators")
#: Operations of a JSON patch that read. (A strategic merge patch only writes.)
_READS = re.compile(rb"\b(copy|move|test)\b")


def is_asked(folder: Path) -> bool:
    """Whether the kustomization in `folder` itself asks for the annotation."""
    return any(_OPTION in value for data in _read(folder) for value in _options(data))


def is_observed(root: Path) -> bool:
    """Whether any kustomization below `root` has something that could see the annotation."""
    folders = (Path(folder) for folder, _, files in os.walk(root) if not set(FILE_NAMES).isdisjoint(files))
    return any(_observes(data, folder) for folder in folders for data in _read(folder))


@contextmanager
def asked(folder: Path) -> Iterator[None]:
    """Have the kustomization in `folder`, which is a private copy, ask for the annotation meanwhile."""
    for file, data in zip(kustomization_files(folder), _read(folder), strict=False):
        if not _says_something(data):
            break
        before = file.read_bytes()
        options = next((slot for slot in slots(data, "buildMetadata")), None)
        if options is None:
            data["buildMetadata"] = [_OPTION]
        elif isinstance(options.value, list):
            options.set([*options.value, _OPTION])
        file.write_text(dump(data), encoding="utf-8")
        try:
            yield
        finally:
            file.write_bytes(before)
        return
    yield


def told(manifests: Sequence[Manifest], folder: Path, root: Path) -> tuple[Manifest, ...]:
    """The manifests with the origins that their annotations tell."""
    names = _names(root)
    return tuple(replace(manifest, origin=_origin(manifest, folder, root, names)) for manifest in manifests)


def taken_off(manifests: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """The manifests without the annotation."""
    return tuple(replace(manifest, data=_without(manifest.data)) for manifest in manifests)


def matched(manifests: Sequence[Manifest], others: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """The manifests with the origins of others, by their ids."""
    origins = {other.id: other.origin for other in others}
    return tuple(replace(manifest, origin=origins.get(manifest.id, manifest.origin)) for manifest in manifests)


def _observes(data: dict[str, Any], folder: Path) -> bool:
    patches = [slot.value for slot in each(data, ("patches[]", "patchesJson6902[]"))]
    return next(each(data, _OBSERVERS), None) is not None or any(_reads(patch, folder) for patch in patches)


def _reads(patch: Any, folder: Path) -> bool:
    path = text_of(patch, "path")
    try:
        text = (folder / path).read_bytes() if path else text_of(patch, "patch").encode()
    except OSError:
        return True
    return bool(_READS.search(text)) or next(slots(patch, "target.annotationSelector"), None) is not None


def _read(folder: Path) -> list[dict[str, Any]]:
    """The kustomization of a folder, if it is one."""
    try:
        documents = [load_text(file.read_bytes(), file=file.name).documents for file in kustomization_files(folder)]
    except (ManifestError, OSError):
        return []
    return [found[0].data for found in documents if found and isinstance(found[0].data, dict)]


def _says_something(data: dict[str, Any]) -> bool:
    """Whether kustomize would not refuse it as empty (`types.CheckEmpty`)."""
    return any(value not in (None, "") for key, value in data.items() if key not in ("apiVersion", "kind"))


def _options(data: dict[str, Any]) -> Iterator[list[Any]]:
    return (value for _, value in find(data, "buildMetadata") if isinstance(value, list))


def _origin(manifest: Manifest, folder: Path, root: Path, names: dict[str, str]) -> Origin:
    """`resource.Origin`: where a resource stands, or the kustomization of what made it; relative to `folder`."""
    said = _map(manifest.annotations.get(_ANNOTATION))
    path = said.get("path") or said.get("configuredIn")
    if not isinstance(path, str) or said.get("repo"):
        return manifest.origin
    place = Path(os.path.normpath(folder / path))
    if not place.is_relative_to(root):
        return manifest.origin
    file = shown(place, root)
    for prefix, name in names.items():
        if file.startswith(f"{prefix}/"):
            file = f"{name} ({file.removeprefix(f'{prefix}/')})"
    return Origin(manifest.origin.unit, file)


def _names(root: Path) -> dict[str, str]:
    """What people call what was fetched, by its place."""
    try:
        return _map((root / NAMES).read_text(encoding="utf-8"))
    except OSError:
        return {}


def _map(text: Any) -> dict[str, Any]:
    """A text as YAML of a map; empty where it is none."""
    try:
        documents = load_text(text, file="").documents if isinstance(text, str) else ()
    except ManifestError:
        return {}
    return documents[0].data if documents and isinstance(documents[0].data, dict) else {}


def _without(data: Any) -> Any:
    metadata = data["metadata"]
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _ANNOTATION}
    kept = {key: value for key, value in metadata.items() if key != "annotations"}
    if annotations:
        kept = {key: annotations if key == "annotations" else value for key, value in metadata.items()}
    return {**data, "metadata": kept}
