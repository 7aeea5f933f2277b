"""From bytes to the texts of single YAML documents, cut where kubectl cuts them. Knows no YAML beyond `---`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from renderers.manifest.guard import Reading

#: What libyaml counts as the end of a line.
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_SEPARATOR = re.compile(r"^---([^\n]*)\n?", re.MULTILINE)
#: libyaml skips a byte order mark that begins a line, and kubectl's YAML library takes it for a letter.
_STRAY_MARK = re.compile("(?:^|[\r\n\x85\u2028\u2029])\ufeff")
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
    document would otherwise get lost), and for a byte order mark that begins a line inside a document.
    """
    text = text.replace("\r\n", "\n")
    start, line = 0, offset
    for match in _SEPARATOR.finditer(text):
        yield _part(text[start : match.start()], line, reading)
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
    yield _part(last if last.endswith("\n") else f"{last}\n", line, reading)


def _part(text: str, offset: int, reading: Reading) -> Part:
    text = text.removeprefix("\ufeff")
    if "\ufeff" in text and (match := _STRAY_MARK.search(text)):
        raise reading.error(
            "the line begins with a byte order mark, an invisible character",
            offset + len(_BREAK.findall(text, 0, match.end() - 1)) + 1,
            1,
            hint="delete it: it stands where two files were put together",
        )
    return Part(text, offset)
