"""Why something is not ready, as the cluster tells it: real controllers, simulated Nodes that play what goes wrong."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane
from waiting import until

from pipeline.cluster.connection import Connection
from pipeline.health.state import Health, State
from renderers.manifest import ObjectId

Apply = Callable[..., Any]
Follow = Callable[..., dict[ObjectId, Health]]

#: No Node has it.
NOWHERE = {"nodeSelector": {"no": "where"}}


def template(plays: str = "", **pod: Any) -> dict[str, Any]:
    """What a workload makes Pods of; the Nodes play what it says."""
    annotations = {"annotations": {"kwok.example/plays": plays}} if plays else {}
    containers = [{"name": "web", "image": "shop.example/web:1"}]
    return {"metadata": {"labels": {"app": "web"}, **annotations}, "spec": {"containers": containers, **pod}}


def workload(kind: str, plays: str = "", name: str = "web", **pod: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template(plays, **pod)}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def job(plays: str) -> dict[str, Any]:
    spec = {"backoffLimit": 0, "template": template(plays, restartPolicy="Never")}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": spec}


def claim(storage_class: str) -> dict[str, Any]:
    spec = {
        "storageClassName": storage_class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}


@pytest.fixture
def wait_for(control_plane: ControlPlane, namespace: str) -> Callable[..., None]:
    """Waits until the objects of a kind are as `holds` says."""

    def run(kind: str, holds: Callable[[list[Any]], object]) -> None:
        def look() -> object:
            return holds(json.loads(control_plane.kubectl("get", kind, "-n", namespace, "-o", "json"))["items"])

        until(look, pause=0.1)

    return run


@pytest.fixture
def through(control_plane: ControlPlane, tmp_path: Path) -> Iterator[tuple[ApiProxy, Connection]]:
    """A proxy, and a connection through it."""
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection:
            yield proxy, connection


def only(found: Mapping[ObjectId, Health]) -> Health:
    (health,) = found.values()
    return health


def _waits(pods: list[Any]) -> bool:
    return bool(pods) and all(pod["status"].get("containerStatuses") for pod in pods)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"])
def test_an_image_that_cannot_be_pulled(apply: Apply, follow: Follow, wait_for: Callable[..., None], kind: str) -> None:
    applied = apply(workload(kind, "ImagePullBackOff"))
    wait_for("pods", _waits)
    wait_for("events", lambda events: any(event["reason"] == "Failed" for event in events))
    health = only(follow(applied, timeout=0.5, masked=lambda text: text.replace("not found", "***")))
    assert health.state is State.FAILED
    assert "(given up after 0.5 s); Pod web-" in health.message
    assert ": ImagePullBackOff: Back-off pulling image shop.example/web:1 (container web)" in health.message
    assert "\n  event: Pod web-" in health.message
    assert ": Failed: Failed to pull image: ***" in health.message


def test_a_container_that_crashes_is_told_with_the_end_of_its_log(
    apply: Apply, follow: Follow, wait_for: Callable[..., None], through: tuple[ApiProxy, Connection]
) -> None:
    proxy, connection = through
    asked: list[str] = []

    def strike(_number: int, _method: str, path: str, **_: Any) -> tuple[int, bytes] | None:
        if "/log?" not in path:
            return None
        asked.append(path)
        lines = [b"line %d" % number for number in range(9)]
        return 200, b"\n".join([*lines, b"\x1b[31mpassword hunter2\x1b[0m is\x07 wrong\xff", b"x" * 1000, b""])

    proxy.strike = strike
    applied = apply(workload("Deployment", "CrashLoopBackOff"))
    wait_for("pods", _waits)
    health = only(follow(applied, timeout=0.5, through=connection, masked=lambda text: text.replace("hunter2", "***")))
    assert ": CrashLoopBackOff: back-off 2m40s" in health.message
    assert "it last exited with 1" in health.message
    log = [line for line in health.message.splitlines() if line.startswith("  log: ")]
    assert len(log) == 10
    assert log[0] == "  log: line 1"
    assert log[8] == "  log: password *** is  wrong\ufffd"
    assert len(log[9]) < 320
    (path,) = asked
    assert "/pods/web-" in path
    assert parse_qs(urlsplit(path).query) == {
        "container": ["web"], "previous": ["true"], "tailLines": ["10"], "limitBytes": ["8192"],
    }  # fmt: skip


def test_a_log_that_was_cut_off_loses_its_last_line_in_which_a_secret_could_not_be_masked(
    apply: Apply, follow: Follow, wait_for: Callable[..., None], through: tuple[ApiProxy, Connection]
) -> None:
    proxy, connection = through
    proxy.strike = lambda _n, _m, path, **_: (200, b"first\n" + b"x" * 8186) if "/log?" in path else None
    applied = apply(workload("Deployment", "CrashLoopBackOff"))
    wait_for("pods", _waits)
    health = only(follow(applied, timeout=0.5, through=connection))
    assert [line for line in health.message.splitlines() if "log: " in line] == ["  log: first"]


def test_a_log_that_cannot_be_read_is_not_reported(apply: Apply, follow: Follow, wait_for: Callable[..., None]) -> None:
    """No program runs on the simulated Nodes, so the API server itself answers with an error."""
    applied = apply(workload("Deployment", "CrashLoopBackOff"))
    wait_for("pods", _waits)
    health = only(follow(applied, timeout=0.5))
    assert "CrashLoopBackOff" in health.message
    assert "log" not in health.message


def test_a_job_that_failed_is_told_by_its_pod(
    apply: Apply, follow: Follow, through: tuple[ApiProxy, Connection]
) -> None:
    proxy, connection = through
    asked: list[str] = []

    def strike(_number: int, _method: str, path: str, **_: Any) -> tuple[int, bytes] | None:
        return asked.append(path) or (200, b"no such table\n") if "/log?" in path else None  # type: ignore[func-returns-value]

    proxy.strike = strike
    health = only(follow(apply(job("Error")), through=connection))
    assert health.state is State.FAILED
    assert health.message.startswith("BackoffLimitExceeded: ")
    assert "; Pod migrate-" in health.message
    assert "(container web exited with 3)" in health.message
    assert "\n  log: no such table" in health.message
    assert "previous=false" in asked[0]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_pods_that_the_api_server_refuses(
    apply: Apply, follow: Follow, wait_for: Callable[..., None], kind: str
) -> None:
    apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}})
    wait_for("resourcequota", lambda found: found and found[0].get("status", {}).get("hard"))
    applied = apply(workload(kind))
    wait_for("events", lambda events: any(event["reason"] == "FailedCreate" for event in events))
    health = only(follow(applied, timeout=1))
    assert health.state is State.FAILED
    assert "FailedCreate: " in health.message
    assert "exceeded quota: few" in health.message


def test_a_pod_is_told_itself(apply: Apply, follow: Follow) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": template("", **NOWHERE)["spec"]}
    pod["metadata"]["annotations"] = {"kwok.example/plays": "ImagePullBackOff"}  # type: ignore[index]
    del pod["spec"]["nodeSelector"]  # type: ignore[attr-defined]
    health = only(follow(apply(pod), timeout=3))
    assert health.message.startswith("ImagePullBackOff: Back-off pulling image shop.example/web:1 (container web)")
    assert "\n  event: Pod web: Failed: " in health.message


def test_old_pods_that_are_well_are_not_blamed(apply: Apply, follow: Follow, wait_for: Callable[..., None]) -> None:
    applied = apply(workload("Deployment"))
    assert only(follow(applied)).state is State.CURRENT
    applied = apply(workload("Deployment", "ImagePullBackOff"))
    wait_for(
        "pods",
        lambda pods: any("waiting" in s["state"] for p in pods for s in p["status"].get("containerStatuses", ())),
    )
    health = only(follow(applied, timeout=0.5))
    assert ": ImagePullBackOff: " in health.message
    assert "(1 of 2 Pods are not ready)" in health.message


def test_a_claim_whose_class_makes_no_volume(apply: Apply, follow: Follow, wait_for: Callable[..., None]) -> None:
    applied = apply(claim("nowhere"))
    wait_for("events", lambda events: any(event["reason"] == "ProvisioningFailed" for event in events))
    health = only(follow(applied, timeout=0.5))
    assert health.state is State.FAILED
    assert health.message.startswith("is not bound yet (given up after 0.5 s)\n  event: PersistentVolumeClaim data: ")
    assert 'ProvisioningFailed: storageclass.storage.k8s.io "nowhere" not found' in health.message


def test_only_a_handful_of_objects_is_explained(apply: Apply, follow: Follow, connection: Connection) -> None:
    applied = [apply(workload("Deployment", name=f"web-{number}", **NOWHERE)) for number in range(8)]
    connection.requests.clear()
    found = follow(*applied, timeout=1)
    told = [health for health in found.values() if "; Pod web-" in health.message]
    assert len(told) == 5
    assert {health.state for health in found.values()} == {State.FAILED}
    assert connection.requests["LIST"] <= 1 + 5 * 3


def test_who_may_read_nothing_below_is_told_what_the_object_says(
    control_plane: ControlPlane, apply: Apply, namespace: str, follow: Follow, tmp_path: Path
) -> None:
    applied = apply(workload("Deployment", **NOWHERE))
    verbs = "--verb=get,list,watch"
    control_plane.kubectl("create", "role", "read", "-n", namespace, verbs, "--resource=deployments.apps")
    control_plane.kubectl("create", "rolebinding", "read", "-n", namespace, "--role=read", "--user=guest")
    config = json.loads(control_plane.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"]["as"] = "guest"
    (tmp_path / "guest").write_text(json.dumps(config))
    with Connection.open(kubeconfig=tmp_path / "guest") as guest:
        health = only(follow(applied, through=guest, timeout=2))
    assert health == Health(State.FAILED, "0 of 1 replicas available (given up after 2 s)")
