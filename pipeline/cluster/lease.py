"""Leader election: one process holds a Lease (coordination.k8s.io/v1) and knows by its own clock for how long.

Not the election that comes with `kubernetes`: a connection error ends its renewals without a word, and two lead.
"""

import math
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.cluster.informer import Informer
from pipeline.errors import LeaseLostError, TrimtabError

LEASES = Resource(
    group="coordination.k8s.io", version="v1", kind="Lease", plural="leases", namespaced=True,
    verbs=frozenset({"get", "list", "watch", "create", "update"}),
)  # fmt: skip
_MANAGER = "trimtab-lease"
#: How long one request may wait on the socket, in seconds.
_TIMEOUT = 5.0


class Lease:
    """One candidate. `run` is for one thread, everything else for any.

    Safe while every process has this code and clocks run equally fast, whatever time they show: who leads stops
    before `renew_deadline`, counted from the *start* of the last request that renewed; who waits begins `duration`
    after it saw the last change.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        name: str,
        identity: str,
        *,
        duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry: float = 2.0,
    ) -> None:
        """`identity` is for people: a random part is added, so that no two processes share one. Times in seconds."""
        self.namespace, self.name = namespace, name
        self.identity = f"{identity}_{secrets.token_hex(4)}"
        self._connection = connection.once(timeout=min(_TIMEOUT, renew_deadline / 2))
        self._duration, self._renew_deadline, self._retry = duration, renew_deadline, retry
        self._wake = threading.Event()
        self._informer = Informer(connection, LEASES, namespace, self._changed, fields=f"metadata.name={name}")
        #: The Lease as it was last seen, what it said of its holder, and when that was new to us.
        self._seen: dict[str, Any] | None = None
        self._said: object = None
        self._said_at = 0.0
        #: The number of the term, and the time until which it is ours: one value, so that both are read at once.
        self._term = (0, 0.0)
        self._error: TrimtabError | None = None

    @property
    def last_error(self) -> TrimtabError | None:
        """Why the last request for the Lease failed; None when it did not."""
        return self._error

    @property
    def holder(self) -> str:
        """The identity that the Lease had when it was last seen; empty for nobody."""
        return _holder(self._seen) if self._seen is not None else ""

    def held(self) -> bool:
        """Whether this process leads at this moment. Sends nothing."""
        return _now() < self._term[1]

    def fence(self) -> Callable[[], None]:
        """A check for all that begins now: it raises LeaseLostError from the moment that the present term is over.

        Also when this process leads again by then: in between another one may have.
        """
        term, _ = self._term

        def check() -> None:
            present, until = self._term
            if present != term or _now() >= until:
                raise LeaseLostError(
                    f"this process lost the Lease {self.namespace}/{self.name}: nothing more is sent",
                    hint="whoever leads now does the work",
                )

        return check

    def run(self, stop: threading.Event, on_gained: Callable[[], None], on_lost: Callable[[], None]) -> None:
        """Lead whenever nobody else does, until `stop` is set; then give the Lease back for the next one.

        `on_gained` and `on_lost` are called in turns in this thread, which renews nothing meanwhile; the Lease is
        given back after `on_lost`. So set `stop` when the work has ended.
        """
        watcher = threading.Thread(target=self._watch, args=(stop,), name="trimtab-lease", daemon=True)
        watcher.start()
        while not stop.is_set():
            began = self._try(self._acquire)
            if began is not None and _now() < began + self._renew_deadline:
                self._term = (self._term[0] + 1, began + self._renew_deadline)
                on_gained()
                self._keep(stop)
                self._term = (self._term[0], 0.0)
                on_lost()
            else:
                # A little chance, so that those who wait do not all come at once.
                self._wake.wait(self._retry * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
                self._wake.clear()
        self._try(self._give_back)
        watcher.join(_TIMEOUT)

    def _watch(self, stop: threading.Event) -> None:
        """So that a hand-over is immediate. Without the right to watch it takes up to `retry`."""
        self._informer.run(stop)
        self._wake.set()

    def _changed(self, _namespace: str, _name: str, lease: Mapping[str, Any] | None) -> None:
        if lease is None or not _holder(lease):
            self._wake.set()

    def _keep(self, stop: threading.Event) -> None:
        """Renew until `stop`, until too long without an answer, or until the Lease is not ours any more."""
        tenure = _tenure(self._seen)
        while True:
            number, until = self._term
            if stop.wait(max(0.0, min(self._retry, until - _now()))):
                return
            began = self._try(lambda: self._renew(tenure))
            # An answer that came too late does not help: the term was over in between.
            if _now() >= until or _tenure(self._seen) != tenure:
                return
            if began is not None:
                self._term = (number, began + self._renew_deadline)

    def _try(self, request: Callable[[], bool]) -> float | None:
        """The time at which a request began that succeeded; None for one that did not."""
        began = _now()
        try:
            done = request()
        except TrimtabError as error:
            self._error = error
            return None
        self._error = None
        return began if done else None

    def _acquire(self) -> bool:
        lease = self._look()
        if lease is None:
            metadata = {"name": self.name, "namespace": self.namespace}
            lease = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata}
        elif not self._free(lease):
            return False
        transitions = int((lease.get("spec") or {}).get("leaseTransitions") or 0)
        return self._write(
            lease,
            holderIdentity=self.identity,
            leaseDurationSeconds=max(1, math.ceil(self._duration)),
            acquireTime=_timestamp(),
            leaseTransitions=transitions + 1 if "spec" in lease else 0,
        )

    def _free(self, lease: Mapping[str, Any]) -> bool:
        """Whether nobody else can lead. An answer may have been lost that said it is ours already."""
        if _holder(lease) in ("", self.identity):
            return True
        duration = float(lease["spec"].get("leaseDurationSeconds") or self._duration)
        return _now() - self._said_at >= duration

    def _renew(self, tenure: object) -> bool:
        """Write over the version we know; where somebody wrote in between, and still it is ours, over his."""
        for _ in range(2):
            if self._seen is None or _tenure(self._seen) != tenure:
                return False
            if self._write(self._seen):
                return True
        return False

    def _give_back(self) -> bool:
        lease = self._look()
        ours = lease is not None and _holder(lease) == self.identity
        return lease is not None and ours and self._write(lease, holderIdentity="", leaseDurationSeconds=1)

    def _write(self, lease: Mapping[str, Any], **spec: str | int) -> bool:
        """Create it, or write over the version that was read. False where somebody was faster: then it is read anew."""
        body = {**lease, "spec": {**(lease.get("spec") or {}), **spec, "renewTime": _timestamp()}}
        write = objects.replace if "resourceVersion" in lease["metadata"] else objects.create
        try:
            self._note(write(self._connection, LEASES, self.namespace, body, manager=_MANAGER))
        except ApiError as error:
            if error.status != 409 and (not error.not_found or error.namespace_missing):
                raise
            self._look()
            return False
        return True

    def _look(self) -> dict[str, Any] | None:
        return self._note(objects.get(self._connection, LEASES, self.namespace, self.name))

    def _note(self, lease: dict[str, Any] | None) -> dict[str, Any] | None:
        """What the holder says, not the resourceVersion: a label on the Lease is no sign of life."""
        said = lease.get("spec") if lease is not None else None
        if said != self._said:
            self._said, self._said_at = said, _now()
        self._seen = lease
        return lease


def _now() -> float:
    """Seconds that go on while the machine sleeps: a lease does not wait for it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _timestamp() -> str:
    """A MicroTime. For people: nobody's decision rests on it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _holder(lease: Mapping[str, Any]) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _tenure(lease: Mapping[str, Any] | None) -> object:
    """What stays the same while one holder renews, and changes when anyone acquires."""
    spec = (lease.get("spec") or {}) if lease is not None else {}
    return spec.get("holderIdentity"), spec.get("acquireTime"), spec.get("leaseTransitions")
