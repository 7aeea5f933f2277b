"""Kept wires, and the credentials they go with.

Sends once: no waiting, but for a stale wire or stale credentials.
"""

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pipeline.cluster.stream import Stream
from pipeline.cluster.wire import Request, Response, Wire
from pipeline.errors import CredentialsRefusedError

if TYPE_CHECKING:  # the module imports `kubernetes`, which takes longer than a render
    from pipeline.cluster.access import Access

#: A wire that was silent for longer (seconds) may have been dropped on the way without a word.
_IDLE = 60.0

_Answer = TypeVar("_Answer", Response, Response | Stream)


class Pool:
    """The wires to one API server, for all threads. `requests` counts what was sent, by verb."""

    def __init__(self, load: Callable[[], "Access"], *, keep: int) -> None:
        """`load` gives a fresh Access, and is asked again when the server refuses the credentials.

        At most `keep` wires are kept while nobody uses them.
        """
        self.requests: Counter[str] = Counter()
        self.access = load()
        self._load = load
        self._keep = keep
        self._idle: deque[Wire] = deque()
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._closed = False

    def exchange(self, request: Request) -> Response:
        """Send a request and read its answer.

        Raises OSError, CredentialsRefusedError for refused credentials, and what the request's fence raises.
        """
        return self._accepted(lambda access: self._exchange(access, request))

    def open(self, request: Request) -> Response | Stream:
        """The same for a stream, on a wire of its own."""
        return self._accepted(lambda access: self._open(access, request))

    def close(self) -> None:
        """Close the kept wires; one that is in use is closed when it comes back."""
        self._closed = True
        self._drop()

    def _accepted(self, send: Callable[["Access"], _Answer]) -> _Answer:
        """Send, and once more with renewed credentials where they are refused."""
        access = self.access
        answer = send(access)
        if isinstance(answer, Stream) or answer.status != 401:
            return answer
        with self._renewing:
            if self.access is access:
                self.access = self._load()
                self._drop()
        answer = send(self.access)
        if isinstance(answer, Response) and answer.status == 401:
            raise CredentialsRefusedError(
                f"the API server {access.server} refuses the credentials",
                hint="log in again, or choose another context with --context",
            )
        return answer

    def _exchange(self, access: "Access", request: Request) -> Response:
        credentials = access.credentials()
        wire = self._take(access, request.timeout)
        while True:
            try:
                response = self._counted(wire, request, credentials)
            except BaseException as error:
                wire.close()
                stale = isinstance(error, OSError) and not isinstance(error, TimeoutError)
                if not (stale and wire.kept and not wire.answered):
                    raise
                # The server closed it between two requests.
                wire = Wire(access, request.timeout)
            else:
                self._give_back(wire)
                return response

    def _counted(self, wire: Wire, request: Request, credentials: str) -> Response:
        try:
            return wire.exchange(request, credentials)
        finally:
            if wire.sent:
                self._count(request)

    def _open(self, access: "Access", request: Request) -> Response | Stream:
        credentials = access.credentials()
        wire = Wire(access, request.timeout)
        self._count(request)
        try:
            answer = wire.open(request, credentials)
        except BaseException:
            wire.close()
            raise
        if isinstance(answer, Response):
            wire.close()
            return answer
        return Stream(wire, answer)

    def _take(self, access: "Access", timeout: float) -> Wire:
        """The wire that was used last, or a new one."""
        with contextlib.suppress(IndexError):
            while wire := self._idle.pop():
                if wire.access is access and time.monotonic() - wire.used < _IDLE:
                    return wire
                wire.close()
        return Wire(access, timeout)

    def _give_back(self, wire: Wire) -> None:
        if wire.reusable and not self._closed and len(self._idle) < self._keep:
            self._idle.append(wire)
        else:
            wire.close()

    def _drop(self) -> None:
        with contextlib.suppress(IndexError):  # other threads take from it too
            while True:
                self._idle.pop().close()

    def _count(self, request: Request) -> None:
        with self._lock:
            self.requests[request.verb] += 1
