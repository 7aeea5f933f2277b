"""Whose fields win, by the command line: what others wrote is taken over, edited keys are healed, the rest is left."""

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., dict[str, Any]]

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [
            {"name": "web", "image": "nginx", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        ]},
    }},
}  # fmt: skip


def _pods(app: Any) -> set[str]:
    items = json.loads(app.kubectl("get", "pods", "-n", app.namespace, "-o", "json"))["items"]
    return {item["metadata"]["uid"] for item in items if "deletionTimestamp" not in item["metadata"]}


def test_a_move_from_kubectl_keeps_the_pods_and_loses_what_leaves_git(app: Any) -> None:
    app.kubectl("apply", "-n", app.namespace, "-f", "-", input=json.dumps(DEPLOYMENT))
    app.kubectl("rollout", "status", "deployment/web", "-n", app.namespace, "--timeout=60s")
    pods = _pods(app)
    app.folder.put(DEPLOYMENT)
    assert app.actions() == {"Deployment/web": "configured"}
    assert _pods(app) == pods
    assert app.actions() == {"Deployment/web": "unchanged"}
    less = copy.deepcopy(DEPLOYMENT)
    del less["spec"]["template"]["spec"]["containers"][0]["env"][1]
    app.folder.put(less)
    app.apply()
    container = app.get("deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "A", "value": "1"}]


@pytest.mark.parametrize("edit", ["s/name: web$/name: renamed/", "s/name: B$/name: C/"], ids=["container", "variable"])
def test_what_kubectl_edit_renamed_is_healed(
    app: Any, edit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.folder.put(DEPLOYMENT)
    app.apply()
    before = app.get("deployment", "web")["spec"]
    # Only the lines of the Pod's containers are indented by a list item.
    script = tmp_path / "edit"
    script.write_text(f'#!/bin/sh\nsed -i "/containers:/,/dnsPolicy:/ {edit}" "$1"\n')
    script.chmod(0o755)
    monkeypatch.setenv("KUBE_EDITOR", os.fspath(script))
    app.kubectl("edit", "deployment", "web", "-n", app.namespace)
    app.kubectl("label", "deployment", "web", "-n", app.namespace, "mine=1")
    assert app.get("deployment", "web")["spec"] != before
    assert app.actions() == {"Deployment/web": "configured"}
    live = app.get("deployment", "web")
    assert live["spec"] == before
    assert live["metadata"]["labels"]["mine"] == "1"
    assert app.actions() == {"Deployment/web": "unchanged"}


def test_a_yielded_field_costs_nothing_afterwards(app: Any, make_map: Make) -> None:
    wanted = make_map("a", x="git", y="git")
    wanted["metadata"]["annotations"] = {"trimtab.dev/conflicts": "yield"}
    app.folder.put(wanted)
    app.apply()
    patch = json.dumps({"data": {"x": "theirs"}})
    app.kubectl("patch", "configmap", "a", "-n", app.namespace, "--type=merge", "-p", patch)
    assert "left to others: .data.x" in app.changes()["ConfigMap/a"]["message"]
    before = app.get("configmap", "a")
    assert app.actions() == {"ConfigMap/a": "unchanged"}
    assert app.get("configmap", "a") == before
    assert before["data"] == {"x": "theirs", "y": "git"}
