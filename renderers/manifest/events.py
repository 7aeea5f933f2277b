"""One YAML document from libyaml's events to plain data, as kubectl's YAML library decodes it.

Events instead of PyYAML's nodes: nesting is limited before the C composer could overflow the stack, aliases are
counted before they are copied, and nothing is built twice.
"""

from typing import Any

from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from renderers.manifest.errors import ManifestError
from renderers.manifest.guard import MAX_DEPTH, MAX_NODES, Reading, clip
from renderers.manifest.scalars import HINTS, TAG, Scalar, key_text, number, plain, tagged

_TEMPLATE = "a {{ template }} is no YAML: render it first, or put it in quotes"


class _Anchored:
    """What an anchor stands for; `size` (in values) is 0 until it is complete."""

    __slots__ = ("size", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.size = 0


class DocumentReader:
    """Reads the one document of a text between two `---` lines. `offset` lines of the file stand before it."""

    def __init__(self, text: str, reading: Reading, offset: int) -> None:
        self._next: Any = CParser(text).get_event
        self._reading = reading
        self._offset = offset
        self._anchors: dict[str, _Anchored] = {}
        self._empty = False

    def read(self) -> tuple[Any, int]:
        """The document's data and its first line; None where it is empty.

        Raises ManifestError for what kubectl refuses, and yaml.YAMLError for what libyaml does.
        """
        self._next()  # the stream's start
        start = self._next()
        if type(start) is not DocumentStartEvent:
            self._empty = True
            return None, 0
        first = self._next()
        data = self._value(first, 0)
        line = self._line(first)
        self._next()  # the document's end
        return data, line

    def rest(self) -> int:
        """The line on which the text goes on behind the document; 0 where it does not. Raises as `read` does."""
        event = None if self._empty else self._next()
        return 0 if event is None or type(event) is StreamEndEvent else self._line(event)

    def _value(self, event: Any, depth: int) -> Any:
        kind = type(event)
        value: Any
        if kind is ScalarEvent or kind is AliasEvent:
            value = self._scalar(event) if kind is ScalarEvent else self._alias(event, depth)
            if value.__class__ is int or value.__class__ is float:
                try:
                    return number(value)
                except ValueError as e:
                    raise self._error(str(e), event, hint="put the value in quotes if text is meant") from e
            return value
        if depth >= MAX_DEPTH:
            raise self._reading.too_deep(self._line(event), event.start_mark.column + 1)
        before = self._reading.nodes
        anchored = None
        if event.anchor is not None:
            anchored = self._anchors[event.anchor] = _Anchored()
        if kind is MappingStartEvent:
            value = self._map(depth + 1)
        else:
            value = []
            while type(item := self._next()) is not SequenceEndEvent:
                value.append(self._value(item, depth + 1))
        self._count(event)
        if anchored is not None:
            anchored.value, anchored.size = value, self._reading.nodes - before
        return value

    def _map(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: set[str] = set()
        key: Any
        while type(event := self._next()) is not MappingEndEvent:
            if type(event) is ScalarEvent:
                if event.value == "<<" and (event.implicit[0] or event.tag == f"{TAG}merge"):
                    self._merge(event, result, merged, depth)
                    continue
                key = self._scalar(event)
            else:
                key = self._alias(event, depth) if type(event) is AliasEvent else ()
                if isinstance(key, dict | list | tuple):
                    raise self._error("a map has a map or a list as a key", event, hint=_TEMPLATE)
            if key.__class__ is not str:
                try:
                    key = key_text(key)
                except ValueError as e:
                    raise self._error(str(e), event, hint="put the key in quotes") from e
            if key in result:
                if key in merged:
                    merged.discard(key)
                else:
                    self._reading.warn(
                        f"the key {clip(key)} stands twice in one map; the last one wins", self._line(event)
                    )
            result[key] = self._value(self._next(), depth)
        return result

    def _merge(self, key: Any, result: dict[str, Any], merged: set[str], depth: int) -> None:
        """`<<`: the maps it names are written over the keys so far; of a list the first map wins."""
        event = self._next()
        value = self._value(event, depth)
        maps = [value] if isinstance(value, dict) else value
        if (
            not isinstance(maps, list)
            or not all(isinstance(part, dict) for part in maps)
            or (type(event) is AliasEvent and maps is value)
        ):
            raise self._error("<< takes a map or a list of maps", key, hint="name an anchor of a map: <<: *name")
        for part in reversed(maps):
            for name in part:
                if name in result and name not in merged:
                    self._reading.warn(
                        f"the key {clip(name)} stands before << in one map; the value that << brings wins",
                        self._line(key),
                    )
            merged.update(part)
            result.update(part)

    def _scalar(self, event: Any) -> Scalar:
        self._count(event)
        text: str = event.value
        value: Scalar
        if event.tag is None:
            value = plain(text) if event.implicit[0] and (not text or text[0] in HINTS) else text
        else:
            try:
                value = tagged(event.tag, text)
            except ValueError as e:
                raise self._error(str(e), event, hint="correct the value, or leave the tag out") from e
        if event.anchor is not None:
            anchored = self._anchors[event.anchor] = _Anchored()
            anchored.value, anchored.size = value, 1
        return value

    def _alias(self, event: Any, depth: int) -> Any:
        anchored = self._anchors.get(event.anchor)
        if anchored is None:
            raise self._error(f"the alias *{event.anchor} names no anchor before it", event, hint="define it with &")
        if not anchored.size:
            raise self._error(f"the alias *{event.anchor} stands inside what it names", event, hint="write it out")
        self._reading.count_alias(anchored.size, self._line(event))
        return self._copy(anchored.value, depth, event)

    def _copy(self, value: Any, depth: int, event: Any) -> Any:
        """A copy, so that no two places of a manifest share a map that somebody changes later."""
        if not isinstance(value, dict | list):
            return value
        if depth >= MAX_DEPTH:
            raise self._reading.too_deep(self._line(event), event.start_mark.column + 1)
        if isinstance(value, dict):
            return {key: self._copy(item, depth + 1, event) for key, item in value.items()}
        return [self._copy(item, depth + 1, event) for item in value]

    def _count(self, event: Any) -> None:
        reading = self._reading
        reading.nodes += 1
        if reading.nodes > MAX_NODES:
            raise reading.too_many(self._line(event))

    def _line(self, event: Any) -> int:
        return int(event.start_mark.line) + 1 + self._offset

    def _error(self, message: str, event: Any, *, hint: str) -> ManifestError:
        return self._reading.error(message, self._line(event), event.start_mark.column + 1, hint=hint)
