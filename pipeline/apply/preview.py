"""What a plan would change, by dry-run against the API server: the object before and after, as text, secrets masked."""

import difflib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from pipeline.apply.conflicts import without_fields
from pipeline.apply.model import Policy
from pipeline.apply.outcome import RefusedError
from pipeline.apply.recreate import RecreationError, check_recreation, immutable_fields
from pipeline.apply.run import THREADS
from pipeline.apply.taken import without_taken
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.cluster.fields import deployer_managers, known_deployer
from pipeline.inventory.live import observe
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


def preview(connection: Connection, plan: Plan, policy: Policy) -> Iterator[Difference]:
    """Every difference, in the plan's order: what would be sent, then what would leave. Changes nothing."""
    for change in plan.failed:
        yield Difference(change.id, change.action, change.message)
    for awaited in plan.awaited:
        yield Difference(
            awaited.id, Action.HELD, f"{awaited.unknown}: it is applied when something in the App brings it"
        )
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        for difference in pool.map(lambda item: _difference(connection, item, policy), plan.sends):
            if difference is not None:
                yield difference
    for leave in plan.leaves:
        if leave.verdict in _VERDICTS:
            yield Difference(leave.entry.id, _VERDICTS[leave.verdict], leave.reason)


def _difference(connection: Connection, item: Send, policy: Policy) -> Difference | None:
    wanted, before = item.desired, None
    try:
        before = objects.get(connection, wanted.resource, wanted.id.namespace, wanted.id.name)
        reason = _whose(item, before, policy)
        after = _after(connection, item, policy)
        if before is not None and after is not wanted.data and policy.conflicts_of(item) == "take":
            after = _taken_over(connection, item, policy, before, after)
    except RefusedError as refusal:
        return Difference(wanted.id, Action.REFUSED, f"it belongs to {refusal.deployer.detail}", origin=wanted.origin)
    except ApiError as error:
        return _refused_change(connection, item, policy, before, error)
    old, new = _shown(before, after)
    if old == new and reason == item.reason:
        return None
    name = str(wanted.id)
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"live/{name}", f"git/{name}", "", wanted.origin
    )
    action = Action.CREATED if before is None else Action.CONFIGURED
    return Difference(wanted.id, action, reason, "".join(lines), wanted.origin)


def _whose(item: Send, before: Mapping[str, Any] | None, policy: Policy) -> str:
    """Why it would be sent, which of a first touch depends on whose it is. Raises RefusedError."""
    if item.takes is not None:
        return "taken over from another App, which leaves it to this one"
    if before is None or item.uid:
        return item.reason
    deployer = known_deployer(before["metadata"], policy.manager)
    if deployer is None:
        return "adopted: it exists already"
    if not policy.may_adopt(deployer):
        raise RefusedError(deployer)
    return f"adopted from {deployer.detail}"


def _after(connection: Connection, item: Send, policy: Policy) -> Mapping[str, Any]:
    """What a dry-run of the apply answers, conflicts as the App has them. Raises ApiError."""
    wanted, data = item.desired, item.desired.data
    conflicts = policy.conflicts_of(item)
    while True:
        try:
            _, after = objects.apply(
                connection, wanted.resource, wanted.id.namespace, wanted.id.name, json.dumps(data).encode(),
                manager=policy.manager, force=conflicts == "take", dry_run=True,
            )  # fmt: skip
        except ApiError as error:
            # What the sync itself creates first is not there for a dry-run: its namespace, its CRD.
            if error.namespace_missing or error.kind_missing:
                return wanted.data
            paths = [path for _, path in error.conflicting_managers()]
            less = without_fields(data, paths) if error.conflict and conflicts == "yield" else data
            if less == data:
                raise
            data = less
        else:
            return after


def _taken_over(
    connection: Connection, item: Send, policy: Policy, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The same once what is taken over is gone, with the API server's defaults in its place. Raises ApiError."""
    whole = deployer_managers(before["metadata"], policy.adopt_from)
    whole = whole.union({item.takes.manager} if item.takes is not None else ())
    rest = without_taken(before, after, item.desired.data, policy.manager, whole)
    if rest is None:
        return after
    rest["metadata"].pop("managedFields", None)
    return objects.replace(
        connection, item.desired.resource, item.desired.id.namespace, rest, manager=policy.manager, dry_run=True
    )


def _refused_change(
    connection: Connection, item: Send, policy: Policy, before: Mapping[str, Any] | None, error: ApiError
) -> Difference:
    """What the API server refuses: a mistake, or a change that only a new object can have."""
    wanted = item.desired
    failure = Difference(wanted.id, Action.FAILED, f"{wanted.origin}: {error.message}", origin=wanted.origin)
    if before is None:
        return failure
    fields = immutable_fields(connection, item, error, policy.manager)
    if not fields:
        return failure
    try:
        check_recreation(item, policy, fields, observe(before, wanted.resource, manager=policy.manager), before)
    except RecreationError as refusal:
        return replace(failure, message=f"{wanted.origin}: {refusal.message}\n  → {refusal.hint}")
    return Difference(wanted.id, Action.CONFIGURED, f"recreated: {fields} is immutable", origin=wanted.origin)


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
