"""On the real API server: objects move from one App to another, and are never deleted on the way."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from control import Apps, Controller, Repository
from waiting import until

Make = Callable[..., dict[str, Any]]
Start = Callable[..., Controller]


@pytest.fixture
def other(app: Any, other_app: Callable[[str], Any]) -> Any:
    return other_app("other")


def _uid(app: Any, name: str) -> str:
    return str(app.get("configmap", name)["metadata"]["uid"])


def _owner(app: Any, name: str) -> str:
    return str(app.get("configmap", name)["metadata"]["labels"]["trimtab.dev/app"])


def _hand_over(app: Any, other: Any, make_map: Make) -> None:
    """The object `a` moves from the one App to the other."""
    app.folder.put(make_map("a"), make_map("stays"))
    app.apply()
    app.folder.drop("configmap", "a")
    other.folder.put(make_map("a"), make_map("more"))
    other.apply(code=4)
    app.apply()
    other.apply()
    app.apply()


def test_the_second_app_that_wants_an_object_is_refused_and_claims_it(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"))
    app.apply()
    other.folder.put(make_map("a", x="2"), make_map("b"))
    change = other.changes(code=4)["ConfigMap/a"]
    assert change["action"] == "refused"
    assert f"{app.namespace}.shop" in change["message"]
    assert _owner(app, "a") == f"{app.namespace}.shop"
    assert app.actions() == {"ConfigMap/a": "unchanged"}


@pytest.mark.parametrize("first", ["loses", "claims"])
def test_an_object_moves_without_a_delete(app: Any, other: Any, make_map: Make, first: str) -> None:
    app.folder.put(make_map("a", only="first"), make_map("stays"))
    app.apply()
    uid = _uid(app, "a")
    app.folder.drop("configmap", "a")
    other.folder.put(make_map("a", x="2"))
    if first == "claims":
        assert other.actions(code=1) == {"ConfigMap/a": "refused"}
    else:
        app.folder.put(make_map("a", only="first"))
        assert other.actions(code=1) == {"ConfigMap/a": "refused"}
        app.folder.drop("configmap", "a")
    left = app.changes()["ConfigMap/a"]
    assert left["action"] == "held"
    assert f"{app.namespace}.other" in left["message"]
    assert other.actions() == {"ConfigMap/a": "configured"}
    assert app.actions()["ConfigMap/a"] == "released"
    live = app.get("configmap", "a")
    assert live["metadata"]["uid"] == uid
    assert live["data"] == {"x": "2"}
    assert _owner(app, "a") == f"{app.namespace}.other"
    assert [e["manager"].rpartition("-")[0] for e in live["metadata"]["managedFields"]] == ["trimtab-other"]
    assert app.actions() == {"ConfigMap/stays": "unchanged"}
    assert other.actions() == {"ConfigMap/a": "unchanged"}


def test_what_was_created_by_the_first_is_pruned_by_the_second(app: Any, other: Any, make_map: Make) -> None:
    """It is the second App's as it was the first one's: created, and so its to delete."""
    _hand_over(app, other, make_map)
    other.folder.drop("configmap", "a")
    assert other.actions() == {"ConfigMap/a": "pruned", "ConfigMap/more": "unchanged"}


def test_what_the_first_had_adopted_is_not_pruned_by_the_second(app: Any, other: Any, make_map: Make) -> None:
    app.kubectl("create", "configmap", "a", "-n", app.namespace, "--from-literal=x=1")
    _hand_over(app, other, make_map)
    other.folder.drop("configmap", "a")
    assert other.actions()["ConfigMap/a"] == "released"


def test_a_claim_that_was_given_up_holds_nothing_back(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("stays"))
    app.apply()
    other.folder.put(make_map("a"), make_map("b"))
    other.actions(code=None)
    other.folder.drop("configmap", "a")
    other.apply()
    app.folder.drop("configmap", "a")
    assert app.actions() == {"ConfigMap/a": "pruned", "ConfigMap/stays": "unchanged"}


def test_an_object_that_is_wanted_again_is_not_handed_over(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("stays"))
    app.apply()
    uid = _uid(app, "a")
    other.folder.put(make_map("a"))
    other.actions(code=None)
    app.folder.drop("configmap", "a")
    app.apply()
    app.folder.put(make_map("a"))
    assert app.actions() == {"ConfigMap/a": "unchanged", "ConfigMap/stays": "unchanged"}
    assert other.actions(code=1) == {"ConfigMap/a": "refused"}
    assert _uid(app, "a") == uid


def test_a_deleted_app_leaves_what_another_claims(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    uid = _uid(app, "a")
    other.folder.put(make_map("a"))
    other.actions(code=None)
    app.delete(code=3)
    assert other.actions() == {"ConfigMap/a": "configured"}
    app.delete()
    assert app.names() == {"a"}
    assert _uid(app, "a") == uid


def _labelled(apps: Apps, name: str, owner: str) -> bool:
    text = apps.kubectl("get", "configmap", name, "-n", apps.namespace, "-o", "json", "--ignore-not-found")
    return bool(text) and json.loads(text)["metadata"]["labels"].get("trimtab.dev/app") == f"{apps.namespace}.{owner}"


def _serve(apps: Apps, repository: Repository, *names: str, **spec: Any) -> None:
    for name in names:
        source = {"url": repository.url, "branch": "main", "path": name}
        apps.put(name, source, **{"target": {"namespace": apps.namespace}, "wait": {"timeout": "30s"}, **spec})


@pytest.mark.parametrize("names", [("a-loses", "b-claims"), ("b-loses", "a-claims")])
def test_one_commit_moves_an_object_between_apps_of_a_controller(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start, names: tuple[str, str]
) -> None:
    loses, claims = names
    repository.commit(make_map("moves"), make_map("stays"), folder=loses)
    repository.commit(make_map("other"), folder=claims)
    start()
    _serve(apps, repository, loses, claims)
    for name in names:
        apps.until_ready(name)
    uid = _uid(app, "moves")
    repository.git("mv", f"{loses}/moves.json", f"{claims}/moves.json")
    commit = repository.commit()
    until(lambda: _labelled(apps, "moves", claims))
    assert _uid(app, "moves") == uid
    apps.until_ready(claims, commit)
    apps.until_condition(loses, lambda ready: ready.get("message") == "1 object applied and ready")
    assert app.names() == {"moves", "stays", "other"}


def test_nothing_is_pruned_before_every_app_of_the_branch_has_said_what_it_wants(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    """The one that claims cannot be rendered: what moves to it waits, and is named, until a person says otherwise."""
    repository.commit(make_map("moves"), make_map("stays"), folder="loses")
    repository.commit(make_map("other"), folder="claims")
    start()
    _serve(apps, repository, "loses", "claims", wait={"timeout": "2s"})
    for name in ("loses", "claims"):
        apps.until_ready(name)
    uid = _uid(app, "moves")
    repository.git("mv", "loses/moves.json", "claims/moves.json")
    (repository.work / "claims" / "broken.yaml").write_text("kind: [")
    repository.commit()
    apps.until_reason("claims", "RenderFailed")
    ready = apps.until_reason("loses", "PruneHeld")
    assert ready["status"] == "False"
    assert _uid(app, "moves") == uid
    repository.git("rm", "-q", "-f", "claims/broken.yaml")
    repository.commit()
    until(lambda: _labelled(apps, "moves", "claims"))
    assert _uid(app, "moves") == uid
    apps.until_ready("loses")


def test_a_suspended_app_holds_nobody_up(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(make_map("goes"), make_map("stays"), folder="one")
    repository.commit(make_map("other"), folder="two")
    start()
    _serve(apps, repository, "one", "two")
    for name in ("one", "two"):
        apps.until_ready(name)
    apps.kubectl("patch", "app", "two", "-n", apps.namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    apps.until_reason("two", "Suspended")
    repository.commit(drop=("goes",), folder="one")
    until(lambda: app.names() == {"stays", "other"})


def test_an_app_is_renamed_by_deleting_it_and_making_it_anew(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(*(make_map(f"m{number}") for number in range(12)), folder="deploy")
    start()
    source = {"url": repository.url, "branch": "main", "path": "deploy"}
    apps.put("old", source, target={"namespace": apps.namespace})
    apps.until_ready("old")
    uids = {name: _uid(app, name) for name in app.names()}
    apps.put("new", source, target={"namespace": apps.namespace})
    apps.kubectl("delete", "app", "old", "-n", apps.namespace, "--timeout=60s")
    apps.until_ready("new")
    assert {name: _uid(app, name) for name in app.names()} == uids
    assert all(_owner(app, name) == f"{apps.namespace}.new" for name in uids)


def test_rename_keeps_every_object(app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start) -> None:
    repository.commit(make_map("a"), make_map("b"), folder="deploy")
    start()
    source = {"url": repository.url, "branch": "main", "path": "deploy"}
    apps.put("old", source, target={"namespace": apps.namespace})
    apps.until_ready("old")
    uids = {name: _uid(app, name) for name in app.names()}
    done = app.trimtab("rename", "old", "new", "-n", apps.namespace, "-o", "json")
    assert done.code == 0, done.out + done.err
    assert apps.get("old") is None
    assert {name: _uid(app, name) for name in app.names()} == uids
    assert all(_owner(app, name) == f"{apps.namespace}.new" for name in uids)
    repository.commit(drop=("a",), folder="deploy")
    until(lambda: app.names() == {"b"})


def test_rename_of_an_app_that_no_controller_serves(app: Any, other_app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    uids = {name: _uid(app, name) for name in app.names()}
    done = app.trimtab("rename", "shop", "store", "--inventory-namespace", app.namespace)
    assert done.code == 0, done.err
    new = other_app("store")
    new.folder.put(make_map("a"), make_map("b"))
    assert new.actions() == {"ConfigMap/a": "configured", "ConfigMap/b": "configured"}
    app.delete()
    assert {name: _uid(app, name) for name in app.names()} == uids
    new.folder.drop("configmap", "a")
    assert new.actions() == {"ConfigMap/a": "pruned", "ConfigMap/b": "unchanged"}


def test_adopt_shows_the_plan_and_then_takes_over(app: Any, make_map: Make) -> None:
    app.kubectl("create", "configmap", "mine", "-n", app.namespace, "--from-literal=x=1", "--from-literal=y=1")
    app.folder.put(make_map("mine", x="2"))
    where = ("--name", "shop", "-n", app.namespace, "--inventory-namespace", app.namespace)
    shown = app.trimtab("adopt", str(app.folder.path), *where)
    assert shown.code == 3, shown.err
    assert "x:" in shown.out
    assert f"configured: ConfigMap/{app.namespace}/mine: adopted: it exists already" in shown.out
    assert app.get("configmap", "mine")["data"] == {"x": "1", "y": "1"}
    done = app.trimtab("adopt", str(app.folder.path), *where, "--yes")
    assert done.code == 0, done.err
    assert app.get("configmap", "mine")["data"] == {"x": "2"}
    assert app.actions() == {"ConfigMap/mine": "unchanged"}


def test_adopt_refuses_what_another_app_has(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"))
    app.apply()
    where = ("--name", "other", "-n", app.namespace, "--inventory-namespace", app.namespace)
    other.folder.put(make_map("a"))
    done = app.trimtab("adopt", str(other.folder.path), *where, "--yes")
    assert done.code == 2
    assert f"{app.namespace}.shop" in done.err
    assert _owner(app, "a") == f"{app.namespace}.shop"


@pytest.mark.parametrize("origin", ["apply", "create"])
def test_adopt_shows_what_a_take_over_removes(app: Any, origin: str) -> None:
    """What kubectl wrote and git does not have goes, so the plan must say so, as the object is afterwards."""
    old = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"extra": "1"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [
                {"name": "web", "image": "nginx:1", "env": [{"name": "GOES", "value": "1"}]},
                {"name": "goes", "image": "nginx:1"}]}}},
    }  # fmt: skip
    app.kubectl(origin, "-n", app.namespace, "-f", "-", input=json.dumps(old))
    app.folder.text(
        "web.yaml",
        """\
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: 0
          selector: {matchLabels: {a: b}}
          template:
            metadata: {labels: {a: b}}
            spec: {containers: [{name: web, image: "nginx:1"}]}
        """,
    )
    where = ("--name", "shop", "-n", app.namespace, "--inventory-namespace", app.namespace)
    shown = app.trimtab("adopt", str(app.folder.path), *where).out
    removed = {line[1:].strip() for line in shown.splitlines() if line.startswith("-") and not line.startswith("---")}
    assert {"extra: '1'", "- name: GOES", "- name: goes"} <= {line.replace('"', "'") for line in removed}
    assert not any(line.startswith("+ ") for line in shown.splitlines())
    assert app.trimtab("adopt", str(app.folder.path), *where, "--yes").code == 0
    live = app.get("deployment", "web")
    assert [item["name"] for item in live["spec"]["template"]["spec"]["containers"]] == ["web"]
    assert "env" not in live["spec"]["template"]["spec"]["containers"][0]
    assert "extra" not in live["metadata"]["labels"]


def test_diff_says_what_would_be_recreated_or_may_not_be(app: Any) -> None:
    def job(image: str, **annotations: str) -> dict[str, Any]:
        pod = {"containers": [{"name": "c", "image": image}], "restartPolicy": "Never"}
        meta = {"name": "job", "annotations": annotations}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": {"template": {"spec": pod}}}

    app.folder.put(job("nginx:1"))
    app.apply()
    flags = ("--name", "shop", "-n", app.namespace, "--inventory-namespace", app.namespace)
    app.folder.put(job("nginx:2"))
    done = app.trimtab("diff", str(app.folder.path), *flags)
    assert done.code == 1, done.err
    assert "recreated: spec.template is immutable" in done.out
    app.folder.put(job("nginx:2", **{"trimtab.dev/recreate": "never"}))
    done = app.trimtab("diff", str(app.folder.path), *flags)
    assert done.code == 2
    assert "spec.template is immutable" in done.err


def test_an_app_is_split_and_merged_again(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    """More than the guard lets go, and nothing of it is deleted: it moves, in both directions."""
    repository.commit(*(make_map(f"m{number}") for number in range(12)), folder="one")
    start()
    _serve(apps, repository, "one")
    apps.until_ready("one")
    uids = {name: _uid(app, name) for name in app.names()}
    (repository.work / "two").mkdir()
    for number in range(4, 12):
        repository.git("mv", f"one/m{number}.json", f"two/m{number}.json")
    _serve(apps, repository, "two")
    apps.until_reason("two", "PathNotFound")
    apps.until_ready("two", repository.commit())
    until(lambda: all(_labelled(apps, f"m{number}", "two") for number in range(4, 12)))
    assert {name: _uid(app, name) for name in app.names()} == uids
    for number in range(4, 12):
        repository.git("mv", f"two/m{number}.json", f"one/m{number}.json")
    repository.commit(make_map("last"), folder="two")
    until(lambda: all(_labelled(apps, name, "one") for name in uids))
    apps.kubectl("delete", "app", "two", "-n", apps.namespace, "--timeout=60s")
    assert {name: _uid(app, name) for name in app.names()} == uids


def test_the_one_that_loses_may_be_suspended_meanwhile(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(make_map("moves"), make_map("stays"), folder="loses")
    repository.commit(make_map("other"), folder="claims")
    start()
    _serve(apps, repository, "loses", "claims")
    for name in ("loses", "claims"):
        apps.until_ready(name)
    uid = _uid(app, "moves")
    apps.kubectl("patch", "app", "loses", "-n", apps.namespace, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    apps.until_reason("loses", "Suspended")
    repository.git("mv", "loses/moves.json", "claims/moves.json")
    repository.commit()
    assert "loses" in apps.until_reason("claims", "PartlyApplied")["message"]
    assert _owner(app, "moves") == f"{apps.namespace}.loses"
    apps.kubectl("patch", "app", "loses", "-n", apps.namespace, "--type=merge", "-p", '{"spec":{"suspend":false}}')
    until(lambda: _labelled(apps, "moves", "claims"))
    assert _uid(app, "moves") == uid
