"""Write plain data as YAML that kubectl reads back as the same data, in the style that kubectl itself prints.

Not PyYAML's dumper: that leaves `y`, `08` and `1e3` unquoted, which kubectl reads as other types, and escapes emoji.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from renderers.manifest.scalars import plain

#: What stands in a line as it is: printable for libyaml, and no line break for any YAML reader.
_PRINTABLE = "\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_NOT_PRINTABLE = re.compile(f"[^{_PRINTABLE}]")
_LITERAL = re.compile(f"[\t\n{_PRINTABLE}]*\n[\t\n{_PRINTABLE}]*")
_PLAIN = re.compile(f"(?!---)(?:[^-\\s!\"#%&'*,:>?@[\\]`{{|}}]|-[^\\s-]|--[^\\s])[{_PRINTABLE}]*")
_PLAIN_BREAKERS = re.compile(r": |:$| #| $")
#: Strings for kubectl that other YAML readers take for a time, a date, a merge or a default.
_FOREIGN = re.compile(r"[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?|\d{4}-\d\d?-\d\d?([Tt ].*)?|<<|=")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
#: libyaml takes at most 1024 characters as a key in front of its colon.
_LONGEST_KEY = 1000


def dump(data: Any) -> str:
    """One document, ending with a newline: block style, keys in their order, no aliases, texts as `|` blocks.

    `data` is what `load_text` gives (maps with str keys, lists, str, int, float, bool, None). Raises TypeError for
    anything else, and ValueError for infinity and not-a-number.
    """
    lines: list[str] = []
    if isinstance(data, Mapping) and data:
        _map(data, "", lines)
    elif isinstance(data, list | tuple) and data:
        _list(data, "", lines)
    else:
        lines.append(_scalar(data, ""))
    lines.append("")
    return "\n".join(lines)


def dump_all(documents: Iterable[Any]) -> str:
    """Several documents with `---` between them; nothing for none. Raises as `dump` does."""
    return "---\n".join(dump(data) for data in documents)


def _map(data: Mapping[Any, Any], indent: str, lines: list[str]) -> None:
    for key, value in data.items():
        if not isinstance(key, str):
            raise TypeError(f"a map has a {type(key).__name__} as a key")
        text = _line(key)
        if len(text) > _LONGEST_KEY:
            lines.append(f"{indent}? {text}")
            text = ""
        _value(f"{indent}{text}:", value, indent, lines)


def _value(head: str, value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, Mapping) and value:
        lines.append(head)
        _map(value, f"{indent}  ", lines)
    elif isinstance(value, list | tuple) and value:
        lines.append(head)
        _list(value, indent, lines)
    else:
        lines.append(f"{head} {_scalar(value, indent)}")


def _list(data: list[Any] | tuple[Any, ...], indent: str, lines: list[str]) -> None:
    inner = f"{indent}  "
    for value in data:
        first = len(lines)
        if isinstance(value, Mapping) and value:
            _map(value, inner, lines)
        elif isinstance(value, list | tuple) and value:
            _list(value, inner, lines)
        else:
            lines.append(inner + _scalar(value, indent))
        lines[first] = f"{indent}- {lines[first][len(inner) :]}"


def _scalar(value: Any, indent: str) -> str:
    if isinstance(value, str):
        return _literal(value, indent) if _LITERAL.fullmatch(value) else _line(value)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in a Kubernetes object")
        return repr(value)
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    raise TypeError(f"a {type(value).__name__} has no place in a Kubernetes object")


def _literal(text: str, indent: str) -> str:
    """A `|` block: an indentation indicator where the text begins with white space, `-` or `+` for its end."""
    indicator = "2" if text[0] in " \t\n" else ""
    lines = text.split("\n")
    if lines[-1]:
        end = "-"
    else:
        lines.pop()
        end = "" if lines[-1] else "+"
    return "\n".join((f"|{indicator}{end}", *(f"{indent}  {line}" if line else "" for line in lines)))


def _line(text: str) -> str:
    """A string on one line: as it is where every reader takes it for the same string, else in quotes."""
    if _NOT_PRINTABLE.search(text):
        return f'"{_escaped(text)}"'
    if (
        _PLAIN.fullmatch(text)
        and not _PLAIN_BREAKERS.search(text)
        and isinstance(plain(text), str)
        and not _FOREIGN.fullmatch(text)
    ):
        return text
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def _escaped(text: str) -> str:
    return re.sub(f'["\\\\]|[^{_PRINTABLE}]', _escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
