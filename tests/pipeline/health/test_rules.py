"""Each kind's rule, case by case: statuses as the API server gives them."""

from typing import Any

import pytest

from pipeline.health.rules import Health, State, assess, may_be_unready, settled
from pipeline.health.workloads import pod_trouble
from renderers.manifest import ObjectId

CURRENT, IN_PROGRESS, FAILED = State.CURRENT, State.IN_PROGRESS, State.FAILED


def obj(kind: str, status: dict[str, Any] | None = None, spec: Any = None, **metadata: Any) -> dict[str, Any]:
    name, _, group = kind.partition(".")
    made: dict[str, Any] = {"apiVersion": f"{group}/v1" if group else "v1", "kind": name, "metadata": metadata}
    return made | ({"spec": spec} if spec is not None else {}) | ({"status": status} if status is not None else {})


def condition(kind: str, status: str, **more: Any) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, **more}]}


def rollout(**numbers: Any) -> dict[str, Any]:
    return {"observedGeneration": 2, **numbers}


DONE = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
STATEFUL = {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "currentRevision": "a", "updateRevision": "a"}
BEHIND = rollout(**STATEFUL | {"updatedReplicas": 0, "updateRevision": "b"})
ONE_NEW = rollout(**STATEFUL | {"updatedReplicas": 1, "updateRevision": "b"})
DAEMON = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}


@pytest.mark.parametrize(
    ("status", "state", "message"),
    [
        (None, IN_PROGRESS, "its controller has not seen it yet"),
        ({"observedGeneration": 1, **DONE}, IN_PROGRESS, "its controller has not seen the change yet"),
        (rollout(**DONE), CURRENT, ""),
        (rollout(**DONE | {"updatedReplicas": 1}), IN_PROGRESS, "1 of 3 replicas updated"),
        (rollout(**DONE | {"replicas": 4}), IN_PROGRESS, "1 old replicas are still there"),
        (rollout(**DONE | {"availableReplicas": 2}), IN_PROGRESS, "2 of 3 replicas available"),
        (
            rollout(**condition("Progressing", "False", reason="ProgressDeadlineExceeded", message="too slow")),
            FAILED,
            "ProgressDeadlineExceeded: too slow",
        ),
        (
            rollout(**condition("ReplicaFailure", "True", reason="FailedCreate", message="quota")),
            IN_PROGRESS,
            "FailedCreate: quota",
        ),
    ],
)
def test_deployment(status: dict[str, Any] | None, state: State, message: str) -> None:
    assert assess(obj("Deployment.apps", status, {"replicas": 3}, generation=2)) == Health(state, message)


def test_an_old_failure_of_a_deployment_says_nothing_of_the_change_that_was_just_applied() -> None:
    failed = condition("Progressing", "False", reason="ProgressDeadlineExceeded")
    assert assess(obj("Deployment.apps", rollout(**failed), {"replicas": 3}, generation=3)).state is IN_PROGRESS


def test_a_paused_deployment_says_so() -> None:
    health = assess(obj("Deployment.apps", rollout(), {"replicas": 1, "paused": True}, generation=2))
    assert health == Health(IN_PROGRESS, "0 of 1 replicas updated; its rollout is paused")


def test_a_deployment_of_no_replicas_is_current_once_it_was_seen() -> None:
    assert assess(obj("Deployment.apps", rollout(), {"replicas": 0}, generation=2)).state is CURRENT


@pytest.mark.parametrize(
    ("strategy", "status", "state"),
    [
        ({}, None, IN_PROGRESS),
        ({}, rollout(**STATEFUL), CURRENT),
        ({}, rollout(**STATEFUL | {"readyReplicas": 2}), IN_PROGRESS),
        ({}, rollout(**STATEFUL | {"replicas": 4}), IN_PROGRESS),
        ({}, ONE_NEW, IN_PROGRESS),
        ({"type": "OnDelete"}, ONE_NEW, CURRENT),
        ({"rollingUpdate": {"partition": 2}}, ONE_NEW, CURRENT),
        (
            {"rollingUpdate": {"partition": 2}},
            BEHIND,
            IN_PROGRESS,
        ),
        ({"rollingUpdate": {"partition": 9}}, BEHIND, CURRENT),
    ],
)  # fmt: skip
def test_stateful_set(strategy: dict[str, Any], status: dict[str, Any] | None, state: State) -> None:
    spec = {"replicas": 3, "updateStrategy": strategy}
    assert assess(obj("StatefulSet.apps", status, spec, generation=2)).state is state


@pytest.mark.parametrize(
    ("strategy", "status", "state"),
    [
        ("RollingUpdate", None, IN_PROGRESS),
        ("RollingUpdate", rollout(**DAEMON), CURRENT),
        ("RollingUpdate", rollout(**DAEMON | {"updatedNumberScheduled": 1}), IN_PROGRESS),
        ("RollingUpdate", rollout(**DAEMON | {"numberAvailable": 1}), IN_PROGRESS),
        ("OnDelete", rollout(**DAEMON | {"updatedNumberScheduled": 0}), CURRENT),
    ],
)
def test_daemon_set(strategy: str, status: dict[str, Any] | None, state: State) -> None:
    spec = {"updateStrategy": {"type": strategy}}
    assert assess(obj("DaemonSet.apps", status, spec, generation=2)).state is state


@pytest.mark.parametrize(
    ("kind", "status", "spec", "state"),
    [
        ("ReplicaSet.apps", rollout(**DONE), {"replicas": 3}, CURRENT),
        ("ReplicaSet.apps", rollout(**DONE), {"replicas": 4}, IN_PROGRESS),
        ("ReplicaSet.apps", rollout(**DONE), {"replicas": 2}, IN_PROGRESS),
        ("Pod", None, {}, IN_PROGRESS),
        ("Pod", {"phase": "Running", **condition("Ready", "True")}, {}, CURRENT),
        ("Pod", {"phase": "Running", **condition("Ready", "False")}, {}, IN_PROGRESS),
        ("Pod", {"phase": "Succeeded"}, {}, CURRENT),
        ("Pod", {"phase": "Failed"}, {}, FAILED),
        ("Job.batch", {"active": 1, "startTime": "2026-01-01T00:00:00Z"}, {}, IN_PROGRESS),
        ("Job.batch", condition("Complete", "True"), {}, CURRENT),
        ("Job.batch", condition("Failed", "True"), {}, FAILED),
        ("Job.batch", condition("Suspended", "True"), {"suspend": True}, CURRENT),
        ("CronJob.batch", {}, {}, CURRENT),
        ("PersistentVolumeClaim", {"phase": "Bound"}, {}, CURRENT),
        ("PersistentVolumeClaim", {"phase": "Pending"}, {}, CURRENT),
        ("PersistentVolumeClaim", {"phase": "Pending"}, {"storageClassName": ""}, CURRENT),
        ("PersistentVolumeClaim", {"phase": "Pending"}, {"storageClassName": "fast"}, IN_PROGRESS),
        ("PersistentVolumeClaim", {"phase": "Lost"}, {}, FAILED),
        ("Service", {"loadBalancer": {}}, {"type": "ClusterIP"}, CURRENT),
        ("Service", {"loadBalancer": {}}, {"type": "LoadBalancer"}, IN_PROGRESS),
        ("Service", {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}, {"type": "LoadBalancer"}, CURRENT),
        ("Service", {"loadBalancer": {}}, {"type": "LoadBalancer", "externalIPs": ["1.2.3.4"]}, CURRENT),
        ("Ingress.networking.k8s.io", {"loadBalancer": {}}, {}, CURRENT),
        ("HorizontalPodAutoscaler.autoscaling", condition("ScalingActive", "False"), {}, CURRENT),
        ("PodDisruptionBudget.policy", condition("DisruptionAllowed", "False"), {}, CURRENT),
        ("PodDisruptionBudget.policy", {"observedGeneration": 1}, {}, IN_PROGRESS),
        ("CustomResourceDefinition.apiextensions.k8s.io", {"conditions": None}, {}, IN_PROGRESS),
        ("CustomResourceDefinition.apiextensions.k8s.io", condition("Established", "True"), {}, CURRENT),
        ("CustomResourceDefinition.apiextensions.k8s.io", condition("NamesAccepted", "False"), {}, FAILED),
        ("CustomResourceDefinition.apiextensions.k8s.io", condition("Established", "False"), {}, FAILED),
        (
            "CustomResourceDefinition.apiextensions.k8s.io",
            condition("Established", "False", reason="Installing"),
            {},
            IN_PROGRESS,
        ),
        ("Namespace", {"phase": "Active"}, {}, CURRENT),
        ("Namespace", {}, {}, IN_PROGRESS),
        ("APIService.apiregistration.k8s.io", condition("Available", "True"), {}, CURRENT),
        ("APIService.apiregistration.k8s.io", condition("Available", "False"), {}, IN_PROGRESS),
        ("ConfigMap", None, None, CURRENT),
        ("Role.rbac.authorization.k8s.io", None, None, CURRENT),
        ("Boat.sea.example", None, None, CURRENT),
        ("Boat.sea.example", condition("Ready", "True"), {}, CURRENT),
        ("Boat.sea.example", condition("Ready", "False"), {}, IN_PROGRESS),
        ("Boat.sea.example", condition("Ready", "Unknown"), {}, IN_PROGRESS),
        ("Boat.sea.example", condition("Reconciling", "True"), {}, IN_PROGRESS),
        ("Boat.sea.example", condition("Stalled", "True"), {}, FAILED),
        ("Boat.sea.example", {"observedGeneration": 1, **condition("Ready", "True")}, {}, IN_PROGRESS),
        ("Boat.sea.example", condition("Ready", "True", observedGeneration=1), {}, IN_PROGRESS),
    ],
)
def test_kinds(kind: str, status: dict[str, Any] | None, spec: Any, state: State) -> None:
    made = obj(kind, status, spec, generation=2)
    assert assess(made).state is state
    assert settled(made) == (state is CURRENT)


def test_what_is_being_deleted_says_what_holds_it() -> None:
    ended = obj("ConfigMap", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["a.example/b"])
    assert assess(ended) == Health(State.TERMINATING, "is being deleted, held by a.example/b")


@pytest.mark.parametrize("status", [[], "x", {"conditions": "x"}, {"conditions": ["x"]}, {"observedGeneration": "x"}])
@pytest.mark.parametrize(
    "kind", ["Deployment.apps", "StatefulSet.apps", "Pod", "Job.batch", "Service", "Boat.sea.example"]
)
def test_a_status_of_another_shape_does_not_break_a_rule(kind: str, status: Any) -> None:
    assert assess(obj(kind, status, status, generation=2)).state in State


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"name": "web", "state": {"waiting": {"reason": reason, **({"message": message} if message else {})}}}


ENDED = {"lastState": {"terminated": {"exitCode": 7}}}


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ({"containerStatuses": [waiting("ContainerCreating")]}, ""),
        (
            {"containerStatuses": [{"name": "ok"}, waiting("ImagePullBackOff", "no such image")]},
            "ImagePullBackOff: no such image (container web)",
        ),
        (
            {"containerStatuses": [waiting("CrashLoopBackOff", "back-off") | ENDED]},
            "CrashLoopBackOff: back-off (container web; it last exited with 7)",
        ),
        ({"initContainerStatuses": [waiting("ErrImagePull")]}, "ErrImagePull (container web)"),
        (
            {"containerStatuses": [{"name": "web", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]},
            "Error (container web exited with 1)",
        ),
        (condition("PodScheduled", "False", reason="Unschedulable", message="0/2 nodes"), "Unschedulable: 0/2 nodes"),
        (condition("PodScheduled", "True"), ""),
    ],
)  # fmt: skip
def test_what_troubles_a_pod(status: dict[str, Any], trouble: str) -> None:
    assert pod_trouble(obj("Pod", status)) == trouble


def test_a_pod_that_crashes_again_and_again_has_failed() -> None:
    status = {"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]}
    assert assess(obj("Pod", status)).state is FAILED


@pytest.mark.parametrize(
    ("kind", "may"),
    [("Deployment.apps", True), ("Boat.sea.example", True), ("PersistentVolumeClaim", True), ("ConfigMap", False),
     ("Role.rbac.authorization.k8s.io", False), ("CronJob.batch", False), ("PodDisruptionBudget.policy", False)],
)  # fmt: skip
def test_which_kinds_may_exist_and_not_be_ready(kind: str, may: bool) -> None:
    name, _, group = kind.partition(".")
    assert may_be_unready(ObjectId(name, group, "ns", "x")) == may
