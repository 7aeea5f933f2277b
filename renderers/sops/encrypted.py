"""Tells whether a file is encrypted by SOPS, in which of its formats, and for which keys."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from renderers.manifest import ManifestError, load_text

#: The field of a file, and the kind of key, as SOPS writes it (stores/stores.go): those that need no network first.
_OWN = {"age": "recipient", "pgp": "fp"}
_OTHERS = {
    "kms": "AWS KMS",
    "gcp_kms": "Google Cloud KMS",
    "azure_kv": "Azure Key Vault",
    "hc_vault": "HashiCorp Vault",
    "hckms": "Huawei Cloud KMS",
}
_FORMATS = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".env": "dotenv", ".ini": "ini"}
#: What every encrypted file has in it, whatever its format.
_WORDS = (b"sops", b"ENC[", b"lastmodified")
_DOTENV = re.compile(rb"^sops_mac\s*=", re.MULTILINE)
_INI = re.compile(rb"^\[sops\]\s*$.*^mac\s*=", re.MULTILINE | re.DOTALL)
_FLAT_KEY = re.compile(
    r"^(?:sops_)?(?:key_groups__list_\d+__map_)?(\w+?)__list_\d+__map_(\w+?)\s*=\s*(\S+)", re.MULTILINE
)

#: https://github.com/isindir/sops-secrets-operator
_FOR_OPERATORS = ("SopsSecret",)
_PUBLIC = re.compile(r"age1[a-z0-9]{10,100}|[0-9A-Fa-f]{8,64}")
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Encrypted:
    """An encrypted file: SOPS's word for its format, its keys, and SOPS's data on it where that is a map.

    `own` are age recipients and OpenPGP fingerprints by their kind (`age`, `pgp`); `others` the names of services.
    """

    format: str
    own: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> list[str]:
        """Whom it is encrypted for, for people; nothing that is no public key of its kind."""
        keys = [key for key in self.own["age"] if _PUBLIC.fullmatch(key)]
        keys += [f"PGP {key}" for key in self.own["pgp"] if _PUBLIC.fullmatch(key)]
        return [*keys[:_NAMED], *(["others"] if len(keys) > _NAMED else []), *self.others]


def look_at(file: Path) -> Encrypted | None:
    """What SOPS made of the file; None where it is not encrypted. Raises OSError."""
    content = file.read_bytes()
    if not all(word in content for word in _WORDS):
        return None
    known = _FORMATS.get(file.suffix.lower())
    for form, pattern in (("dotenv", _DOTENV), ("ini", _INI)):
        if known in (form, None) and pattern.search(content):
            return _flat(form, content.decode(errors="replace"))
    try:
        documents = [document.data for document in load_text(content, file=file.name).documents]
    except ManifestError:
        return None
    metadata = next((data["sops"] for data in documents if is_encrypted(data)), None)
    if metadata is None:
        return None
    if known is None:
        known = "binary" if documents[0].keys() == {"data", "sops"} else "yaml"
    return _nested(known, metadata)


def is_encrypted(data: Any) -> bool:
    """Whether a document still has what SOPS adds to one, and is not for an operator in the cluster to decrypt."""
    if not isinstance(data, Mapping) or data.get("kind") in _FOR_OPERATORS:
        return False
    metadata = data.get("sops")
    return isinstance(metadata, Mapping) and "mac" in metadata and "lastmodified" in metadata


def own_keys_only(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """SOPS's data on a file without the keys that need a network."""
    return {name: value for name, value in metadata.items() if name not in _OTHERS}


def own_lines_only(text: bytes) -> bytes:
    """The same of a dotenv or ini file."""
    line = re.compile(rf"^(?:sops_)?(?:{'|'.join(_OTHERS)})__list_.*\n?".encode(), re.MULTILINE)
    return line.sub(b"", text)


def _flat(form: str, text: str) -> Encrypted:
    found = [match.groups() for match in _FLAT_KEY.finditer(text)]
    own = {kind: tuple(value for key, name, value in found if (key, name) == (kind, _OWN[kind])) for kind in _OWN}
    others = dict.fromkeys(_OTHERS[key] for key, _, _ in found if key in _OTHERS)
    return Encrypted(form, own, tuple(others))


def _nested(form: str, metadata: Mapping[str, Any]) -> Encrypted:
    groups = list(_maps(metadata.get("key_groups"))) or [metadata]
    own = {
        kind: tuple(str(key.get(name)) for group in groups for key in _maps(group.get(kind)))
        for kind, name in _OWN.items()
    }
    others = tuple(title for kind, title in _OTHERS.items() if any(group.get(kind) for group in groups))
    return Encrypted(form, own, others, metadata)


def _maps(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (item for item in value or () if isinstance(item, Mapping)) if isinstance(value, list) else ()
