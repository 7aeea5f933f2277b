"""Runs objects through `kustomize build`, all layers in one process, and tells which came out as what."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from renderers.api import Limits, RenderError
from renderers.manifest import Manifest, load_text
from renderers.post.carry import Carrier, json_text
from renderers.post.layers import Layer
from renderers.sandbox import private_folder
from renderers.tool import ToolError, run

#: The layer that failed, and what kustomize says of it: the innermost of its sentences.
_FAILED_LAYER = re.compile(r"recursed accumulation of path '[^']*/(\d+)': ")
#: Behind these, kustomize prints whole objects or patches.
_WHOLE_OBJECTS = re.compile(r"(ID conflict|in object|from \[patch|JSON patch \[patch|map\[string\]interface).*")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Built:
    """The data of what is left, by number, and which of the layers are patches that found an object."""

    objects: Mapping[int, dict[str, Any]]
    found: frozenset[int]


def build(objects: Mapping[int, Manifest], layers: Sequence[Layer], carrier: Carrier, *, limits: Limits) -> Built:
    """The objects after all layers. Raises RenderError that names the layer's field."""
    packed = (json_text(carrier.pack_object(manifest.data, number)) for number, manifest in objects.items())
    text = "".join(f"---\n{each}\n" for each in packed).encode()
    with private_folder(len(text)) as private:
        top = private / "layers" / str(len(layers))
        _write(private / "layers" / "0", {"resources": ["objects.yaml"]})
        (private / "layers" / "0" / "objects.yaml").write_bytes(text)
        for number, layer in enumerate(layers, 1):
            content = {**layer.content, "resources": [f"../{number - 1}"]}
            if layer.target is not None:
                content["patches"] = [_probe(layer, number, carrier), *layer.content["patches"]]
            if number == len(layers):
                content["sortOptions"] = {"order": "fifo"}
            _write(private / "layers" / str(number), content)
        try:
            output = run("kustomize", ["build", str(top)], private=private, limits=limits)
        except ToolError as e:
            raise _error(e, layers, objects.values()) from e
    documents = [document.data for document in load_text(output.text, file="kustomize").documents]
    found = {
        number
        for data in documents
        for number in range(1, len(layers) + 1)
        if data.pop(f"{carrier.mark}-{number}", None)
    }
    numbered = _numbered(documents, list(objects), carrier.mark)
    return Built({number: carrier.unpack(data) for number, data in numbered}, frozenset(n - 1 for n in found))


def _write(folder: Path, kustomization: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").write_text(json_text(kustomization), "utf-8")


def _probe(layer: Layer, number: int, carrier: Carrier) -> dict[str, Any]:
    """A patch that leaves a mark on each object that the layer's own patch is for: kustomize says of none."""
    patch = [{"op": "add", "path": f"/{carrier.mark}-{number}", "value": "1"}]
    return {"target": to_builtins(layer.target), "patch": json_text(patch)}


def _numbered(documents: list[dict[str, Any]], numbers: list[int], mark: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each document with the number of the object that it was.

    A patch that replaces a whole object takes the mark off: then the order tells, as nothing changes it.
    """
    marks = [int(data.pop(mark, -1)) for data in documents]
    missing = [number for number in numbers if number not in set(marks)]
    unmarked = marks.count(-1)
    if unmarked and unmarked != len(missing):
        raise RenderError(
            "patches replace whole objects and delete others, and which is which cannot be told",
            hint="put the two into steps with another one between them, or patch single fields",
        )
    for data, number in zip(documents, marks, strict=True):
        yield (missing.pop(0) if number < 0 else number), data


def _error(error: ToolError, layers: Sequence[Layer], objects: Iterable[Manifest]) -> RenderError:
    """kustomize's complaint with the field that it is about, and without what it prints of the objects."""
    said = error.message.partition(": ")[2]
    inner = list(_FAILED_LAYER.finditer(said))
    number = int(inner[-1][1]) if inner else len(layers)
    line = said[inner[-1].end() if inner else 0 :].partition("\n")[0]
    cause = _WHOLE_OBJECTS.sub(r"\1", line)
    for secret in _secrets(objects):
        cause = cause.replace(secret, "…")
    return RenderError(f"kustomize refuses it: {cause[:_LONGEST]}", where=layers[max(number, 1) - 1].field)


def _secrets(objects: Iterable[Manifest]) -> Iterator[str]:
    for manifest in objects:
        if manifest.id.kind == "Secret":
            for field in ("data", "stringData"):
                values = manifest.data.get(field)
                if isinstance(values, Mapping):
                    yield from (value for value in values.values() if isinstance(value, str) and len(value) > 3)
