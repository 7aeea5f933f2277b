"""One kept HTTP/1.1 connection to the API server: connect, send, read an answer or a stream. No retries.

`http.client` connects (proxies, TLS, timeouts), and what follows is read here: its own way through the e-mail
header parser costs as much CPU as all the rest of a request.
"""

import contextlib
import http.client
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the module imports `kubernetes`, which takes longer than a render
    from pipeline.cluster.access import Access


_LINE_MAX = 1 << 16
#: Seconds that TCP and TLS may take at most to come up.
_CONNECT_TIMEOUT = 10.0
#: Seconds in which a server may ask for a body that waits to be asked for; who says nothing knows no such asking.
_CONTINUE_TIMEOUT = 2.0
#: Seconds of silence before the kernel asks whether the peer still lives, between questions, and their
#: number.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Request(NamedTuple):
    """One request, the credentials aside. `target` (path and query) is escaped, `headers` lines end in CRLF.

    `verb` is the API server's word for it, `timeout` (seconds) is for each wait on the socket. `fence`, where there is
    one, is asked at the last moment, and raises to keep the request from being sent. `admitted`, where there is one, is
    called between head and body, when the server has let the request in.
    """

    verb: str
    method: str
    target: str
    headers: str
    body: bytes | None
    timeout: float
    fence: Callable[[], None] | None = None
    admitted: Callable[[], None] | None = None


class Wire:
    """Not for two threads at a time; only `abort` may come from another one.

    `kept`: it has answered before, so that the server may have closed it since. `answered`: the present
    answer has begun. `sent`: the present request has begun to leave. `reusable`: the last answer was read to its end.
    `used` is the monotonic time of it.
    """

    def __init__(self, access: "Access", timeout: float) -> None:
        """Connect within `timeout` (seconds), or sooner. Raises OSError."""
        name = f"[{access.host}]" if ":" in access.host else access.host
        self._host = f"Host: {name}:{access.port}\r\n"
        self.access = access
        self._prefix = access.prefix
        self._sock = _connect(access, min(timeout, _CONNECT_TIMEOUT))
        self._reader = self._sock.makefile("rb")
        self._keeps = self.reusable = True
        self.kept = self.answered = self.sent = False
        self.used = time.monotonic()

    def exchange(self, request: Request, credentials: str) -> Response:
        """Send a request and read the whole answer. `credentials` are header lines.

        Raises OSError, and what the request's fence raises: then nothing was sent.
        """
        status, headers = self._send(request, credentials)
        body = b"".join(self._chunks(status, headers))
        self.kept, self.used = True, time.monotonic()
        return Response(status, headers, body)

    def open(self, request: Request, credentials: str) -> Response | Iterator[bytes]:
        """Send a request for a stream: its lines as they come, or the answer that is none. Raises OSError."""
        status, headers = self._send(request, credentials)
        chunks = self._chunks(status, headers)
        return _lines(chunks) if status == 200 else Response(status, headers, b"".join(chunks))

    def abort(self) -> None:
        """End a read that blocks in another thread, at once; the owner still has to close it."""
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown, which takes the TLS state away under the reading thread.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it for good."""
        self._reader.close()
        self._sock.close()

    def _send(self, request: Request, credentials: str) -> tuple[int, Mapping[str, str]]:
        self.answered = self.reusable = self.sent = False
        self._sock.settimeout(request.timeout)
        body = request.body or b""
        admitted = request.admitted if body else None
        length = "" if request.body is None else f"Content-Length: {len(body)}\r\n"
        expect = "Expect: 100-continue\r\n" if admitted is not None else ""
        head = (
            f"{request.method} {self._prefix}{request.target} HTTP/1.1\r\n"
            f"{self._host}{credentials}{request.headers}{length}{expect}\r\n"
        ).encode()
        first = head if admitted is not None else head + body
        # Right before the sending: a process may be stopped at any instruction, and go on long afterwards.
        if request.fence is not None:
            request.fence()
        self.sent = True
        if admitted is not None:
            self._sock.sendall(first)
            refusal = self._refusal()
            if refusal is not None:
                return refusal
            admitted()
            first = body
        # A server that refuses a body for its size answers before it has read it, and closes.
        with contextlib.suppress(ConnectionError):
            self._sock.sendall(first)
        return self._status()

    def _refusal(self) -> tuple[int, Mapping[str, str]] | None:
        """The answer of a server that does not want the body; None where it asks for it, or says nothing (RFC 9110)."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        if not poll.poll(_CONTINUE_TIMEOUT * 1000):
            return None
        status, headers = self._head()
        self._keeps = False
        return (status, headers) if status >= 200 else None

    def _status(self) -> tuple[int, Mapping[str, str]]:
        while True:
            status, headers = self._head()
            if status >= 200:
                return status, headers

    def _head(self) -> tuple[int, Mapping[str, str]]:
        line = self._line()
        self.answered = True
        version, _, rest = line.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise ConnectionError("the answer is not HTTP/1.1")
        headers: dict[str, str] = {}
        while (field := self._line()) not in (b"\r\n", b"\n"):
            name, _, value = field.partition(b":")
            headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
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


def _connect(access: "Access", timeout: float) -> socket.socket:
    """TCP, the proxy's tunnel, TLS."""
    target = (access.host, access.port)
    connector = http.client.HTTPConnection(
        *((access.proxy.host, access.proxy.port) if access.proxy else target), timeout=timeout
    )
    if access.proxy:
        authorization = access.proxy.authorization
        connector.set_tunnel(*target, {"Proxy-Authorization": authorization} if authorization else {})
    try:
        connector.connect()
    except http.client.HTTPException as error:
        connector.close()
        raise ConnectionError(f"the proxy {connector.host} gave no connection") from error
    sock: socket.socket = connector.sock
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        return access.tls.wrap_socket(sock, server_hostname=access.server_name) if access.tls else sock
    except BaseException:
        sock.close()
        raise


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest
