"""Finds values in a kustomization by field, in kustomize's own reading of names. Knows no meaning of any field."""

from collections.abc import Iterator, Mapping
from typing import Any

from renderers.api import RenderError


def find(data: Any, pattern: str, *, shown: str = "") -> Iterator[tuple[str, Any]]:
    """Every value at a pattern such as `patches[].path`, with its place (`patches[2].path`); nulls are left out.

    kustomize reads field names as Go's encoding/json does, in any case (`Resources` is `resources`), and so does
    this. Raises RenderError where two names of one map are the same field: which of them counts is nowhere said.
    """
    head, _, rest = pattern.partition(".")
    name, each = head.removesuffix("[]"), head.endswith("[]")
    place, value = _get(data, name, shown)
    if value is None:
        return
    found = [(place, value)]
    if each:
        found = [(f"{place}[{i}]", item) for i, item in enumerate(value)] if isinstance(value, list) else []
    for at, item in found:
        if rest:
            yield from find(item, rest, shown=at)
        elif item is not None:
            yield at, item


def text_of(data: Any, name: str) -> str:
    """The text of a field, empty where it is missing or no text."""
    _, value = _get(data, name, "")
    return value if isinstance(value, str) else ""


def _get(data: Any, name: str, shown: str) -> tuple[str, Any]:
    if not isinstance(data, Mapping):
        return shown, None
    # Go folds more than ASCII: U+017F is an s and U+212A a k, as for casefold.
    keys = [key for key in data if isinstance(key, str) and key.casefold() == name.casefold()]
    if len(keys) > 1:
        raise RenderError(f"{' and '.join(keys)} are one field for kustomize", hint="keep one of them")
    key = keys[0] if keys else name
    return (f"{shown}.{key}" if shown else key), data.get(key)
