"""Waiting on the real control plane, where controllers roll out and simulated nodes run the Pods."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane

from pipeline.app import HealthCheck, Match
from pipeline.cluster.connection import Connection
from pipeline.health.rules import Health, State
from pipeline.health.wait import wait
from renderers.manifest import ObjectId

Apply = Callable[..., tuple[ObjectId, Any]]


def claim(name: str, storage_class: str) -> dict[str, Any]:
    spec = {
        "storageClassName": storage_class,
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def deployment(name: str = "web", *, starts_after: str = "0s", **pod: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": {"kwok.example/starts-after": starts_after}},
                "spec": {"containers": [{"name": "web", "image": "nginx:1.13.12"}], **pod},
            },
        },
    }


#: No node has it.
NOWHERE = {"nodeSelector": {"no": "where"}}


@pytest.fixture
def second_namespace(control_plane: ControlPlane) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def test_a_rollout_is_followed_until_it_is_current(
    connection: Connection, apply: Apply, namespace: str, never: threading.Event
) -> None:
    resources = dict([apply(deployment()), apply(deployment("api"))])
    connection.requests.clear()
    changes: list[tuple[ObjectId, Health]] = []
    result = wait(
        connection, resources, selector=f"test={namespace}", timeout=60, stop=never,
        on_change=lambda *change: changes.append(change),
    )  # fmt: skip
    assert result == dict.fromkeys(resources, Health(State.CURRENT))
    assert {object_id for object_id, health in changes if health.state is State.CURRENT} == set(resources)
    assert connection.requests["LIST"] == 1
    assert connection.requests["WATCH"] <= 1


def test_what_is_current_already_takes_one_list(
    connection: Connection, apply: Apply, namespace: str, never: threading.Event
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    resources = dict([apply(body)])
    connection.requests.clear()
    wait(connection, resources, selector=f"test={namespace}", timeout=60, stop=never)
    assert connection.requests == {"LIST": 1}


def test_two_namespaces_take_one_list_of_all(
    connection: Connection, apply: Apply, namespace: str, second_namespace: str, never: threading.Event
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    resources = dict([apply(body), apply(body, to=second_namespace)])
    connection.requests.clear()
    result = wait(connection, resources, selector=f"test={namespace}", timeout=60, stop=never)
    assert {health.state for health in result.values()} == {State.CURRENT}
    assert connection.requests == {"LIST": 1}


def test_who_may_not_list_the_cluster_lists_each_namespace(
    control_plane: ControlPlane, apply: Apply, namespace: str, second_namespace: str, never: threading.Event,
    tmp_path: Path,
) -> None:  # fmt: skip
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
    resources = dict([apply(body), apply(body, to=second_namespace)])
    for each in (namespace, second_namespace):
        control_plane.kubectl("create", "role", "read", "-n", each, "--verb=get,list,watch", "--resource=configmaps")
        control_plane.kubectl("create", "rolebinding", "read", "-n", each, "--role=read", "--user=guest")
    config = json.loads(control_plane.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"]["as"] = "guest"
    path = tmp_path / "guest"
    path.write_text(json.dumps(config))
    with Connection.open(kubeconfig=path) as guest:
        result = wait(guest, resources, selector=f"test={namespace}", timeout=60, stop=never)
        assert {health.state for health in result.values()} == {State.CURRENT}
        assert guest.requests == {"LIST": 3}


def test_who_may_not_read_at_all_is_told_so(
    control_plane: ControlPlane, apply: Apply, namespace: str, never: threading.Event, tmp_path: Path
) -> None:
    resources = dict([apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}})])
    config = json.loads(control_plane.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"]["as"] = "guest"
    path = tmp_path / "guest"
    path.write_text(json.dumps(config))
    with Connection.open(kubeconfig=path) as guest:
        (health,) = wait(guest, resources, selector=f"test={namespace}", timeout=60, stop=never).values()
    assert health.state is State.FAILED
    assert 'User "guest" cannot list resource "configmaps"' in health.message


def test_an_object_that_is_not_there_is_gone(
    connection: Connection, apply: Apply, namespace: str, never: threading.Event
) -> None:
    object_id, resource = apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}})
    lost = ObjectId("ConfigMap", "", namespace, "lost")
    result = wait(
        connection, {object_id: resource, lost: resource}, selector=f"test={namespace}", timeout=60, stop=never
    )
    assert result[object_id].state is State.CURRENT
    assert result[lost].state is State.FAILED
    assert "is gone" in result[lost].message


def test_an_object_that_is_deleted_while_we_wait_is_gone(
    connection: Connection, apply: Apply, namespace: str, control_plane: ControlPlane, never: threading.Event
) -> None:
    resources = dict([apply(deployment(**NOWHERE))])
    seen = threading.Event()
    found: dict[ObjectId, Health] = {}

    def run() -> None:
        found.update(
            wait(
                connection, resources, selector=f"test={namespace}", timeout=60, stop=never,
                on_change=lambda *_: seen.set(),
            )
        )  # fmt: skip

    thread = threading.Thread(target=run)
    thread.start()
    assert seen.wait(30)
    control_plane.kubectl("delete", "deployment", "web", "-n", namespace)
    thread.join(30)
    assert [health.state for health in found.values()] == [State.FAILED]
    assert "is gone" in next(iter(found.values())).message


def test_a_workload_that_is_not_ready_in_time_is_explained_by_its_pods(
    connection: Connection, apply: Apply, namespace: str, control_plane: ControlPlane, never: threading.Event
) -> None:
    resources = dict([apply(deployment(**NOWHERE))])
    control_plane.kubectl(
        "wait", "pod", "-l", "app=web", "-n", namespace, "--for=condition=PodScheduled=false", "--timeout=60s"
    )
    (health,) = wait(connection, resources, selector=f"test={namespace}", timeout=0.5, stop=never).values()
    assert health.state is State.FAILED
    assert "0 of 2 replicas available (given up after 0.5 s); Pod web-" in health.message
    assert "Unschedulable" in health.message
    assert "2 of 2 Pods are not ready" in health.message


def test_a_rollout_that_exceeds_its_deadline_has_failed(
    connection: Connection, apply: Apply, namespace: str, never: threading.Event
) -> None:
    body = deployment(**NOWHERE)
    body["spec"]["progressDeadlineSeconds"] = 1
    resources = dict([apply(body)])
    (health,) = wait(connection, resources, selector=f"test={namespace}", timeout=60, stop=never).values()
    assert health.state is State.FAILED
    assert health.message.startswith("ProgressDeadlineExceeded")
    assert "; Pod web-" in health.message


def test_stop_ends_the_waiting(connection: Connection, apply: Apply, namespace: str) -> None:
    resources = dict([apply(deployment(**NOWHERE))])
    stop = threading.Event()
    (health,) = wait(
        connection, resources, selector=f"test={namespace}", timeout=3600, stop=stop, on_change=lambda *_: stop.set()
    ).values()
    assert health.state is State.IN_PROGRESS


def test_an_object_with_a_time_of_its_own_does_not_end_the_wait_for_the_others(
    apply: Apply, follow: Callable[..., dict[ObjectId, Health]]
) -> None:
    stuck, slow = apply(deployment("stuck", **NOWHERE)), apply(deployment("slow", starts_after="2s"))
    found = follow(stuck, slow, timeouts={stuck[0]: 0.5})
    assert found[stuck[0]].state is State.FAILED
    assert "(given up after 0.5 s)" in found[stuck[0]].message
    assert found[slow[0]] == Health(State.CURRENT)


def test_an_object_may_take_longer_than_the_others(apply: Apply, follow: Callable[..., dict[ObjectId, Health]]) -> None:
    slow = apply(deployment("slow", starts_after="2s"))
    assert follow(slow, timeout=0.1, timeouts={slow[0]: 60})[slow[0]] == Health(State.CURRENT)


def test_what_becomes_ready_after_its_time_while_others_are_waited_for_is_ready(
    apply: Apply, follow: Callable[..., dict[ObjectId, Health]]
) -> None:
    late, slow = apply(deployment("late", starts_after="1s")), apply(deployment("slow", starts_after="3s"))
    assert follow(late, slow, timeouts={late[0]: 0.1})[late[0]] == Health(State.CURRENT)


def test_until_ends_the_waiting_and_nothing_is_explained(
    connection: Connection, apply: Apply, follow: Callable[..., dict[ObjectId, Health]]
) -> None:
    stuck = apply(deployment(**NOWHERE))
    seen = threading.Event()
    connection.requests.clear()
    found = follow(stuck, timeout=3600, until=seen.is_set, on_change=lambda *_: seen.set())
    assert found[stuck[0]].state is State.IN_PROGRESS
    assert connection.requests["LIST"] == 1


def test_the_rules_of_the_app_are_asked(
    control_plane: ControlPlane, apply: Apply, namespace: str, follow: Callable[..., dict[ObjectId, Health]]
) -> None:
    check = HealthCheck("v1", "ConfigMap", Match("{.data.phase}", ("done",)), Match("{.data.phase}", ("broken",)))
    applied = apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"phase": "new"}})

    def becomes(phase: str) -> Callable[..., None]:
        patch = json.dumps({"data": {"phase": phase}})
        return lambda *_: control_plane.kubectl("patch", "configmap", "one", "-n", namespace, "-p", patch)

    thread = threading.Timer(0, becomes("done"))
    thread.start()
    assert follow(applied, checks=[check])[applied[0]] == Health(State.CURRENT)
    thread.join()
    becomes("broken")()
    assert follow(applied, checks=[check])[applied[0]] == Health(State.FAILED, "its {.data.phase} is broken")


@pytest.mark.parametrize(("mode", "state"), [("WaitForFirstConsumer", State.CURRENT), ("Immediate", State.FAILED)])
def test_a_claim_that_is_not_bound_is_waited_for_unless_its_class_waits_for_a_consumer(
    control_plane: ControlPlane, connection: Connection, apply: Apply, namespace: str,
    follow: Callable[..., dict[ObjectId, Health]], mode: str, state: State,
) -> None:  # fmt: skip
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": namespace},
            "provisioner": "disks.example", "volumeBindingMode": mode}  # fmt: skip
    control_plane.kubectl("create", "-f", "-", input=json.dumps(made))
    try:
        claims = [apply(claim(name, namespace)) for name in ("one", "two")]
        connection.requests.clear()
        assert {health.state for health in follow(*claims, timeout=1).values()} == {state}
        assert connection.requests["GET"] == 1  # the class, once for both
    finally:
        control_plane.kubectl("delete", "storageclass", namespace)


def test_a_watch_that_breaks_and_one_that_is_too_old_go_on(
    control_plane: ControlPlane, apply: Apply, namespace: str, never: threading.Event, tmp_path: Path
) -> None:
    expired = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    answers = [b"", json.dumps(expired).encode() + b"\n", b'{"type":"MODIF']

    def strike(number: int, method: str, path: str, **_: Any) -> tuple[int, bytes] | None:
        if not answers or "watch=true" not in path:
            return None
        if len(answers) == 1:
            apply(deployment())  # from now on it can become ready
        return 200, answers.pop(0)

    resources = dict([apply(deployment(**NOWHERE))])
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = strike
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection:
            (health,) = wait(connection, resources, selector=f"test={namespace}", timeout=60, stop=never).values()
    assert health == Health(State.CURRENT)
    assert answers == []


def test_a_job_that_removed_itself_when_it_was_complete_stays_current(
    connection: Connection, apply: Apply, namespace: str, control_plane: ControlPlane, never: threading.Event
) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate"},
        "spec": {
            "ttlSecondsAfterFinished": 0,
            "template": {
                "spec": {**NOWHERE, "restartPolicy": "Never", "containers": [{"name": "c", "image": "migrate"}]}
            },
        },
    }
    other = apply(deployment(**NOWHERE))
    job_id, job_resource = apply(job)
    complete = threading.Event()
    stop = threading.Event()
    found: dict[ObjectId, Health] = {}

    def changed(object_id: ObjectId, health: Health) -> None:
        if object_id == job_id and health.state is State.CURRENT:
            complete.set()

    def run() -> None:
        resources = {job_id: job_resource, other[0]: other[1]}
        found.update(
            wait(connection, resources, selector=f"test={namespace}", timeout=60, stop=stop, on_change=changed)
        )

    thread = threading.Thread(target=run)
    thread.start()
    pod = _first_pod(control_plane, namespace, "job-name=migrate")
    patch = json.dumps({"status": {"phase": "Succeeded"}})
    control_plane.kubectl("patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    assert complete.wait(30)
    control_plane.kubectl("wait", "job/migrate", "-n", namespace, "--for=delete", "--timeout=30s")
    stop.set()
    thread.join(30)
    assert found[job_id].state is State.CURRENT


def test_no_ids_take_no_request(connection: Connection, never: threading.Event) -> None:
    assert wait(connection, {}, selector="a=b", timeout=60, stop=never) == {}
    assert not connection.requests


def _first_pod(control_plane: ControlPlane, namespace: str, selector: str) -> str:
    deadline = time.monotonic() + 30
    while True:
        names = control_plane.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "name").split()
        if names:
            return names[0].removeprefix("pod/")
        assert time.monotonic() < deadline
        time.sleep(0.05)
