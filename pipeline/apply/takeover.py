"""What managedFields must become before an apply, so that it heals and prunes exactly. Pure.

A server-side apply removes a field that left git only where nobody else owns it too. So the entries of who wrote the
object as a whole before us, and of list items whose key a person edited, become part of ours: the next apply then
removes from them what git does not have (Kubernetes, server-side apply, "Upgrading from client-side apply").
"""

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from pipeline.cluster.fields import apply_entry, item_of, keyed_items

Fields = Mapping[str, Any]

#: Who writes whole objects: kubectl's own field managers, and what the API server calls those before managedFields.
_WHOLE = frozenset(
    {"before-first-apply", "kubectl", "kubectl-client-side-apply", "kubectl-create", "kubectl-last-applied",
     "kubectl-replace"}
)  # fmt: skip


def takeover(
    metadata: Mapping[str, Any],
    desired: Mapping[str, Any],
    manager: str,
    whole: Collection[str] = (),
    *,
    exact: bool = False,
) -> list[dict[str, Any]]:
    """The JSON patch to send before `manager` applies `desired`; empty where there is nothing to take over.

    `metadata` is the live object's; the patch holds for its resourceVersion only (409 otherwise). Folded into our
    entry are, as a whole, what kubectl applied, created or replaced, what our own manager wrote otherwise than by an
    apply, and what the managers `whole` own. Of others' updates (`kubectl edit`, a dashboard) only list items that
    `desired` has not, in a list that misses one which `desired` has: its key was edited, a container renamed. What a
    subresource owns is left alone, as is what others apply.

    `exact`: our entry is just what `desired` comes to, as in the answer to an apply. Fields of one API version mean
    nothing in another one; then an entry of another version takes the place of ours, to be pruned by the next apply.
    """
    entries = [entry for entry in metadata.get("managedFields") or () if not entry.get("subresource")]
    ours = apply_entry(metadata, manager)
    old = [entry for entry in entries if entry is not ours and _writes_whole(entry, manager, whole)]
    version = _version(ours, old, exact=exact)
    old = [entry for entry in old if entry.get("apiVersion") == version]
    kept, strays = ([], []) if exact else _hands(entries, desired, ours, old, version)
    if not old and not strays:
        return []
    fields = _fields(ours) if ours is not None and ours.get("apiVersion") == version else {}
    fields = union([fields, *map(_fields, old), *strays])
    gone = [ours, *old, *(before for before, _ in kept)]
    mine = {**(ours or old[0]), "manager": manager, "operation": "Apply", "apiVersion": version, "fieldsV1": fields}
    after = [entry for entry in metadata["managedFields"] if not any(entry is one for one in gone)]
    after += [{**entry, "fieldsV1": rest} for entry, rest in kept if rest]
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [*after, mine]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
    ]


def _writes_whole(entry: Mapping[str, Any], manager: str, whole: Collection[str]) -> bool:
    name = entry.get("manager", "")
    return name in _WHOLE or name in whole or (name == manager and entry.get("operation") == "Update")


def _version(ours: Mapping[str, Any] | None, old: list[Mapping[str, Any]], *, exact: bool) -> str:
    """The API version whose entries are folded: ours, where there is a choice."""
    versions = [str(entry.get("apiVersion", "")) for entry in old]
    mine = str(ours.get("apiVersion", "")) if ours is not None else ""
    if not versions or mine in versions or (mine and not exact):
        return mine
    return versions[0]


def _hands(
    entries: list[Mapping[str, Any]],
    desired: Mapping[str, Any],
    ours: Mapping[str, Any] | None,
    old: list[Mapping[str, Any]],
    version: str,
) -> tuple[list[tuple[Mapping[str, Any], Fields]], list[Fields]]:
    """Others' updates that have items to fold: each with what is left to it; and the items.

    Without an entry of ours nothing was lost from it.
    """
    if ours is None or ours.get("apiVersion") != version:
        return [], []
    alike = [entry for entry in entries if entry.get("apiVersion") == version]
    live = union(map(_fields, alike))
    # What is in metadata names people and other objects (ownerReferences): never items of ours under a new key.
    wanted = {key: value for key, value in desired.items() if key not in ("metadata", "status")}
    kept, strays = [], []
    for entry in alike:
        theirs = _fields(entry)
        if entry.get("operation") != "Update" or any(entry is one for one in old):
            continue
        if found := _strays(wanted, live, theirs):
            kept.append((entry, _minus(theirs, found)))
            strays.append(found)
    return kept, strays


def _strays(wanted: Any, live: Fields, theirs: Fields) -> Fields:
    """The part of `theirs` that is list items which nobody wants, in lists where a wanted one is not `live`."""
    if isinstance(wanted, Mapping):
        below = ((f"f:{key}", value) for key, value in wanted.items())
        found = {name: _strays(value, live.get(name, {}), theirs[name]) for name, value in below if name in theirs}
    elif isinstance(wanted, list):
        found = dict(_stray_items(wanted, live, theirs))
    else:
        return {}
    return {name: fields for name, fields in found.items() if fields}


def _stray_items(wanted: list[Any], live: Fields, theirs: Fields) -> Iterator[tuple[str, Fields]]:
    items = [item for item in wanted if isinstance(item, Mapping)]
    lives, held = keyed_items(live), keyed_items(theirs)
    lost = any(item_of(item, lives) is None for item in items)
    for item in items:
        name = item_of(item, held)
        if name is not None:
            del held[name]
            yield name, _strays(item, live[name], theirs[name])
    if lost:
        yield from ((name, theirs[name]) for name in held)


def _fields(entry: Mapping[str, Any]) -> Fields:
    found: Fields = entry.get("fieldsV1") or {}
    return found


def union(sets: Iterable[Fields]) -> Fields:
    """The fields of all these entries of managedFields."""
    return functools.reduce(_union, filter(None, sets), {})


def _union(one: Fields, other: Fields) -> Fields:
    """All fields of both. A field without others below it is an empty mapping; with others, `.` says that it is one."""
    both = {name: _union(one[name], other[name]) for name in one.keys() & other.keys()}
    for name, fields in both.items():
        if fields and not (one[name] and other[name]):
            both[name] = {**fields, ".": {}}
    return {**one, **other, **both}


def _minus(fields: Fields, taken: Fields) -> Fields:
    """`fields` without those of `taken`; what is left empty goes too."""
    rest = {name: _minus(below, taken[name]) if name in taken else below for name, below in fields.items()}
    return {name: below for name, below in rest.items() if below or name not in taken}
