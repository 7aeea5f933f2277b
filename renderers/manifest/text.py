"""From bytes to the texts of single YAML documents, cut where kubectl cuts them. Knows no YAML beyond `---`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from renderers.manifest.guard import Reading

_SEPARATOR = re.compile(r"^---([^\n]*)\n?", re.MULTILINE)
_UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Part:
    """The text between two separators, always ended by a newline; `offset` lines stand before it."""

    text: str
    offset: int


def decoded(text: str | bytes, reading: Reading) -> str:
    """The characters of a text: UTF-8, or UTF-16 with a byte order mark, as kubectl reads files.

    Bytes that are no UTF-8 become U+FFFD with a warning. Raises ManifestError for a text past the size limit.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    reading.check_size(len(raw))
    if raw[:2] in _UTF16:
        return raw[2:].decode(_UTF16[raw[:2]], "replace")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode()
    except UnicodeDecodeError as e:
        reading.warn(
            "the text is no UTF-8 here; such bytes become U+FFFD, as for kubectl", raw.count(b"\n", 0, e.start) + 1
        )
        return raw.decode(errors="replace")


def parts(text: str, reading: Reading, offset: int) -> Iterator[Part]:
    """The documents of a YAML text. Only a line that begins with `---` separates them.

    Raises ManifestError for anything but a comment behind the dashes, which kubectl refuses (and which is where a
    document would otherwise get lost).
    """
    text = text.replace("\r\n", "\n")
    start, line = 0, offset
    for match in _SEPARATOR.finditer(text):
        yield Part(text[start : match.start()], line)
        line += text.count("\n", start, match.start())
        behind = match[1].strip()
        if behind and behind[0] != "#":
            raise reading.error(
                "a line that begins with --- separates documents, and this one goes on behind it",
                line + 1,
                4,
                hint="put what follows --- on a line of its own",
            )
        start = match.end()
        line += 1
    last = text[start:]
    yield Part(last if last.endswith("\n") else f"{last}\n", line)
