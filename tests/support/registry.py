"""Real registries on 127.0.0.1 (Debian's docker-registry): open, with basic authentication or with tokens, by TLS."""

import base64
import hashlib
import json
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import bcrypt
import urllib3
from chartrepo import Canned, ChartServer, run_helm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from githttp import Authority, basic

PROGRAM = "docker-registry"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.cncf.helm.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


class Registry:
    """A running registry; `host` is `127.0.0.1:port`. All over one `storage` have the same content."""

    def __init__(self, host: str, storage: Path) -> None:
        self.host = host
        self.storage = storage

    def push(self, *packages: Path, below: str = "charts", tools: Path | None = None) -> str:
        """Push packages to an open registry with `helm push`, and say the URL that they lie below."""
        url = f"oci://{self.host}/{below}"
        for package in packages:
            run_helm("push", package, url, "--plain-http", tools=tools)
        return url

    def put(self, repository: str, tag: str, layer: bytes, **differing: Any) -> str:
        """Put a chart there as helm does, quicker; the digest of its manifest. `differing` is of the manifest."""
        name, _, version = tag.replace("_", "+").partition("@")
        metadata = json.dumps({"name": repository.rpartition("/")[2], "version": version or name}).encode()
        manifest = {
            "schemaVersion": 2,
            "config": {"mediaType": CONFIG, **self.blob(repository, metadata)},
            "layers": [{"mediaType": CHART, **self.blob(repository, layer)}],
            **differing,
        }
        return self.manifest(repository, tag, manifest)

    def manifest(self, repository: str, tag: str, manifest: dict[str, Any], kind: str = MANIFEST) -> str:
        """Put a manifest there; its digest."""
        url = f"http://{self.host}/v2/{repository}/manifests/{tag}"
        answer = urllib3.request("PUT", url, body=json.dumps(manifest), headers={"Content-Type": kind})
        assert answer.status == 201, answer.data
        return answer.headers["Docker-Content-Digest"]

    def blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Put a blob there; digest and size, as a manifest has them."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = urllib3.request("POST", f"http://{self.host}/v2/{repository}/blobs/uploads/")
        url = f"{begun.headers['Location']}&digest={digest}"
        assert urllib3.request("PUT", url, body=content).status == 201
        return {"digest": digest, "size": len(content)}


@contextmanager
def running(
    storage: Path,
    *,
    authority: Authority | None = None,
    user: tuple[str, str] | None = None,
    tokens: "TokenServer | None" = None,
) -> Iterator[Registry]:
    """A registry over the folder `storage`: by TLS with an `authority`, for one user, or for who has a token."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        http: dict[str, Any] = {"addr": "127.0.0.1:0"}
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info", "formatter": "json", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
            "http": http,
        }
        if authority:
            certificate, key = authority.issue("registry")
            (folder / "tls.crt").write_text(certificate)
            (folder / "tls.key").write_text(key)
            http["tls"] = {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")}
        if user:
            hashed = bcrypt.hashpw(user[1].encode(), bcrypt.gensalt(4)).decode()
            (folder / "htpasswd").write_text(f"{user[0]}:{hashed}\n")
            config["auth"] = {"htpasswd": {"realm": "charts", "path": str(folder / "htpasswd")}}
        if tokens:
            (folder / "issuer.crt").write_text(tokens.certificate)
            config["auth"] = {
                "token": {
                    "realm": tokens.realm, "service": "charts", "issuer": "tests",
                    "rootcertbundle": str(folder / "issuer.crt"),
                }
            }  # fmt: skip
        (folder / "config.yml").write_text(json.dumps(config))
        process = subprocess.Popen(
            [PROGRAM, "serve", folder / "config.yml"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={"OTEL_TRACES_EXPORTER": "none"},
        )  # fmt: skip
        try:
            yield Registry(_address(process), storage)
        finally:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stderr
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
            threading.Thread(target=_drain, args=[process], daemon=True).start()
            return found[1]
    raise AssertionError(f"the registry did not start:\n{said}")


def _drain(process: "subprocess.Popen[str]") -> None:
    """Read on to the end: a full pipe would stop the registry."""
    assert process.stderr
    with process.stderr as log:
        log.read()


class TokenServer(ChartServer):
    """A token server as registries name it (distribution.github.io, spec/auth/token), signing with its own key.

    It lets in whom `accepted` lets in; None: everybody. `lasts` is what it says of a token's life, in seconds.
    `asked` are the queries.
    """

    def __init__(self, folder: Path, authority: Authority, *, tls: bool = True) -> None:
        super().__init__(folder, authority if tls else None)
        self.certificate, self._key = authority.issue("issuer")
        self.lasts = 300
        self.asked: list[dict[str, list[str]]] = []
        self.canned = _Answers(self)  # type: ignore[assignment]

    @property
    def realm(self) -> str:
        """The URL that tokens are asked of."""
        return f"{self.url}/token"

    def answer(self) -> Canned:
        """The answer to the newest request."""
        request = self.seen[-1]
        if self.accepted is not None and request.headers.get("Authorization") not in self.accepted:
            return Canned(401, b"{}")
        query = parse_qs(urlsplit(request.path).query)
        self.asked.append(query)
        token = self.issue(query.get("scope", [""])[0])
        return Canned(body=json.dumps({"token": token, "expires_in": self.lasts}).encode())

    def issue(self, scope: str) -> str:
        """A token for `repository:NAME:ACTIONS`."""
        kind, name, actions = scope.split(":") if scope else ("repository", "", "")
        now = int(time.time())
        certificate = load_pem_x509_certificate(self.certificate.encode()).public_bytes(Encoding.DER)
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(certificate).decode()]}
        claims = {
            "iss": "tests", "sub": "user", "aud": "charts", "exp": now + 300, "nbf": now - 60, "iat": now,
            "jti": hashlib.sha256(str(time.monotonic_ns()).encode()).hexdigest(),
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }  # fmt: skip
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        key = load_pem_private_key(self._key.encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encoded(r.to_bytes(32) + s.to_bytes(32))}"


class _Answers(dict[str, Canned]):
    """The one canned answer of a token server, made when it is asked for."""

    def __init__(self, server: TokenServer) -> None:
        super().__init__({"/token": Canned()})
        self._server = server

    def __getitem__(self, path: str) -> Canned:
        return self._server.answer() if path == "/token" else super().__getitem__(path)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


__all__ = ["PROGRAM", "Registry", "TokenServer", "basic", "running"]
