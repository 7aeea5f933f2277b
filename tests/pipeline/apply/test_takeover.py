"""What managedFields become before an apply: pure cases, and each origin on the real API server."""

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sending import OneApp

from pipeline.apply.takeover import takeover

ME = "trimtab-shop-01234567"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def entry(manager: str, fields: dict[str, Any], operation: str = "Update", **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **more}


def folded(entries: list[dict[str, Any]], desired: dict[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
    """The entries after the take-over, or [] where there is none."""
    metadata = {"resourceVersion": "7", "managedFields": entries}
    patch = takeover(metadata, desired or {}, ME, **more)
    if not patch:
        return []
    assert patch[1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    return list(patch[0]["value"])


def test_an_object_of_ours_alone_needs_nothing() -> None:
    controller = entry("kube-controller-manager", {"f:metadata": {"f:annotations": {"f:x": {}}}})
    status = entry("kubectl", {"f:status": {}}, subresource="status")
    assert folded([entry(ME, {"f:data": {"f:a": {}}}, "Apply"), controller, status]) == []
    assert folded([]) == []


@pytest.mark.parametrize(
    ("manager", "operation"),
    [
        ("before-first-apply", "Update"),
        ("kubectl-client-side-apply", "Update"),
        ("kubectl-create", "Update"),
        ("kubectl-replace", "Update"),
        ("kubectl", "Apply"),
        ("kubectl", "Update"),
        ("kubectl-last-applied", "Apply"),
        (ME, "Update"),
        ("other-app", "Apply"),
    ],
)
def test_who_wrote_the_whole_object_becomes_part_of_our_entry(manager: str, operation: str) -> None:
    ours = entry(ME, {"f:data": {"f:a": {}}, "f:spec": {}}, "Apply", time="1")
    old = entry(manager, {"f:data": {".": {}, "f:b": {}}, "f:spec": {"f:x": {}}}, operation)
    status = entry(manager, {"f:status": {}}, operation, subresource="status")
    both = {"f:data": {".": {}, "f:a": {}, "f:b": {}}, "f:spec": {".": {}, "f:x": {}}}
    assert folded([old, ours, status], whole={"other-app"}) == [status, entry(ME, both, "Apply", time="1")]
    assert folded([old], whole={"other-app"}) == [entry(ME, old["fieldsV1"], "Apply")]


@pytest.mark.parametrize("manager", ["kubectl-edit", "kube-controller-manager", "somebody", "kubectl-label"])
def test_others_keep_what_they_wrote(manager: str) -> None:
    theirs = [entry(manager, {"f:data": {"f:b": {}}}), entry(manager, {"f:data": {"f:b": {}}}, "Apply")]
    assert folded([entry(ME, {"f:data": {"f:a": {}}}, "Apply"), *theirs], {"data": {"a": "1"}}) == []


def test_fields_of_another_version_wait_until_ours_are_exact() -> None:
    """An entry of v1 says nothing about fields of v2; after an apply ours can be made anew from the manifest."""
    ours = entry(ME, {"f:spec": {"f:metrics": {}}}, "Apply", apiVersion="v2")
    old, newer = entry("kubectl-create", {"f:spec": {"f:target": {}}}), entry("kubectl", {}, "Apply", apiVersion="v2")
    assert folded([ours, old]) == []
    assert folded([ours, old], exact=True) == [entry(ME, old["fieldsV1"], "Apply")]
    assert folded([ours, old, newer], exact=True) == [old, ours]


def _item(name: str, **fields: Any) -> dict[str, Any]:
    return {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, **fields}}


_WANTED = {"spec": {"containers": [{"name": "web"}, {"name": "side"}]}, "metadata": {"ownerReferences": [{"uid": "1"}]}}


def _containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"f:spec": {"f:containers": {name: fields for item in items for name, fields in item.items()}}}


def test_of_a_hand_only_the_renamed_item_is_taken() -> None:
    ours = entry(ME, _containers(_item("side")), "Apply")
    label = {"f:metadata": {"f:labels": {"f:mine": {}}}}
    theirs = entry("kubectl-edit", {**_containers(_item("renamed"), {'k:{"name":"side"}': {"f:tty": {}}}), **label})
    side = {'k:{"name":"side"}': {"f:tty": {}}}
    assert folded([ours, theirs], _WANTED) == [
        entry("kubectl-edit", {**_containers(side), **label}),
        entry(ME, _containers(_item("side"), _item("renamed")), "Apply"),
    ]


@pytest.mark.parametrize(
    "theirs",
    [
        entry("kubectl-edit", _containers(_item("sidecar"))),
        entry("other", _containers(_item("sidecar")), "Apply"),
    ],
)
def test_an_item_that_others_added_stays_theirs(theirs: dict[str, Any]) -> None:
    assert folded([entry(ME, _containers(_item("side"), _item("web")), "Apply"), theirs], _WANTED) == []


def test_an_item_that_a_hand_owns_under_its_old_key_is_not_lost() -> None:
    """Somebody took the container out and in again; the other one's sidecar has nothing to do with it."""
    ours, again = entry(ME, _containers(_item("side")), "Apply"), entry("kubectl-edit", _containers(_item("web")))
    assert folded([ours, again, entry("injector", _containers(_item("sidecar")))], _WANTED) == []


def test_owner_references_are_never_taken() -> None:
    theirs = entry("controller", {"f:metadata": {"f:ownerReferences": {'k:{"uid":"2"}': {}}}})
    assert folded([entry(ME, {}, "Apply"), theirs], _WANTED) == []


def _without(manifest: dict[str, Any]) -> dict[str, Any]:
    """What git has afterwards: a container, an environment variable, a volume and a label less."""
    less = copy.deepcopy(manifest)
    del less["metadata"]["labels"]["team"]
    pod = less["spec"]["template"]["spec"]
    del pod["containers"][1], pod["volumes"]
    del pod["containers"][0]["env"][1]
    return less


def _check_exact(app: OneApp, wanted: dict[str, Any]) -> None:
    """The live object has nothing that a fresh one would not have, and nobody but us."""
    fresh = copy.deepcopy(wanted)
    fresh["metadata"]["name"] = "fresh"
    OneApp(app.connection, app.discovery, app.namespace, app.kubectl).one(fresh)
    live, made = app.live(wanted), app.live(fresh)
    assert live["spec"] == made["spec"]
    for part in ("labels", "annotations"):
        names = [set(each["metadata"].get(part) or {}) - {"deployment.kubernetes.io/revision"} for each in (live, made)]
        assert names[0] == names[1]
    assert app.managers(wanted) - {"kube-controller-manager"} == {app.manager}


@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(
    "how",
    [("apply",), ("create",), ("create", "--save-config"), ("apply", "--server-side"), ("replace", "--force")],
    ids=" ".join,
)
def test_what_kubectl_applied_is_taken_over(app: OneApp, deployment: Any, how: tuple[str, ...], *, later: bool) -> None:
    """What git has not, or has no longer, leaves the object; its Pods stay as they are."""
    app.ctl(*how, "-f", "-", body=deployment)
    spec = app.live(deployment)["spec"]
    if later:
        app.one(deployment)
        assert app.live(deployment)["spec"] == spec
        assert _LAST_APPLIED not in app.live(deployment)["metadata"]["annotations"]
        assert app.managers(deployment) - {"kube-controller-manager"} == {app.manager}
        assert app.plan(deployment).empty
    app.one(_without(deployment))
    _check_exact(app, _without(deployment))
    assert app.plan(_without(deployment)).empty


def test_a_conflict_is_taken_over_too(app: OneApp, deployment: Any) -> None:
    app.ctl("apply", "-f", "-", body=deployment)
    other = _without(deployment)
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    app.one(other)
    _check_exact(app, other)


@pytest.mark.parametrize("same", [True, False], ids=["same", "changed"])
def test_who_applies_over_us_is_taken_over_again(app: OneApp, deployment: Any, *, same: bool) -> None:
    app.one(deployment)
    theirs = copy.deepcopy(deployment)
    if not same:
        theirs["spec"]["template"]["spec"]["containers"][0]["image"] = "theirs"
        theirs["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "C", "value": "3"})
    app.ctl("apply", "-f", "-", body=theirs)
    if not same:
        app.one(deployment)
        _check_exact(app, deployment)
    app.one(_without(deployment))
    _check_exact(app, _without(deployment))


def test_without_managed_fields_everything_is_taken_over(app: OneApp, deployment: Any) -> None:
    app.one(deployment)
    app.patch(deployment, {"op": "replace", "path": "/metadata/managedFields", "value": [{}]})
    app.one(_without(deployment))
    _check_exact(app, _without(deployment))


@pytest.mark.parametrize("helm", ["helm", "helm4"])
def test_a_helm_release_is_taken_over(
    app: OneApp, deployment: Any, control_plane: Any, tmp_path: Path, helm: str
) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (tmp_path / "templates" / "web.yaml").write_text(json.dumps(deployment))
    subprocess.run(
        [helm, "install", "shop", str(tmp_path), "-n", app.namespace], env=control_plane.env, check=True,
        capture_output=True,
    )  # fmt: skip
    wanted = _without(deployment)
    before = app.live(deployment)
    assert "belongs to the Helm release" in app.one(wanted).change.message
    assert app.live(deployment)["spec"] == before["spec"]
    app.policy["adopt_from"] = frozenset({"helm"})
    app.one(wanted)
    _check_exact(app, wanted)


def test_a_namespace_that_was_created_by_hand_stays_itself(app: OneApp) -> None:
    """What the API server fills in, it fills in again."""
    before = app.kubectl("get", "namespace", app.namespace, "-o", "jsonpath={.metadata.labels}{.spec}")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": app.namespace, "labels": {"a": "b"}}}
    app.one(namespace)
    after = json.loads(app.kubectl("get", "namespace", app.namespace, "-o", "json"))
    assert after["metadata"]["labels"].pop("a") == "b"
    assert after["metadata"]["labels"].pop("trimtab.dev/app")
    assert json.dumps(after["metadata"]["labels"], separators=(",", ":")) in before
    assert after["spec"] == {"finalizers": ["kubernetes"]}


def test_another_version_of_the_object_is_taken_over(app: OneApp) -> None:
    head = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "labels": {"team": "a"}}}
    target = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3}
    old = {"apiVersion": "autoscaling/v1", **head, "spec": {**target, "targetCPUUtilizationPercentage": 50}}
    app.ctl("apply", "-f", "-", body=old)
    memory = {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 9}},
    }
    new = {
        "apiVersion": "autoscaling/v2",
        "kind": old["kind"],
        "metadata": {"name": "web"},
        "spec": {**target, "metrics": [memory]},
    }
    app.one(new)
    live = app.live(new)
    assert live["spec"]["metrics"] == [memory]
    assert set(live["metadata"]["labels"]) == {"trimtab.dev/app"}
    assert _LAST_APPLIED not in live["metadata"]["annotations"]
    assert app.plan(new).empty


_EDITS = {
    "a container renamed": ("/spec/template/spec/containers/0/name", "renamed"),
    "a container port": ("/spec/template/spec/containers/0/ports/0/containerPort", 81),
    "a variable renamed": ("/spec/template/spec/containers/0/env/1/name", "C"),
    "a volume renamed": ("/spec/template/spec/volumes/0/name", "renamed"),
}


@pytest.mark.parametrize(("path", "value"), _EDITS.values(), ids=_EDITS.keys())
def test_an_edited_key_is_healed_exactly(app: OneApp, deployment: Any, path: str, value: object) -> None:
    app.one(deployment)
    before = app.live(deployment)["spec"]
    app.patch(
        deployment,
        {"op": "replace", "path": path, "value": value},
        {"op": "add", "path": "/metadata/labels/mine", "value": "1"},
        {"op": "add", "path": "/spec/template/spec/containers/1/tty", "value": True},
    )
    app.one(deployment)
    live = app.live(deployment)
    assert live["metadata"]["labels"]["mine"] == "1"
    assert live["spec"]["template"]["spec"]["containers"][1].pop("tty") is True
    assert live["spec"] == before
    assert app.plan(deployment).empty


def test_a_container_that_somebody_added_stays(app: OneApp, deployment: Any) -> None:
    app.one(deployment)
    theirs = {"name": "theirs", "image": "x"}
    app.patch(deployment, {"op": "add", "path": "/spec/template/spec/containers/-", "value": theirs})
    app.patch(deployment, {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "y"})
    app.one(deployment)
    containers = app.live(deployment)["spec"]["template"]["spec"]["containers"]
    assert [(each["name"], each["image"]) for each in containers] == [
        ("web", "nginx"), ("side", "busybox"), ("theirs", "x"),
    ]  # fmt: skip


@pytest.mark.parametrize("ours", [False, True], ids=["first touch", "later"])
def test_a_port_that_git_changes_is_no_duplicate_of_the_old_one(app: OneApp, *, ours: bool) -> None:
    """Whoever applied the old port still owns it, and two ports may not have one name."""
    old = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    }  # fmt: skip
    new = {**old, "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 81}]}}
    app.ctl("apply", "-f", "-", body=old)
    if ours:
        app.policy["conflicts"] = "yield"
        app.one(old)
        app.policy.clear()
    sent = app.one(new)
    assert [port["port"] for port in app.live(new)["spec"]["ports"]] == [81], sent.change.message
    assert app.managers(new) == {app.manager}


def test_a_port_of_a_service_is_healed_and_keeps_its_node_port(app: OneApp) -> None:
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    }  # fmt: skip
    app.one(service)
    before = app.live(service)["spec"]
    app.patch(service, {"op": "replace", "path": "/spec/ports/0/port", "value": 81})
    app.one(service)
    assert app.live(service)["spec"] == before
    assert app.plan(service).empty


def test_fields_are_left_alone_where_conflicts_are_not_taken(app: OneApp, make_map: Any) -> None:
    for policy in ("yield", "fail"):
        app.policy["conflicts"] = policy
        app.ctl("create", "configmap", policy, "--from-literal=mine=1")
        app.one(make_map(policy, a="1"))
        assert app.live(make_map(policy))["data"] == {"mine": "1", "a": "1"}
        assert app.managers(make_map(policy)) == {app.manager, "kubectl-create"}


def test_an_ordinary_change_is_one_patch(app: OneApp, make_map: Any) -> None:
    app.one(make_map("a", x="1"))
    assert app.requests == {"APPLY": 1}
    app.one(make_map("a", x="2"))
    assert app.requests == {"APPLY": 1}
    app.patch(make_map("a"), {"op": "replace", "path": "/data/x", "value": "3"})
    app.one(make_map("a", x="2"))
    assert app.requests == {"APPLY": 1}


def test_an_object_that_changes_meanwhile_is_read_again(app: OneApp, make_map: Any) -> None:
    """The patch of managedFields holds for what was read only."""
    app.one(make_map("a", x="1"))
    app.ctl("apply", "-f", "-", body=make_map("a", x="2", y="2"))
    plan = app.plan(make_map("a", x="1"))
    app.patch(make_map("a"), {"op": "add", "path": "/data/z", "value": "3"}, manager="somebody")
    app.send(plan)
    assert app.requests == {"GET": 1, "PATCH": 2, "APPLY": 1}
    assert app.live(make_map("a"))["data"] == {"x": "1", "z": "3"}
