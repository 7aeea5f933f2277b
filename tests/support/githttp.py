"""A real `git http-backend` behind TLS on 127.0.0.1, and what https servers of the tests share: a CA, TLS, an end."""

import http.server
import ipaddress
import os
import ssl
import subprocess
import tempfile
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

USER = "user"
TOKEN = "t0ken%s $x"  # of characters that a shell, printf or a URL would take for its own


class Authority:
    """A certificate authority: `ca` is its certificate in PEM, `issue` makes a certificate and its key in PEM."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        basic = x509.BasicConstraints(ca=True, path_length=0)
        self.ca = _pem(_builder(self._name, self._name, self._key, basic).sign(self._key, hashes.SHA256()))

    def issue(self, name: str, *, expired: bool = False) -> tuple[str, str]:
        """For a server on 127.0.0.1, or for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        basic = x509.BasicConstraints(ca=False, path_length=None)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = _builder(subject, self._name, key, basic, expired=expired).add_extension(address, critical=False)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return _pem(builder.sign(self._key, hashes.SHA256())), text


class LocalServer(http.server.ThreadingHTTPServer):
    """A server on 127.0.0.1, by TLS where there is an `authority`, with a certificate that may have `expired`.

    With `client_ca` (PEM) only clients with a certificate of it are spoken to.
    """

    daemon_threads = True

    def __init__(
        self,
        handler: type[http.server.BaseHTTPRequestHandler],
        authority: Authority | None,
        *,
        client_ca: str = "",
        expired: bool = False,
    ) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        if authority:
            self.socket = server_context(authority, client_ca=client_ca, expired=expired).wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Serve while the context lasts."""
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or trusts us not, is no failure of the server."""


class GitHttp(LocalServer):
    """Serves the bare repositories below `repositories` to who sends one of the headers in `accepted`.

    An empty `accepted` lets nobody in, None everybody; `status` and `message` are the answer to who is not let in.
    With `moved_to` every request is sent on to that server. `seen` has the Authorization header of each request, and
    `on_request` is called at each. `client_ca` is as for LocalServer.
    """

    def __init__(
        self, repositories: Path, authority: Authority, *, client_ca: str = "", expired_certificate: bool = False
    ) -> None:
        super().__init__(_Handler, authority, client_ca=client_ca, expired=expired_certificate)
        self.repositories = repositories
        self.accepted: set[str] | None = {basic(USER, TOKEN)}
        self.status = 401
        self.message = b""
        self.moved_to: GitHttp | None = None
        self.on_request: Callable[[], object] = lambda: None
        self.seen: list[str | None] = []

    def url(self, repository: str = "origin.git") -> str:
        """The https URL of a repository, named relative to the folder that is served."""
        return f"https://127.0.0.1:{self.server_address[1]}/{repository}"


def server_context(authority: Authority, *, client_ca: str = "", expired: bool = False) -> ssl.SSLContext:
    """The TLS of a server on 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("".join(authority.issue("server", expired=expired)))
        file.flush()
        context.load_cert_chain(file.name)
    if client_ca:
        context.load_verify_locations(cadata=client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def basic(user: str, password: str) -> str:
    """The Authorization header of user and password."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: GitHttp
    timeout = 20

    def do_GET(self) -> None:
        given = self.headers.get("Authorization")
        self.server.seen.append(given)
        self.server.on_request()
        if self.server.moved_to:
            self.send_response(302)
            self.send_header("Location", self.server.moved_to.url(self.path[1:]))
            self._answer(b"")
        elif self.server.accepted is None or given in self.server.accepted:
            self._backend()
        else:
            self.send_response(self.server.status)
            if self.server.status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Type", "text/plain")
            self._answer(self.server.message)

    do_POST = do_GET

    def _backend(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.repositories),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        # Where it fails late, such as for a commit that is not there, its answer says why.
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
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


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    constraints: x509.BasicConstraints,
    *,
    expired: bool = False,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=-1 if expired else 1))
        .add_extension(constraints, critical=True)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
