"""Real repositories for the tests of the source: a bare one, its working copy, and a https server in front of it."""

import http.server
import os
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest

from pipeline.app import GitSource
from pipeline.source.mirror import Mirrors

_CERTIFICATE = Path(__file__).with_name("server.pem")


@pytest.fixture(autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of every test: nothing of the person's own configuration. No other tool than git is needed."""
    home = tmp_path_factory.mktemp("home")
    environment = harness.own_environment(home)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return home


class Origin:
    """A bare repository at `bare` that people push to from the working copy at `work`."""

    def __init__(self, folder: Path, *init: str) -> None:
        self.bare, self.work = folder / "origin.git", folder / "work"
        for path, bare in ((self.bare, ["--bare"]), (self.work, [])):
            path.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main", *init, *bare, at=path)
        self.git("remote", "add", "origin", str(self.bare))

    @property
    def url(self) -> str:
        return self.bare.as_uri()

    def git(self, *arguments: str, at: Path | None = None, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=at or self.work, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout.decode().strip()

    def push(self, files: dict[str, str | bytes] | None = None, *, branch: str = "main", amend: bool = False) -> str:
        """Commit what is in the working copy, with these files, push it over whatever is there, and say its id."""
        for name, content in (files or {}).items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change", *(["--amend"] if amend else []))
        self.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def source(self, **rest: str) -> GitSource:
        return GitSource(self.url, **rest)


@pytest.fixture
def make_origin(tmp_path: Path) -> Callable[..., Origin]:
    """Makes an empty repository under a name; further arguments are `git init`'s."""
    return lambda name, *init: Origin(tmp_path / name, *init)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """A repository with one commit: `deploy/a.yaml` says `one`."""
    made = Origin(tmp_path)
    made.push({"deploy/a.yaml": "one", "README": "read"})
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def mirrors(cache: Path) -> Mirrors:
    return Mirrors(cache)


@pytest.fixture
def read(mirrors: Mirrors) -> Callable[..., str]:
    """The text of a file of the source's newest commit, by way of a checkout."""

    def get(source: GitSource, name: str = "deploy/a.yaml") -> str:
        with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
            return (checkout.root / name).read_text()

    return get


class HttpsServer(http.server.ThreadingHTTPServer):
    """git's own http-backend behind TLS, for who knows `user` and `token`.

    With `moved_to` every request is sent on there. `seen` has the Authorization header of each request.
    """

    daemon_threads = True

    def __init__(self, project_root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.project_root = project_root
        self.moved_to = ""
        self.seen: list[str | None] = []
        self.expected = "Basic " + b64encode(b"user:t0ken%s $x").decode()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_CERTIFICATE)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_address[1]}/origin.git"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or trusts us not, is no failure of the server."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: HttpsServer
    timeout = 20

    def do_GET(self) -> None:
        given = self.headers.get("Authorization")
        self.server.seen.append(given)
        if self.server.moved_to:
            self.send_response(302)
            self.send_header("Location", self.server.moved_to + self.path.removeprefix("/origin.git"))
            self._answer(b"")
        elif given != self.server.expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self._answer(b"")
        else:
            self._backend()

    do_POST = do_GET

    def _backend(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.project_root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self._answer(content)

    def _answer(self, content: bytes) -> None:
        # With its length: an end of the connection without TLS's own goodbye is an error to git.
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class names it
        """Nothing on the tests' standard error."""


@pytest.fixture
def make_server(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], HttpsServer]]:
    """Starts https servers of the repository's folder, whose certificate git trusts."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(_CERTIFICATE))
    started: list[HttpsServer] = []

    def start() -> HttpsServer:
        server = HttpsServer(origin.bare.parent)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()
