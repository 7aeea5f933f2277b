"""Kubernetes Events on an App: what `kubectl describe app` shows. Told as well as can be; a sync never fails by it."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import LeaseLostError, TrimtabError
from pipeline.observe.logs import logger

_EVENTS = Resource(
    group="", version="v1", kind="Event", plural="events", namespaced=True,
    verbs=frozenset({"create", "get", "patch"}),
)  # fmt: skip
#: What says the same within this time is the same Event: as long as an API server keeps one by default.
_SAME = timedelta(hours=1)
#: The API server takes no longer message (bytes).
_MESSAGE_MAX = 1024
#: How many Events are remembered, so that they need not be read before they are counted on.
_REMEMBERED = 2000
#: How long one request may wait on the socket, in seconds: nobody waits for an Event.
_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class _Told:
    """How often one Event was told, and when."""

    count: int
    first: datetime
    last: datetime

    @classmethod
    def now(cls) -> Self:
        return cls(1, _now(), _now())

    def again(self) -> "_Told":
        return replace(self, count=self.count + 1, last=_now()) if _now() - self.last <= _SAME else _Told.now()

    def fields(self) -> dict[str, Any]:
        first, last = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (self.first, self.last))
        return {"count": self.count, "firstTimestamp": first, "lastTimestamp": last}


class Events:
    """Writes Events. For all threads."""

    def __init__(self, connection: Connection, *, component: str = "trimtab", instance: str) -> None:
        """`instance` says which process it was, such as the Pod's name."""
        self._connection = connection.once(timeout=_TIMEOUT)
        self._source = {"component": component, "host": instance}
        self._manager = component
        self._told: OrderedDict[tuple[str, str], _Told] = OrderedDict()
        self._lock = threading.Lock()
        self._troubles: set[tuple[str, str, int]] = set()

    def emit(self, involved: Mapping[str, Any], kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Say something of an object (a whole resource, as the API server gives it). Never raises for a failed write.

        The same once more within an hour counts on the one Event. `reason` is a CamelCase word.
        """
        body = self._event(involved, kind, reason, _cut(message))
        try:
            self._write(body)
        except TrimtabError as error:
            if not _moot(error):
                self._complain(error, body["metadata"]["namespace"])

    def _event(self, involved: Mapping[str, Any], kind: str, reason: str, message: str) -> dict[str, Any]:
        metadata = involved["metadata"]
        same = "\0".join((metadata["uid"], kind, reason, message))
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{hashlib.sha256(same.encode()).hexdigest()[:16]}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": involved["apiVersion"],
                "kind": involved["kind"],
                **{key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion") if key in metadata},
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source["host"],
        }

    def _write(self, body: dict[str, Any]) -> None:
        told = self._recall(body)
        if told is not None and self._count_on(body, told):
            return
        told = _Told.now()
        try:
            objects.create(
                self._connection,
                _EVENTS,
                body["metadata"]["namespace"],
                {**body, **told.fields()},
                manager=self._manager,
            )
        except ApiError as error:
            if error.status != 409:
                raise
            # An earlier process told it.
            self._count_on(body, self._read(body))
        else:
            self._remember(body, told)

    def _count_on(self, body: dict[str, Any], told: _Told) -> bool:
        """False where the Event is gone: the API server keeps none for long."""
        namespace, name = _key(body)
        told = told.again()
        try:
            objects.merge_patch(self._connection, _EVENTS, namespace, name, told.fields(), manager=self._manager)
        except ApiError as error:
            if not error.not_found:
                raise
            return False
        self._remember(body, told)
        return True

    def _read(self, body: dict[str, Any]) -> _Told:
        event = objects.get(self._connection, _EVENTS, *_key(body)) or {}
        first, last = event.get("firstTimestamp"), event.get("lastTimestamp")
        if not first or not last:
            return _Told(0, _now(), _now())
        return _Told(int(event.get("count") or 0), datetime.fromisoformat(first), datetime.fromisoformat(last))

    def _recall(self, body: dict[str, Any]) -> _Told | None:
        with self._lock:
            return self._told.get(_key(body))

    def _remember(self, body: dict[str, Any], told: _Told) -> None:
        with self._lock:
            self._told[_key(body)] = told
            self._told.move_to_end(_key(body))
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)

    def _complain(self, error: TrimtabError, namespace: str) -> None:
        """Once for each kind of trouble in a namespace, or the log would hold little else."""
        status = error.status if isinstance(error, ApiError) else 0
        trouble = (namespace, error.reason, status)
        with self._lock:
            known = trouble in self._troubles
            self._troubles.add(trouble)
        if not known:
            logger().warning("Events cannot be written", namespace=namespace, cause=str(error))


def _key(body: Mapping[str, Any]) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _cut(message: str) -> str:
    """At most what the API server takes, cut between two characters."""
    data = message.encode()
    if len(data) <= _MESSAGE_MAX:
        return message
    return data[: _MESSAGE_MAX - len("…".encode())].decode(errors="ignore") + "…"


def _moot(error: TrimtabError) -> bool:
    """Whoever leads now tells it, or its namespace is on its way out, and nobody looks for an Event there."""
    if isinstance(error, ApiError):
        return error.namespace_missing or any(cause.reason == "NamespaceTerminating" for cause in error.causes)
    return isinstance(error, LeaseLostError)


def _now() -> datetime:
    return datetime.now(UTC)
