"""One cluster as syncs see it: the connection, and what is asked once and then known."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource, server_version
from pipeline.cluster.errors import ApiError
from pipeline.cluster.objects import get_metadata

_NAMESPACES = Resource(
    group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False, verbs=frozenset({"get"})
)

#: Seconds in which discovery does not change without our own doing, and after which it is asked for again anyway.
_FRESH = 2.0
_OLD = 300.0

_Value = TypeVar("_Value")


class Session:
    """A connection with its discovery, version and identity, each read at first need. For all threads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._discovery = _Known(lambda: Discovery.load(connection))
        self._version = _Known(lambda: server_version(connection))
        self._cluster_uid = _Known(lambda: _cluster_uid(connection))

    @property
    def discovery(self) -> Discovery:
        """The kinds that the cluster serves, as they were five minutes ago at most."""
        return self._discovery.get(_OLD)

    def renew_discovery(self, used: Discovery | None = None, *, at_once: bool = False) -> bool:
        """A kind was not found: ask again, unless it was asked just now. Tells whether there may be news.

        With `used`, the discovery in which it was not found, also when another thread has asked since. `at_once`: we
        may have changed it ourselves, so that just now is long ago.
        """
        return self._discovery.forget(used, 0.0 if at_once else _FRESH)

    @property
    def version(self) -> str:
        """The API server's version, such as `v1.36.3`."""
        return self._version.get()

    @property
    def cluster_uid(self) -> str:
        """The UID of the namespace kube-system, which names a cluster; empty where the account may not read it."""
        return self._cluster_uid.get()


class _Known(Generic[_Value]):
    """A value that is asked for once: who needs it meanwhile waits for the same answer, or gets the same error."""

    def __init__(self, load: Callable[[], _Value]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._answer: Future[_Value] | None = None
        self._at = 0.0

    def get(self, longest: float = math.inf) -> _Value:
        """The value; asked for again where it failed, or is older than that (seconds)."""
        with self._lock:
            answer = self._answer
            ours = answer is None or (answer.done() and self._outdated(answer, longest))
            if answer is None or ours:
                self._answer = answer = Future()
        if ours:
            try:
                value = self._load()
            except BaseException as error:  # noqa: BLE001 - it is raised below, and in all who wait
                answer.set_exception(error)
            else:
                self._at = time.monotonic()
                answer.set_result(value)
        return answer.result()

    def _outdated(self, answer: Future[_Value], longest: float) -> bool:
        return answer.exception() is not None or time.monotonic() - self._at > longest

    def forget(self, seen: _Value | None, younger: float) -> bool:
        """Ask again next time, unless it was asked for just now (seconds). Tells whether the next one is not `seen`."""
        with self._lock:
            answer = self._answer
            if answer is None or not answer.done() or answer.exception():
                return seen is not None
            if seen is not None and answer.result() is not seen:
                return True
            if time.monotonic() - self._at < younger:
                return False
            self._answer = None
            return True


def _cluster_uid(connection: Connection) -> str:
    try:
        meta = get_metadata(connection, _NAMESPACES, "", "kube-system")
    except ApiError as error:
        if not error.forbidden:
            raise
        return ""
    return str(meta["metadata"]["uid"]) if meta is not None else ""
