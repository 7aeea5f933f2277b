"""Steps as kustomizations, each over the one before: one process builds them all, in their order."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import to_builtins

from renderers.api import RenderError
from renderers.manifest import Manifest, load_text
from renderers.post.carry import Carrier, json_text
from renderers.settings import Patch, RenderStep, Selector

#: Cluster-scoped objects have this namespace for kustomize (resid.TotallyNotANamespace).
_NO_NAMESPACE = "_non_namespaceable_"
#: What a JSON patch may change so that kustomize then changes who refers to it.
_IDENTITY = ("", "/metadata", "/metadata/name", "/metadata/namespace", "/kind", "/apiVersion")
#: A regular expression that fits one text only.
_ONE_TEXT = re.compile(r"(?:[\w-]|\\\.)+")


@dataclass(frozen=True, slots=True)
class Layer:
    """One kustomization. `field` is the step's place for people.

    `target` is whom a patch is for, and `whom` the same for people; None: no patch. `alone`: what becomes of an object
    depends on no other one.
    """

    field: str
    content: Mapping[str, Any]
    target: Selector | None = None
    whom: str = ""
    alone: bool = True

    def may_change(self, manifest: Manifest) -> bool:
        """False only where kustomize certainly leaves the object as it is."""
        if self.target is None or not self.alone:
            return True
        wanted = ((self.target.kind, manifest.id.kind), (self.target.name, manifest.id.name))
        return all(not _ONE_TEXT.fullmatch(text) or text.replace("\\.", ".") == has for text, has in wanted)


def layers_of(step: RenderStep, field: str, carrier: Carrier) -> Iterator[Layer]:
    """The layers of a step that is no renderer and no substitution. `field` is its place (`render[2]`).

    Raises RenderError for a patch that is none, and ManifestError for one that is no YAML.
    """
    for index, patch in enumerate(step.patches):
        yield from _patches(patch, f"{field}.patches[{index}]", carrier)
    if step.images:
        yield Layer(f"{field}.images", {"images": to_builtins(step.images)})
    if step.labels:
        labels = [{**to_builtins(entry), "pairs": carrier.pack(entry.pairs)} for entry in step.labels]
        yield Layer(f"{field}.labels", {"labels": labels})
    if step.annotations:
        yield Layer(f"{field}.annotations", {"commonAnnotations": carrier.pack(step.annotations)})
    for name, key in (("namespace", "namespace"), ("name_prefix", "namePrefix"), ("name_suffix", "nameSuffix")):
        if getattr(step, name):
            yield Layer(f"{field}.{key}", {key: getattr(step, name)}, alone=False)


def _patches(patch: Patch, field: str, carrier: Carrier) -> Iterator[Layer]:
    """The layers of one entry: kustomize takes several strategic merge patches in one text, without a target."""
    documents = [document.data for document in load_text(patch.patch, file=field).documents]
    if not documents:
        raise RenderError("the patch is empty", where=field, hint="remove it")
    if len(documents) > 1 and patch.target is not None:
        raise RenderError(
            "the patch is several documents, and a target takes one", where=field, hint="make each a patch of its own"
        )
    for data in documents:
        if isinstance(data, list):
            yield _json_patch(data, patch.target, field, carrier)
        else:
            yield _merge_patch(data, patch.target, field, carrier)


def _json_patch(data: list[Any], target: Selector | None, field: str, carrier: Carrier) -> Layer:
    if target is None:
        raise RenderError("a JSON patch needs a target", where=field, hint="say for which objects it is")
    for entry in data:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("op"), str):
            raise RenderError(
                "the patch is a list with something that is no JSON patch operation",
                where=field,
                hint="an operation has op, path and mostly value",
            )
    packed = [{key: carrier.pack(value) if key == "value" else value for key, value in entry.items()} for entry in data]
    renames = any(entry.get("path") in _IDENTITY for entry in data)
    return _patch_layer(packed, target, _shown(target), field, alone=not renames)


def _merge_patch(data: Any, target: Selector | None, field: str, carrier: Carrier) -> Layer:
    fields = data if isinstance(data, Mapping) else {}
    metadata = fields.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not all(isinstance(text, str) and text for text in (fields.get("kind"), fields.get("apiVersion"), name)):
        raise RenderError(
            "a strategic merge patch has apiVersion, kind and metadata.name, and this one lacks one of them",
            where=field,
            hint="kustomize wants them even where there is a target, which then alone decides",
        )
    if target is not None:
        return _patch_layer(carrier.pack(data), target, _shown(target), field)
    return _patch_layer(carrier.pack(data), _named(data), f"{data['kind']} {name}", field)


def _patch_layer(patch: Any, target: Selector, whom: str, field: str, *, alone: bool = True) -> Layer:
    entry = {"target": to_builtins(target), "patch": json_text(patch)}
    return Layer(field, {"patches": [entry]}, target, whom, alone)


def _shown(target: Selector) -> str:
    return ", ".join(f"{name}: {text}" for name, text in to_builtins(target).items()) or "any object"


def _named(data: Mapping[str, Any]) -> Selector:
    """The object that a patch names, as a target. For kustomize, without a namespace it has none, or `default`."""
    group, _, version = data["apiVersion"].rpartition("/")
    namespace = data["metadata"].get("namespace") or "default"
    return Selector(
        group=_exactly(group) or "^$",
        version=_exactly(version),
        kind=_exactly(data["kind"]),
        name=_exactly(data["metadata"]["name"]),
        namespace=f"{_exactly(str(namespace))}|{_NO_NAMESPACE}",
    )


def _exactly(text: str) -> str:
    """A regular expression for this text alone, in Go's syntax."""
    return re.sub(r"([.+*?()|\[\]{}^$\\])", r"\\\1", text)
