"""A fenced connection: no write leaves once the fence is shut, whatever is under way."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane

from pipeline.app import App, Metadata, Prune, Spec
from pipeline.app import Target as AppTarget
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.session import Session
from pipeline.errors import LeaseLostError
from pipeline.inventory.store import Store
from pipeline.source.checkout import Checkout
from pipeline.sync import Target, sync
from renderers.api import Rendered
from renderers.manifest import parse_documents

MANAGER = "trimtab-test"


class Fence:
    """Lets so many writes through, then none."""

    def __init__(self, writes: int) -> None:
        self.left = writes
        self.asked = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.asked += 1
            self.left -= 1
            if self.left < 0:
                raise LeaseLostError("the lease is lost")


def config_map(name: str = "one") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}


WRITES: list[Callable[[Connection, Resource, str], object]] = [
    lambda c, r, n: objects.create(c, r, n, config_map(), manager=MANAGER),
    lambda c, r, n: objects.apply(c, r, n, "one", json.dumps(config_map()).encode(), manager=MANAGER, force=False),
    lambda c, r, n: objects.merge_patch(c, r, n, "one", {"data": {"a": "2"}}, manager=MANAGER),
    lambda c, r, n: objects.replace(c, r, n, config_map(), manager=MANAGER),
    lambda c, r, n: objects.delete(c, r, n, "one", uid="x"),
]


@pytest.mark.parametrize("write", WRITES)
def test_behind_a_shut_fence_nothing_is_written_and_all_can_be_read(
    connection: Connection, config_maps: Resource, namespace: str, write: Callable[..., object]
) -> None:
    connection.requests.clear()
    fenced = connection.fenced(Fence(0))
    with pytest.raises(LeaseLostError):
        write(fenced, config_maps, namespace)
    assert connection.requests.total() == 0
    assert objects.get(fenced, config_maps, namespace, "one") is None


def test_an_open_fence_changes_nothing_and_the_other_connection_has_none(
    connection: Connection, config_maps: Resource, namespace: str
) -> None:
    fence = Fence(1)
    objects.create(connection.fenced(fence), config_maps, namespace, config_map(), manager=MANAGER)
    objects.create(connection, config_maps, namespace, config_map("two"), manager=MANAGER)
    assert fence.asked == 1


def test_the_fence_is_asked_again_before_a_write_is_sent_again(
    control_plane: ControlPlane, config_maps: Resource, namespace: str, tmp_path: Path
) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda *_, **__: (503, b"busy")
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection, pytest.raises(LeaseLostError):
            objects.create(connection.fenced(Fence(2)), config_maps, namespace, config_map(), manager=MANAGER)
    assert proxy.counts() == {"POST": 2}


def test_the_fence_is_asked_again_when_a_kept_wire_was_closed(
    kubeconfig: Callable[..., Path], relay: Callable[..., Any], config_maps: Resource, namespace: str
) -> None:
    through = relay()
    fence = Fence(10)
    server = f"https://127.0.0.1:{through.address[1]}"
    with Connection.open(kubeconfig=kubeconfig(cluster={"server": server})) as connection:
        connection.call("GET", "/version")
        through.cut()
        objects.create(connection.fenced(fence), config_maps, namespace, config_map(), manager=MANAGER)
        assert connection.requests["POST"] == fence.asked


def test_once_sends_a_request_once(control_plane: ControlPlane, tmp_path: Path) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda *_, **__: (503, b"busy")
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection:
            assert connection.once(timeout=5).request("GET", "/version").status == 503
    assert len(proxy.requests) == 1


def _app(namespace: str) -> App:
    spec = Spec(target=AppTarget(namespace=namespace), prune=Prune(allow_empty=True))
    return App(Metadata(name="fenced", namespace=namespace), spec)


def _sync(connection: Connection, namespace: str, folder: Path, names: list[str]) -> Any:
    text = "\n---\n".join(json.dumps(config_map(name)) for name in names)
    manifests, _ = parse_documents(text, file="all.yaml", unit=".")
    target = Target(Session(connection), Store(connection, namespace), approve_all=True)
    return sync(_app(namespace), Checkout(folder, folder), lambda: Rendered(manifests), target)


@pytest.mark.parametrize("writes", [0, 1, 2, 5, 12])
def test_a_sync_ends_at_once_when_the_lease_is_lost_while_it_applies(
    connection: Connection, namespace: str, tmp_path: Path, writes: int
) -> None:
    names = [f"c{number:02}" for number in range(40)]
    fence = Fence(writes)
    connection.requests.clear()
    with pytest.raises(LeaseLostError):
        _sync(connection.fenced(fence), namespace, tmp_path, names)
    assert sum(number for verb, number in connection.requests.items() if verb not in ("GET", "LIST")) == writes


@pytest.mark.parametrize("writes", [0, 1, 3])
def test_a_sync_ends_at_once_when_the_lease_is_lost_while_it_prunes(
    connection: Connection, config_maps: Resource, namespace: str, tmp_path: Path, writes: int
) -> None:
    names = [f"c{number:02}" for number in range(30)]
    assert _sync(connection, namespace, tmp_path, names).ok
    with pytest.raises(LeaseLostError):
        _sync(connection.fenced(Fence(writes)), namespace, tmp_path, [])
    left, _ = objects.list_objects(connection, config_maps, namespace, selector="trimtab.dev/app")
    # The first write says in the inventory what is about to happen.
    assert len(left) == len(names) - max(0, writes - 1)
    # What was cut short is finished by whoever leads next.
    assert _sync(connection, namespace, tmp_path, []).ok
    left, _ = objects.list_objects(connection, config_maps, namespace, selector="trimtab.dev/app")
    assert left == []
