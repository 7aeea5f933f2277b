"""Leaving fields to others: takes the fields that the API server named in a conflict out of a manifest. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_ELEMENT = re.compile(r"\[([^\]]*)\]")
_PAIR = re.compile(r'(?:^|,)([^=,]+)=("(?:[^"\\]|\\.)*"|[^,]*)')


def without_fields(data: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """A copy of `data` without the fields at `paths`, as the API server writes them in conflict causes.

    The form is structured-merge-diff's fieldpath: `.spec.template.spec.containers[name="web"].image`. A field name
    may hold dots itself (labels), so names are matched against what is there, the longest first. A path that leads
    nowhere is left alone.
    """
    copied: dict[str, Any] = json.loads(json.dumps(data))
    for path in paths:
        _remove(copied, path)
    return copied


def _remove(node: Any, path: str) -> bool:
    """Remove what `path` leads to below `node`; tells whether something was removed."""
    if path.startswith(".") and isinstance(node, dict):
        for key in sorted(node, key=len, reverse=True):
            rest = path[1 + len(key) :]
            if path[1:].startswith(key) and (not rest or rest[0] in ".["):
                if not rest:
                    del node[key]
                    return True
                return _remove(node[key], rest)
        return False
    match = _ELEMENT.match(path)
    if match is None or not isinstance(node, list):
        return False
    index = _find(node, match[1])
    if index is None:
        return False
    rest = path[match.end() :]
    if rest:
        return _remove(node[index], rest)
    del node[index]
    return True


def _find(items: list[Any], element: str) -> int | None:
    """The index of the list item that `name="web"`, `="value"` or `0` means."""
    if element.isdigit():
        return int(element) if int(element) < len(items) else None
    if element.startswith("="):
        wanted = _value(element[1:])
        return items.index(wanted) if wanted in items else None
    keys = {match[1]: _value(match[2]) for match in _PAIR.finditer(element)}
    for index, item in enumerate(items):
        if isinstance(item, dict) and keys and all(item.get(key, value) == value for key, value in keys.items()):
            return index
    return None


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
