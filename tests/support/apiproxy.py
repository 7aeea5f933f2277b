"""A proxy of the tests between Trimtab and the API server: counts requests, and strikes at a chosen one."""

import http.client
import math
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


@dataclass(frozen=True)
class Instead:
    """What is answered instead of the API server's answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """The connection is reset after so many bytes of the answer's body; before the first, no answer at all is given."""

    after: int = 0


class ApiProxy:
    """Listens on 127.0.0.1 without TLS, forwards to the API server with TLS.

    `strike(number, method, path)` is asked before each request is forwarded and, with `after=True`, after its
    answer came (for a watch: began) and before it is given on; number counts from 1. It may kill somebody, or return
    what becomes of the request or of its answer: Instead, a tuple (status, body) for short, or Cut. `edit(method, path,
    answer)` gives an answer another content, and `events(path, line)` each event of a watch
    (empty: none). `token` is added to requests without one: kubectl and helm send none over HTTP.
    """

    def __init__(self, url: str, ca: Path, *, token: str = "") -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 443)
        self._context = ssl.create_default_context(cafile=str(ca))
        self._token = token
        self._lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []
        self.strike: Callable[..., Any] | None = None
        self.edit: Callable[[str, str, Instead], Instead] | None = None
        self.events: Callable[[str, bytes], bytes] | None = None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                proxy._forward(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            # The default of 5 makes a client that opens many connections at once wait for seconds.
            request_queue_size = 1024

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that was killed is what the tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def kubeconfig(self, path: Path, token: str) -> Path:
        """Write a kubeconfig that goes through this proxy."""
        path.write_text(
            f"apiVersion: v1\nkind: Config\ncurrent-context: p\n"
            f"clusters: [{{name: p, cluster: {{server: '{self.url}'}}}}]\n"
            f"users: [{{name: p, user: {{token: '{token}'}}}}]\n"
            f"contexts: [{{name: p, context: {{cluster: p, user: p}}}}]\n"
        )
        path.chmod(0o600)
        return path

    def counts(self) -> Counter[str]:
        """Requests by HTTP method."""
        return Counter(method for method, _ in self.requests)

    def _forward(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else None
        with self._lock:
            self.requests.append((handler.command, handler.path))
            number = len(self.requests)
        if self._struck(handler, number):
            return
        upstream = http.client.HTTPSConnection(*self._upstream, context=self._context, timeout=60)
        try:
            headers = {k: v for k, v in handler.headers.items() if k.lower() not in _HOP}
            if self._token:
                headers.setdefault("Authorization", f"Bearer {self._token}")
            upstream.request(handler.command, handler.path, body, headers)
            response = upstream.getresponse()
            watch = response.status == 200 and ("watch=true" in handler.path or "watch=1" in handler.path)
            kind = {"Content-Type": response.headers.get("Content-Type", "application/json")}
            answer = Instead(response.status, b"" if watch else response.read(), kind)
            if self.edit and not watch:
                answer = self.edit(handler.command, handler.path, answer)
            if self._struck(handler, number, answer, watch=response if watch else None):
                return
            if watch:
                self._stream(handler, response)
            else:
                self._answer(handler, answer)
        except (OSError, http.client.HTTPException):
            handler.close_connection = True
        finally:
            upstream.close()

    def _struck(
        self,
        handler: BaseHTTPRequestHandler,
        number: int,
        answer: Instead | None = None,
        *,
        watch: http.client.HTTPResponse | None = None,
    ) -> bool:
        """Ask `strike`, and do what it says; with `answer` it has come. Tells whether the request is over."""
        after = answer is not None
        what = self.strike(number, handler.command, handler.path, after=after) if self.strike else None
        if isinstance(what, Cut):
            if what.after and watch is not None:
                self._stream(handler, watch, most=what.after)
            elif what.after and answer is not None:
                self._answer(handler, answer, most=what.after)
            _reset(handler)
        elif what is not None:
            self._answer(handler, what if isinstance(what, Instead) else Instead(*what))
        return what is not None

    @staticmethod
    def _answer(handler: BaseHTTPRequestHandler, answer: Instead, *, most: int | None = None) -> None:
        handler.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body[:most])

    def _stream(
        self, handler: BaseHTTPRequestHandler, response: http.client.HTTPResponse, *, most: float = math.inf
    ) -> None:
        handler.send_response(response.status)
        handler.send_header("Content-Type", response.headers.get("Content-Type", "application/json"))
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        rest = b""
        while most > 0 and (chunk := response.read1(1 << 16)):
            if self.events:
                *lines, rest = (rest + chunk).split(b"\n")
                edited = (self.events(handler.path, line) for line in lines)
                chunk = b"".join(line + b"\n" for line in edited if line)
            chunk = chunk[: int(min(most, len(chunk)))]
            most -= len(chunk)
            if chunk:
                handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                handler.wfile.flush()
        if most > 0:
            handler.wfile.write(b"0\r\n\r\n")


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """Close the client's connection as a crash of the server would: with RST."""
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
