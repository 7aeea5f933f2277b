"""The small HTTP server for probes and Prometheus: /healthz, /readyz, /metrics. Stands hostile clients."""

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from pipeline.errors import InputError
from pipeline.observe.logs import logger
from pipeline.observe.metrics import CONTENT_TYPE

#: How long a client may take for its whole request, and for each piece of the answer, in seconds.
_TIMEOUT = 10.0
#: The size of a request, in bytes, and the number of clients at once, beyond which no more are served.
_HEAD_MAX = 8192
_CLIENTS = 64


class _Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


class StatusServer:
    """Serves from the moment it is made until `close`, in threads of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        live: Callable[[], str],
        ready: Callable[[], str],
        metrics: Callable[[], bytes],
    ) -> None:
        """`live` and `ready` say what is wrong, or nothing: then the answer is 200. Port 0 picks a free one.

        An empty host means all addresses. Raises InputError where it cannot listen there.
        """
        routes: dict[str, Callable[[], _Answer]] = {
            "/healthz": lambda: _verdict(live()),
            "/readyz": lambda: _verdict(ready()),
            "/metrics": lambda: _Answer(HTTPStatus.OK, metrics(), CONTENT_TYPE),
        }
        try:
            self._server = _Server(host, port, routes)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"cannot listen on {host or '*'}:{port}: {getattr(error, 'strerror', None) or error}",
                hint="choose another address for the probes and metrics",
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="trimtab-status", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening. Answers under way end by themselves."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, host: str, port: int, routes: dict[str, Callable[[], _Answer]]) -> None:
        self.routes = routes
        self._free = threading.BoundedSemaphore(_CLIENTS)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's names
        # A client that went away is nothing to tell.
        if not isinstance(sys.exception(), OSError):
            logger().exception("a probe could not be answered")


class _Handler(socketserver.BaseRequestHandler):
    """One request and one answer a connection (RFC 9112). Nothing of the headers matters here."""

    server: _Server
    request: socket.socket

    def handle(self) -> None:
        head = self._head()
        if not head:
            return
        line = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        answer = self._answer(line)
        status = answer.status
        self.request.settimeout(_TIMEOUT)
        allow = "Allow: GET, HEAD\r\n" if status == HTTPStatus.METHOD_NOT_ALLOWED else ""
        self.request.sendall(
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n{allow}"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n".encode()
            + (answer.body if line[0] != "HEAD" else b"")
        )

    def _head(self) -> bytes:
        """Request line and headers; empty where the client is slower, longer or gone."""
        deadline = time.monotonic() + _TIMEOUT
        head = b""
        while b"\r\n\r\n" not in head:
            left = deadline - time.monotonic()
            if left <= 0 or len(head) > _HEAD_MAX:
                return b""
            self.request.settimeout(left)
            piece = self.request.recv(_HEAD_MAX)
            if not piece:
                return b""
            head += piece
        return head

    def _answer(self, line: list[str]) -> _Answer:
        if len(line) != 3 or not line[2].startswith("HTTP/1."):
            return _Answer(HTTPStatus.BAD_REQUEST, b"this is no HTTP/1.1 request\n")
        method, target, _ = line
        route = self.server.routes.get(target.partition("?")[0])
        if route is None:
            paths = " ".join(self.server.routes)
            return _Answer(HTTPStatus.NOT_FOUND, f"there is nothing here; there is: {paths}\n".encode())
        if method not in ("GET", "HEAD"):
            return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n")
        return route()


def _verdict(wrong: str) -> _Answer:
    if wrong:
        return _Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{wrong}\n".encode())
    return _Answer(HTTPStatus.OK, b"ok\n")
