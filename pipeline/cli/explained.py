"""How `trimtab render --explain` shows a unit: as lines for people, and as data."""

from collections.abc import Iterator, Sequence
from typing import Any

from renderers.api import Fetched, Use
from renderers.explain import Explained

#: Inputs listed for people; `-o json` has all.
_INPUTS_MAX = 12
#: What a unit makes use of, as people call it, and the kinds of `renderers.api.Use` that are meant.
_USES = (
    ("lookups", ("lookup",)),
    ("random", ("random", "time")),
    ("cluster", ("capability",)),
    ("tpl", ("tpl",)),
    ("network", ("network",)),
)


def explained_lines(unit: Explained) -> Iterator[str]:
    """The unit for people: what it has not is not mentioned."""
    objects = f"{unit.objects} object{'' if unit.objects == 1 else 's'}"
    yield f"{unit.unit.folder}: {unit.unit.renderer}, {objects}"
    inputs = [*unit.unit.inputs[:_INPUTS_MAX]]
    if len(unit.unit.inputs) > _INPUTS_MAX:
        inputs.append(f"and {len(unit.unit.inputs) - _INPUTS_MAX} more files")
    yield from _part("inputs", inputs)
    yield from _part("fetched", [_fetched(each) for each in unit.unit.fetched])
    yield from _part("hooks", unit.hooks)
    yield from _part("tests", unit.tests)
    for title, kinds in _USES:
        yield from _part(title, [f"{use.what} ({use.where})" for use in unit.of(*kinds)])
    yield from _part("outdated", unit.outdated)
    yield from _part("images", unit.images)


def explained_data(unit: Explained) -> dict[str, Any]:
    """The same as data; docs/json.md has the fields."""
    return {
        "folder": unit.unit.folder,
        "renderer": unit.unit.renderer,
        "objects": unit.objects,
        "inputs": list(unit.unit.inputs),
        "fetched": [{"url": each.url, "version": each.version, "id": each.id} for each in unit.unit.fetched],
        "hooks": list(unit.hooks),
        "tests": list(unit.tests),
        **{title: [_use(use) for use in unit.of(*kinds)] for title, kinds in _USES},
        "outdated": list(unit.outdated),
        "images": list(unit.images),
    }


def _part(title: str, lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"  {title + ':' if not number else '':<10}{line}"


def _use(use: Use) -> dict[str, str]:
    return {"what": use.what, "where": use.where}


def _fetched(fetched: Fetched) -> str:
    return " ".join(filter(None, (fetched.url, fetched.version, fetched.id)))
