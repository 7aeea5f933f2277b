"""On the real API server: what leaves git is deleted as far as it is ours, and nothing goes along with it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from apiproxy import ApiProxy
from leaving import deployment, exists, noted, thing
from waiting import until

Make = Callable[..., dict[str, Any]]


def _free(app: Any, kind: str, name: str) -> None:
    """Do what the one who set its finalizers would do."""
    patch = '{"metadata":{"finalizers":null}}'
    app.kubectl("patch", kind, name, "-n", app.namespace, "--type=merge", "-p", patch)
    until(lambda: not exists(app, kind, name, "-n", app.namespace))


def test_an_object_that_a_finalizer_holds_is_told_at_each_sync_until_it_is_gone(app: Any, make_map: Make) -> None:
    held = make_map("held")
    held["metadata"]["finalizers"] = ["example.com/slow"]
    app.folder.put(make_map("stay"), held)
    app.apply()
    app.folder.drop("configmap", "held")
    for _ in range(2):
        change = app.changes()["ConfigMap/held"]
        assert (change["action"], "example.com/slow" in change["message"]) == ("held", True)
        assert app.get("configmap", "held")["metadata"]["finalizers"] == ["example.com/slow"]
    _free(app, "configmap", "held")
    assert app.actions() == {"ConfigMap/stay": "unchanged"}


def test_an_app_that_is_deleted_stays_until_what_a_finalizer_holds_is_gone(app: Any, make_map: Make) -> None:
    held = make_map("held")
    held["metadata"]["finalizers"] = ["example.com/slow"]
    app.folder.put(held)
    app.apply()
    delete = ("delete", "shop", "--inventory-namespace", app.namespace, "--yes")
    app.trimtab(*delete)
    assert app.record()
    _free(app, "configmap", "held")
    assert app.trimtab(*delete).code == 0
    assert app.trimtab(*delete).code == 2


def test_an_operator_lives_until_the_finalizers_that_it_takes_off_are_done(
    app: Any, make_map: Make, things: dict[str, Any]
) -> None:
    app.folder.put(make_map("stay"), make_map("operator"), things, thing(app, "one", "example.com/operator"))
    app.apply()
    name = things["metadata"]["name"]
    app.folder.drop("customresourcedefinition", name).drop("thing", "one").drop("configmap", "operator")
    changes = app.changes()
    gone = ("Thing/one", "ConfigMap/operator", f"CustomResourceDefinition/{name}")
    assert [changes[each]["action"] for each in gone] == ["held"] * 3
    assert "Thing" in changes["ConfigMap/operator"]["message"]
    assert "operator" in app.names()
    _free(app, name, "one")
    assert app.actions() == {
        "ConfigMap/operator": "pruned", "ConfigMap/stay": "unchanged", f"CustomResourceDefinition/{name}": "pruned",
    }  # fmt: skip


def test_what_hangs_on_an_object_can_be_left(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("stay"), noted(deployment("web"), propagation="Orphan"))
    app.apply()
    app.folder.drop("deployment", "web")
    app.apply()
    until(lambda: not exists(app, "deployment", "web", "-n", app.namespace))
    (name,) = app.names("replicaset")
    assert "ownerReferences" not in app.get("replicaset", name)["metadata"]


def test_what_hangs_on_an_object_can_go_first(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("stay"), noted(deployment("web"), propagation="Foreground"))
    app.apply()
    (name,) = app.names("replicaset")
    held = '{"metadata":{"finalizers":["example.com/slow"]}}'
    app.kubectl("patch", "replicaset", name, "-n", app.namespace, "--type=merge", "-p", held)
    app.folder.drop("deployment", "web")
    change = app.changes()["Deployment/web"]
    assert (change["action"], "foregroundDeletion" in change["message"]) == ("held", True)
    _free(app, "replicaset", name)
    until(lambda: not exists(app, "deployment", "web", "-n", app.namespace))


@pytest.mark.parametrize("mark", ["prune=Never", "propagation=orphan"])
def test_a_wish_that_cannot_be_read_waits_for_its_author(app: Any, make_map: Make, mark: str) -> None:
    app.folder.put(make_map("stay"), make_map("a"))
    app.apply()
    app.kubectl("annotate", "configmap", "a", "-n", app.namespace, f"trimtab.dev/{mark}")
    app.folder.drop("configmap", "a")
    for _ in range(2):
        change = app.changes()["ConfigMap/a"]
        assert (change["action"], mark.partition("=")[2] in change["message"]) == ("held", True)
    app.kubectl("annotate", "configmap", "a", "-n", app.namespace, f"trimtab.dev/{mark.partition('=')[0]}-")
    assert app.actions()["ConfigMap/a"] == "pruned"


@pytest.mark.parametrize("allowed", [True, False])
def test_a_claim_goes_only_with_the_word_on_the_live_object(app: Any, make_map: Make, *, allowed: bool) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                 "storageClassName": ""},
    }  # fmt: skip
    app.folder.put(make_map("stay"), claim)
    app.apply()
    if allowed:
        app.kubectl("annotate", "pvc", "data", "-n", app.namespace, "trimtab.dev/prune=allowed")
    app.folder.drop("persistentvolumeclaim", "data")
    assert app.actions()["PersistentVolumeClaim/data"] == ("pruned" if allowed else "released")
    assert exists(app, "pvc", "data", "-n", app.namespace) is not allowed


def _before_the_delete(proxy: ApiProxy, act: Callable[[], object]) -> None:
    done: list[str] = []

    def strike(_number: int, method: str, path: str, *, after: bool = False) -> None:
        if method == "DELETE" and not after and not done:
            done.append(path)
            act()

    proxy.strike = strike


@pytest.mark.parametrize(
    "command",
    [
        "annotate --overwrite trimtab.dev/owner=somebody",
        "annotate trimtab.dev/object-",
        "annotate helm.sh/resource-policy=keep",
        "annotate fluxcd.io/ignore=true",
        'patch --type=json -p=[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]',
    ],
)
def test_what_is_no_longer_ours_when_it_is_to_be_deleted_lives(
    app: Any, make_map: Make, proxied: ApiProxy, command: str
) -> None:
    app.folder.put(make_map("stay"), make_map("a"))
    app.apply()
    app.folder.drop("configmap", "a")
    verb, *rest = command.split()
    _before_the_delete(proxied, lambda: app.kubectl(verb, "configmap", "a", "-n", app.namespace, *rest))
    assert app.actions()["ConfigMap/a"] == "released"
    assert "a" in app.names()


def test_a_permission_that_is_taken_back_before_the_delete_keeps_a_claim(
    app: Any, make_map: Make, proxied: ApiProxy
) -> None:
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "annotations": {"trimtab.dev/prune": "allowed"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                 "storageClassName": ""},
    }  # fmt: skip
    app.folder.put(make_map("stay"), claim)
    app.apply()
    app.folder.drop("persistentvolumeclaim", "data")
    take_back = ("annotate", "pvc", "data", "-n", app.namespace, "trimtab.dev/prune-")
    _before_the_delete(proxied, lambda: app.kubectl(*take_back))
    assert app.actions()["PersistentVolumeClaim/data"] == "released"
    assert exists(app, "pvc", "data", "-n", app.namespace)


def test_an_approval_ends_with_the_objects_that_it_was_given_for(app: Any, make_map: Make) -> None:
    """One of them was deleted and applied again under the same name in between: it is another object."""
    names = [f"c{number}" for number in range(12)]
    app.folder.put(make_map("stay"), *map(make_map, names))
    app.apply()
    app.folder.drop("configmap", *names)
    assert list(app.actions(code=3).values()).count("held") == 12
    assert app.trimtab("approve", "shop", "--inventory-namespace", app.namespace).code == 0
    app.kubectl("delete", "configmap", "c3", "-n", app.namespace)
    app.folder.put(make_map("c3"))
    assert app.actions(code=3)["ConfigMap/c3"] == "created"
    app.folder.drop("configmap", "c3")
    assert list(app.actions(code=3).values()).count("held") == 12
    assert set(names) <= app.names()


def test_one_object_in_two_api_groups_that_moves_between_them_lives(app: Any, make_map: Make) -> None:
    """Events are served in two groups; an Ingress was, once."""
    where = {"name": "one", "namespace": app.namespace}
    about = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": app.namespace}
    old = {
        "apiVersion": "v1", "kind": "Event", "metadata": where, "involvedObject": about, "reason": "Said",
        "message": "m", "type": "Normal", "eventTime": "2024-01-01T00:00:00.000000Z", "action": "Say",
        "reportingComponent": "example.com/sayer", "reportingInstance": "sayer-1",
    }  # fmt: skip
    new = {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": where, "regarding": about, "reason": "Said",
        "note": "m", "type": "Normal", "eventTime": "2024-01-01T00:00:00.000000Z", "action": "Say",
        "reportingController": "example.com/sayer", "reportingInstance": "sayer-1",
    }  # fmt: skip
    app.folder.put(make_map("stay"), old)
    app.apply()
    uid = app.get("event", "one")["metadata"]["uid"]
    app.folder.put(new)
    app.apply()
    assert app.get("event", "one")["metadata"]["uid"] == uid
    assert set(app.actions().values()) == {"unchanged"}
    # It is as much ours as it was before.
    app.folder.drop("event", "one")
    assert app.actions()["Event/one"] == "pruned"


def test_what_a_broken_server_of_its_kind_hides_is_kept_and_told(
    app: Any, make_map: Make, things: dict[str, Any], control_plane: Any
) -> None:
    app.kubectl("apply", "-f", "-", input=json.dumps(things))
    name, group = things["metadata"]["name"], things["spec"]["group"]
    control_plane.until_established(name)
    until(lambda: exists(app, "apiservice", f"v1.{group}"))
    app.folder.put(make_map("stay"), thing(app, "one"))
    app.apply()
    # Kubernetes keeps the APIService of a definition as it should be, as long as it carries its label.
    broken = {
        "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": None}},
        "spec": {"service": {"namespace": app.namespace, "name": "nowhere"}, "insecureSkipTLSVerify": True},
    }
    app.kubectl("patch", "apiservice", f"v1.{group}", "--type=merge", "-p", json.dumps(broken))
    try:
        until(lambda: _unavailable(app, f"v1.{group}"))
        app.folder.drop("thing", "one")
        result = app.apply(code=None)
        assert "Thing" in result.out
        assert app.actions(code=None) == {"ConfigMap/stay": "unchanged"}
    finally:
        app.kubectl("delete", "apiservice", f"v1.{group}")
    until(lambda: app.kubectl("get", name, "-n", app.namespace, "-o", "name", check=False).strip())
    assert app.actions()["Thing/one"] == "pruned"


def _unavailable(app: Any, name: str) -> bool:
    path = 'jsonpath={.status.conditions[?(@.type=="Available")].status}'
    return str(app.kubectl("get", "apiservice", name, "-o", path)) == "False"
