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
from renderers.manifest.text import Part, decoded, parts


_HINT = "look at this line and at the indentation of the one before it"
_END_OF_LINE = re.compile(r"[ \t\r]*\n?")


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


def load_text(text: str | bytes, *, file: str) -> Loaded:
    """Read a text of any number of YAML documents or JSON values. `file` is what messages call it.

    Raises ManifestError, with `file:line:column`, for what kubectl refuses, for a text that goes on behind the end
    of a document (kubectl would silently drop the rest), and past the limits of `guard`.
    """
    reading = Reading(file)
    documents = tuple(_documents(decoded(text, reading), reading))
    return Loaded(documents, reading.all_warnings())


def _documents(text: str, reading: Reading) -> Iterator[Document]:
    position = 0
    if text[:4096].lstrip().startswith("{"):
        for data, line, end in json_values(text, reading):
            reading.count_document(line)
            yield Document(data, line)
            position = end
        if match := _END_OF_LINE.match(text, position):
            position = match.end()
    for part in parts(text[position:], reading, text.count("\n", 0, position)):
        data, line = _document(part, reading)
        if data is not None:
            reading.count_document(line)
            yield Document(data, line)


def _document(part: Part, reading: Reading) -> tuple[Any, int]:
    if not part.text.strip():
        return None, 0
    reader = DocumentReader(part.text, reading, part.offset)
    try:
        data, line = reader.read()
    except yaml.YAMLError as e:
        raise _syntax_error(e, part, reading) from e
    try:
        complete = reader.at_end()
    except yaml.YAMLError:
        complete = False
    if not complete:
        raise reading.error(
            "the text goes on behind the end of its first document, and kubectl would drop the rest",
            line,
            hint="separate documents by a line with ---",
        )
    return data, line


def _syntax_error(error: yaml.YAMLError, part: Part, reading: Reading) -> ManifestError:
    """libyaml's complaint as a sentence with its place in the file."""
    if isinstance(error, ReaderError):
        line = part.text.encode()[: error.position].count(b"\n")
        return reading.error(
            f"the text has a character that YAML does not allow ({error.reason})",
            line + part.offset + 1,
            hint='write it as an escape in double quotes, such as "\\x07"',
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    if mark is None:
        return reading.error(f"the text is no valid YAML: {problem}", part.offset + 1, hint=_HINT)
    lines = part.text.split("\n")
    near = "\n".join(lines[max(0, mark.line - 1) : mark.line + 1])
    hint = _HINT
    if "\t" in lines[mark.line][: mark.column + 1] if mark.line < len(lines) else False:
        hint = "indent with spaces: YAML takes no tabs there"
    elif "{{" in near:
        hint = "this looks like a template: render it first, or exclude the file"
    elif "mapping values" in problem:
        hint = "put a value that holds a colon and a space in quotes"
    return reading.error(
        f"the text is no valid YAML: {problem}", mark.line + part.offset + 1, mark.column + 1, hint=hint
    )
