"""The server of probes and metrics: its answers, and clients that mean no good."""

import http.client
import socket
from collections.abc import Callable, Iterator

import pytest

from pipeline.errors import InputError
from pipeline.observe import server as module
from pipeline.observe.server import StatusServer

Start = Callable[..., StatusServer]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server on 127.0.0.1; what is wrong can be said."""
    started: list[StatusServer] = []

    def make(*, live: str = "", ready: str = "", metrics: bytes = b"x 1\n", host: str = "127.0.0.1") -> StatusServer:
        server = StatusServer(host, 0, live=lambda: live, ready=lambda: ready, metrics=lambda: metrics)
        started.append(server)
        return server

    yield make
    for server in started:
        server.close()


def ask(server: StatusServer, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read().decode()
    finally:
        connection.close()


def raw(server: StatusServer, data: bytes) -> bytes:
    """What comes back for these bytes, until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as sock:
        sock.sendall(data)
        answer = b""
        try:
            while piece := sock.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def test_all_is_well(start: Start) -> None:
    server = start()
    for path in ("/healthz", "/readyz", "/readyz?verbose=1"):
        status, _, body = ask(server, path)
        assert (status, body) == (200, "ok\n")


def test_what_is_wrong_is_said(start: Start) -> None:
    server = start(live="a thread died", ready="the Apps are not listed yet")
    assert (ask(server, "/healthz")[0], ask(server, "/healthz")[2]) == (503, "a thread died\n")
    assert (ask(server, "/readyz")[0], ask(server, "/readyz")[2]) == (503, "the Apps are not listed yet\n")


def test_metrics_come_with_prometheus_content_type(start: Start) -> None:
    status, headers, body = ask(start(), "/metrics")
    assert (status, body) == (200, "x 1\n")
    assert headers["Content-Type"].startswith("text/plain; version=")


def test_head_has_no_body(start: Start) -> None:
    server = start()
    status, headers, body = ask(server, "/metrics", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, "", "4")
    assert raw(server, b"HEAD /healthz HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


def test_another_path_says_what_there_is(start: Start) -> None:
    for path in ("/", "/metrics/", "/healthz/../metrics", "//metrics"):
        status, _, body = ask(start(), path)
        assert status == 404
        assert "/healthz /readyz /metrics" in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "x"])
def test_only_get_and_head(start: Start, method: str) -> None:
    status, headers, _ = ask(start(), "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("line", [b"GET\r\n\r\n", b"GET /metrics\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b" \r\n\r\n"])
def test_what_is_no_http_is_a_bad_request(start: Start, line: bytes) -> None:
    assert raw(start(), line).startswith(b"HTTP/1.1 400 ")


def test_an_endless_request_is_cut_off(start: Start) -> None:
    server = start()
    assert raw(server, b"GET /" + b"a" * 100_000) == b""
    assert raw(server, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000) == b""
    assert ask(server, "/healthz")[0] == 200


def test_a_slow_client_is_cut_off_and_hinders_nobody(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.3)
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
        slow.sendall(b"GET /metr")
        assert slow.recv(10) == b""
    monkeypatch.setattr(module, "_TIMEOUT", 60.0)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
        slow.sendall(b"GET /metr")
        assert ask(server, "/healthz")[0] == 200


def test_too_many_clients_are_turned_away_until_some_are_done(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLIENTS", 3)
    server = start()
    address = ("127.0.0.1", server.port)
    waiting = [socket.create_connection(address, timeout=30) for _ in range(3)]
    for sock in waiting:
        sock.sendall(b"GET /")
    assert raw(server, b"GET /healthz HTTP/1.1\r\n\r\n") == b""
    for sock in waiting:
        sock.sendall(b"healthz HTTP/1.1\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
        sock.close()
    while not raw(server, b"GET /healthz HTTP/1.1\r\n\r\n"):
        pass


def test_a_defect_closes_that_connection_only(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> bytes:
        raise RuntimeError("oops")

    server = StatusServer("127.0.0.1", 0, live=lambda: "", ready=lambda: "", metrics=fail)
    try:
        assert raw(server, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
        assert ask(server, "/healthz")[0] == 200
    finally:
        server.close()
    assert "RuntimeError: oops" in capsys.readouterr().out


def test_a_port_that_is_taken_is_an_input_error(start: Start) -> None:
    taken = start().port
    with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{taken}: Address already in use"):
        StatusServer("127.0.0.1", taken, live=str, ready=str, metrics=bytes)
    with pytest.raises(InputError, match="cannot listen"):
        StatusServer("127.0.0.1", 70_000, live=str, ready=str, metrics=bytes)


def test_it_listens_on_ipv6_too(start: Start) -> None:
    server = start(host="::1")
    connection = http.client.HTTPConnection("::1", server.port, timeout=30)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


def test_after_close_nobody_listens(start: Start) -> None:
    server = StatusServer("127.0.0.1", 0, live=str, ready=str, metrics=bytes)
    server.close()
    with pytest.raises(ConnectionRefusedError):
        ask(server, "/healthz")
