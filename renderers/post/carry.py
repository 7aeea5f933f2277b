"""Carries values through kustomize unharmed: what it would change or refuse travels as a text that it leaves alone.

kustomize takes every number for a float64, refuses nulls in lists and characters that YAML must escape, makes texts of
labels and annotations, reads some of these as orders to itself, and takes apart what is called a list.
"""

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

#: What go-yaml writes and reads back as it is.
_HARMLESS = "\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_PLAIN_TEXT = re.compile(f"[{_HARMLESS}]*")
_UNSAFE = re.compile(f"[^{_HARMLESS}]")
#: kustomize's own annotations (kioutil, api/internal/utils): it drops them, or drops and renames objects for them.
_ORDERS = re.compile(r"(internal\.|alpha\.)?config\.(kubernetes|k8s)\.io/(?!depends-on$)|kustomize\.config\.k8s\.io/")
#: The name of a label or annotation that no YAML takes for anything but a text: kustomize writes these unquoted.
_NAME = re.compile(r"(?!(?:null|true|false|yes|no|on|off|y|n)$)[A-Za-z][\w./-]*", re.IGNORECASE | re.ASCII)
_DECODER = json.JSONDecoder()
#: Beyond this, a float64 skips whole numbers.
_EXACT = 1 << 53


class Carrier:
    """One way through kustomize. `mark` begins such texts, and the names of our own fields: no patch can know it."""

    def __init__(self) -> None:
        self.mark = f"trimtab-{secrets.token_hex(16)}"
        self._text = f"{self.mark}:"

    def pack(self, value: Any) -> Any:
        """A patch, or a part of one, as it may travel. Equal values travel equally; a null still deletes."""
        return self._pack(value, keep_nulls=True)

    def pack_object(self, data: Mapping[str, Any], index: int) -> dict[str, Any]:
        """An object as it may travel, marked with its number."""
        packed = self._pack(data, keep_nulls=False)
        if str(data["kind"]).endswith("List") and "items" in packed:
            packed[self._wrap("items")] = packed.pop("items")
        return {**packed, self.mark: str(index)}

    def unpack(self, value: Any) -> Any:
        """What was packed, without our own fields."""
        if isinstance(value, dict):
            return {
                self.unpack(key): self.unpack(item)
                for key, item in value.items()
                if not key.startswith(self.mark) or key.startswith(self._text)
            }
        if isinstance(value, list):
            return [self.unpack(item) for item in value]
        if isinstance(value, str) and self._text in value:
            before, _, text = value.partition(self._text)
            packed, end = _DECODER.raw_decode(text)
            return f"{before}{packed}{text[end:]}" if before or text[end:] else packed
        return value

    def _pack(self, value: Any, *, keep_nulls: bool) -> Any:
        if isinstance(value, Mapping):
            return {
                self._key(key): self._texts(item, keep_nulls=keep_nulls)
                if key in ("labels", "annotations") and isinstance(item, Mapping)
                else self._pack(item, keep_nulls=keep_nulls)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._wrap(item) if item is None else self._pack(item, keep_nulls=keep_nulls) for item in value]
        if isinstance(value, str):
            return value if _PLAIN_TEXT.fullmatch(value) else self._wrap(value)
        if isinstance(value, bool) or value is None:
            return value
        return value if isinstance(value, int) and abs(value) <= _EXACT else self._wrap(value)

    def _texts(self, value: Mapping[str, Any], *, keep_nulls: bool) -> dict[str, Any]:
        """Labels or annotations: what is no text would become one."""
        return {
            self._key(key) if _NAME.fullmatch(key) else self._wrap(key): self._wrap(item)
            if isinstance(item, bool | int | float) or (item is None and not keep_nulls)
            else self._pack(item, keep_nulls=keep_nulls)
            for key, item in value.items()
        }

    def _key(self, key: str) -> str:
        harmless = key and _PLAIN_TEXT.fullmatch(key) and not _ORDERS.match(key)
        return key if harmless else self._wrap(key)

    def _wrap(self, value: Any) -> str:
        return self._text + json.dumps(value)


def restored_object(new: dict[str, Any], old: Mapping[str, Any]) -> Mapping[str, Any]:
    """The new object with its keys in the order of the old one, and the old one itself where they are equal.

    kustomize sorts keys, and drops annotations that are empty.
    """
    metadata, before = new.get("metadata"), old["metadata"]
    if isinstance(metadata, dict) and not before.get("annotations", True):
        metadata.setdefault("annotations", before["annotations"])
    restored: Mapping[str, Any] = _restored(new, old)
    return restored


def _restored(new: Any, old: Any) -> Any:
    if isinstance(new, dict) and isinstance(old, Mapping):
        value: Any = {key: _restored(new[key], old[key]) for key in old if key in new}
        value |= {key: item for key, item in new.items() if key not in old}
    elif isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        value = [_restored(item, before) for item, before in zip(new, old, strict=True)]
    else:
        value = new
    return old if same(value, old) else value


def same(one: Any, other: Any) -> bool:
    """Equal, where true is not 1 and 1 is not 1.0."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def json_text(value: Any) -> str:
    """One line of JSON that go-yaml reads as the same: nothing in it but what YAML may hold unescaped."""
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
