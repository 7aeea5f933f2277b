"""The connection to one cluster as the room uses it: retries with a deadline, JSON, errors for people."""

import copy
import math
import random
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import msgspec
import tenacity

from pipeline import __version__
from pipeline.cluster.errors import ApiError
from pipeline.cluster.header import header
from pipeline.cluster.pool import Pool
from pipeline.cluster.stream import Stream, Streams
from pipeline.cluster.wire import Request, Response
from pipeline.errors import ClusterUnreachableError

__all__ = ["Connection", "Response"]

#: Too many requests, and what a load balancer says while an API server is being replaced.
_RETRIED = frozenset({429, 502, 503, 504})
#: How long one request is tried, in seconds, and how long while this server has never answered.
_DEADLINE = 15.0
_FIRST_DEADLINE = 3.0
#: Between two tries the pause (seconds) doubles from the first to the last, with chance in it.
_FIRST_PAUSE = 0.05
_LAST_PAUSE = 2.0

Query = Sequence[tuple[str, str]]


class Connection:
    """One cluster, for all threads."""

    def __init__(self, pool: Pool, *, user_agent: str) -> None:
        self._pool = pool
        self._user_agent = header("User-Agent", user_agent)
        self._streams = Streams()
        self._closed = threading.Event()
        self._reached = False
        self._fence: Callable[[], None] | None = None
        self._admitted: Callable[[], None] | None = None
        self._longest = math.inf

    @classmethod
    def open(
        cls, *, kubeconfig: Path | None = None, context: str = "", threads: int = 16, user_agent: str = ""
    ) -> Self:
        """Load the configuration as kubectl does; nothing is sent yet. `threads` wires are kept at most.

        Raises InputError for an unknown context or file, ClusterUnreachableError where nothing usable is
        configured.
        """
        # `kubernetes` takes half a second to import, which who only renders does not owe.
        from pipeline.cluster.kubeconfig import load_access  # noqa: PLC0415

        pool = Pool(lambda: load_access(kubeconfig, context), keep=threads)
        return cls(pool, user_agent=user_agent or f"trimtab/{__version__}")

    def fenced(self, check: Callable[[], None]) -> Self:
        """The same connection, with `check` asked right before each write goes out, also when one is sent again.

        What it raises keeps the write from being sent, and comes out of the call. Wires and counts are shared, and
        to close either connection closes both.
        """
        other = copy.copy(self)
        other._fence = check  # noqa: SLF001 - of our own kind
        return other

    def admitted(self, check: Callable[[], None]) -> Self:
        """The same connection, where a write is sent in two parts, and `check` called in between.

        By then the API server has let the request in: it has seen who sends it and that he may, and looks no more
        (RFC 9110, `Expect: 100-continue`). It acts when it has the rest. Wires are shared, as those of `fenced`.
        """
        other = copy.copy(self)
        other._admitted = check  # noqa: SLF001 - of our own kind
        return other

    def once(self, *, timeout: float) -> Self:
        """The same connection, where a request is tried once and waits `timeout` (seconds) at most on the socket.

        For who has a deadline of his own. Watches are as ever.
        """
        other = copy.copy(self)
        other._longest = timeout  # noqa: SLF001 - of our own kind
        return other

    @property
    def server(self) -> str:
        """The API server's URL, without credentials."""
        return self._pool.access.server

    @property
    def requests(self) -> Counter[str]:
        """How many requests were sent, by the API server's own verbs (GET, LIST, WATCH, APPLY, PATCH, …)."""
        return self._pool.requests

    def request(  # noqa: PLR0913 - an HTTP request has that many parts
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = "",
        accept: str = "application/json",
        timeout: float = 30.0,
        verb: str = "",
    ) -> Response:
        """Send a request and give its answer, whatever its status.

        What may pass is tried again within a deadline. `path` is escaped already; `timeout` (seconds) is for
        each wait on the socket; `verb` is for the counts, empty: the method. A request whose answer was lost
        is sent again: an apply and a delete bear it, and what must happen once carries a precondition. Raises
        ClusterUnreachableError when no answer comes, or when the credentials are refused, and what the fence raises.
        """
        headers = header("Accept", accept) + self._user_agent
        if body is not None:
            headers += header("Content-Type", content_type or "application/json")
        fence, admitted = (None, None) if method == "GET" else (self._fence, self._admitted)
        request = Request(
            verb or method, method, _target(path, query), headers, body, min(timeout, self._longest), fence, admitted
        )
        outcome = self._try(request)
        deadline = self._deadline()
        # The first try goes without tenacity, which costs as much CPU as all else here.
        if _may_pass(outcome) and (pause := _pause(outcome, 1)) < deadline:
            self._sleep(pause)
            outcome = tenacity.Retrying(
                retry=tenacity.retry_if_result(_may_pass),
                stop=tenacity.stop_before_delay(deadline) | tenacity.stop_when_event_set(self._closed),
                wait=lambda state: _pause(_last(state), state.attempt_number + 1),
                sleep=self._sleep,
                retry_error_callback=_last,
            )(self._try, request)
        if isinstance(outcome, OSError):
            raise self._unreachable(outcome) from outcome
        return outcome

    def call(  # noqa: PLR0913 - as `request`
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content_type: str = "",
        accept: str = "application/json",
        timeout: float = 30.0,
        verb: str = "",
    ) -> dict[str, Any]:
        """As `request`, and gives the answer's object. Raises ApiError for a failure."""
        response = self.request(
            method,
            path,
            query=query,
            body=body,
            content_type=content_type,
            accept=accept,
            timeout=timeout,
            verb=verb,
        )
        return self.decoded(response, verb or method)

    def decoded(self, response: Response, verb: str) -> dict[str, Any]:
        """The object of an answer. Raises ApiError for a failure."""
        if response.status >= 300:
            raise ApiError.of(response.status, response.body, verb=verb, retry_after=_retry_after(response))
        try:
            return msgspec.json.decode(response.body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise ClusterUnreachableError(
                f"{self.server} does not answer as a Kubernetes API server does",
                hint="check the server's URL",
            ) from error

    def stream(
        self,
        path: str,
        *,
        query: Query = (),
        accept: str = "application/json",
        timeout: float,
        stop: threading.Event,
    ) -> Stream:
        """Open a watch on a wire of its own; it ends when `stop` is set. Not tried again.

        `timeout` (seconds) is how long the server may be silent. Raises ApiError for a failure,
        ClusterUnreachableError when the server is out of reach.
        """
        headers = header("Accept", accept) + self._user_agent
        request = Request("WATCH", "GET", _target(path, query), headers, None, timeout)
        try:
            answer = self._pool.open(request)
        except OSError as error:
            raise self._unreachable(error) from error
        if isinstance(answer, Response):
            raise ApiError.of(answer.status, answer.body, verb="WATCH", retry_after=_retry_after(answer))
        self._streams.add(answer, stop)
        return answer

    def close(self) -> None:
        """Close every wire and end every stream. The last thing that is done with a connection."""
        self._closed.set()
        self._streams.close()
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _try(self, request: Request) -> Response | OSError:
        try:
            response = self._pool.exchange(request)
        except OSError as error:
            return error
        self._reached = True
        return response

    def _deadline(self) -> float:
        if self._longest < math.inf:
            return 0.0
        return _DEADLINE if self._reached else _FIRST_DEADLINE

    def _sleep(self, seconds: float) -> None:
        self._closed.wait(seconds)

    def _unreachable(self, error: OSError) -> ClusterUnreachableError:
        hint = "start the cluster, or choose another one with --kubeconfig or --context"
        if isinstance(error, ssl.SSLCertVerificationError):
            cause = f"its certificate is not trusted: {error.verify_message}"
            hint = "check the server's URL and certificate-authority in the kubeconfig"
        elif isinstance(error, ConnectionRefusedError):
            cause = "connection refused"
        elif isinstance(error, socket.gaierror):
            cause = "its host name is not known"
        elif isinstance(error, TimeoutError):
            cause = "no answer in time"
        else:
            cause = error.strerror or str(error)
        return ClusterUnreachableError(f"the API server {self.server} cannot be reached: {cause}", hint=hint)


def _target(path: str, query: Query) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _may_pass(outcome: Response | OSError) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(outcome, Response):
        return outcome.status in _RETRIED
    return not isinstance(outcome, ssl.SSLCertVerificationError)


def _pause(outcome: Response | OSError, attempt: int) -> float:
    """Seconds until the next try: as the server asks, else a random part of a doubling pause."""
    asked = _retry_after(outcome) if isinstance(outcome, Response) else None
    if asked is not None:
        return asked
    longest = min(_LAST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _last(state: tenacity.RetryCallState) -> Response | OSError:
    assert state.outcome is not None  # noqa: S101 - tenacity asks after an attempt only
    outcome: Response | OSError = state.outcome.result()
    return outcome


def _retry_after(response: Response) -> float | None:
    """The header in seconds; its other form, a date, is not used by the API server."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else None
