"""From a text to manifests: every document checked, lists taken apart, and each with its origin."""

from collections.abc import Iterator, Mapping
from typing import Any

from renderers.manifest.errors import ManifestError
from renderers.manifest.load import load_text
from renderers.manifest.manifest import Manifest, Origin, described, type_of


def parse_documents(
    text: str | bytes, *, file: str, unit: str, line_offset: int = 0
) -> tuple[tuple[Manifest, ...], tuple[str, ...]]:
    """The manifests of a text in their order, and warnings for people.

    `file` and `unit` are as in Origin; `line_offset` lines of the file stand before the text. A document that has
    `items` is a list and gives them, as for kubectl, whatever its kind. Raises ManifestError with its place for text
    that kubectl would not read and for a document that is no Kubernetes object.
    """
    loaded = load_text(text, file=file, line_offset=line_offset)
    manifests: list[Manifest] = []
    warnings = list(loaded.warnings)
    for document in loaded.documents:
        data, origin = document.data, Origin(unit, file, document.line)
        if not isinstance(data, Mapping):
            raise _no_object("a document", data, origin)
        if "items" not in data:
            manifests.append(Manifest.of(data, origin))
            continue
        manifests += _items(data, origin)
        if not data["kind"].endswith("List"):
            warnings.append(
                f"{origin}: {data['kind']} has items at its top, so it is read as a list of them, as kubectl does"
            )
    return tuple(manifests), tuple(warnings)


def _items(data: Mapping[str, Any], origin: Origin) -> Iterator[Manifest]:
    """What a list holds; kubectl's own rules are in apimachinery, UnstructuredJSONScheme."""
    kind = type_of(data, "kind", origin)
    if data.get("apiVersion") not in (None, ""):
        type_of(data, "apiVersion", origin)
    for key, form in (("items", list), ("metadata", Mapping)):
        if not isinstance(data.get(key), form | None):
            raise ManifestError(
                f"{kind} has {described(data[key])} as {key}", where=str(origin), hint=f"correct {key}, or leave it out"
            )
    for index, item in enumerate(data["items"] or ()):
        try:
            yield _item(item, data, origin)
        except ManifestError as e:
            raise ManifestError(f"items[{index}] of {kind}: {e.message}", where=e.where, hint=e.hint) from e


def _item(item: Any, parent: Mapping[str, Any], origin: Origin) -> Manifest:
    if not isinstance(item, Mapping):
        raise _no_object("it", item, origin)
    if isinstance(item.get("items"), list):
        raise ManifestError(
            "it is a list itself, and kubectl takes none inside another",
            where=str(origin),
            hint="make it a document of its own",
        )
    kind = parent["kind"].removesuffix("List")
    if kind and not item.get("kind") and not item.get("apiVersion"):
        # An item of a ConfigMapList need not say what it is.
        item = {**item, "apiVersion": parent.get("apiVersion"), "kind": kind}
    return Manifest.of(item, origin)


def _no_object(what: str, data: Any, origin: Origin) -> ManifestError:
    return ManifestError(
        f"{what} is {'a list' if isinstance(data, list) else 'a single value'}, and a Kubernetes object is a map",
        where=str(origin),
        hint="begin it with apiVersion: and kind:",
    )
