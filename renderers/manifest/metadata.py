"""The metadata that kubectl sends: what it refuses in a file, before it asks a server (ObjectMeta of apimachinery)."""

from collections.abc import Mapping
from typing import Any

from renderers.manifest.errors import ManifestError
from renderers.manifest.guard import clip
from renderers.manifest.manifest import Manifest, described

_FORMS: dict[str, type] = {
    **dict.fromkeys(
        ("generateName", "selfLink", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"), str
    ),
    **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), int),
    **dict.fromkeys(("labels", "annotations"), Mapping),
    **dict.fromkeys(("finalizers", "ownerReferences", "managedFields"), list),
}
_INNER: dict[str, type] = {"labels": str, "annotations": str, "finalizers": str, "ownerReferences": Mapping}
_NAMES: dict[type, str] = {str: "text", int: "a whole number", Mapping: "a map", list: "a list"}


def check_metadata(manifest: Manifest) -> None:
    """Raise ManifestError where metadata is not what it has to be: above all, labels and annotations are text."""
    metadata: Mapping[str, Any] = manifest.data["metadata"]
    for key, form in _FORMS.items():
        value = metadata.get(key)
        _check(manifest, f"metadata.{key}", value, form)
        if key in _INNER and value:
            for name, inner in value.items() if form is Mapping else enumerate(value):
                _check(manifest, f"metadata.{key}[{clip(name) if isinstance(name, str) else name}]", inner, _INNER[key])


def _check(manifest: Manifest, path: str, value: Any, form: type) -> None:
    if not isinstance(value, form | None) or isinstance(value, bool):
        raise ManifestError(
            f"{manifest.id} has {described(value)} as {path}, and it has to be {_NAMES[form]}",
            where=str(manifest.origin),
            hint="put the value in quotes" if form is str else f"correct {path}",
        )
