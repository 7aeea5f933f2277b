"""`trimtab sync`: asks, waits for the answer, says what changed, and exits as the outcome."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from played import Apps, held, past, said

from pipeline.control.resource import SYNC_ANNOTATION

Trimtab = Callable[..., Any]


def test_a_sync_is_asked_for_and_what_changed_is_shown(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    apps.say(said(commit="a", history=[past("a", created=2)], lastHandledSync="an older request"))
    new = [past("b", created=1, unchanged=2), past("a", created=2)]
    with apps.answering(said(commit="b", message="3 objects applied and ready", history=new, warnings=["doubtful"])):
        result = trimtab("sync", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    assert result.out.splitlines() == [
        f"{'b' * 12} Succeeded: 1 created",
        f"App {apps.namespace}/shop at {'b' * 12}: Ready: 3 objects applied and ready",
    ]
    assert "warning: doubtful" in result.err


def test_each_request_is_another(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    requests = set()
    for _ in range(2):
        assert trimtab("sync", "shop", "-n", apps.namespace, "--no-wait").code == 0
        requests.add(apps.annotations()[SYNC_ANNOTATION])
    assert len(requests) == 2


def test_the_answer_to_a_later_request_is_an_answer_too(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()

    def overtaken(request: str) -> None:
        patch = json.dumps({"metadata": {"annotations": {SYNC_ANNOTATION: "later"}}})
        apps.plane.kubectl("patch", "app", "shop", "-n", apps.namespace, "--type=merge", f"-p={patch}")
        apps.say(said(lastHandledSync="later"))

    with apps.controller(overtaken):
        assert trimtab("sync", "shop", "-n", apps.namespace).code == 0


def test_the_data_of_a_sync_is_a_promise(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    problem = {"object": "Pod/x", "reason": "NotReady", "message": "no image"}
    status = said(
        "False", "NotReady", "Pod/x: no image", history=[past("a", "NotReady", created=1)], problems=[problem],
        held=held("d1", "ConfigMap/old"),
    )  # fmt: skip
    with apps.answering(status):
        result = trimtab("sync", "shop", "-n", apps.namespace, "-o", "json")
    assert result.code == 1
    assert json.loads(result.out) == {
        "app": f"{apps.namespace}/shop", "state": "Held", "ok": False, "exitCode": 1, "commit": "a" * 40,
        "ref": "branch main", "reason": "NotReady", "message": "Pod/x: no image", "syncs": status["history"],
        "problems": [problem], "warnings": [], "heldDigest": "d1", "held": ["ConfigMap/old"],
        "rollback": None,
    }  # fmt: skip


def test_what_failed_and_what_is_held_is_shown_with_what_to_do(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    problems = [
        {"object": "ConfigMap/a", "reason": "Failed", "message": "too [bold]large"},
        {"object": "Pod/x", "reason": "NotReady", "message": "no image"},
    ]
    with apps.answering(said("False", "PartlyApplied", "ConfigMap/a: too large", problems=problems)):
        result = trimtab("sync", "shop", "-n", apps.namespace)
    assert result.code == 4
    assert "failed     ConfigMap/a: too [bold]large" in result.out
    assert "not ready: Pod/x: no image" in result.err
    with apps.answering(said("False", "PruneHeld", "waits", problems=None, held=held("d1", "ConfigMap/old", count=3))):
        result = trimtab("sync", "shop", "-n", apps.namespace)
    assert result.code == 3
    assert "held       ConfigMap/old\n… and 2 more" in result.err
    assert f"trimtab approve shop -n {apps.namespace}" in result.err


def test_a_suspended_app_is_not_asked(trimtab: Trimtab, apps: Apps) -> None:
    apps.make(suspend=True)
    result = trimtab("sync", "shop", "-n", apps.namespace)
    assert result.code == 2
    assert f"trimtab resume shop -n {apps.namespace}" in result.err
    assert apps.annotations() == {}


def test_an_app_that_is_suspended_or_deleted_meanwhile_is_told(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    kubectl = apps.plane.kubectl
    suspend = '-p={"spec":{"suspend":true}}'
    with apps.controller(lambda _: kubectl("patch", "app", "shop", "-n", apps.namespace, "--type=merge", suspend)):
        result = trimtab("sync", "shop", "-n", apps.namespace)
    assert (result.code, "suspended" in result.err) == (2, True)
    apps.make("second")
    with apps.controller(lambda _: kubectl("delete", "app", "second", "-n", apps.namespace), name="second"):
        result = trimtab("sync", "second", "-n", apps.namespace)
    assert (result.code, "deleted meanwhile" in result.err) == (2, True)


def test_a_watch_that_the_server_ends_is_taken_up_again(trimtab: Trimtab, apps: Apps, tmp_path: Path) -> None:
    apps.make()
    expired = json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410})
    struck = []

    def strike(number: int, method: str, path: str, *, after: bool) -> tuple[int, bytes] | None:
        if "watch=true" in path and not after and not struck:
            struck.append(path)
            return 410, expired.encode()
        return None

    with ApiProxy(apps.plane.url, apps.plane.ca) as proxy:
        proxy.strike = strike
        config = proxy.kubeconfig(tmp_path / "config", apps.plane.token)
        with apps.answering(said()):
            result = trimtab("sync", "shop", "-n", apps.namespace, "--kubeconfig", config)
    assert result.code == 0, result.err
    assert struck


@pytest.mark.parametrize("flags", [["--timeout", "soon"], ["."], ["deploy/shop"], ["UPPER"]])
def test_bad_input_is_told_before_anything_is_asked(trimtab: Trimtab, control_plane: Any, flags: list[str]) -> None:
    result = trimtab("sync", *flags)
    assert result.code == 2
    assert result.err.startswith("error: ")
    assert "→" in result.err
