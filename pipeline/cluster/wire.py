"""One kept HTTP/1.1 connection to the API server: connect, send, read an answer or a stream. No retries.

`http.client` connects (proxies, TLS, timeouts), and what follows is read here: its own way through the e-mail
header parser costs as much CPU as all the rest of a request.
"""

import http.client
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.cluster.access import Access

_LINE_MAX = 1 << 16
#: Seconds for TCP and TLS to come up.
_CONNECT_TIMEOUT = 10.0
#: Seconds of silence before the kernel asks whether the peer still lives, between questions, and their number.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Connector(http.client.HTTPSConnection):
    """TLS with another server name than the host's, where the kubeconfig says so."""

    def __init__(self, access: Access, host: str, port: int) -> None:
        super().__init__(host, port, timeout=_CONNECT_TIMEOUT, context=access.tls)
        self._access = access

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        if self._access.tls is not None:
            self.sock = self._access.tls.wrap_socket(self.sock, server_hostname=self._access.server_name)


class Wire:
    """Not for two threads at a time; only `abort` may come from another one.

    `kept`: it has answered before, so that the server may have closed it since. `answered`: the present answer has
    begun. `reusable`: the last answer was read to its end. `used` is the monotonic time of it.
    """

    def __init__(self, access: Access) -> None:
        """Connect. Raises OSError."""
        proxy, name = access.proxy, f"[{access.host}]" if ":" in access.host else access.host
        self._head = f"Host: {name}:{access.port}\r\n"
        self._prefix = access.prefix
        connector = _Connector(access, *((proxy.host, proxy.port) if proxy else (access.host, access.port)))
        if proxy is not None:
            secret = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
            connector.set_tunnel(access.host, access.port, secret)
        try:
            connector.connect()
        except http.client.HTTPException as error:
            raise ConnectionError(f"the proxy gave no connection: {error}") from error
        self._sock: socket.socket = connector.sock
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            self._sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self._reader = self._sock.makefile("rb")
        self.kept = self.answered = False
        self.reusable = True
        self.used = time.monotonic()

    def exchange(self, method: str, path: str, headers: str, body: bytes | None, timeout: float) -> Response:
        """Send a request and read the whole answer. `headers` end each line with CRLF. Raises OSError."""
        status, answer = self._send(method, path, headers, body, timeout)
        content = b"".join(self._chunks(status, answer))
        self.kept, self.used = True, time.monotonic()
        return Response(status, answer, content)

    def open(self, path: str, headers: str, timeout: float) -> Response | Iterator[bytes]:
        """GET a stream: its lines as they come, or the whole answer where that is a failure. Raises OSError."""
        status, answer = self._send("GET", path, headers, None, timeout)
        if status == 200:
            return self._lines(self._chunks(status, answer))
        return Response(status, answer, b"".join(self._chunks(status, answer)))

    def abort(self) -> None:
        """End a read that blocks in another thread, at once; the socket stays open until its owner closes it."""
        try:
            # Not SSLSocket.shutdown, which takes the TLS state away under the reading thread.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        except OSError:
            pass  # The other side was faster.

    def close(self) -> None:
        """Close it for good."""
        self._reader.close()
        self._sock.close()

    def _send(
        self, method: str, path: str, headers: str, body: bytes | None, timeout: float
    ) -> tuple[int, Mapping[str, str]]:
        self.answered = False
        self.reusable = False
        self._sock.settimeout(timeout)
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        head = f"{method} {self._prefix}{path} HTTP/1.1\r\n{self._head}{headers}{length}\r\n".encode()
        try:
            self._sock.sendall(head if body is None else head + body)
        except ConnectionError:
            # A server that refuses a body for its size answers before it has read it, and closes.
            return self._status()
        return self._status()

    def _status(self) -> tuple[int, Mapping[str, str]]:
        while True:
            line = self._line()
            self.answered = True
            version, _, rest = line.partition(b" ")
            if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
                raise ConnectionError("the answer is not HTTP/1.1")
            headers: dict[str, str] = {}
            while (field := self._line()) not in (b"\r\n", b"\n"):
                name, _, value = field.partition(b":")
                headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
            if int(rest[:3]) >= 200:
                self._keeps = version == b"HTTP/1.1" and headers.get("connection", "").lower() != "close"
                return int(rest[:3]), headers

    def _chunks(self, status: int, headers: Mapping[str, str]) -> Iterator[bytes]:
        """The body (RFC 9112, section 6.3)."""
        if status in (204, 304):
            pass
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            while size := self._chunk_size():
                yield self._exactly(size)
                self._line()
            while self._line() not in (b"\r\n", b"\n"):
                pass
        elif "content-length" in headers:
            yield self._exactly(int(headers["content-length"]))
        else:
            while piece := self._reader.read1(_LINE_MAX):
                yield piece
            return
        self.reusable = self._keeps

    def _lines(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from filter(None, lines)
        if rest:
            yield rest

    def _chunk_size(self) -> int:
        try:
            return int(self._line().partition(b";")[0], 16)
        except ValueError as error:
            raise ConnectionError("the answer has a broken chunk") from error

    def _line(self) -> bytes:
        line = self._reader.readline(_LINE_MAX)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the connection was closed")
        return line

    def _exactly(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) != size:
            raise ConnectionResetError("the connection was closed in the middle of an answer")
        return data
