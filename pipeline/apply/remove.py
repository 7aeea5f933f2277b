"""Carries out what a plan says of objects that left the set: prune and release. Every delete has preconditions."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from pipeline.app import Prune
from pipeline.apply.inside import others_inside
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.inventory.live import LiveObject, observe
from pipeline.inventory.names import APP_LABEL, OBJECT_ANNOTATION, OWNER_ANNOTATION
from pipeline.inventory.record import Entry
from pipeline.plan.decide import Leave, judge
from pipeline.plan.model import Action, Change
from pipeline.plan.order import Stage
from pipeline.plan.vetoes import Candidate, Verdict
from pipeline.plan.vetoes.going import held_by
from pipeline.plan.vetoes.protected import is_container
from renderers.manifest import ObjectId

_THREADS = 16
#: How often an object may change under our hands before its prune is left for the next sync.
_TRIES = 5
#: How long the finalizers of what one sync deletes may take together, and when is looked first and how seldom: seconds.
_PATIENCE = 10.0
_FIRST_LOOK, _LAST_LOOK = 0.05, 1.0


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of one object that left the set. `survivor` is what the inventory keeps of it, None: nothing.

    `deleted` is the UID of an object that goes, with all that hangs on it; `lives`: finalizers still hold it.
    """

    change: Change | None
    survivor: Entry | None
    deleted: str = ""
    lives: bool = False


@dataclass(frozen=True, slots=True)
class Remover:
    """What every delete and release of one sync needs.

    `kept_uids` are the UIDs of what the set has. Finalizers are waited for as long as `patience` (seconds) allows, or
    until `stop` is set.
    """

    connection: Connection
    manager: str
    owner: str
    prune: Prune
    on_removed: Callable[[Removed], None]
    kept_uids: frozenset[str] = frozenset()
    stop: threading.Event = field(default_factory=threading.Event)
    patience: float = _PATIENCE

    def run(self, leaves: Sequence[Leave]) -> Iterator[Removed]:
        """Carry out the verdicts, in the plan's order (the reverse of the apply).

        A custom resource that its finalizers still hold puts off all deletes after it: who takes the finalizers off is
        mostly an operator of the same App.
        """
        going: dict[str, ObjectId] = {}
        deadline = time.monotonic() + self.patience
        holder: ObjectId | None = None
        for place, group in groupby(leaves, key=lambda leave: leave.place):
            items = [_put_off(leave, holder) if holder is not None else leave for leave in group]
            results = self._all(items, going, deadline)
            yield from results
            for leave, removed in zip(items, results, strict=True):
                if removed.deleted:
                    going[removed.deleted] = leave.entry.id
                if removed.lives and place.stage >= Stage.CUSTOM:
                    holder = leave.entry.id

    def _all(self, items: Sequence[Leave], going: Mapping[str, ObjectId], deadline: float) -> list[Removed]:
        def one(leave: Leave) -> Removed:
            return self._one(leave, going, deadline)

        if len(items) == 1:
            return [one(items[0])]
        with ThreadPoolExecutor(max_workers=min(_THREADS, len(items))) as pool:
            return list(pool.map(one, items))

    def _one(self, leave: Leave, going: Mapping[str, ObjectId], deadline: float) -> Removed:
        try:
            removed = self._act(leave, going, deadline)
        except ApiError as error:
            what = "released" if leave.verdict is Verdict.RELEASE else "deleted"
            message = f"could not be {what}: {error.message}"
            removed = Removed(Change(leave.entry.id, Action.FAILED, message, temporary=error.temporary), leave.entry)
        self.on_removed(removed)
        return removed

    def _act(self, leave: Leave, going: Mapping[str, ObjectId], deadline: float) -> Removed:
        """Delete or release; what changed since it was read is read again, and every veto is asked again."""
        for _ in range(_TRIES):
            if leave.resource is None or leave.verdict not in (Verdict.PRUNE, Verdict.RELEASE):
                return _untouched(leave)
            try:
                if leave.verdict is Verdict.RELEASE or leave.live is None:
                    return self._release(leave, leave.resource)
                return self._prune(leave, leave.resource, leave.live, going, deadline)
            except ApiError as error:
                if error.not_found:
                    return Removed(None, None)
                if not patched_another(error):
                    raise
            leave = self._judged_again(leave, leave.resource)
        message = "it changed each time when it was to be removed; the next sync tries again"
        return Removed(Change(leave.entry.id, Action.FAILED, message, temporary=True), leave.entry)

    def _judged_again(self, leave: Leave, resource: Resource) -> Leave:
        meta = objects.get_metadata(self.connection, resource, leave.entry.id.namespace, leave.entry.id.name)
        if meta is None:
            return replace(leave, live=None, verdict=Verdict.FORGET)
        live = observe(meta, resource, manager=self.manager)
        if leave.verdict is Verdict.RELEASE:
            return replace(leave, live=live)
        candidate = Candidate(leave.entry, live, self.owner, self.prune, kept_uids=self.kept_uids)
        verdict, reason = judge(candidate)
        return replace(leave, live=live, verdict=verdict, reason=reason)

    def _prune(
        self, leave: Leave, resource: Resource, live: LiveObject, going: Mapping[str, ObjectId], deadline: float
    ) -> Removed:
        """Promise 5: UID and resourceVersion are of the read that passed every veto."""
        entry = leave.entry
        inside = others_inside(self.connection, entry.id, resource, going) if is_container(entry.id) else ""
        if inside:
            return self._release(replace(leave, reason=inside), resource)
        answer = objects.delete(
            self.connection, resource, entry.id.namespace, entry.id.name,
            uid=live.uid, resource_version=live.resource_version, propagation=live.propagation or "Background",
        )  # fmt: skip
        removed = Removed(Change(entry.id, Action.PRUNED, leave.reason), None, "" if _orphans(live) else live.uid)
        finalizers = _finalizers(answer)
        return self._ended(removed, leave, resource, finalizers, deadline) if finalizers else removed

    def _ended(
        self, removed: Removed, leave: Leave, resource: Resource, finalizers: tuple[str, ...], deadline: float
    ) -> Removed:
        """Most finalizers take a moment: look again until it is gone, or patience ends."""
        entry, pause = leave.entry, _FIRST_LOOK
        while time.monotonic() < deadline and not self.stop.wait(pause):
            meta = objects.get_metadata(self.connection, resource, entry.id.namespace, entry.id.name)
            if meta is None or leave.live is None or meta["metadata"]["uid"] != leave.live.uid:
                return removed
            finalizers = _finalizers(meta) or finalizers
            pause = min(2 * pause, _LAST_LOOK)
        return Removed(Change(entry.id, Action.HELD, held_by(finalizers)), entry, removed.deleted, lives=True)

    def _release(self, leave: Leave, resource: Resource) -> Removed:
        entry = leave.entry
        meta = objects.get_metadata(self.connection, resource, entry.id.namespace, entry.id.name)
        if meta is None:
            return Removed(None, None)
        operations = release_operations(meta["metadata"], manager=self.manager, owner=self.owner)
        if operations:
            objects.json_patch(
                self.connection, resource, entry.id.namespace, entry.id.name, operations, manager="trimtab-release"
            )
        return Removed(Change(entry.id, Action.RELEASED, leave.reason), None)


def _untouched(leave: Leave) -> Removed:
    """What is done without a request: forgotten, kept in silence, or kept and told."""
    entry, live = leave.entry, leave.live
    if leave.verdict is Verdict.FORGET:
        return Removed(None, None)
    if leave.verdict not in (Verdict.HOLD, Verdict.WAIT, Verdict.OFFER):
        return Removed(None, entry)
    change = Change(entry.id, Action.HELD, leave.reason)
    if leave.verdict is Verdict.WAIT and live is not None and live.terminating:
        return Removed(change, entry, "" if _orphans(live) else live.uid, lives=bool(live.finalizers))
    return Removed(change, entry)


def _put_off(leave: Leave, holder: ObjectId) -> Leave:
    if leave.verdict is not Verdict.PRUNE:
        return leave
    return replace(leave, verdict=Verdict.WAIT, reason=f"it is deleted when {holder} is gone, which may need it")


def _orphans(live: LiveObject) -> bool:
    """Whether what hangs on it stays when it goes (Kubernetes, propagation policy Orphan)."""
    return live.propagation == "Orphan" or "orphan" in live.finalizers


def _finalizers(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """What holds an object that was deleted; a Namespace has a finalizer in its spec. Empty for a Status."""
    return (*(obj["metadata"].get("finalizers") or ()), *((obj.get("spec") or {}).get("finalizers") or ()))


def release_operations(metadata: dict[str, Any], *, manager: str, owner: str) -> list[dict[str, Any]]:
    """One JSON patch that takes our label, annotations and managedFields entry off; empty where none of it is ours.

    It carries the resourceVersion that was read. Applying an emptied object instead would delete every field that
    only we own. An owner annotation of somebody else's means that the marks are his: then only our entry goes; where
    there is none, the other marks are ours.
    """
    annotations = metadata.get("annotations") or {}
    labels = metadata.get("labels") or {}
    fields = metadata.get("managedFields") or []
    others = [entry for entry in fields if not (entry["manager"] == manager and entry["operation"] == "Apply")]
    operations: list[dict[str, Any]] = []
    if annotations.get(OWNER_ANNOTATION, owner) == owner:
        operations += [
            {"op": "remove", "path": f"/metadata/annotations/{_escaped(name)}"}
            for name in (OWNER_ANNOTATION, OBJECT_ANNOTATION)
            if name in annotations
        ]
        if APP_LABEL in labels:
            operations.append({"op": "remove", "path": f"/metadata/labels/{_escaped(APP_LABEL)}"})
    if len(others) != len(fields):
        # An empty list would be taken as 'not said'; one empty entry clears it (Kubernetes, server-side apply).
        operations.append({"op": "replace", "path": "/metadata/managedFields", "value": others or [{}]})
    if operations:
        version = {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
        operations.append(version)
    return operations


def patched_another(error: ApiError) -> bool:
    """Whether such a patch, or a delete, met another object than was read: what it takes off may lack there."""
    return error.status in (409, 422)


def _escaped(name: str) -> str:
    """RFC 6901: `~` and `/` inside a JSON pointer's token."""
    return name.replace("~", "~0").replace("/", "~1")
