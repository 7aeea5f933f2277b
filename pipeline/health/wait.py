"""Waits until objects are current or have failed: one LIST and one watch a resource, no polling."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pipeline.app import HealthCheck
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError
from pipeline.health.board import Board
from pipeline.health.explain import explain_all
from pipeline.health.rules import assess
from pipeline.health.state import Health, State, failed, waiting
from pipeline.health.storage import Classes
from renderers.manifest import ObjectId

_GONE = failed("is gone: somebody deleted it, or took this App's label off")
#: Seconds before a stream that ended is resumed, or a request that failed is tried again.
_PAUSE = 0.2
#: How long a thread may take to end, in seconds.
_PATIENCE = 1.0
_NO_TIMEOUTS: Mapping[ObjectId, float] = {}


def wait(  # noqa: PLR0913 - what to wait for, for how long, who is told
    connection: Connection,
    resources: Mapping[ObjectId, Resource],
    *,
    selector: str,
    timeout: float,
    stop: threading.Event,
    on_change: Callable[[ObjectId, Health], None] | None = None,
    timeouts: Mapping[ObjectId, float] = _NO_TIMEOUTS,
    checks: Sequence[HealthCheck] = (),
    until: Callable[[], bool] = lambda: False,
    masked: Callable[[str], str] = lambda text: text,
) -> dict[ObjectId, Health]:
    """Watch these objects until each is current, has failed, or has had its time, or `stop` is set.

    All carry the label that `selector` means. An object's time are `timeout` seconds, or its own in `timeouts`; then
    it counts as failed, with what its Pods say. `checks` are the App's own rules. `until` is asked ten times a second,
    and True ends the wait too, with each object's state as it is then. `on_change` is told of each change, from any
    thread, one at a time. `masked` takes secret values out of what programs wrote into their logs. An object that
    cannot be read counts as failed, with the reason.
    """
    board = Board({object_id: timeouts.get(object_id, timeout) for object_id in resources}, on_change)
    done = threading.Event()
    follower = _Follower(connection, board, selector, checks, done)
    try:
        for resource, ids in _by_resource(resources).items():
            namespaces = {object_id.namespace for object_id in ids}
            everywhere = len(namespaces) > 1 or not resource.namespaced
            follower.start(resource, None if everywhere else next(iter(namespaces)), ids)
        complete = board.wait(stop, until)
    finally:
        done.set()
        follower.join()
    if not complete:
        return dict(board.health)
    board.give_up()
    return explain_all(connection, board.health, board.seen, masked=masked)


class _Follower:
    """The threads that keep the board up to date, one for each resource and namespace (or all namespaces)."""

    def __init__(
        self,
        connection: Connection,
        board: Board,
        selector: str,
        checks: Sequence[HealthCheck],
        done: threading.Event,
    ) -> None:
        self._connection = connection
        self._board = board
        self._selector = selector
        self._checks = checks
        self._classes = Classes(connection)
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
                    self._tell_all(ids, failed(f"its health cannot be read: {error.message}"))
                    return
            except ClusterUnreachableError as error:
                self._tell_all(ids, waiting(error.message))
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
        if resource.kind == "Job" and self._board.health[object_id].state is State.CURRENT:
            return object_id
        if deleted:
            self._board.tell(object_id, _GONE)
        else:
            self._board.tell(object_id, self._assess(item), item)
        return object_id

    def _assess(self, item: Mapping[str, Any]) -> Health:
        health = assess(item, self._checks)
        is_claim = (item["apiVersion"], item["kind"]) == ("v1", "PersistentVolumeClaim")
        return self._classes.judge(item, health) if is_claim else health

    def _tell_all(self, ids: Iterable[ObjectId], health: Health) -> None:
        for object_id in ids:
            if not self._board.settled([object_id]):
                self._board.tell(object_id, health)


def _by_resource(resources: Mapping[ObjectId, Resource]) -> dict[Resource, frozenset[ObjectId]]:
    found: dict[Resource, set[ObjectId]] = {}
    for object_id, resource in resources.items():
        found.setdefault(resource, set()).add(object_id)
    return {resource: frozenset(ids) for resource, ids in found.items()}
