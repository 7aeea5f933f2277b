"""What a plan would change, by dry-run against the API server: the object before and after, as text, secrets masked."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.apply.run import THREADS
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.cluster.fields import known_deployer
from pipeline.inventory.names import APP_LABEL, OBJECT_ANNOTATION, OWNER_ANNOTATION
from pipeline.plan.decide import Plan, Send
from pipeline.plan.model import Action
from pipeline.plan.vetoes import Verdict
from renderers.manifest import ObjectId
from renderers.manifest.dump import dump

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NOISE = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid")
_VERDICTS = {
    Verdict.PRUNE: Action.PRUNED, Verdict.RELEASE: Action.RELEASED,
    Verdict.HOLD: Action.HELD, Verdict.WAIT: Action.HELD, Verdict.OFFER: Action.HELD,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that would change. `text` is a unified diff, empty for what leaves; `message` says why.

    `origin` is the file that it came from, empty for what leaves.
    """

    id: ObjectId
    action: Action
    message: str
    text: str = ""
    origin: str = ""


def preview(connection: Connection, plan: Plan, manager: str, adopt_from: Collection[str] = ()) -> Iterator[Difference]:
    """Every difference, in the plan's order: what would be sent, then what would leave. Changes nothing.

    `adopt_from` are the deployers whose objects may be taken over.
    """
    for change in plan.failed:
        yield Difference(change.id, change.action, change.message)
    for awaited in plan.awaited:
        yield Difference(
            awaited.id, Action.HELD, f"{awaited.unknown}: it is applied when something in the App brings it"
        )
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        for difference in pool.map(lambda item: _difference(connection, item, manager, adopt_from), plan.sends):
            if difference is not None:
                yield difference
    for leave in plan.leaves:
        if leave.verdict in _VERDICTS:
            yield Difference(leave.entry.id, _VERDICTS[leave.verdict], leave.reason)


def _difference(connection: Connection, item: Send, manager: str, adopt_from: Collection[str]) -> Difference | None:
    wanted = item.desired
    try:
        before = objects.get(connection, wanted.resource, wanted.id.namespace, wanted.id.name)
        try:
            _, after = objects.apply(
                connection, wanted.resource, wanted.id.namespace, wanted.id.name, wanted.body,
                manager=manager, force=True, dry_run=True,
            )  # fmt: skip
        except ApiError as error:
            # What the sync itself creates first is not there for a dry-run: its namespace, its CRD.
            if not (error.namespace_missing or error.kind_missing):
                raise
            after = dict(wanted.data)
    except ApiError as error:
        return Difference(wanted.id, Action.FAILED, f"{wanted.origin}: {error.message}", origin=wanted.origin)
    reason = item.reason
    if before is not None and not item.uid:
        deployer = known_deployer(before["metadata"], manager)
        if deployer is not None and (deployer.app or deployer.name not in adopt_from):
            return Difference(wanted.id, Action.REFUSED, f"it belongs to {deployer.detail}", origin=wanted.origin)
        reason = f"adopted from {deployer.detail}" if deployer is not None else "adopted: it exists already"
    old, new = _shown(before, after)
    if old == new and reason == item.reason:
        return None
    name = str(wanted.id)
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"live/{name}", f"git/{name}", "", wanted.origin
    )
    action = Action.CREATED if before is None else Action.CONFIGURED
    return Difference(wanted.id, action, reason, "".join(lines), wanted.origin)


def _shown(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> tuple[str, str]:
    """Both as YAML for people: without what the API server keeps for itself, our marks, and secret values."""
    old = _clean(before) if before is not None else None
    new = _clean(after)
    if new.get("kind") == "Secret":
        for key in ("data", "stringData"):
            _mask(old, new, key)
    return (dump(old) if old is not None else ""), dump(new)


def _clean(data: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in data["metadata"].items() if key not in _NOISE}
    for key, drop in (("labels", (APP_LABEL,)), ("annotations", (OWNER_ANNOTATION, OBJECT_ANNOTATION, _LAST_APPLIED))):
        if isinstance(metadata.get(key), Mapping):
            kept = {name: value for name, value in metadata[key].items() if name not in drop}
            metadata = {**metadata, key: kept} if kept else {k: v for k, v in metadata.items() if k != key}
    return {**{key: value for key, value in data.items() if key != "status"}, "metadata": metadata}


def _mask(old: dict[str, Any] | None, new: dict[str, Any], key: str) -> None:
    """Say that a value differs, never what it is."""
    before = dict(old[key]) if old is not None and isinstance(old.get(key), Mapping) else {}
    after = dict(new[key]) if isinstance(new.get(key), Mapping) else {}
    for name in {*before, *after}:
        both = name in before and name in after and before[name] != after[name]
        if name in before:
            before[name] = "*** (before)" if both else "***"
        if name in after and not both:
            after[name] = "***"
        elif name in after:
            after[name] = "*** (after)"
    if old is not None and before:
        old[key] = before
    if after:
        new[key] = after
