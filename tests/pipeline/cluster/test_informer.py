"""A copy in step with the real API server: through broken connections, expired versions, and a kind that goes."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane
from waiting import until

from pipeline.cluster import informer as module
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.cluster.informer import Informer
from pipeline.errors import ClusterUnreachableError

Apply = Callable[..., tuple[int, dict[str, Any]]]
SELECTOR = "informed=yes"


class Watcher:
    """An Informer in its thread, and what it told: names, with `-` before one that is gone."""

    def __init__(self, connection: Connection, resource: Resource, namespace: str | None, **selectors: str) -> None:
        self.told: list[str] = []
        self.informer = Informer(connection, resource, namespace, self._tell, **selectors)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.informer.run, args=(self._stop,))

    def _tell(self, _namespace: str, name: str, item: dict[str, Any] | None) -> None:
        self.told.append(name if item is not None else f"-{name}")

    def end(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()


@contextmanager
def watching(connection: Connection, resource: Resource, namespace: str | None, **selectors: str) -> Iterator[Watcher]:
    watcher = Watcher(connection, resource, namespace, **{"selector": SELECTOR, **selectors})
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.end()


@pytest.fixture
def through(control_plane: ControlPlane, tmp_path: Path) -> Iterator[tuple[ApiProxy, Connection]]:
    """A connection through a proxy that can answer in the API server's place."""
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection:
            yield proxy, connection


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"informed": "yes"}},
            "data": data}  # fmt: skip


def drop(connection: Connection, resource: Resource, namespace: str, name: str) -> None:
    meta = objects.get_metadata(connection, resource, namespace, name)
    assert meta is not None
    objects.delete(connection, resource, namespace, name, uid=meta["metadata"]["uid"])


def test_what_is_there_is_told_and_then_each_change(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    apply(config_map("a"))
    with watching(connection, config_maps, namespace) as watcher:
        until(lambda: watcher.informer.in_step)
        assert watcher.told == ["a"]
        apply(config_map("b"))
        _, live = apply(config_map("a", a="2"))
        until(lambda: watcher.told == ["a", "b", "a"])
        assert watcher.informer.get(namespace, "a") == live
        drop(connection, config_maps, namespace, "a")
        until(lambda: watcher.told[3:] == ["-a"])
        assert watcher.informer.get(namespace, "a") is None
        assert [key for key, _ in watcher.informer.items()] == [(namespace, "b")]
        assert watcher.informer.last_error is None


def test_objects_of_a_list_and_of_a_watch_say_what_they_are(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    apply(config_map("a"))
    with watching(connection, config_maps, namespace) as watcher:
        until(lambda: watcher.informer.in_step)
        apply(config_map("b"))
        until(lambda: len(watcher.told) == 2)
        assert {(item["apiVersion"], item["kind"]) for _, item in watcher.informer.items()} == {("v1", "ConfigMap")}


def test_without_selectors_everything_is_seen_and_with_one_what_it_means(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    apply({**config_map("plain"), "metadata": {"name": "plain"}})
    apply(config_map("a"))
    with (
        watching(connection, config_maps, namespace, selector="") as everything,
        watching(connection, config_maps, None) as labelled,
        watching(connection, config_maps, namespace, selector="", fields="metadata.name=plain") as named,
    ):
        until(lambda: everything.informer.in_step and labelled.informer.in_step and named.informer.in_step)
        apply(config_map("b"))
        apply({**config_map("plain", a="2"), "metadata": {"name": "plain"}})
        until(lambda: "plain" in named.told[1:] and "b" in labelled.told and "plain" in everything.told[-1:])
        assert {"a", "b", "plain"} <= set(everything.told)
        assert (namespace, "plain") not in [key for key, _ in labelled.informer.items()]
        assert named.told == ["plain", "plain"]


def test_an_object_that_leaves_the_selector_is_gone(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    apply(config_map("a"))
    with watching(connection, config_maps, namespace) as watcher:
        until(lambda: watcher.informer.in_step)
        patch = {"metadata": {"labels": {"informed": None}}}
        objects.merge_patch(connection, config_maps, namespace, "a", patch, manager="somebody")
        until(lambda: watcher.told == ["a", "-a"])


def test_it_is_not_in_step_before_the_first_list(through: tuple[ApiProxy, Connection], config_maps: Resource) -> None:
    proxy, connection = through
    proxy.strike = lambda *_, **__: (500, b"oops")
    with watching(connection, config_maps, None) as watcher:
        until(lambda: watcher.informer.last_error is not None)
        assert not watcher.informer.in_step
        proxy.strike = None
        until(lambda: watcher.informer.in_step)
        assert watcher.informer.last_error is None


def test_it_is_out_of_step_when_no_watch_could_be_opened_for_a_while(
    through: tuple[ApiProxy, Connection], config_maps: Resource, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, connection = through
    monkeypatch.setattr(objects, "_WATCH", 1)
    with watching(connection, config_maps, namespace) as watcher:
        until(lambda: watcher.informer.in_step)
        proxy.strike = lambda *_, **__: (500, b"oops")
        until(lambda: watcher.informer.last_error is not None)
        assert watcher.informer.in_step
        monkeypatch.setattr(module, "_IN_STEP", 0.0)
        assert not watcher.informer.in_step


def test_after_a_broken_connection_it_goes_on_where_it_was(
    apply: Apply, kubeconfig: Callable[..., Path], relay: Callable[..., Any], config_maps: Resource, namespace: str,
    connection: Connection,
) -> None:  # fmt: skip
    apply(config_map("a"))
    apply(config_map("b"))
    between = relay()
    server = f"https://127.0.0.1:{between.address[1]}"
    with (
        Connection.open(kubeconfig=kubeconfig(cluster={"server": server})) as other,
        watching(other, config_maps, namespace) as watcher,
    ):
        until(lambda: watcher.informer.in_step)
        between.cut()
        drop(connection, config_maps, namespace, "a")
        apply(config_map("b", a="2"))
        until(lambda: len(watcher.told) == 4)
        assert watcher.told == ["a", "b", "-a", "b"]
        assert other.requests["LIST"] == 1
        assert watcher.informer.in_step


def test_a_version_that_expired_is_listed_anew_and_only_differences_are_told(
    apply: Apply, through: tuple[ApiProxy, Connection], connection: Connection, config_maps: Resource, namespace: str
) -> None:
    for name in "abc":
        apply(config_map(name))
    proxy, other = through
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
              "message": "too old resource version"}  # fmt: skip
    expired = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
    struck: list[str] = []

    def strike(_number: int, _method: str, path: str, *, after: bool) -> tuple[int, bytes] | None:
        if "watch=true" not in path or after or struck:
            return None
        struck.append(path)
        drop(connection, config_maps, namespace, "a")
        apply(config_map("b", a="2"))
        return 200, expired

    proxy.strike = strike
    with watching(other, config_maps, namespace) as watcher:
        until(lambda: len(watcher.told) == 5)
        assert watcher.told == ["a", "b", "c", "-a", "b"]
        assert watcher.informer.last_error is None


def test_all_is_listed_again_at_times(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "_WATCH", 1)
    monkeypatch.setattr(module, "_RELIST", 0.0)
    apply(config_map("a"))
    with watching(connection, config_maps, namespace) as watcher:
        until(lambda: connection.requests["LIST"] >= 3)
        assert watcher.told == ["a"]


def test_a_watch_that_fails_again_and_again_is_begun_with_a_list(
    through: tuple[ApiProxy, Connection], config_maps: Resource, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.01)
    proxy, connection = through
    proxy.strike = lambda _number, _method, path, **_: (500, b"oops") if "watch=true" in path else None
    with watching(connection, config_maps, namespace) as watcher:
        until(lambda: connection.requests["LIST"] == 2)
        assert isinstance(watcher.informer.last_error, ApiError)
        assert not watcher.informer.in_step


def test_a_kind_may_come_go_and_come_again(
    connection: Connection, control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_PAUSE", 0.2)
    group = f"{namespace}.example"
    boats = Resource(group, "v1", "Boat", "boats", namespaced=True, verbs=frozenset({"list", "watch"}))
    boat = {"apiVersion": f"{group}/v1", "kind": "Boat", "metadata": {"name": "a", "namespace": namespace}}
    with watching(connection, boats, None, selector="") as watcher:
        until(lambda: watcher.informer.last_error is not None)
        assert isinstance(watcher.informer.last_error, ApiError)
        assert watcher.informer.last_error.kind_missing
        for told in (["a"], ["a", "-a", "a"]):
            control_plane.kubectl("apply", "-f", "-", input=json.dumps(_crd(group)))
            control_plane.until_established(f"boats.{group}")
            until(lambda: watcher.informer.in_step)
            control_plane.kubectl("apply", "-f", "-", input=json.dumps(boat))
            until(lambda told=told: watcher.told == told)  # type: ignore[misc]
            control_plane.kubectl("delete", "crd", f"boats.{group}")
            until(lambda told=told: watcher.told == [*told, "-a"])  # type: ignore[misc]
            until(lambda: not watcher.informer.in_step)


def test_a_kind_that_goes_while_nobody_watches_takes_its_objects_along(
    apply: Apply, through: tuple[ApiProxy, Connection], config_maps: Resource, namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(objects, "_WATCH", 1)
    monkeypatch.setattr(module, "_RELIST", 0.0)
    apply(config_map("a"))
    proxy, connection = through
    with watching(connection, config_maps, namespace) as watcher:
        until(lambda: watcher.told == ["a"])
        proxy.strike = lambda *_, **__: (404, b"404 page not found\n")
        until(lambda: watcher.told == ["a", "-a"])
        assert not watcher.informer.in_step


def test_a_server_that_is_gone_does_not_empty_the_copy(
    apply: Apply, kubeconfig: Callable[..., Path], relay: Callable[..., Any], config_maps: Resource, namespace: str
) -> None:
    apply(config_map("a"))
    between = relay()
    server = f"https://127.0.0.1:{between.address[1]}"
    with (
        Connection.open(kubeconfig=kubeconfig(cluster={"server": server})) as other,
        watching(other, config_maps, namespace) as watcher,
    ):
        until(lambda: watcher.informer.in_step)

        def unreachable() -> bool:
            between.close()  # again and again: one more connection may be in the middle of being accepted
            return isinstance(watcher.informer.last_error, ClusterUnreachableError)

        until(unreachable)
        assert watcher.told == ["a"]
        assert watcher.informer.get(namespace, "a") is not None


def _crd(group: str) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"boats.{group}"},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": "Boat", "plural": "boats"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }  # fmt: skip
