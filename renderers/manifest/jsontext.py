"""A row of JSON values, read as Go's JSON decoder reads them for kubectl."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from renderers.manifest.guard import MAX_DEPTH, MAX_NODES, Reading, clip
from renderers.manifest.scalars import number

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


def json_values(text: str, reading: Reading) -> Iterator[tuple[Any, int, int]]:
    """Each value with its first line and the position behind it.

    Ends where the text ends, and where it is no JSON after at most one value: then the rest may be YAML. Raises
    ManifestError for anything else that is no JSON.
    """
    if text.count(",") > MAX_NODES:
        raise reading.too_many(1)
    values = _Values(reading)
    end = count = 0
    while (position := _skip_space(text, end)) < len(text):
        values.line += text.count("\n", end, position)
        try:
            data, end = values.decoder.raw_decode(text, position)
        except json.JSONDecodeError as e:
            if count <= 1:
                return
            raise reading.error(
                f"the text is no JSON here: {e.msg}", e.lineno, e.colno, hint="correct it at this place"
            ) from e
        except RecursionError as e:
            raise reading.too_deep(values.line) from e
        yield values.checked(data, 0), values.line, end
        values.line += text.count("\n", position, end)
        count += 1


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


class _Values:
    """Python's decoder with Go's numbers and strings; `line` is where the value at hand begins."""

    def __init__(self, reading: Reading) -> None:
        self.line = 1
        self._reading = reading
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_int=self._int, parse_float=self._float, parse_constant=self._constant
        )

    def checked(self, data: Any, depth: int) -> Any:
        """The value with half surrogate pairs replaced, as Go does. Raises ManifestError past MAX_DEPTH."""
        if isinstance(data, str):
            return _SURROGATE.sub("\ufffd", data)
        if not isinstance(data, dict | list):
            return data
        if depth >= MAX_DEPTH:
            raise self._reading.too_deep(self.line)
        if isinstance(data, list):
            return [self.checked(item, depth + 1) for item in data]
        return {self.checked(key, 0): self.checked(item, depth + 1) for key, item in data.items()}

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self._reading.warn(f"the key {clip(key)} stands twice in one object; the last one wins", self.line)
                seen.add(key)
        return result

    def _int(self, text: str) -> int | float:
        return number(int(text)) if len(text) < 20 else self._float(text)

    def _float(self, text: str) -> int | float:
        try:
            return number(float(text))
        except ValueError as e:
            raise self._reading.error(
                f"the number {clip(text)} is too large", self.line, hint="put it in quotes if text is meant"
            ) from e

    def _constant(self, text: str) -> NoReturn:
        raise json.JSONDecodeError(f"{text} is no JSON value", text, 0)
