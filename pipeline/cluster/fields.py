"""Who owns which fields of an object, read from `metadata.managedFields`. Pure; works on metadata alone.

The form of managedFields (`f:name`, `k:{keys}`, `v:value`, `.`) is that of FieldsV1 (Kubernetes API reference).
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pipeline.cluster.deployers import Deployer, deployer_managers, known_deployer

__all__ = [
    "Deployer",
    "apply_entry",
    "deployer_managers",
    "fingerprint",
    "item_of",
    "keyed_items",
    "known_deployer",
    "lost_fields",
    "other_managers",
]

#: The parts of metadata that an apply owns; the rest names the object, or is the API server's.
_OWNED_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
#: Keys of list items that the API server fills in (the schema's defaults of `x-kubernetes-list-map-keys`).
_KEY_DEFAULTS = {"protocol": "TCP"}
_SORTED = msgspec.json.Encoder(order="sorted")


def apply_entry(metadata: Mapping[str, Any], manager: str) -> Mapping[str, Any] | None:
    """The entry of managedFields that lists what this manager applied, or None."""
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            found: Mapping[str, Any] = entry
            return found
    return None


def fingerprint(metadata: Mapping[str, Any], manager: str) -> str:
    """What stays the same as long as nobody touched the object since we applied it; empty where nothing is ours.

    A short hash over uid, generation and the fields of our Apply entry: whoever changes one of them takes it
    out of there. Kinds without a generation count no changes, so every manager's fields go into theirs. What
    controllers write to subresources (status, scale) is left out.
    """
    entry = apply_entry(metadata, manager)
    if entry is None:
        return ""
    seen = metadata.get("generation") or [other for other in metadata["managedFields"] if not other.get("subresource")]
    parts = (metadata.get("uid"), seen, entry.get("fieldsV1"))
    return hashlib.blake2b(_SORTED.encode(parts), digest_size=10).hexdigest()


def lost_fields(desired: Mapping[str, Any], metadata: Mapping[str, Any], manager: str) -> tuple[str, ...]:
    """The fields of `desired` that the manager's Apply entry does not list any more, as readable paths.

    Such as `spec.template.spec.containers[name=web].image` or `metadata.labels[app.kubernetes.io/name]`.
    """
    entry = apply_entry(metadata, manager)
    owned = (entry.get("fieldsV1") if entry is not None else None) or {".": {}}
    wanted = {key: value for key, value in desired.items() if key not in ("apiVersion", "kind", "status")}
    marks = {key: value for key, value in desired.get("metadata", {}).items() if key in _OWNED_METADATA}
    wanted.pop("metadata", None)
    if marks:
        wanted["metadata"] = marks
    return tuple(_lost(wanted, owned, ""))


def other_managers(metadata: Mapping[str, Any], manager: str) -> tuple[str, ...]:
    """Everyone else who set fields of the object itself, sorted."""
    entries = metadata.get("managedFields") or ()
    names = {entry.get("manager", "") for entry in entries if not entry.get("subresource")}
    return tuple(sorted(names - {manager}))


def _lost(wanted: Any, owned: Mapping[str, Any], path: str) -> Iterator[str]:
    if not owned:
        return  # A leaf, or atomic: owned as a whole.
    if isinstance(wanted, Mapping):
        for key, value in wanted.items():
            below = f"{path}[{key}]" if "." in key or "/" in key else f"{path}.{key}".lstrip(".")
            if value is None:
                continue
            if f"f:{key}" in owned:
                yield from _lost(value, owned[f"f:{key}"], below)
            else:
                yield below
    elif isinstance(wanted, list):
        yield from _lost_items(wanted, owned, path)


def _lost_items(wanted: list[Any], owned: Mapping[str, Any], path: str) -> Iterator[str]:
    """Items of a list that is a map (found by their keys, of which the manifest may leave out defaulted ones) or a set.

    Each entry stands for one item.
    """
    keyed = keyed_items(owned)
    values = [msgspec.json.decode(name[2:]) for name in owned if name.startswith("v:")]
    key_names = list(dict.fromkeys(name for keys in keyed.values() for name in keys)) or ["name"]
    for index, item in enumerate(wanted):
        if not isinstance(item, Mapping):
            if item not in values:
                yield f"{path}[{item}]"
            continue
        shown = ",".join(f"{name}={item[name]}" for name in key_names if name in item)
        below = f"{path}[{shown or index}]"
        name = item_of(item, keyed)
        if name is None:
            yield below
        else:
            del keyed[name]
            yield from _lost(item, owned[name], below)


def keyed_items(owned: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The items of a list that is a map: the name of each in managedFields, `k:{"name":"web"}`, with its keys."""
    return {name: msgspec.json.decode(name[2:]) for name in owned if name.startswith("k:")}


def item_of(item: Mapping[str, Any], keyed: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Which of `keyed_items` a list item of a manifest is, or None. A manifest may leave out keys with a default."""
    return next((name for name, keys in keyed.items() if _has(item, keys)), None)


def _has(item: Mapping[str, Any], keys: Mapping[str, Any]) -> bool:
    return all(item.get(name, _KEY_DEFAULTS.get(name, value)) == value for name, value in keys.items())
