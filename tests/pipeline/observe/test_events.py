"""Events on the real API server: what people read, counted instead of repeated, and never in the way."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane
from structlog.testing import capture_logs

from pipeline.cluster.connection import Connection
from pipeline.errors import LeaseLostError
from pipeline.observe import events as module
from pipeline.observe.events import Events


@pytest.fixture
def connection(control_plane: ControlPlane) -> Iterator[Connection]:
    with Connection.open(kubeconfig=control_plane.kubeconfig) as opened:
        yield opened


@pytest.fixture
def app(namespace: str) -> dict[str, Any]:
    """An App as a watch gives it; to say something of it, it need not exist."""
    metadata = {"name": "shop", "namespace": namespace, "uid": f"uid-{namespace}", "resourceVersion": "7"}
    return {"apiVersion": "trimtab.dev/v1alpha1", "kind": "App", "metadata": metadata}


@pytest.fixture
def told(control_plane: ControlPlane, namespace: str) -> Callable[[], list[dict[str, Any]]]:
    """All Events of the namespace, as kubectl reads them."""

    def read() -> list[dict[str, Any]]:
        found = json.loads(control_plane.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
        return sorted(found, key=lambda event: str(event["message"]))

    return read


Told = Callable[[], list[dict[str, Any]]]


def test_kubectl_shows_it_on_the_app(
    connection: Connection, control_plane: ControlPlane, app: dict[str, Any], namespace: str
) -> None:
    Events(connection, instance="pod-1").emit(app, "Warning", "RenderFailed", "chart x: no such value")
    table = control_plane.kubectl("get", "events", "-n", namespace, "--field-selector=involvedObject.name=shop")
    line = table.splitlines()[1]
    assert line.split()[1:4] == ["Warning", "RenderFailed", "app/shop"]
    assert line.endswith("chart x: no such value")
    wide = control_plane.kubectl("get", "events", "-n", namespace, "-o", "wide")
    assert "trimtab, pod-1" in wide


def test_the_same_again_counts_on_the_one_event(connection: Connection, app: dict[str, Any], told: Told) -> None:
    events = Events(connection, instance="pod-1")
    for message in ("a", "a", "b", "a"):
        events.emit(app, "Normal", "Synced", message)
    a, b = told()
    assert (a["message"], a["count"], b["message"], b["count"]) == ("a", 3, "b", 1)
    assert a["firstTimestamp"] <= a["lastTimestamp"]
    assert connection.requests["GET"] == 0


def test_the_same_of_another_kind_reason_or_app_is_another_event(
    connection: Connection, app: dict[str, Any], told: Told
) -> None:
    events = Events(connection, instance="pod-1")
    events.emit(app, "Normal", "Synced", "a")
    events.emit(app, "Warning", "Synced", "a")
    events.emit(app, "Normal", "Failed", "a")
    events.emit({**app, "metadata": {**app["metadata"], "uid": "again"}}, "Normal", "Synced", "a")
    assert [event["count"] for event in told()] == [1, 1, 1, 1]


def test_the_next_process_counts_on(connection: Connection, app: dict[str, Any], told: Told) -> None:
    for pod in ("pod-1", "pod-2", "pod-3"):
        Events(connection, instance=pod).emit(app, "Normal", "Synced", "a")
    assert [event["count"] for event in told()] == [3]


@pytest.mark.parametrize("remembered", [True, False])
def test_after_an_hour_it_begins_anew(
    connection: Connection, app: dict[str, Any], told: Told, monkeypatch: pytest.MonkeyPatch, *, remembered: bool
) -> None:
    events = Events(connection, instance="pod-1")
    monkeypatch.setattr(module, "_now", lambda: datetime.now(UTC) - timedelta(minutes=61))
    events.emit(app, "Normal", "Synced", "a")
    events.emit(app, "Normal", "Synced", "a")
    assert told()[0]["count"] == 2
    monkeypatch.undo()
    (events if remembered else Events(connection, instance="pod-1")).emit(app, "Normal", "Synced", "a")
    (event,) = told()
    assert event["count"] == 1
    assert datetime.now(UTC) - datetime.fromisoformat(event["firstTimestamp"]) < timedelta(minutes=30)


def test_an_event_that_the_server_let_go_is_written_again(
    connection: Connection, control_plane: ControlPlane, app: dict[str, Any], told: Told, namespace: str
) -> None:
    events = Events(connection, instance="pod-1")
    events.emit(app, "Normal", "Synced", "a")
    control_plane.kubectl("delete", "events", "--all", "-n", namespace)
    events.emit(app, "Normal", "Synced", "a")
    assert [event["count"] for event in told()] == [1]


def test_a_long_message_is_cut_between_two_characters(connection: Connection, app: dict[str, Any], told: Told) -> None:
    events = Events(connection, instance="pod-1")
    events.emit(app, "Normal", "Synced", "a" * 1024)
    events.emit(app, "Normal", "Synced", "b" + "€" * 1000)
    exact, cut = (event["message"] for event in told())
    assert exact == "a" * 1024
    assert cut.endswith("€…")
    assert 1020 < len(cut.encode()) <= 1024


def test_what_is_forgotten_is_read_again(
    connection: Connection, app: dict[str, Any], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 1)
    events = Events(connection, instance="pod-1")
    for message in ("a", "b", "a"):
        events.emit(app, "Normal", "Synced", message)
    assert [event["count"] for event in told()] == [2, 1]


def test_without_the_right_it_is_said_once_and_nothing_fails(
    control_plane: ControlPlane, app: dict[str, Any], namespace: str, tmp_path: Path
) -> None:
    control_plane.kubectl("create", "serviceaccount", "small", "-n", namespace)
    token = control_plane.kubectl("create", "token", "small", "-n", namespace).strip()
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        path = proxy.kubeconfig(tmp_path / "config", token)
        with Connection.open(kubeconfig=path) as small, capture_logs() as logs:
            events = Events(small, instance="pod-1")
            for message in ("a", "b", "c"):
                events.emit(app, "Normal", "Synced", message)
    assert [(line["event"], line["log_level"]) for line in logs] == [("Events cannot be written", "warning")]
    assert "events" in logs[0]["cause"]


def test_a_server_that_fails_is_asked_once_and_nothing_fails(
    control_plane: ControlPlane, app: dict[str, Any], tmp_path: Path
) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda *_, **__: (503, b"busy")
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection, capture_logs() as logs:
            Events(connection, instance="pod-1").emit(app, "Normal", "Synced", "a")
    assert len(proxy.requests) == 1
    assert len(logs) == 1


def test_a_namespace_that_goes_or_is_gone_is_no_trouble(
    connection: Connection, control_plane: ControlPlane, app: dict[str, Any], namespace: str
) -> None:
    keeper = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "keeper", "finalizers": ["test.example/keep"]},
    }
    control_plane.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(keeper))
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
    gone = {**app, "metadata": {**app["metadata"], "namespace": "no-such-namespace"}}
    try:
        with capture_logs() as logs:
            events = Events(connection, instance="pod-1")
            events.emit(app, "Normal", "Synced", "a")
            events.emit(gone, "Normal", "Synced", "a")
    finally:
        patch = '{"metadata": {"finalizers": null}}'
        control_plane.kubectl("patch", "configmap", "keeper", "-n", namespace, "--type=merge", "-p", patch)
    assert logs == []


def test_who_lost_the_lease_says_nothing(connection: Connection, app: dict[str, Any], told: Told) -> None:
    def shut() -> None:
        raise LeaseLostError("the lease is lost")

    with capture_logs() as logs:
        Events(connection.fenced(shut), instance="pod-1").emit(app, "Normal", "Synced", "a")
    assert (told(), logs) == ([], [])
