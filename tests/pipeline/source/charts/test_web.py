"""Servers that nobody should trust: redirects, silence, floods, half answers."""

import gzip
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chartrepo import Canned, ChartServer
from githttp import basic

from pipeline.errors import SourceError, SourceUnreachableError, TrimtabError
from pipeline.source.charts.web import Question, Web
from pipeline.source.credentials import Credentials

Serve = Callable[..., ChartServer]
LIMIT = 1 << 20


@pytest.fixture
def web() -> Web:
    return Web(timeout=5)


def failed(call: Callable[[], object]) -> TrimtabError:
    with pytest.raises(TrimtabError) as caught:
        call()
    return caught.value


@contextmanager
def raw(*answers: bytes) -> Iterator[str]:
    """A server that says just these bytes to the first who comes, and then nothing more; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                for answer in answers:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


def redirect(to: str) -> Canned:
    return Canned(302, headers={"Location": to})


def test_a_redirect_on_the_same_host_keeps_the_credentials(
    tmp_path: Path, serve: Serve, web: Web, user: Credentials
) -> None:
    server = serve(tmp_path)
    server.canned = {"/a": redirect("b"), "/b": Canned(200, b"here")}
    assert web.ask(Question(f"{server.url}/a", LIMIT), user).body == b"here"
    assert {request.headers["Authorization"] for request in server.seen} == {basic(user.username, user.password)}


def test_a_redirect_to_another_host_leaves_them_behind(
    tmp_path: Path, serve: Serve, web: Web, user: Credentials
) -> None:
    server, other = serve(tmp_path), serve(tmp_path)
    server.canned = {"/a": redirect(f"{other.url}/b")}
    other.canned = {"/b": redirect(f"{server.url}/c")}
    server.canned["/c"] = Canned(200, b"back")
    assert web.ask(Question(f"{server.url}/a", LIMIT, headers={"Authorization": "Bearer x"}), user).body == b"back"
    assert [request.headers["Authorization"] for request in other.seen] == [None]


def test_redirects_without_end(tmp_path: Path, serve: Serve, web: Web, trusting: Credentials) -> None:
    server = serve(tmp_path)
    server.canned = {"/a": redirect("/a")}
    error = failed(lambda: web.ask(Question(f"{server.url}/a", LIMIT), trusting))
    assert "without end" in error.message
    assert len(server.seen) < 10


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/", "http://example.com/", "file:///etc/passwd", "ftp://a/", "https://a:b:c/"]
)
def test_a_redirect_that_is_not_followed(
    target: str, tmp_path: Path, serve: Serve, web: Web, trusting: Credentials
) -> None:
    server = serve(tmp_path)
    server.canned = {"/a": redirect(target)}
    error = failed(lambda: web.ask(Question(f"{server.url}/a", LIMIT), trusting))
    assert "is not followed" in error.message
    assert not error.temporary


@pytest.mark.parametrize(
    "url", ["http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https:///x", "https://a:b:c/", "", "x", "http://127.0.0.1.example.com/"]
)  # fmt: skip
def test_a_url_that_is_never_asked(url: str, web: Web) -> None:
    assert isinstance(failed(lambda: web.ask(Question(url, LIMIT), Credentials())), SourceError)


def test_more_than_the_limit_is_refused(tmp_path: Path, serve: Serve, web: Web, trusting: Credentials) -> None:
    server = serve(tmp_path)
    server.canned = {"/a": Canned(200, bytes(LIMIT + 1))}
    error = failed(lambda: web.ask(Question(f"{server.url}/a", LIMIT), trusting))
    assert "more than 1 MiB" in error.message


def test_a_bomb_is_not_unpacked(tmp_path: Path, serve: Serve, web: Web, trusting: Credentials) -> None:
    server = serve(tmp_path)
    server.canned = {"/a": Canned(200, gzip.compress(bytes(8 << 20)), {"Content-Encoding": "gzip"})}
    assert "more than 1 MiB" in failed(lambda: web.ask(Question(f"{server.url}/a", LIMIT), trusting)).message
    server.canned = {"/a": Canned(200, b"not packed", {"Content-Encoding": "gzip"})}
    assert "no gzip" in failed(lambda: web.ask(Question(f"{server.url}/a", LIMIT), trusting)).message


def test_the_body_of_an_error_is_not_taken_for_the_answer(
    tmp_path: Path, serve: Serve, web: Web, trusting: Credentials
) -> None:
    server, into = serve(tmp_path), io.BytesIO()
    server.canned = {"/a": Canned(500, bytes(LIMIT + 1))}
    assert web.ask(Question(f"{server.url}/a", LIMIT, into=into), trusting).status == 500
    assert into.getvalue() == b""


def test_chunks_are_put_together(web: Web) -> None:
    with raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") as url:
        assert web.ask(Question(url, LIMIT), Credentials()).body == b"abcde"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
    ],
)
def test_half_an_answer_is_none(answer: bytes, web: Web) -> None:
    with raw(answer) as url:
        error = failed(lambda: web.ask(Question(url, LIMIT), Credentials()))
    assert isinstance(error, SourceUnreachableError)
    assert error.temporary


def test_silence_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        error = failed(lambda: Web(timeout=0.1).ask(Question(url, LIMIT), Credentials()))
    assert "no answer within 0.1 seconds" in error.message


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\nA: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_speaks_without_end_is_left(begin: bytes) -> None:
    left = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.sendall(begin)
                try:
                    while not left.wait(0.02):
                        connection.sendall(b"x")
                except OSError:
                    pass

        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        error = failed(lambda: Web(timeout=0.1).ask(Question(url, LIMIT), Credentials()))
        left.set()
    assert isinstance(error, SourceUnreachableError)
    assert error.temporary


def test_nobody_listens(web: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    error = failed(lambda: web.ask(Question(url, LIMIT), Credentials()))
    assert error.message == f"{url} cannot be read: connection refused"
    assert error.temporary


def test_a_host_without_an_address(web: Web) -> None:
    error = failed(lambda: web.ask(Question("https://nowhere.invalid/", LIMIT), Credentials()))
    assert "has no address" in error.message


def test_a_server_without_tls(tmp_path: Path, serve: Serve, web: Web) -> None:
    url = serve(tmp_path, tls=False).url.replace("http:", "https:")
    assert "speaks no TLS" in failed(lambda: web.ask(Question(url, LIMIT), Credentials())).message


def test_certificates_that_cannot_be_used(web: Web) -> None:
    for wrong in (Credentials(ca="none"), Credentials(client_certificate="none", client_key="none")):
        error = failed(lambda wrong=wrong: web.ask(Question("https://127.0.0.1:1/", LIMIT), wrong))  # type: ignore[misc]
        assert error.reason == "SecretInvalid"


def test_the_proxy_of_the_environment_is_used(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@127.0.0.1:{proxy.getsockname()[1]}")
        said: list[bytes] = []

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                said.append(connection.recv(1 << 16))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        error = failed(lambda: web.ask(Question("https://charts.invalid/", LIMIT), Credentials()))
        thread.join()
    assert said[0].startswith(b"CONNECT charts.invalid:443")
    assert b"proxy-authorization: basic" in said[0].lower()
    assert "proxy" in error.message
    assert "s3cret" not in str(error)
