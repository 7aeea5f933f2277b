"""The JSONPath of kubectl, as far as it finds a field: read, checked, and looked up in an object. Pure.

Fields (`.status.phase`), quoted names (`['name']`), list items (`[0]`, `[-1]`, `[*]`), and filters of lists
(`[?(@.type=="Ready")]`, with ==, != or without comparison: the field is there). A dot in a name is written `\\.`. What
is understood means what it means to kubectl (k8s.io/client-go/util/jsonpath); the rest is refused, not guessed.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from pipeline.errors import InputError

#: One step; gives what it leads to from one value.
Step = Callable[[Any], Iterable[Any]]

_NAME = r"(?:\\.|[^\\\s.,*\[\]$@{}'\"()=!<>])+"
_QUOTED = r"(?:\\.|[^\\'.,*\[\]])+"
_STEP = re.compile(
    rf"""
      \.(?P<field>{_NAME})
    | \['(?P<key>{_QUOTED})'\]
    | \[(?P<index>-?\d{{1,9}})\]
    | (?P<all>\[\*\])
    | \[\?\((?P<filter>(?:"[^"]*"|'[^']*'|[^"'()])*)\)\]
    """,
    re.VERBOSE | re.ASCII,
)
_COMPARED = re.compile(r"\s*@(?P<path>[^=!<>]*?)\s*(?:(?P<how>==|!=)\s*(?P<value>.+?))?\s*", re.DOTALL)
_TEXT = re.compile(r"\"([^\"\\]*)\"|'([^'\\]*)'")
_HINT = 'write it as for kubectl: {.status.phase}, {.status.conditions[?(@.type=="Ready")].status}'


def check(json_path: str) -> None:
    """Raise InputError, with the place, for what is no path that `find` understands."""
    _parse(json_path)


def find(json_path: str, data: Any) -> list[Any]:
    """What the path leads to; nothing where the data has no such field. Raises InputError as `check`."""
    return _walk(_parse(json_path), data)


def text(value: Any) -> str | None:
    """A value that was found as kubectl prints it; None for what is no single value (a map, a list, null)."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def _walk(steps: Iterable[Step], data: Any) -> list[Any]:
    found = [data]
    for step in steps:
        found = [item for value in found for item in step(value)]
    return found


@lru_cache(maxsize=512)
def _parse(json_path: str) -> tuple[Step, ...]:
    path = json_path.strip()
    if path.startswith("{") != path.endswith("}"):
        raise _refused(json_path, "one of its braces is missing")
    return _steps(path.removeprefix("{").removesuffix("}").strip().removeprefix("$"), json_path, filters=True)


def _steps(path: str, whole: str, *, filters: bool) -> tuple[Step, ...]:
    steps: list[Step] = []
    place = 0
    while place < len(path):
        found = _STEP.match(path, place)
        if found is None or (found["filter"] is not None and not filters):
            raise _refused(whole, f"{path[place : place + 40]!r} in it is not understood")
        steps.append(_step(found, whole))
        place = found.end()
    if not steps:
        raise _refused(whole, "it names no field")
    return tuple(steps)


def _step(found: re.Match[str], whole: str) -> Step:
    if (name := found["field"] or found["key"]) is not None:
        return _field(re.sub(r"\\(.)", r"\1", name))
    if found["index"] is not None:
        return _item(int(found["index"]))
    return _every if found["all"] else _filter(found["filter"], whole)


def _field(name: str) -> Step:
    return lambda value: [value[name]] if isinstance(value, Mapping) and name in value else ()


def _item(index: int) -> Step:
    return lambda value: value[index:][:1] if isinstance(value, list) and -len(value) <= index < len(value) else ()


def _every(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else ()


def _filter(condition: str, whole: str) -> Step:
    compared = _COMPARED.fullmatch(condition)
    if compared is None:
        raise _refused(whole, f"the filter {condition!r} is not understood")
    # `@` alone is the list's item itself.
    steps = _steps(compared["path"], whole, filters=False) if compared["path"] else ()
    how = compared["how"]
    if how is None:
        return lambda value: [item for item in _every(value) if _walk(steps, item)]
    wanted = _literal(compared["value"], whole)

    def holds(item: Any) -> bool:
        # kubectl compares one value; an item without the field is left out, whatever is asked.
        found = _walk(steps, item)
        return len(found) == 1 and type(found[0]) is type(wanted) and (found[0] == wanted) == (how == "==")

    return lambda value: [item for item in _every(value) if holds(item)]


def _literal(written: str, whole: str) -> str | int | bool:
    if quoted := _TEXT.fullmatch(written):
        return quoted[1] if quoted[1] is not None else quoted[2]
    if written in {"true", "false"}:
        return written == "true"
    if re.fullmatch(r"-?\d{1,18}", written, re.ASCII):
        return int(written)
    raise _refused(whole, f"{written!r} is compared with, which is neither a quoted text, a number, true nor false")


def _refused(json_path: str, why: str) -> InputError:
    return InputError(f"the JSONPath {json_path!r} cannot be used: {why}", hint=_HINT)
