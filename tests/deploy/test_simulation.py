"""The simulated nodes: what runs on them looks as it does on real ones."""

import json
from typing import Any

import harness


def pods(plane: harness.ControlPlane, namespace: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(plane.kubectl("get", "pods", "-n", namespace, "-o", "json"))["items"]
    return items


def test_a_deployment_becomes_available_and_its_pods_show_their_images(
    control_plane: harness.ControlPlane, namespace: str
) -> None:
    image = "nginx:1.13.12"
    control_plane.kubectl("create", "deployment", "web", f"--image={image}", "--replicas=2", "-n", namespace)

    control_plane.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")

    running = pods(control_plane, namespace)
    assert [pod["status"]["phase"] for pod in running] == ["Running", "Running"]
    assert [status["image"] for pod in running for status in pod["status"]["containerStatuses"]] == [image, image]
    assert len({pod["status"]["podIP"] for pod in running}) == 2


def test_a_rollout_replaces_the_pods(control_plane: harness.ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "deployment", "web", "--image=nginx:1.13.12", "-n", namespace)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")

    control_plane.kubectl("set", "image", "deployment/web", "nginx=nginx:1.14.2", "-n", namespace)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")
    control_plane.kubectl(
        "wait", "pod", "-n", namespace, "--all", "--for=jsonpath={.spec.containers[0].image}=nginx:1.14.2"
    )

    assert [pod["status"]["phase"] for pod in pods(control_plane, namespace)] == ["Running"]


def test_a_job_completes(control_plane: harness.ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "job", "once", "--image=busybox", "-n", namespace, "--", "true")

    control_plane.kubectl("wait", "job/once", "--for=condition=Complete", "-n", namespace, "--timeout=60s")

    (pod,) = pods(control_plane, namespace)
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


def test_init_containers_and_sidecars_are_shown(control_plane: harness.ControlPlane, namespace: str) -> None:
    spec = {
        "initContainers": [
            {"name": "first", "image": "busybox"},
            {"name": "beside", "image": "envoy", "restartPolicy": "Always"},
        ],
        "containers": [{"name": "main", "image": "nginx"}],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "several", "namespace": namespace}, "spec": spec}
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(pod))

    control_plane.kubectl("wait", "pod/several", "--for=condition=Ready", "-n", namespace, "--timeout=60s")

    (found,) = pods(control_plane, namespace)
    states = {status["name"]: list(status["state"]) for status in found["status"]["initContainerStatuses"]}
    assert states == {"first": ["terminated"], "beside": ["running"]}


def test_deleted_pods_go_away(control_plane: harness.ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "deployment", "web", "--image=nginx", "-n", namespace)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")

    control_plane.kubectl("delete", "deployment/web", "--cascade=foreground", "-n", namespace, "--timeout=60s")

    assert pods(control_plane, namespace) == []


def test_the_audit_log_has_the_requests_of_a_client_and_only_those(
    control_plane: harness.ControlPlane, namespace: str
) -> None:
    control_plane.kubectl("create", "configmap", "counted", "-n", namespace)
    control_plane.kubectl("create", "deployment", "web", "--image=nginx", "-n", namespace)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")

    events = [json.loads(line) for line in control_plane.audit_log.read_text().splitlines()]

    of_object = [event for event in events if event.get("objectRef", {}).get("name") == "counted"]
    assert [(event["verb"], event["user"]["username"]) for event in of_object] == [("create", "admin")]
    in_namespace = [event for event in events if event.get("objectRef", {}).get("namespace") == namespace]
    assert {event["user"]["username"] for event in in_namespace} == {"admin"}
