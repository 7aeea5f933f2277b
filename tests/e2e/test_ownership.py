"""On the real API server: nothing is deleted, or taken, that is not the App's."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., dict[str, Any]]


def _marks(live: dict[str, Any]) -> set[str]:
    metadata = live["metadata"]
    found = {key for part in ("labels", "annotations") for key in metadata.get(part) or {} if "trimtab.dev/" in key}
    return found | {
        entry["manager"] for entry in metadata.get("managedFields", []) if entry["manager"].startswith("trimtab-")
    }


def test_create_change_and_prune(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    assert app.actions() == {"ConfigMap/a": "created", "ConfigMap/b": "created"}
    app.folder.put(make_map("a", a="2")).drop("configmap", "b")
    assert app.actions() == {"ConfigMap/a": "configured", "ConfigMap/b": "pruned"}
    assert app.names() == {"a"}
    assert app.get("configmap", "a")["data"] == {"a": "2"}


def test_a_field_that_left_git_leaves_the_object(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a", x="1", y="2"))
    app.apply()
    app.folder.put(make_map("a", x="1"))
    app.apply()
    assert app.get("configmap", "a")["data"] == {"x": "1"}


def test_an_adopted_object_is_changed_and_later_released_never_deleted(app: Any, make_map: Make) -> None:
    app.kubectl("create", "configmap", "old", "-n", app.namespace, "--from-literal=mine=1")
    app.folder.put(make_map("old", a="2"), make_map("new"))
    changes = app.changes()
    assert changes["ConfigMap/old"]["action"] == "configured"
    assert "adopted" in changes["ConfigMap/old"]["message"]
    app.folder.drop("configmap", "old")
    assert app.actions() == {"ConfigMap/new": "unchanged", "ConfigMap/old": "released"}
    live = app.get("configmap", "old")
    assert live["data"] == {"a": "2"}
    assert _marks(live) == set()
    assert "old" not in json.dumps(app.record())


def test_an_adopted_object_goes_where_the_app_says_so(app: Any, make_map: Make, tmp_path: Any) -> None:
    app.kubectl("create", "configmap", "old", "-n", app.namespace, "--from-literal=mine=1")
    app.folder.put(make_map("old", a="2"), make_map("new"))
    app_file = tmp_path / "app.yaml"
    app_file.write_text(
        "apiVersion: trimtab.dev/v1alpha1\nkind: App\n"
        f"metadata: {{name: shop, namespace: {app.namespace}}}\nspec: {{prune: {{adopted: true}}}}\n"
    )
    app.flags = ("-f", str(app_file))
    app.apply()
    app.folder.drop("configmap", "old")
    assert app.actions()["ConfigMap/old"] == "pruned"
    assert app.names() == {"new"}


def test_what_was_deleted_and_created_again_by_somebody_counts_as_adopted(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.kubectl("delete", "configmap", "a", "-n", app.namespace)
    app.kubectl("create", "configmap", "a", "-n", app.namespace, "--from-literal=theirs=1")
    assert app.actions()["ConfigMap/a"] == "configured"
    app.folder.drop("configmap", "a")
    uid = app.get("configmap", "a")["metadata"]["uid"]
    assert app.actions()["ConfigMap/a"] == "released"
    assert app.get("configmap", "a")["metadata"]["uid"] == uid


def test_what_was_deleted_and_created_again_is_not_pruned_with_the_old_one(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.kubectl("delete", "configmap", "a", "-n", app.namespace)
    app.kubectl("create", "configmap", "a", "-n", app.namespace, "--from-literal=theirs=1")
    app.folder.drop("configmap", "a")
    app.apply()
    assert app.get("configmap", "a")["data"] == {"theirs": "1"}


def test_what_was_deleted_by_hand_is_put_back_and_still_ours_to_prune(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.kubectl("delete", "configmap", "a", "-n", app.namespace)
    assert app.actions() == {"ConfigMap/a": "created", "ConfigMap/b": "unchanged"}
    app.folder.drop("configmap", "a")
    assert app.actions()["ConfigMap/a"] == "pruned"


def test_what_was_edited_by_hand_is_put_back(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a", x="1", z="1"))
    app.apply()
    app.kubectl("patch", "configmap", "a", "-n", app.namespace, "--type=merge", "-p", '{"data":{"x":"9","y":"mine"}}')
    changes = app.changes()
    assert changes["ConfigMap/a"]["action"] == "configured"
    assert "data.x" in changes["ConfigMap/a"]["message"]
    assert app.get("configmap", "a")["data"] == {"x": "1", "y": "mine", "z": "1"}
    assert app.actions() == {"ConfigMap/a": "unchanged"}


def test_a_stripped_label_is_put_back(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"))
    app.apply()
    app.kubectl("label", "configmap", "a", "-n", app.namespace, "trimtab.dev/app-")
    app.apply()
    assert app.get("configmap", "a")["metadata"]["labels"]["trimtab.dev/app"] == f"{app.namespace}.shop"


def test_an_object_that_left_with_its_label_stripped_lives(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.kubectl("label", "configmap", "a", "-n", app.namespace, "trimtab.dev/app-")
    app.folder.drop("configmap", "a")
    assert app.actions()["ConfigMap/a"] == "released"
    assert _marks(app.get("configmap", "a")) == set()


def test_a_copy_of_all_marks_is_no_object_of_ours(app: Any, make_map: Make) -> None:
    """The Endpoints of a Service carry its labels; an export applied under another name carries everything."""
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]},
    }  # fmt: skip
    app.folder.put(make_map("a"), service)
    app.apply()
    live = app.get("configmap", "a")
    copy = {
        "apiVersion": "v1", "kind": "ConfigMap", "data": live["data"],
        "metadata": {
            "name": "copy", "namespace": app.namespace,
            "labels": live["metadata"]["labels"], "annotations": live["metadata"]["annotations"],
        },
    }  # fmt: skip
    app.kubectl("create", "-f", "-", input=json.dumps(copy))
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "other"}}
    app.folder.put(endpoints)
    app.apply()
    app.folder.drop("configmap", "a").drop("endpoints", "other")
    actions = app.actions()
    assert "ConfigMap/copy" not in actions
    assert "copy" in app.names()
    assert "web" in app.names("endpoints")


def test_a_stolen_owner_annotation_keeps_the_object(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.kubectl("annotate", "configmap", "a", "-n", app.namespace, "trimtab.dev/owner=somebody", "--overwrite")
    app.folder.drop("configmap", "a")
    assert app.actions()["ConfigMap/a"] == "released"
    assert app.get("configmap", "a") is not None


@pytest.mark.parametrize("same", [True, False], ids=["equal values", "other values"])
@pytest.mark.parametrize(
    ("deployer", "manager", "labels", "annotations"),
    [
        ("helm", "helm", {"app.kubernetes.io/managed-by": "Helm"}, {"meta.helm.sh/release-name": "shop"}),
        ("argocd", "argocd-controller", {}, {"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:x/a"}),
        ("flux", "kustomize-controller", {"kustomize.toolkit.fluxcd.io/name": "shop"}, {}),
        ("kapp", "kapp-server", {"kapp.k14s.io/app": "1700000000"}, {}),
        ("kluctl", "kluctl", {}, {"kluctl.io/deployment-name": "shop"}),
    ],
)
def test_a_known_deployers_object_is_refused_and_left_as_it_was(
    app: Any, make_map: Make, deployer: str, manager: str, labels: Any, annotations: Any, *, same: bool
) -> None:
    theirs = make_map("a", a="1" if same else "theirs")
    theirs["metadata"] |= {"namespace": app.namespace, "labels": labels, "annotations": annotations}
    app.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", input=json.dumps(theirs))
    before = app.get("configmap", "a")
    app.folder.put(make_map("a"), make_map("good"))
    changes = app.changes(code=4)
    assert changes["ConfigMap/a"]["action"] == "refused"
    assert f"--adopt-from {deployer}" in changes["ConfigMap/a"]["message"]
    assert changes["ConfigMap/good"]["action"] == "created"
    after = app.get("configmap", "a")
    assert _marks(after) == set()
    assert (after["data"], after["metadata"]["labels"] if labels else {}) == (
        before["data"], before["metadata"]["labels"] if labels else {},
    )  # fmt: skip
    taken = app.changes("--adopt-from", deployer)
    assert taken["ConfigMap/a"]["action"] == "configured"
    assert app.get("configmap", "a")["data"] == {"a": "1"}


def test_another_apps_object_is_refused_and_its_owner_named(app: Any, make_map: Make, tmp_path: Any) -> None:
    app.folder.put(make_map("a", who="first"))
    app.apply()
    second = type(app)(app.trimtab, app.kubectl, type(app.folder)(tmp_path / "second"), "second", app.namespace)
    second.folder.path.mkdir()
    second.folder.put(make_map("a", who="second"), make_map("b"))
    for _ in range(2):
        changes = second.changes("--adopt-from", "helm", code=4)
        assert changes["ConfigMap/a"]["action"] == "refused"
        assert f"{app.namespace}.shop" in changes["ConfigMap/a"]["message"]
    assert app.get("configmap", "a")["data"] == {"who": "first"}
    assert app.actions() == {"ConfigMap/a": "unchanged"}
    # With equal values there is no conflict over the data, but the label still tells the two Apps apart.
    second.folder.put(make_map("a", who="first"))
    assert second.changes(code=4)["ConfigMap/a"]["action"] == "refused"
    # Deleting the second App must not touch what the first one owns.
    result = app.trimtab("delete", "second", "--inventory-namespace", app.namespace, "--yes")
    assert result.code == 0, result.err
    assert app.get("configmap", "a")["data"] == {"who": "first"}
    assert app.get("configmap", "b") is None


@pytest.mark.parametrize(
    ("policy", "code", "value"), [("take", 0, "git"), ("yield", 0, "theirs"), ("fail", 1, "theirs")]
)
def test_conflicts_over_a_field(app: Any, make_map: Make, policy: str, code: int, value: str) -> None:
    theirs = make_map("a", x="theirs")
    theirs["metadata"]["namespace"] = app.namespace
    app.kubectl("apply", "--server-side", "--field-manager=somebody", "-f", "-", input=json.dumps(theirs))
    app.folder.put(make_map("a", x="git", y="ours"))
    changes = app.changes("--conflicts", policy, code=code)
    data = app.get("configmap", "a")["data"]
    assert data["x"] == value
    if policy == "yield":
        assert data["y"] == "ours"
        assert "data.x" in changes["ConfigMap/a"]["message"]
        assert app.actions("--conflicts", policy) == {"ConfigMap/a": "unchanged"}
    if policy == "fail":
        assert "somebody" in changes["ConfigMap/a"]["message"]


def test_a_first_touch_of_another_installation_with_the_same_name_is_refused(app: Any, make_map: Make) -> None:
    """Two installations with an App of one name: the owner id tells them apart, whatever the label says."""
    app.folder.put(make_map("a", who="first"))
    app.apply()
    app.kubectl("create", "namespace", f"{app.namespace}-two")
    try:
        result = app.apply("--inventory-namespace", f"{app.namespace}-two", code=None)
        assert result.code != 0
    finally:
        app.kubectl("delete", "namespace", f"{app.namespace}-two", "--wait=false")
    assert app.actions() == {"ConfigMap/a": "unchanged"}
