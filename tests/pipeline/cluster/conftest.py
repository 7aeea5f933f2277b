"""What the tests of the cluster room share: a connection to the control plane, its kinds, and a relay that can cut."""

import contextlib
import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from harness import ControlPlane

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource


class Relay:
    """Passes bytes between a client and a server; with `tunnel`, as an HTTP proxy does after CONNECT."""

    def __init__(self, server: tuple[str, int], *, tunnel: bool = False) -> None:
        self._server, self._tunnel = server, tunnel
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.asked: list[str] = []
        self.address = ("127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection, as a server does that restarts."""
        while self._sockets:
            with contextlib.suppress(OSError):
                self._sockets.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._tunnel:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(4096)
            self.asked.append(head.decode())
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        server = socket.create_connection(self._server)
        self._sockets += [client, server]
        back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
        back.start()
        self._pump(client, server)
        back.join()
        client.close()
        server.close()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(control_plane: ControlPlane) -> Iterator[Callable[..., Relay]]:
    """Starts relays to the control plane's API server."""
    server = urlsplit(control_plane.url)
    made: list[Relay] = []

    def start(*, tunnel: bool = False) -> Relay:
        made.append(Relay((server.hostname or "", server.port or 443), tunnel=tunnel))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.fixture
def kubeconfig(control_plane: ControlPlane, tmp_path: Path) -> Callable[..., Path]:
    """Writes a kubeconfig for the control plane; parts of the cluster and of the user can be replaced."""

    def write(*, cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None) -> Path:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [
                {
                    "name": "here",
                    "cluster": {
                        "server": control_plane.url,
                        "certificate-authority": str(control_plane.ca),
                        **(cluster or {}),
                    },
                }
            ],
            "users": [{"name": "me", "user": {"token": control_plane.token} if user is None else user}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }
        path = tmp_path / f"kubeconfig-{secrets.token_hex(3)}"
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture
def connection(control_plane: ControlPlane) -> Iterator[Connection]:
    """A connection of the administrator."""
    with Connection.open(kubeconfig=control_plane.kubeconfig) as opened:
        yield opened


@pytest.fixture
def discovery(connection: Connection) -> Discovery:
    """The kinds of the control plane."""
    return Discovery.load(connection)


@pytest.fixture
def config_maps(discovery: Discovery) -> Resource:
    """The resource of ConfigMaps."""
    found = discovery.find("ConfigMap", "")
    assert found is not None
    return found


@pytest.fixture
def apply(connection: Connection, discovery: Discovery, namespace: str) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Applies an object into the test's namespace."""

    def send(
        body: dict[str, Any], *, manager: str = "trimtab-test", force: bool = False, to: str = namespace
    ) -> tuple[int, dict[str, Any]]:
        group, _, version = body["apiVersion"].rpartition("/")
        resource = discovery.find(body["kind"], group, version)
        assert resource is not None
        data = json.dumps(body, ensure_ascii=False).encode()
        return objects.apply(connection, resource, to, body["metadata"]["name"], data, manager=manager, force=force)

    return send
