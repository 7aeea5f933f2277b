"""Waits until objects are current or have failed: one LIST and one watch a resource, no polling."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError
from pipeline.health.explain import explain
from pipeline.health.rules import Health, State, assess
from renderers.manifest import ObjectId

_SETTLED = (State.CURRENT, State.FAILED)
_GONE = Health(State.FAILED, "is gone: somebody deleted it, or took this App's label off")
#: Seconds before a stream that ended is resumed, or a request that failed is tried again.
_PAUSE = 0.2
#: How long a thread may take to end, in seconds.
_PATIENCE = 1.0
#: How often it is looked whether `stop` was set, in seconds.
_GLANCE = 0.1


def wait(
    connection: Connection,
    resources: Mapping[ObjectId, Resource],
    *,
    selector: str,
    timeout: float,
    stop: threading.Event,
    on_change: Callable[[ObjectId, Health], None] | None = None,
) -> dict[ObjectId, Health]:
    """Watch these objects until each is current or failed, `timeout` (seconds) is over, or `stop` is set.

    All carry the label that `selector` means. Returns the last health of each; what was not ready in time keeps its
    state, with what its Pods say. `on_change` is told of each change, from any thread, one at a time. An object that
    cannot be read counts as failed, with the reason.
    """
    board = _Board(resources, on_change)
    done = threading.Event()
    follower = _Follower(connection, board, selector, done)
    try:
        for resource, ids in _by_resource(resources).items():
            namespaces = {object_id.namespace for object_id in ids}
            everywhere = len(namespaces) > 1 or not resource.namespaced
            follower.start(resource, None if everywhere else next(iter(namespaces)), ids)
        board.wait(time.monotonic() + timeout, stop)
    finally:
        done.set()
        follower.join()
    if not stop.is_set():
        board.explain(connection)
    return dict(board.health)


class _Board:
    """What is known of each object. All methods may be called from any thread."""

    def __init__(self, ids: Iterable[ObjectId], on_change: Callable[[ObjectId, Health], None] | None) -> None:
        self.health = dict.fromkeys(ids, Health(State.IN_PROGRESS, "has not been seen yet"))
        self._seen: dict[ObjectId, Mapping[str, Any] | None] = {}
        self._on_change = on_change
        self._changed = threading.Condition()

    def tell(self, object_id: ObjectId, health: Health, seen: Mapping[str, Any] | None = None) -> None:
        with self._changed:
            self._seen[object_id] = seen
            if self.health[object_id] != health:
                self.health[object_id] = health
                if self._on_change is not None:
                    self._on_change(object_id, health)
                self._changed.notify_all()

    def settled(self, ids: Iterable[ObjectId]) -> bool:
        return all(self.health[object_id].state in _SETTLED for object_id in ids)

    def wait(self, deadline: float, stop: threading.Event) -> None:
        with self._changed:
            while not self.settled(self.health) and not stop.is_set():
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(min(left, _GLANCE))

    def explain(self, connection: Connection) -> None:
        """Add to what is not current what its Pods say."""
        for object_id, health in self.health.items():
            seen = self._seen.get(object_id)
            story = explain(connection, seen) if seen is not None and health.state is not State.CURRENT else ""
            if story:
                self.health[object_id] = replace(health, message=f"{health.message}; {story}")


class _Follower:
    """The threads that keep the board up to date, one for each resource and namespace (or all namespaces)."""

    def __init__(self, connection: Connection, board: _Board, selector: str, done: threading.Event) -> None:
        self._connection = connection
        self._board = board
        self._selector = selector
        self._done = done
        self._threads: list[threading.Thread] = []

    def start(self, resource: Resource, namespace: str | None, ids: frozenset[ObjectId]) -> None:
        thread = threading.Thread(target=self._run, args=(resource, namespace, ids), daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Wait for the threads. One that is in the middle of a request to a dead server is left to end by itself."""
        for thread in self._threads:  # grows while a thread starts others
            thread.join(_PATIENCE)

    def _run(self, resource: Resource, namespace: str | None, ids: frozenset[ObjectId]) -> None:
        while not self._done.is_set() and not self._board.settled(ids):
            try:
                self._follow(resource, namespace, ids)
            except ApiError as error:
                if error.forbidden and namespace is None and resource.namespaced:
                    for each in {object_id.namespace for object_id in ids}:
                        self.start(resource, each, frozenset(item for item in ids if item.namespace == each))
                    return
                if not error.temporary and error.status != 410:
                    self._tell_all(ids, Health(State.FAILED, f"its health cannot be read: {error.message}"))
                    return
            except ClusterUnreachableError as error:
                self._tell_all(ids, Health(State.IN_PROGRESS, error.message))
            self._done.wait(_PAUSE)

    def _follow(self, resource: Resource, namespace: str | None, ids: frozenset[ObjectId]) -> None:
        """List, then watch; a watch that ends is resumed. Returns when all is settled."""
        items, version = objects.list_objects(self._connection, resource, namespace, selector=self._selector)
        found = {object_id for item in items if (object_id := self._see(resource, item, ids))}
        for object_id in ids - found:
            self._board.tell(object_id, _GONE)
        while not self._done.is_set() and not self._board.settled(ids):
            for kind, item in objects.watch(
                self._connection,
                resource,
                namespace,
                selector=self._selector,
                resource_version=version,
                stop=self._done,
            ):
                version = item["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._see(resource, item, ids, deleted=kind == "DELETED")
                if self._board.settled(ids):
                    return
            self._done.wait(_PAUSE)

    def _see(
        self, resource: Resource, item: Mapping[str, Any], ids: frozenset[ObjectId], *, deleted: bool = False
    ) -> ObjectId | None:
        metadata = item["metadata"]
        object_id = ObjectId(resource.kind, resource.group, metadata.get("namespace", ""), metadata["name"])
        if object_id not in ids:
            return None
        # A Job that is complete stays so, though it may remove itself (ttlSecondsAfterFinished).
        if resource.kind != "Job" or self._board.health[object_id].state is not State.CURRENT:
            self._board.tell(object_id, _GONE if deleted else assess(item), None if deleted else item)
        return object_id

    def _tell_all(self, ids: Iterable[ObjectId], health: Health) -> None:
        for object_id in ids:
            if not self._board.settled([object_id]):
                self._board.tell(object_id, health)


def _by_resource(resources: Mapping[ObjectId, Resource]) -> dict[Resource, frozenset[ObjectId]]:
    found: dict[Resource, set[ObjectId]] = {}
    for object_id, resource in resources.items():
        found.setdefault(resource, set()).add(object_id)
    return {resource: frozenset(ids) for resource, ids in found.items()}
