"""From a text to manifests: every document checked, lists taken apart, and each with its origin."""

from collections.abc import Iterator, Mapping
from typing import Any

from renderers.manifest.errors import ManifestError
from renderers.manifest.load import load_text
from renderers.manifest.manifest import Manifest, Origin


def parse_documents(
    text: str | bytes, *, file: str, unit: str, line_offset: int = 0
) -> tuple[tuple[Manifest, ...], tuple[str, ...]]:
    """The manifests of a text in their order, and warnings for people.

    `file` and `unit` are as in Origin; `line_offset` lines of the file stand before the text. A list (`kind: List`
    or `…List` with `items` and without a name) gives its items, as for kubectl. Raises ManifestError with its place
    for text that kubectl would not read and for a document that is no Kubernetes object.
    """
    loaded = load_text(text, file=file, line_offset=line_offset)
    manifests: list[Manifest] = []
    for document in loaded.documents:
        manifests.extend(_manifests(document.data, Origin(unit, file, document.line)))
    return tuple(manifests), loaded.warnings


def _manifests(data: Any, origin: Origin) -> Iterator[Manifest]:
    if not isinstance(data, Mapping):
        what = "a list" if isinstance(data, list) else "a single value"
        raise ManifestError(
            f"a document is {what}, and a Kubernetes object is a map",
            where=str(origin),
            hint="begin it with apiVersion: and kind:",
        )
    if not _is_list(data):
        yield Manifest.of(data, origin)
        return
    for index, item in enumerate(data["items"] or ()):
        try:
            yield from _manifests(_typed(item, data), origin)
        except ManifestError as e:
            raise ManifestError(f"items[{index}] of {data['kind']}: {e.message}", where=e.where, hint=e.hint) from e


def _is_list(data: Mapping[str, Any]) -> bool:
    kind, metadata = data.get("kind"), data.get("metadata")
    return (
        isinstance(kind, str)
        and kind.endswith("List")
        and "items" in data
        and isinstance(data["items"], list | None)
        and not (isinstance(metadata, Mapping) and metadata.get("name"))
    )


def _typed(item: Any, parent: Mapping[str, Any]) -> Any:
    """An item of a ConfigMapList need not say what it is (apimachinery, UnstructuredJSONScheme)."""
    kind = parent["kind"].removesuffix("List")
    if kind and isinstance(item, Mapping) and not item.get("kind") and not item.get("apiVersion"):
        return {**item, "apiVersion": parent.get("apiVersion"), "kind": kind}
    return item
