"""Read YAML and JSON exactly as kubectl does; what kubectl reads in a doubtful way gives a warning.

How kubectl reads: a text that begins with `{` is a row of JSON values, and YAML from where that fails; YAML is cut
at lines that begin with `---` (k8s.io/apimachinery, util/yaml), and each document goes through go.yaml.in/yaml/v2
to JSON (sigs.k8s.io/yaml).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.reader import ReaderError

from renderers.manifest.errors import ManifestError
from renderers.manifest.events import DocumentReader
from renderers.manifest.guard import Reading
from renderers.manifest.jsontext import json_values
from renderers.manifest.mend import mended
from renderers.manifest.text import Part, decoded, parts

#: What Go calls white space, but for the newline.
_SPACE = "\t\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_LOOKS_LIKE_JSON = re.compile(f"[{_SPACE}\n]*{{")
_END_OF_LINE = re.compile(f"[{_SPACE}]*\n?")


@dataclass(frozen=True, slots=True)
class Document:
    """One document as plain data (dict with str keys, list, str, int, float, bool) and the line it begins on."""

    data: Any
    line: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The documents of a text, empty ones left out, and warnings: sentences, each with `file:line`."""

    documents: tuple[Document, ...]
    warnings: tuple[str, ...] = ()


def load_text(text: str | bytes, *, file: str, line_offset: int = 0) -> Loaded:
    """Read a text of any number of YAML documents or JSON values.

    `file` is what messages call it, and `line_offset` the number of its lines that stand before the text. Raises
    ManifestError, with `file:line:column`, for what kubectl refuses, for a text that goes on behind the end of a
    document (kubectl silently drops that), and past the limits of `guard`.
    """
    reading = Reading(file, line_offset)
    documents = tuple(_documents(decoded(text, reading), reading))
    return Loaded(documents, reading.all_warnings())


def _documents(text: str, reading: Reading) -> Iterator[Document]:
    position = 0
    if _LOOKS_LIKE_JSON.match(text, 0, 4096):
        for data, line, position in json_values(text, reading):  # noqa: B007 - where it ended
            reading.count_document(line)
            if data is not None:
                yield Document(data, line + reading.before)
        if position and not text[position:].strip(" \t\r\n"):
            return
        if match := _END_OF_LINE.match(text, position):
            position = match.end()
    for part in parts(text[position:], reading, text.count("\n", 0, position)):
        reading.count_document(part.offset + 1)
        data, line = _document(part, reading)
        if data is not None:
            yield Document(data, line + reading.before)


def _document(part: Part, reading: Reading) -> tuple[Any, int]:
    reader = DocumentReader(mended(part.text, reading), reading, part.offset)
    try:
        data, line = reader.read()
    except yaml.YAMLError as e:
        raise _syntax_error(e, part, reading) from e
    try:
        rest = reader.rest()
    except yaml.YAMLError as e:
        rest = _line(e) + part.offset + 1
    if rest:
        raise reading.error(
            f"the text goes on behind the end of the document of line {line + reading.before}, and kubectl would drop "
            "the rest",
            rest,
            hint="separate documents by a line with ---, and check the indentation",
        )
    return data, line


def _syntax_error(error: yaml.YAMLError, part: Part, reading: Reading) -> ManifestError:
    """libyaml's complaint as a sentence with its place in the file."""
    if isinstance(error, ReaderError):
        line = part.text.encode().count(b"\n", 0, error.position)
        return reading.error(
            f"the text is no valid YAML: {error.reason}",
            line + part.offset + 1,
            hint='write the character as an escape in double quotes, such as "\\x07"',
        )
    problem = getattr(error, "problem", None) or "it cannot be read"
    mark, start = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line, column = _line(error), mark.column if mark else 0
    if "maximum nesting depth" in problem:  # libyaml's own limit, which its look-ahead can reach before ours is
        return reading.too_deep(line + part.offset + 1, column + 1)
    if start is not None and start.line != line:
        problem = (
            f"{problem} ({getattr(error, 'context', '')} from line {start.line + part.offset + reading.before + 1})"
        )
    at = mark.index if mark else 0
    start = part.text.rfind("\n", 0, at) + 1
    hint = "look at this line and at the indentation of the ones before it"
    if "\t" in part.text[start : at + 1]:
        hint = "indent with spaces: YAML takes no tab there"
    elif "{{" in part.text[part.text.rfind("\n", 0, max(start - 1, 0)) + 1 : part.text.find("\n", at)]:
        hint = "this looks like a template: render it first"
    elif "mapping values" in problem:
        hint = "put a value that holds a colon and a space in quotes, or correct the indentation"
    return reading.error(f"the text is no valid YAML: {problem}", line + part.offset + 1, column + 1, hint=hint)


def _line(error: yaml.YAMLError) -> int:
    """Where libyaml stopped, counted from 0 in its text."""
    mark = getattr(error, "problem_mark", None)
    return int(mark.line) if mark else 0
