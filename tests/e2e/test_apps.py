"""Apps as resources, served by a controller: what a person with kubectl and the commands sees."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from control import Apps, Controller, Repository
from waiting import until

Make = Callable[..., dict[str, Any]]
Start = Callable[..., Controller]


def _target(app: Any, **more: Any) -> dict[str, Any]:
    return {"target": {"namespace": app.namespace}, **more}


def _deployment(name: str = "web", **selector: str) -> dict[str, Any]:
    """A Deployment; with a node selector that fits no node it is never ready."""
    labels = {"app": name}
    pod = {"containers": [{"name": "web", "image": "nginx:1"}], "nodeSelector": selector}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }  # fmt: skip


def test_an_app_is_synced_and_kubectl_sees_it(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    commit = repository.commit(make_map("one"), _deployment())
    start()
    apps.put("shop", {"url": repository.url, "branch": "main"}, **_target(app))
    apps.kubectl("wait", "--for=condition=Ready", "app/shop", "-n", apps.namespace, "--timeout=60s")
    assert app.names() == {"one"}
    status = apps.status("shop")
    assert status["commit"] == commit
    assert status["ref"] == "branch main"
    assert status["objects"] == 2
    assert status["history"][0]["counts"] == {"created": 2}
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "Ready": "True", "Synced": "True", "Healthy": "True", "SourceReady": "True",
    }  # fmt: skip
    resource = apps.get("shop")
    assert resource is not None
    assert {c["observedGeneration"] for c in status["conditions"]} == {resource["metadata"]["generation"]}
    table = apps.kubectl("get", "apps", "-n", apps.namespace).splitlines()
    assert table[0].split() == ["NAME", "READY", "COMMIT", "MESSAGE", "AGE"]
    assert table[1].split()[:3] == ["shop", "True", commit[:12]]
    events = json.loads(apps.kubectl("get", "events", "-n", apps.namespace, "-o", "json"))["items"]
    ours = [event for event in events if event["involvedObject"]["kind"] == "App"]
    assert [(event["reason"], event["type"]) for event in ours] == [("Succeeded", "Normal")]


def test_nothing_is_written_where_nothing_changes(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, control_plane: Any, tmp_path: Path
) -> None:
    repository.commit(make_map("one"), folder="deploy")
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "proxied", control_plane.token)
        controller = start("--lease-duration", "60s", kubeconfig=kubeconfig)
        apps.put("shop", {"url": repository.url, "path": "deploy"}, **_target(app, interval="100ms"))
        apps.until_ready("shop")
        before = apps.get("shop")
        # A commit that changes nothing of this App, and some intervals.
        repository.commit({**make_map("other")}, folder="elsewhere")
        seen = len(proxy.requests)
        until(lambda: len([r for r in proxy.requests[seen:] if r[0] == "GET" and "configmaps?" in r[1]]) > 8)
        writes = [request for request in proxy.requests[seen:] if request[0] != "GET" and "/leases/" not in request[1]]
        assert writes == []
        assert apps.get("shop") == before
        controller.kill()


def test_the_status_is_written_once_a_sync(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, control_plane: Any, tmp_path: Path
) -> None:
    repository.commit(make_map("one"), _deployment())
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        controller = start(kubeconfig=proxy.kubeconfig(tmp_path / "proxied", control_plane.token))
        apps.put("shop", {"url": repository.url}, **_target(app, interval="200ms"))
        apps.until_ready("shop")
        apps.until_ready("shop", repository.commit(make_map("one", a="2"), make_map("two")))
        time.sleep(3 * 0.2)
        assert len([path for method, path in proxy.requests if method == "PATCH" and "/status?" in path]) == 2
        controller.kill()


def test_a_newer_commit_ends_the_waiting_for_a_broken_one_at_once(
    app: Any, apps: Apps, repository: Repository, start: Start
) -> None:
    repository.commit(_deployment(no="such-node"))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app, wait={"timeout": "1h"}))
    until(lambda: app.get("deployment", "web") is not None)
    apps.until_ready("shop", repository.commit(_deployment()))


def test_a_changed_spec_ends_the_waiting_too(app: Any, apps: Apps, repository: Repository, start: Start) -> None:
    repository.commit(_deployment(no="such-node"))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app, wait={"timeout": "1h"}))
    until(lambda: app.get("deployment", "web") is not None)
    apps.put("shop", {"url": repository.url}, **_target(app, wait={"timeout": "1s"}))
    condition = apps.until_reason("shop", "NotReady")
    assert "Deployment.apps" in condition["message"]


def test_one_app_that_waits_does_not_hold_up_the_others(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(_deployment(no="such-node"), folder="slow")
    repository.commit(make_map("one"), folder="quick")
    start("--concurrent-renders", "1", "--concurrent-applies", "1")
    apps.put("slow", {"url": repository.url, "path": "slow"}, **_target(app, wait={"timeout": "1h"}))
    until(lambda: app.get("deployment", "web") is not None)
    apps.put("quick", {"url": repository.url, "path": "quick"}, **_target(app))
    apps.until_ready("quick")
    assert apps.condition("slow") == {}


def test_suspended_an_app_is_left_alone_until_it_is_resumed(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    repository.commit(make_map("one"))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app))
    apps.until_ready("shop")
    assert trimtab("suspend", "shop", "-n", apps.namespace).code == 0
    assert apps.until_reason("shop", "Suspended")["status"] == "True"
    repository.commit(make_map("two"))
    app.kubectl("delete", "configmap", "one", "-n", app.namespace)
    time.sleep(2)
    assert app.names() == set()
    assert trimtab("sync", "shop", "-n", apps.namespace).code == 2
    assert trimtab("resume", "shop", "-n", apps.namespace).code == 0
    until(lambda: app.names() == {"one", "two"})
    apps.until_reason("shop", "Succeeded")


def test_sync_is_answered_with_what_changed(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    repository.commit(make_map("one"))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app, interval="1h"))
    apps.until_ready("shop")
    commit = repository.commit(make_map("two"))
    result = trimtab("sync", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    assert commit[:12] in result.out
    assert "1 created" in result.out
    assert app.names() == {"one", "two"}
    again = trimtab("sync", "shop", "-n", apps.namespace)
    assert again.code == 0, again.err
    repository.commit({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "BAD"}})
    bad = trimtab("sync", "shop", "-n", apps.namespace)
    assert bad.code == 4, bad.out + bad.err
    assert "BAD" in bad.out + bad.err


def test_apps_that_depend_on_each_other_go_in_order(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(_deployment("database", no="such-node"), folder="database")
    repository.commit(make_map("shop"), folder="shop")
    start()
    apps.put("shop", {"url": repository.url, "path": "shop"}, **_target(app, dependsOn=[{"name": "database"}]))
    assert "does not exist" in apps.until_reason("shop", "DependencyNotReady")["message"]
    apps.put("database", {"url": repository.url, "path": "database"}, **_target(app, wait={"timeout": "1h"}))
    until(lambda: app.get("deployment", "database") is not None)
    until(lambda: "is not ready" in apps.condition("shop")["message"])
    assert app.names() == set()
    repository.commit(_deployment("database"), folder="database")
    apps.until_ready("database")
    apps.until_ready("shop")
    assert app.names() == {"shop"}


def test_a_circle_of_dependencies_is_named(apps: Apps, repository: Repository, make_map: Make, start: Start) -> None:
    repository.commit(make_map("one"))
    start()
    apps.put("a", {"url": repository.url}, dependsOn=[{"name": "b"}])
    apps.put("b", {"url": repository.url}, dependsOn=[{"name": "a"}])
    message = apps.until_reason("a", "DependencyCycle")["message"]
    assert f"{apps.namespace}/a → {apps.namespace}/b → {apps.namespace}/a" in message
    apps.put("b", {"url": repository.url}, target={"namespace": apps.namespace}, dependsOn=[])
    apps.until_ready("b")


def test_a_rollback_stays_until_git_moves_on(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    good = repository.commit(make_map("one", a="good"))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app))
    apps.until_ready("shop", good)
    bad = repository.commit(make_map("one", a="bad"))
    apps.until_ready("shop", bad)
    result = trimtab("rollback", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    assert _value(app) == "good"
    assert apps.status("shop")["rollback"] == {"to": good, "rejected": bad}
    assert apps.condition("shop")["reason"] == "RolledBack"
    time.sleep(3)
    assert _value(app) == "good", "the rejected commit is not taken again"
    better = repository.commit(make_map("one", a="better"))
    apps.until_ready("shop", better)
    assert _value(app) == "better"
    until(lambda: "rollback" not in apps.status("shop"))
    resource = apps.get("shop")
    assert resource is not None
    assert not [name for name in resource["metadata"].get("annotations", {}) if "rollback" in name]


def test_a_rollback_can_be_cancelled_and_outlives_a_restart(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    good = repository.commit(make_map("one", a="good"))
    controller = start()
    apps.put("shop", {"url": repository.url}, **_target(app))
    apps.until_ready("shop", good)
    bad = repository.commit(make_map("one", a="bad"))
    apps.until_ready("shop", bad)
    assert trimtab("rollback", "shop", good[:10], "-n", apps.namespace).code == 0
    controller.stop()
    app.kubectl("delete", "configmap", "one", "-n", app.namespace)
    start(name="again")
    until(lambda: _value(app) == "good")
    assert trimtab("rollback", "shop", "--cancel", "-n", apps.namespace).code == 0
    until(lambda: _value(app) == "bad")


def test_what_is_rejected_is_what_git_is_at_also_where_the_app_was_not_told_of_it(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    good = repository.commit(make_map("one", a="good"), folder="deploy")
    start()
    apps.put("shop", {"url": repository.url, "path": "deploy"}, **_target(app, interval="1h"))
    apps.until_ready("shop", good)
    repository.commit(make_map("one", a="bad"), folder="deploy")
    assert trimtab("sync", "shop", "-n", apps.namespace).code == 0
    # The status goes on naming the commit before this one, which changes nothing of the App.
    head = repository.commit(make_map("other"), folder="elsewhere")
    assert trimtab("rollback", "shop", "-n", apps.namespace).code == 0
    assert _value(app) == "good"
    assert apps.status("shop")["rollback"] == {"to": good, "rejected": head}
    until(lambda: json.loads(apps.kubectl("get", "app", "shop", "-n", apps.namespace, "-o", "json"))["metadata"][
        "annotations"]["trimtab.dev/rollback-rejected"] == head)  # fmt: skip


def test_a_commit_that_cannot_be_rendered_can_be_rejected(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    good = repository.commit(make_map("one", a="good"))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app))
    apps.until_ready("shop", good)
    (repository.work / "broken.yaml").write_text("a: [")
    bad = repository.commit()
    apps.until_reason("shop", "RenderFailed")
    assert trimtab("rollback", "shop", "-n", apps.namespace).code == 0
    assert apps.status("shop")["rollback"] == {"to": good, "rejected": bad}


def _value(app: Any) -> str | None:
    live = app.get("configmap", "one")
    return live["data"]["a"] if live else None


def test_a_large_prune_is_held_until_exactly_it_is_approved(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    names = [f"m{n}" for n in range(12)]
    repository.commit(*(make_map(name) for name in names))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app))
    apps.until_ready("shop")
    repository.commit(make_map("new"), drop=tuple(names[:11]))
    apps.until_reason("shop", "PruneHeld")
    until(lambda: "new" in app.names())
    assert app.names() >= set(names)
    assert apps.status("shop")["held"]["count"] == 11
    result = trimtab("approve", "shop", "-n", apps.namespace)
    assert result.code == 0, result.out + result.err
    until(lambda: app.names() == {names[11], "new"})
    apps.until_reason("shop", "Succeeded")
    assert "held" not in apps.status("shop")


@pytest.mark.parametrize("policy", ["prune", "release"])
def test_a_deleted_app_prunes_or_releases(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, policy: str
) -> None:
    app.kubectl("create", "configmap", "old", "-n", app.namespace, "--from-literal=a=0")
    repository.commit(make_map("one"), make_map("old"))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app, deletionPolicy=policy))
    apps.until_ready("shop")
    apps.kubectl("delete", "app", "shop", "-n", apps.namespace, "--timeout=60s")
    assert app.names() == ({"old"} if policy == "prune" else {"one", "old"})
    for name in app.names():
        live = app.get("configmap", name)
        assert "trimtab" not in json.dumps(live["metadata"].get("labels", {}))
        assert "trimtab" not in json.dumps(live["metadata"].get("annotations", {}))
    inventories = app.kubectl("get", "configmap", "-n", app.namespace, "-l", "trimtab.dev/inventory", "-o", "name")
    assert inventories == ""


def test_the_guard_holds_the_deletion_of_a_large_app(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    names = {f"m{n}" for n in range(10)}
    repository.commit(*(make_map(name) for name in sorted(names)))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app))
    apps.until_ready("shop")
    apps.kubectl("delete", "app", "shop", "-n", apps.namespace, "--wait=false")
    message = apps.until_reason("shop", "PruneHeld")["message"]
    assert "trimtab approve shop" in message
    assert app.names() == names
    assert trimtab("approve", "shop", "-n", apps.namespace).code == 0
    until(lambda: apps.get("shop") is None)
    assert app.names() == set()


def test_an_app_that_cannot_be_read_any_more_can_be_deleted(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(make_map("one"))
    start()
    apps.put("shop", {"url": repository.url}, **_target(app))
    apps.until_ready("shop")
    # The definition lets this pass; the controller does not.
    apps.put("shop", {"url": repository.url}, dependsOn=[{"name": "shop", "namespace": apps.namespace}], **_target(app))
    apps.until_reason("shop", "InvalidSpec")
    apps.kubectl("delete", "app", "shop", "-n", apps.namespace, "--timeout=60s")
    assert app.names() == set()


def test_flags_win_at_the_start_and_leave_the_rest(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, trimtab: Callable[..., Any]
) -> None:
    repository.commit(make_map("one"))
    flags = ("--git-url", repository.url, "--target-namespace", app.namespace, "--git-poll-interval", "1s")
    first = start(*flags)
    apps.until_ready("default")
    assert trimtab("suspend", "-n", apps.namespace).code == 0
    apps.kubectl("patch", "app", "default", "-n", apps.namespace, "--type=merge", "-p", '{"spec":{"interval":"9m"}}')
    assert first.stop() == 0, first.text()[-3000:]
    second = start(*flags, name="second")
    second.until("the flags' App", lambda: second.lines("the flags' App is written"))
    resource = apps.get("default")
    assert resource is not None
    assert resource["spec"]["interval"] == "1s"
    assert resource["spec"]["suspend"] is True
    managers = json.loads(
        apps.kubectl("get", "app", "default", "-n", apps.namespace, "-o", "json", "--show-managed-fields")
    )["metadata"]["managedFields"]
    assert "trimtab-flags" in {entry["manager"] for entry in managers}


def test_health_and_metrics_are_served(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(make_map("one"))
    controller = start("--listen", "127.0.0.1:0")
    apps.put("shop", {"url": repository.url}, **_target(app))
    apps.until_ready("shop")
    address = controller.lines("listening")[0]["address"]

    def get(path: str) -> str:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    assert get("/healthz") == get("/readyz") == "ok\n"
    metrics = get("/metrics")
    assert f'trimtab_app_ready{{name="shop",namespace="{apps.namespace}"}} 1.0' in metrics
    assert 'trimtab_syncs_total{result="Succeeded"}' in metrics
    assert "trimtab_leader 1.0" in metrics


def test_what_fails_for_good_is_not_tried_again_until_something_changes(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    (repository.work / "broken.yaml").write_text("a: [")
    repository.commit(make_map("one"))
    controller = start()
    apps.put("shop", {"url": repository.url}, **_target(app, interval="1h"))
    apps.until_reason("shop", "RenderFailed")
    time.sleep(3)
    assert len(controller.lines("sync failed")) == 1
    apps.put("shop", {"url": repository.url, "path": "."}, **_target(app, interval="59m"))
    controller.until("the next try", lambda: len(controller.lines("sync failed")) == 2)


def test_what_may_pass_is_tried_again_long_before_the_interval(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, control_plane: Any, tmp_path: Path
) -> None:
    repository.commit(make_map("one"), make_map("two"))
    bad_day = ["today"]

    def strike(_number: int, method: str, path: str, *, after: bool = False) -> tuple[int, bytes] | None:
        bad = not after and method == "PATCH" and "/configmaps/two" in path and bad_day
        return (500, b"etcd has a bad day") if bad else None

    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        proxy.strike = strike
        controller = start(kubeconfig=proxy.kubeconfig(tmp_path / "proxied", control_plane.token))
        apps.put("shop", {"url": repository.url}, **_target(app, interval="1h"))
        apps.until_reason("shop", "PartlyApplied")
        assert app.names() == {"one"}
        bad_day.clear()
        apps.until_reason("shop", "Succeeded")
        assert app.names() == {"one", "two"}
        controller.kill()
