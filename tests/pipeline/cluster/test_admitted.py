"""A request in two parts: who may send it is looked at before the second part is there."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from harness import ControlPlane
from waiting import until

from pipeline.cluster import objects, wire
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError

MANAGER = "trimtab-test"


@pytest.fixture
def small(control_plane: ControlPlane, namespace: str, kubeconfig: Callable[..., Path]) -> Iterator[Connection]:
    """Of an account that may do anything in the namespace, by one binding."""
    control_plane.kubectl("create", "serviceaccount", "small", "-n", namespace)
    control_plane.kubectl(
        "create", "rolebinding", "small", "-n", namespace, "--clusterrole=admin", f"--serviceaccount={namespace}:small"
    )
    token = control_plane.kubectl("create", "token", "small", "-n", namespace).strip()
    with Connection.open(kubeconfig=kubeconfig(user={"token": token})) as opened:
        yield opened


def config_map(name: str = "one") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}


def test_what_was_let_in_is_carried_out_though_the_right_is_gone_by_then(
    control_plane: ControlPlane, small: Connection, config_maps: Resource, namespace: str
) -> None:
    def refused() -> bool:
        try:
            objects.create(small, config_maps, namespace, config_map("other"), manager=MANAGER, dry_run=True)
        except ApiError as error:
            return error.forbidden
        return False

    def take_the_right_away() -> None:
        control_plane.kubectl("delete", "rolebinding", "small", "-n", namespace)
        until(refused)

    made = objects.create(small.admitted(take_the_right_away), config_maps, namespace, config_map(), manager=MANAGER)
    assert made["data"] == {"a": "1"}


def test_what_is_not_let_in_is_answered_without_the_second_part(
    small: Connection, config_maps: Resource, namespace: str
) -> None:
    called = threading.Event()
    connection = small.admitted(called.set)
    with pytest.raises(ApiError) as caught:
        objects.create(connection, config_maps, "default", config_map(), manager=MANAGER)
    assert caught.value.forbidden
    assert not called.is_set()
    # The wire that was left in the middle is not used again.
    assert objects.create(connection, config_maps, namespace, config_map(), manager=MANAGER)
    assert called.is_set()


def test_a_server_that_does_not_ask_for_it_gets_the_second_part_all_the_same(
    kubeconfig: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_CONTINUE_TIMEOUT", 0.01)
    called = threading.Event()

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client, client.makefile("rwb") as file:
            while file.readline() != b"\r\n":
                pass
            assert file.read(2) == b"{}"
            file.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        served = pool.submit(serve, listener)
        server = f"http://127.0.0.1:{listener.getsockname()[1]}"
        cluster = {"server": server, "certificate-authority": None}
        with Connection.open(kubeconfig=kubeconfig(cluster=cluster)) as connection:
            assert connection.admitted(called.set).call("PATCH", "/x", body=b"{}") == {}
        served.result()
    assert called.is_set()


def test_reads_and_what_has_no_body_go_as_ever(connection: Connection, config_maps: Resource, namespace: str) -> None:
    called = threading.Event()
    assert objects.get(connection.admitted(called.set), config_maps, namespace, "none") is None
    assert not called.is_set()
