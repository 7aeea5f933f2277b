"""A proxy of the tests between Trimtab and the API server: counts requests, and strikes at a chosen one."""

import http.client
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}


class ApiProxy:
    """Listens on 127.0.0.1 without TLS, forwards to the API server with TLS.

    `strike(number, method, path)` is asked before each request is forwarded and, with `after=True`, after its
    answer came and before it is given on; number counts from 1. It may kill somebody, or return a tuple (status,
    body) that is answered instead. `token` is added to requests without one: kubectl and helm send none over HTTP.
    """

    def __init__(self, url: str, ca: Path, *, token: str = "") -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 443)
        self._context = ssl.create_default_context(cafile=str(ca))
        self._token = token
        self._lock = threading.Lock()
        self.requests: list[tuple[str, str]] = []
        self.strike: Callable[..., Any] | None = None
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
        answer = self.strike(number, handler.command, handler.path, after=False) if self.strike else None
        if answer is not None:
            self._answer(handler, *answer)
            return
        upstream = http.client.HTTPSConnection(*self._upstream, context=self._context, timeout=60)
        try:
            headers = {k: v for k, v in handler.headers.items() if k.lower() not in _HOP}
            if self._token:
                headers.setdefault("Authorization", f"Bearer {self._token}")
            upstream.request(handler.command, handler.path, body, headers)
            response = upstream.getresponse()
            if "watch=true" in handler.path or "watch=1" in handler.path:
                self._stream(handler, response)
                return
            data = response.read()
            if self.strike:
                self.strike(number, handler.command, handler.path, after=True)
            self._answer(handler, response.status, data, response.headers.get("Content-Type", "application/json"))
        except (OSError, http.client.HTTPException):
            handler.close_connection = True
        finally:
            upstream.close()

    @staticmethod
    def _answer(
        handler: BaseHTTPRequestHandler, status: int, data: bytes, content_type: str = "application/json"
    ) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    @staticmethod
    def _stream(handler: BaseHTTPRequestHandler, response: http.client.HTTPResponse) -> None:
        handler.send_response(response.status)
        handler.send_header("Content-Type", response.headers.get("Content-Type", "application/json"))
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while chunk := response.read1(1 << 16):
            handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")
