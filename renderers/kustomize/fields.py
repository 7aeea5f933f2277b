"""Which fields of kustomize take a path (5.8.1), and finding them in kustomize's own reading of names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from renderers.api import RenderError


@dataclass(frozen=True, slots=True)
class FileFields:
    """Fields that name single files: by a path, by `path` or `key=path`, and by a path where it is no YAML itself."""

    paths: tuple[str, ...] = ()
    keyed: tuple[str, ...] = ()
    or_texts: tuple[str, ...] = ()


#: A file or another kustomization; these and those below are fields of `types.Kustomization`.
ENTRIES = ("resources[]", "bases[]")
#: Another kustomization.
FOLDERS = ("components[]",)
#: The configuration of a built-in plug-in: a file, another kustomization that makes it, or the YAML itself.
PLUGINS = ("generators[]", "transformers[]", "validators[]")
FILES = FileFields(
    (
        "crds[]",
        "configurations[]",
        "openapi.path",
        "patches[].path",
        "patchesJson6902[].path",
        "replacements[].path",
        "configMapGenerator[].env",
        "configMapGenerator[].envs[]",
        "secretGenerator[].env",
        "secretGenerator[].envs[]",
        "helmCharts[].valuesFile",
        "helmCharts[].additionalValuesFiles[]",
    ),
    keyed=("configMapGenerator[].files[]", "secretGenerator[].files[]"),
    or_texts=("patchesStrategicMerge[]",),
)
#: The first names of those that take no path themselves. `charts.py` looks at the two of helm.
OTHERS = frozenset(
    {
        "apiVersion",
        "kind",
        "metadata",
        "namePrefix",
        "nameSuffix",
        "namespace",
        "commonLabels",
        "labels",
        "commonAnnotations",
        "images",
        "imageTags",
        "replicas",
        "vars",
        "sortOptions",
        "helmGlobals",
        "helmChartInflationGenerator",
        "generatorOptions",
        "buildMetadata",
    }
)

#: The same by the kind of a built-in plug-in (`internal/builtins`). A kind that is not here reads no file, and `env` of
#: the generators is read in a kustomization only.
PLUGIN_FILES = {
    "ConfigMapGenerator": FileFields(("envs[]",), keyed=("files[]",)),
    "SecretGenerator": FileFields(("envs[]",), keyed=("files[]",)),
    "PatchTransformer": FileFields(("path",)),
    "PatchJson6902Transformer": FileFields(("path",)),
    "PatchStrategicMergeTransformer": FileFields(or_texts=("paths[]",)),
    "ReplacementTransformer": FileFields(("replacements[].path",)),
    "ValueAddTransformer": FileFields(("targetFilePath",)),
    "HelmChartInflationGenerator": FileFields(("valuesFile", "additionalValuesFiles[]")),
}


@dataclass(frozen=True, slots=True)
class Slot:
    """One value in a document, with its place for messages (`patches[2].path`)."""

    name: str
    value: Any
    _holder: Any
    _key: Any

    def set(self, value: Any) -> None:
        """Put another value there."""
        self._holder[self._key] = value

    def within(self, place: str) -> "Slot":
        """The same slot, told as a part of something else."""
        return Slot(f"{place}.{self.name}" if place else self.name, self.value, self._holder, self._key)


def each(data: Any, patterns: Iterable[str], within: str = "") -> Iterator[Slot]:
    """Every value at any of the patterns. Raises as `slots` does."""
    return (slot.within(within) for pattern in patterns for slot in slots(data, pattern))


def slots(data: Any, pattern: str, *, shown: str = "") -> Iterator[Slot]:
    """Every value at a pattern such as `patches[].path`; nulls are left out.

    kustomize reads field names as Go's encoding/json does, in any case (`Resources` is `resources`), and so does
    this. Raises RenderError where two names of one map are the same field: which of them counts is nowhere said.
    """
    head, _, rest = pattern.partition(".")
    name, each = head.removesuffix("[]"), head.endswith("[]")
    key = _key(data, name)
    if key is None:
        return
    place = f"{shown}.{key}" if shown else key
    found = [Slot(place, data[key], data, key)]
    if each:
        items = data[key] if isinstance(data[key], list) else []
        found = [Slot(f"{place}[{i}]", item, items, i) for i, item in enumerate(items)]
    for slot in found:
        if rest:
            yield from slots(slot.value, rest, shown=slot.name)
        elif slot.value is not None:
            yield slot


def find(data: Any, pattern: str) -> Iterator[tuple[str, Any]]:
    """Place and value of every slot. Raises as `slots` does."""
    return ((slot.name, slot.value) for slot in slots(data, pattern))


def text_of(data: Any, name: str) -> str:
    """The text of a field, empty where it is missing or no text."""
    key = _key(data, name)
    value = None if key is None else data[key]
    return value if isinstance(value, str) else ""


def _key(data: Any, name: str) -> str | None:
    if not isinstance(data, Mapping):
        return None
    # Go folds more than ASCII: U+017F is an s and U+212A a k, as for casefold.
    keys = [key for key in data if isinstance(key, str) and key.casefold() == name.casefold()]
    if len(keys) > 1:
        raise RenderError(f"{' and '.join(keys)} are one field for kustomize", hint="keep one of them")
    return keys[0] if keys else None
