"""How the parts of data that is of any shape are read: a manifest's, or a live object's. Pure."""

from collections.abc import Mapping
from typing import Any


def part(of: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The map at a key; an empty one where there is none."""
    value = of.get(key)
    return value if isinstance(value, Mapping) else {}


def parts(of: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The maps of the list at a key; none where there is no list."""
    value = of.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
