"""Carries out what a plan says of objects that left the set: prune and release. Every delete has preconditions."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from pipeline.app import Prune
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.inventory.live import LiveObject, observe
from pipeline.inventory.names import APP_LABEL, OBJECT_ANNOTATION, OWNER_ANNOTATION
from pipeline.inventory.record import Entry
from pipeline.plan.decide import Leave, judge
from pipeline.plan.model import Action, Change
from pipeline.plan.prepare import stage_of
from pipeline.plan.vetoes import Candidate, Verdict

_THREADS = 16
#: How often an object may change under our hands before its prune is left for the next sync.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of one object that left the set. `survivor` is what the inventory keeps of it, None: nothing."""

    change: Change | None
    survivor: Entry | None


@dataclass(frozen=True, slots=True)
class Remover:
    """What every delete and release of one sync needs."""

    connection: Connection
    manager: str
    owner: str
    prune: Prune
    on_removed: Callable[[Removed], None]

    def run(self, leaves: Sequence[Leave]) -> Iterator[Removed]:
        """Carry out the verdicts, in the plan's order of stages (the reverse of the apply)."""
        for _, group in groupby(leaves, key=lambda leave: stage_of(leave.entry.id)):
            items = list(group)
            if len(items) == 1:
                yield self._one(items[0])
                continue
            with ThreadPoolExecutor(max_workers=min(_THREADS, len(items))) as pool:
                yield from pool.map(self._one, items)

    def _one(self, leave: Leave) -> Removed:
        try:
            removed = self._act(leave)
        except ApiError as error:
            what = "released" if leave.verdict is Verdict.RELEASE else "deleted"
            message = f"could not be {what}: {error.message}"
            removed = Removed(Change(leave.entry.id, Action.FAILED, message, temporary=error.temporary), leave.entry)
        self.on_removed(removed)
        return removed

    def _act(self, leave: Leave) -> Removed:
        entry = leave.entry
        if leave.verdict is Verdict.FORGET:
            return Removed(None, None)
        if leave.verdict is Verdict.HOLD:
            return Removed(Change(entry.id, Action.HELD, leave.reason), entry)
        if leave.verdict is Verdict.KEEP or leave.resource is None:
            return Removed(None, entry)
        return self._take_off(leave, leave.resource)

    def _take_off(self, leave: Leave, resource: Resource) -> Removed:
        """Delete or release; what changed since it was read is read again, and every veto is asked again."""
        entry, reason, live = leave.entry, leave.reason, leave.live
        prune = leave.verdict is Verdict.PRUNE
        for _ in range(_TRIES):
            try:
                if prune and live is not None:
                    return self._delete(entry, resource, live, reason)
                return self._release(entry, resource, reason)
            except ApiError as error:
                if error.not_found:
                    return Removed(None, None)
                if not patched_another(error):
                    raise
            live = self._read(entry, resource)
            if live is None:
                return Removed(None, None)
            if prune:
                verdict, reason = judge(Candidate(entry, live, self.owner, self.prune))
                prune = verdict is Verdict.PRUNE
        message = "it changed each time when it was to be removed; the next sync tries again"
        return Removed(Change(entry.id, Action.FAILED, message, temporary=True), entry)

    def _read(self, entry: Entry, resource: Resource) -> LiveObject | None:
        meta = objects.get_metadata(self.connection, resource, entry.id.namespace, entry.id.name)
        return None if meta is None else observe(meta, resource, manager=self.manager)

    def _delete(self, entry: Entry, resource: Resource, live: LiveObject, reason: str) -> Removed:
        """Promise 5: UID and resourceVersion are of the read that passed every veto."""
        if live.terminating:
            return Removed(Change(entry.id, Action.PRUNED, "it is already being deleted"), None)
        objects.delete(
            self.connection, resource, entry.id.namespace, entry.id.name,
            uid=live.uid, resource_version=live.resource_version,
        )  # fmt: skip
        return Removed(Change(entry.id, Action.PRUNED, reason), None)

    def _release(self, entry: Entry, resource: Resource, reason: str) -> Removed:
        meta = objects.get_metadata(self.connection, resource, entry.id.namespace, entry.id.name)
        if meta is None:
            return Removed(None, None)
        operations = release_operations(meta["metadata"], manager=self.manager, owner=self.owner)
        if operations:
            objects.json_patch(
                self.connection, resource, entry.id.namespace, entry.id.name, operations, manager="trimtab-release"
            )
        return Removed(Change(entry.id, Action.RELEASED, reason), None)


def release_operations(metadata: dict[str, Any], *, manager: str, owner: str) -> list[dict[str, Any]]:
    """One JSON patch that takes our label, annotations and managedFields entry off; empty where none of it is ours.

    It carries the resourceVersion that was read. Applying an emptied object instead would delete every field that
    only we own. An owner annotation of somebody else's means that the marks are his: then only our entry goes.
    """
    annotations = metadata.get("annotations") or {}
    labels = metadata.get("labels") or {}
    fields = metadata.get("managedFields") or []
    others = [entry for entry in fields if not (entry["manager"] == manager and entry["operation"] == "Apply")]
    operations: list[dict[str, Any]] = []
    if annotations.get(OWNER_ANNOTATION) == owner:
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
