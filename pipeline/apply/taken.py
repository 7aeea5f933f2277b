"""What an object is like once fields of others were taken over and git does not have them: for previews. Pure.

An apply removes such fields after `takeover` has made them ours; a dry-run of the apply alone cannot show that.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from pipeline.apply.takeover import takeover, union
from pipeline.cluster.fields import apply_entry

Fields = Mapping[str, Any]


def without_taken(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    desired: Mapping[str, Any],
    manager: str,
    whole: Collection[str],
) -> dict[str, Any] | None:
    """`after` (what a dry-run of the apply answers) without what is taken over from `before` and is not `desired`.

    None where nothing is taken over. Defaults may be missing then, which the API server fills in. `whole` are managers
    to take over from beside kubectl's.
    """
    patch = takeover(before["metadata"], desired, manager, whole)
    if not patch:
        return None
    result: dict[str, Any] = json.loads(json.dumps(after))
    *others, mine = patch[0]["value"]
    ours = apply_entry(after["metadata"], manager) or {}
    kept = union([entry.get("fieldsV1") or {} for entry in (*others, ours)])
    _remove(result, mine["fieldsV1"], kept)
    return result


def _remove(node: Any, taken: Fields, kept: Fields) -> None:
    """Take out of `node` what `taken` names and `kept` does not."""
    for name, below in taken.items():
        child = _child(node, name)
        if child is None:
            continue
        if name in kept:
            _remove(child, below, kept[name] or below)
        elif isinstance(node, dict):
            del node[name.removeprefix("f:")]
        else:
            node.remove(child)


def _child(node: Any, name: str) -> Any:
    """The field or list item that `f:name`, `k:{...}` or `v:...` means (FieldsV1); None where there is none."""
    kind, _, text = name.partition(":")
    if isinstance(node, dict):
        return node.get(text) if kind == "f" else None
    if not isinstance(node, list) or kind not in ("k", "v"):
        return None
    value = msgspec.json.decode(text)
    if kind == "v":
        return value if value in node else None
    items = (item for item in node if isinstance(item, dict))
    return next((item for item in items if all(item.get(key) == value[key] for key in value)), None)
