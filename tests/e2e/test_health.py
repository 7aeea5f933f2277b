"""What a sync says of what does not become ready: the simulated Nodes play what goes wrong, the rest is real."""

import json
from typing import Any

import pytest

#: No Node has it.
NOWHERE = {"nodeSelector": {"no": "where"}}


def template(annotations: dict[str, str], **pod: Any) -> dict[str, Any]:
    containers = [{"name": "web", "image": "shop.example/web:1"}]
    return {
        "metadata": {"labels": {"app": "web"}, "annotations": annotations},
        "spec": {"containers": containers, **pod},
    }


def deployment(name: str = "web", *, deadline: int = 600, timeout: str = "", starts_after: str = "0s", plays: str = "",
               **pod: Any) -> dict[str, Any]:  # fmt: skip
    annotations = {"kwok.example/starts-after": starts_after} | ({"kwok.example/plays": plays} if plays else {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": {"trimtab.dev/timeout": timeout} if timeout else {}},
        "spec": {
            "progressDeadlineSeconds": deadline,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(annotations, **pod),
        },
    }


def job(name: str, **annotations: str) -> dict[str, Any]:
    spec = {"backoffLimit": 0, "template": template(annotations, restartPolicy="Never")}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def unready(app: Any, *flags: str) -> str:
    """Apply what does not become ready; what is said of the one object."""
    (sentence,) = json.loads(app.apply(*flags, code=1).out)["unhealthy"]
    return str(sentence)


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (deployment(plays="ImagePullBackOff"), ": ImagePullBackOff: Back-off pulling image shop.example/web:1"),
        (deployment(plays="CrashLoopBackOff"), "(container web; it last exited with 1)"),
        (deployment(**NOWHERE), ": Unschedulable: 0/3 nodes are available"),
    ],
    ids=["image", "crash", "unschedulable"],
)
def test_a_rollout_that_comes_to_nothing_fails_the_sync_and_says_why(
    app: Any, manifest: dict[str, Any], reason: str
) -> None:
    app.folder.put(manifest)
    sentence = unready(app, "--timeout", "5s")
    assert sentence.startswith(f"Deployment.apps/{app.namespace}/web: 0 of 1 replicas available (given up after 5 s); ")
    assert "; Pod web-" in sentence
    assert reason in sentence


def test_a_job_that_fails_ends_the_wait_and_says_how_its_pod_ended(app: Any) -> None:
    app.folder.put(job("migrate", **{"kwok.example/plays": "Error"}))
    sentence = unready(app, "--timeout", "10m")
    assert "BackoffLimitExceeded" in sentence
    assert "(container web exited with 3)" in sentence


def test_a_rollout_past_its_own_deadline_ends_the_wait_before_the_apps_timeout(app: Any) -> None:
    app.folder.put(deployment(deadline=1, plays="ImagePullBackOff"))
    sentence = unready(app, "--timeout", "10m")
    assert "ProgressDeadlineExceeded" in sentence
    assert "given up" not in sentence
    assert ": ImagePullBackOff: " in sentence


def test_pods_that_a_quota_refuses(app: Any) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}}
    app.folder.put(quota, deployment())
    sentence = unready(app, "--timeout", "10s")
    assert "FailedCreate: " in sentence
    assert "exceeded quota: few" in sentence


def test_a_slow_start_is_waited_for(app: Any) -> None:
    app.folder.put(deployment(starts_after="3s"), job("migrate", **{"kwok.example/starts-after": "3s"}))
    assert json.loads(app.apply().out)["unhealthy"] == []
    live = app.get("deployment", "web")
    assert live is not None
    assert live["status"]["availableReplicas"] == 1


def test_an_object_may_have_a_time_of_its_own(app: Any) -> None:
    app.folder.put(deployment(timeout="2s", **NOWHERE))
    assert "(given up after 2 s)" in unready(app, "--timeout", "10m")


def test_an_app_may_say_itself_what_ready_means(app: Any, make_map: Any) -> None:
    app.folder.put(make_map("one", phase="broken"))
    path = app.folder.path.parent / "app.yaml"
    match = {"jsonPath": "{.data.phase}", "values": ["done"]}
    failed = {"jsonPath": "{.data.phase}", "values": ["broken"]}
    check = {"apiVersion": "v1", "kind": "ConfigMap", "ready": match, "failed": failed}
    path.write_text(
        json.dumps(
            {"apiVersion": "trimtab.dev/v1alpha1", "kind": "App", "metadata": {"name": "shop", "namespace": "default"},
             "spec": {"healthChecks": [check]}}
        )
    )  # fmt: skip
    assert unready(app, "-f", str(path)) == f"ConfigMap/{app.namespace}/one: its {{.data.phase}} is broken"
    app.folder.put(make_map("one", phase="done"))
    assert json.loads(app.apply("-f", str(path)).out)["unhealthy"] == []
