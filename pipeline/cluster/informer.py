"""A copy of all objects of one kind, kept in step by a list and a watch, for who must know each change at once."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError, TrimtabError

#: Seconds after which all is listed again though the watch runs: one that goes on from a version which an older
#: backup of etcd has not reached yet is silent.
_RELIST = 600.0
#: How long a copy counts as in step after its watch ended, in seconds.
_IN_STEP = 60.0
#: Between two tries the pause (seconds) doubles from the first to the last, with chance in it.
_FIRST_PAUSE = 0.5
_LAST_PAUSE = 15.0
#: How often a watch may fail in a row before all is listed again.
_PATIENCE = 3

Key = tuple[str, str]


class Informer:
    """All objects of a resource that the selectors mean, in one namespace or in all. Readable from any thread.

    `on_change(namespace, name, object)` is told of each object that is new or differs, and with None of each that is
    gone, in the thread of `run`, after the copy has it. Objects are shared: nobody may change one.
    """

    def __init__(
        self,
        connection: Connection,
        resource: Resource,
        namespace: str | None,
        on_change: Callable[[str, str, dict[str, Any] | None], None],
        *,
        selector: str = "",
        fields: str = "",
    ) -> None:
        self._connection, self._resource, self._namespace = connection, resource, namespace
        self._on_change = on_change
        self._selector, self._fields = selector, fields
        self._store: dict[Key, dict[str, Any]] = {}
        self._lock = threading.Lock()
        #: Where a watch goes on; empty: list first.
        self._version = ""
        self._listed_at = 0.0
        self._watching = False
        self._watched_at: float | None = None
        self._error: TrimtabError | None = None

    @property
    def in_step(self) -> bool:
        """Whether the copy is as the cluster is: all was listed, and the watch runs, or ended a minute ago at most."""
        seen = self._watched_at
        return seen is not None and (self._watching or time.monotonic() - seen < _IN_STEP)

    @property
    def last_error(self) -> TrimtabError | None:
        """Why the last list or watch failed; None once one succeeded."""
        return self._error

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The object as it was last seen."""
        with self._lock:
            return self._store.get((namespace, name))

    def items(self) -> list[tuple[Key, dict[str, Any]]]:
        """All objects as they were last seen, each with its namespace and name."""
        with self._lock:
            return list(self._store.items())

    def run(self, stop: threading.Event) -> None:
        """Keep the copy in step until `stop` is set, whatever the cluster does meanwhile."""
        failures = 0
        while not stop.is_set():
            try:
                self._follow(stop)
                failures = 0
            except (ApiError, ClusterUnreachableError) as error:
                failures = self._failed(error, failures)
            stop.wait(min(_LAST_PAUSE, _FIRST_PAUSE * 2.0**failures) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    def _failed(self, error: ApiError | ClusterUnreachableError, failures: int) -> int:
        """What an error means for the copy; returns how many there were in a row."""
        if isinstance(error, ApiError) and error.status == 410:
            self._version = ""
            return 0
        self._error = error
        if isinstance(error, ApiError) and error.kind_missing:
            # The CustomResourceDefinition is gone, and each object with it.
            self._version, self._watched_at = "", None
            self._take_in([])
        elif failures >= _PATIENCE:
            self._version = ""
        return min(failures + 1, 10)

    def _follow(self, stop: threading.Event) -> None:
        """List where needed, then watch until the watch ends."""
        connection, resource, namespace = self._connection, self._resource, self._namespace
        if not self._version or time.monotonic() - self._listed_at > _RELIST:
            items, version = objects.list_objects(
                connection, resource, namespace, selector=self._selector, fields=self._fields
            )
            self._take_in(items)
            self._version, self._listed_at = version, time.monotonic()
        events = objects.watch(
            connection, resource, namespace,
            selector=self._selector, fields=self._fields, resource_version=self._version, stop=stop,
        )  # fmt: skip
        self._error, self._watching = None, True
        try:
            self._watched_at = time.monotonic()
            for kind, item in events:
                self._version = item["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._take(_key(item), None if kind == "DELETED" else item)
        finally:
            self._watching, self._watched_at = False, time.monotonic()

    def _take_in(self, items: list[dict[str, Any]]) -> None:
        """A list says what exists, and so also what does not any more."""
        found = {_key(item): item for item in items}
        for key in self._store.keys() - found.keys():
            self._take(key, None)
        for key, item in found.items():
            self._take(key, item)

    def _take(self, key: Key, item: dict[str, Any] | None) -> None:
        old = self._store.get(key)
        if _revision(old) == _revision(item):
            return
        with self._lock:
            if item is None:
                del self._store[key]
            else:
                self._store[key] = item
        self._on_change(*key, item)


def _key(item: dict[str, Any]) -> Key:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _revision(item: dict[str, Any] | None) -> tuple[str, str] | None:
    return (item["metadata"]["uid"], item["metadata"]["resourceVersion"]) if item is not None else None
