"""Charts made by helm, and a chart repository that serves them on 127.0.0.1, by TLS and basic authentication or not."""

import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

from githttp import Authority, LocalServer, basic

#: What the repository `charts` has: each of these versions of `app`, and one of `other`.
VERSIONS = (
    "0.0.1", "0.0.2", "0.1.0", "0.1.3", "0.2.0", "1.0.0-alpha.1", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.1.0", "1.1.5",
    "1.2.0-beta.1", "1.2.0", "1.2.7", "1.3.0+build.5", "1.10.0", "2.0.0", "2.1.0-rc.2", "3.0.0-alpha",
)  # fmt: skip


def run_helm(*arguments: str | Path, program: str = "helm", tools: Path | None = None) -> str:
    """Run helm, and say what it prints. `tools` is the folder that it lies in where PATH does not have that."""
    path = os.environ.get("PATH", os.defpath)
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{path}" if tools else path}
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def write_chart(folder: Path, name: str, files: Mapping[str, str] | None = None, **metadata: str) -> Path:
    """A chart with one ConfigMap, which names the chart's version; `files` are added, `metadata` is of Chart.yaml."""
    chart = folder / name
    said = {"apiVersion": "v2", "name": name, "version": "1.0.0", **metadata}
    content = {
        "Chart.yaml": "".join(f"{key}: {value}\n" for key, value in said.items()),
        "values.yaml": "greeting: hello\n",
        "templates/config.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-config}\n"
            'data: {version: "{{ .Chart.Version }}", greeting: "{{ .Values.greeting }}"}\n'
        ),
        **(files or {}),
    }
    for path, text in content.items():
        file = chart / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return chart


def package(chart: Path, into: Path, version: str = "", *, tools: Path | None = None) -> Path:
    """The chart as `helm package` packs it."""
    other = ["--version", version] if version else []
    out = run_helm("package", chart, "--destination", into, *other, tools=tools)
    return Path(out.strip().rpartition(": ")[2])


def packed(files: Mapping[str, bytes | tarfile.TarInfo], *, top: str = "app/") -> bytes:
    """A package of these files, in a moment and with whatever names; a TarInfo is a member as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(f"{top}{name}")
            if isinstance(content, bytes):
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def packed_version(version: str, name: str = "app") -> bytes:
    """A chart in this version, packed; its ConfigMap has the version."""
    with tempfile.TemporaryDirectory() as scratch:
        chart = write_chart(Path(scratch), name, version=version)
        files = {str(file.relative_to(chart)): file.read_bytes() for file in chart.rglob("*") if file.is_file()}
    return packed(files, top=f"{name}/")


def write_repository(folder: Path, *, tools: Path | None = None) -> Path:
    """A chart repository with VERSIONS of `app` and one of `other`, in `folder`; links in its index are relative."""
    folder.mkdir(parents=True)
    for version in VERSIONS:
        (folder / f"app-{version}.tgz").write_bytes(packed_version(version))
    with tempfile.TemporaryDirectory() as scratch:
        package(write_chart(Path(scratch), "other"), folder, tools=tools)
    run_helm("repo", "index", folder, tools=tools)
    return folder


@dataclass
class Request:
    """What a client asked."""

    method: str
    path: str
    headers: Message


@dataclass
class Canned:
    """An answer in place of a file."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class ChartServer(LocalServer):
    """Serves the files below `folder`, each with an ETag, by TLS where there is an `authority`.

    An `accepted` that is not None holds the Authorization headers that are let in. `canned` has other answers by
    path. `seen` are the requests. `client_ca` and `expired` are as for LocalServer.
    """

    def __init__(
        self, folder: Path, authority: Authority | None = None, *, client_ca: str = "", expired: bool = False
    ) -> None:
        super().__init__(_Handler, authority, client_ca=client_ca, expired=expired)
        self.folder = folder
        self.scheme = "https" if authority else "http"
        self.accepted: set[str] | None = None
        self.canned: dict[str, Canned] = {}
        self.seen: list[Request] = []

    @property
    def url(self) -> str:
        """The URL of the folder."""
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def allow(self, user: str, password: str) -> None:
        """Let in who has this password, and nobody else."""
        self.accepted = {basic(user, password)}

    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [request.path for request in self.seen]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ChartServer
    timeout = 20

    def do_GET(self) -> None:
        server = self.server
        server.seen.append(Request(self.command, self.path, self.headers))
        path = self.path.partition("?")[0]
        if path in server.canned:
            self._answer(server.canned[path])
        elif server.accepted is not None and self.headers.get("Authorization") not in server.accepted:
            self._answer(Canned(401, headers={"WWW-Authenticate": 'Basic realm="charts"'}))
        elif not (file := server.folder / path[1:]).is_file():
            self._answer(Canned(404, b"not found"))
        else:
            content = file.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()}"'
            known = self.headers.get("If-None-Match") == tag
            self._answer(Canned(304 if known else 200, b"" if known else content, {"ETag": tag}))

    do_HEAD = do_GET

    def _answer(self, answer: Canned) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class names it
        """Nothing on the tests' standard error."""
