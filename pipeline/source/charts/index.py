"""The index of a chart repository: what it says of one chart, read without reading all the others. Pure.

Indexes of 10 MB and more are common, and reading all of one takes seconds. Every tool writes them as blocks: so the
one chart's block is cut out and read, and the whole only where nothing can be cut.
"""

import re
from dataclasses import dataclass
from typing import Any

from pipeline.errors import SourceError
from renderers.helm.ranges import version_of
from renderers.manifest import TrimtabError, load_text

#: Bytes of an index.
MAX_INDEX = 64 << 20
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_API_VERSION = re.compile(rb"^apiVersion:", re.MULTILINE)
_ENTRIES = re.compile(rb"^entries:[ \t]*\r?\n", re.MULTILINE)
#: The next key beside `entries:`, and the first one below it.
_TOP = re.compile(rb"\n[^\s#-]")
_FIRST = re.compile(rb"(?:\n[ \t]*(?:#[^\n]*)?\r?(?=\n))*\n( +)[^\s#-]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a chart. `urls` as the index has them; `digest` is `sha256:…`, empty where it says none."""

    version: str
    urls: tuple[str, ...]
    digest: str = ""


def entries_of(text: bytes, name: str, *, url: str) -> tuple[Entry, ...] | None:
    """The versions of a chart, in the index's order; None where it has no such chart. `url` is for messages.

    As helm does, what has no name or no version that can be read is left out. Raises SourceError for no index.
    """
    listed = _cut(text, name)
    if listed is None and _lacks(text, name):
        return None
    if listed is None:
        index = _load(text, url)
        if not isinstance(index, dict) or not {"apiVersion", "entries"} <= index.keys():
            raise _no_index(url)
        charts = {} if index["entries"] is None else index["entries"]
        if not isinstance(charts, dict):
            raise _no_index(url)
        listed = charts.get(name)
        if listed is None:
            return None
    if not isinstance(listed, list):
        raise _no_index(url)
    found = [_entry(said) for said in listed if isinstance(said, dict)]
    return tuple(entry for entry in found if entry)


def names_in(text: bytes) -> list[str]:
    """The charts that the index has, as far as that is seen without reading it; for hints."""
    return sorted({name for name, _, _ in _blocks(text)})


def _cut(text: bytes, name: str) -> Any:
    """The value of the chart's own block; None where there is not exactly one, or it cannot be read alone."""
    blocks = [(start, end) for key, start, end in _blocks(text) if key == name]
    if len(blocks) != 1 or not _API_VERSION.search(text):
        return None
    try:
        documents = load_text(b"entry:" + text[slice(*blocks[0])], file="index.yaml").documents
    except TrimtabError:  # such as an alias of what another block has
        return None
    return documents[0].data.get("entry") if len(documents) == 1 else None


def _lacks(text: bytes, name: str) -> bool:
    """Whether an index of blocks has no such key anywhere, however it is written."""
    key = re.compile(rb"[\s\"'{,]" + re.escape(name.encode()) + rb"[\"']?\s*:")
    return bool(_blocks(text)) and bool(_API_VERSION.search(text)) and not key.search(text)


def _blocks(text: bytes) -> list[tuple[str, int, int]]:
    """The keys below `entries:`, each with where its value begins and ends."""
    heads = list(_ENTRIES.finditer(text))
    if len(heads) != 1:
        return []
    start = heads[0].end() - 1  # at the line's end, as each key begins there
    rest = _TOP.search(text, start)
    end = rest.start() + 1 if rest else len(text)
    first = _FIRST.match(text, start, end)
    if not first:
        return []
    keys = list(re.compile(rb"\n" + first[1] + rb"([^\s#-][^\n]*)").finditer(text, start, end))
    ends = [key.start() + 1 for key in keys[1:]] + [end]
    return [
        (said[:-1].strip("\"'"), key.end(), until)
        for key, until in zip(keys, ends, strict=True)
        if (said := key[1].decode(errors="replace").rstrip()).endswith(":")
    ]


def _load(text: bytes, url: str) -> Any:
    if text.lstrip()[:1] == b"<":
        raise SourceError(
            f"{url} is a page for people, and no index of charts",
            hint="give the chart repository's own URL, below which index.yaml lies; it may also be a page to log in",
        )
    try:
        documents = load_text(text, file="index.yaml").documents
    except TrimtabError as e:
        raise _no_index(url, f": {e.where}: {e.message}") from e
    return documents[0].data if len(documents) == 1 else None


def _entry(said: dict[str, Any]) -> Entry | None:
    version, urls, digest = said.get("version"), said.get("urls"), said.get("digest")
    if not isinstance(version, str) or not version_of(version) or not said.get("name"):
        return None
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    return Entry(
        version,
        tuple(url for url in urls if isinstance(url, str)) if isinstance(urls, list) else (),
        f"sha256:{found[1].lower()}" if found else "",
    )


def _no_index(url: str, cause: str = "") -> SourceError:
    return SourceError(
        f"{url} is no index of a chart repository{cause}",
        hint="it is what `helm repo index` writes; is this the right URL?",
    )
