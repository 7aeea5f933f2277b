"""On the real API server: what leaves git is deleted as far as it is ours, and nothing goes along with it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from waiting import until

Make = Callable[..., dict[str, Any]]


def _space(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec},
    }  # fmt: skip


def _deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "web", "image": "nginx:1"}]}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": pod}},
    }  # fmt: skip


def _in(namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def _noted(manifest: dict[str, Any], **annotations: str) -> dict[str, Any]:
    marks = {f"trimtab.dev/{key}": text for key, text in annotations.items()}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": marks}}


@pytest.fixture
def inner(app: Any) -> Iterator[str]:
    """The name of a namespace that the App makes."""
    name = f"{app.namespace}-inner"
    yield name
    app.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture
def proxied(app: Any, control_plane: Any, tmp_path: Path) -> Iterator[ApiProxy]:
    """The App goes through a proxy."""
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        app.flags = ("--kubeconfig", str(proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)))
        yield proxy


@pytest.fixture
def things(app: Any) -> Iterator[dict[str, Any]]:
    """The definition of a kind Thing, in a group of the test's own."""
    group = f"{app.namespace}.example.com"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    yield {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
                 "versions": [version]},
    }  # fmt: skip
    app.kubectl("delete", "crd", f"things.{group}", "--ignore-not-found", "--wait=false")


def _thing(app: Any, name: str, *finalizers: str) -> dict[str, Any]:
    metadata = {"name": name, "finalizers": list(finalizers)} if finalizers else {"name": name}
    return {"apiVersion": f"{app.namespace}.example.com/v1", "kind": "Thing", "metadata": metadata}


def _free(app: Any, kind: str, name: str) -> None:
    """Do what the one who set its finalizers would do."""
    patch = '{"metadata":{"finalizers":null}}'
    app.kubectl("patch", kind, name, "-n", app.namespace, "--type=merge", "-p", patch)
    until(lambda: not _exists(app, kind, name, "-n", app.namespace))


def _exists(app: Any, kind: str, name: str, *where: str) -> bool:
    return bool(app.kubectl("get", kind, name, *where, "--ignore-not-found", "-o", "name").strip())


def _full(app: Any, inner: str, make_map: Make) -> list[str]:
    """Put what fills a namespace with more than what was applied: ReplicaSets, Pods, Endpoints, slices. Their names."""
    parts = [_deployment("web"), _service("web"), make_map("conf")]
    app.folder.put(make_map("stay"), _space(inner), *(_in(inner, part) for part in parts))
    app.apply()
    return [f"{part['kind'].lower()} {part['metadata']['name']}" for part in parts]


def _drop(app: Any, *names: str) -> None:
    for name in names:
        app.folder.drop(*name.split())


def test_a_namespace_goes_with_all_that_is_ours_in_it(app: Any, make_map: Make, inner: str) -> None:
    _drop(app, *_full(app, inner, make_map), f"namespace {inner}")
    actions = app.actions()
    assert actions.pop("ConfigMap/stay") == "unchanged"
    assert actions.pop(f"Namespace/{inner}") in ("pruned", "held")  # It may take a while until it is gone.
    assert set(actions.values()) == {"pruned"}
    until(lambda: not _exists(app, "namespace", inner))
    app.apply()
    assert inner not in json.dumps(app.record())


@pytest.mark.parametrize("kind", ["configmap", "serviceaccount", "lease", "endpoints"])
def test_a_namespace_with_anything_of_others_inside_lives(app: Any, make_map: Make, inner: str, kind: str) -> None:
    versions = {"lease": "coordination.k8s.io/v1"}
    kinds = {"configmap": "ConfigMap", "serviceaccount": "ServiceAccount", "lease": "Lease", "endpoints": "Endpoints"}
    names = _full(app, inner, make_map)
    theirs = {"apiVersion": versions.get(kind, "v1"), "kind": kinds[kind], "metadata": {"name": "theirs"}}
    app.kubectl("create", "-n", inner, "-f", "-", input=json.dumps(theirs))
    _drop(app, *names, f"namespace {inner}")
    change = app.changes()[f"Namespace/{inner}"]
    assert change["action"] == "released"
    assert f"/{inner}/theirs" in change["message"]
    assert _exists(app, kind, "theirs", "-n", inner)


def test_a_namespace_with_an_object_of_the_set_inside_lives(app: Any, make_map: Make, inner: str) -> None:
    names = _full(app, inner, make_map)
    _drop(app, f"namespace {inner}", *(name for name in names if "configmap" not in name))
    change = app.changes()[f"Namespace/{inner}"]
    assert (change["action"], f"ConfigMap/{inner}/conf" in change["message"]) == ("released", True)
    assert _exists(app, "configmap", "conf", "-n", inner)


def test_a_namespace_with_a_released_object_inside_lives(app: Any, make_map: Make, inner: str) -> None:
    kept = _noted(_in(inner, make_map("kept")), prune="never")
    app.folder.put(make_map("stay"), _space(inner), kept)
    app.apply()
    app.folder.drop("namespace", inner).drop("configmap", "kept")
    assert app.actions() == {
        "ConfigMap/kept": "released", "ConfigMap/stay": "unchanged", f"Namespace/{inner}": "released",
    }  # fmt: skip
    assert _exists(app, "configmap", "kept", "-n", inner)


def test_a_namespace_with_what_was_orphaned_inside_lives(app: Any, make_map: Make, inner: str) -> None:
    app.folder.put(make_map("stay"), _space(inner), _noted(_in(inner, _deployment("web")), propagation="Orphan"))
    app.apply()
    app.folder.drop("namespace", inner).drop("deployment", "web")
    assert app.actions()[f"Namespace/{inner}"] == "released"
    until(lambda: not _exists(app, "deployment", "web", "-n", inner))
    assert app.kubectl("get", "replicaset", "-n", inner, "-o", "name").strip()


def test_a_namespace_that_was_adopted_lives_whatever_the_app_says(app: Any, inner: str, tmp_path: Path) -> None:
    app.kubectl("create", "namespace", inner)
    file = tmp_path / "app.yaml"
    file.write_text(
        "apiVersion: trimtab.dev/v1alpha1\nkind: App\n"
        f"metadata: {{name: shop, namespace: {app.namespace}}}\nspec: {{prune: {{adopted: true, allowEmpty: true}}}}\n"
    )
    app.flags = ("-f", str(file))
    app.folder.put(_space(inner))
    app.apply()
    app.folder.drop("namespace", inner)
    assert app.actions() == {f"Namespace/{inner}": "released"}
    assert _exists(app, "namespace", inner)


def _answer(proxy: ApiProxy, path: str, status: int, reason: str) -> None:
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "code": status})

    def strike(_number: int, method: str, asked: str, *, after: bool = False) -> Any:
        return (status, body.encode()) if not after and path in asked and method == "GET" else None

    proxy.strike = strike


def test_a_namespace_in_which_something_may_not_be_listed_lives(
    app: Any, make_map: Make, inner: str, proxied: ApiProxy
) -> None:
    app.folder.put(make_map("stay"), _space(inner))
    app.apply()
    app.folder.drop("namespace", inner)
    _answer(proxied, f"/namespaces/{inner}/leases", 403, "you may not look")
    change = app.changes()[f"Namespace/{inner}"]
    assert (change["action"], "you may not look" in change["message"]) == ("released", True)
    assert _exists(app, "namespace", inner)


def test_a_namespace_that_cannot_be_looked_into_now_goes_later(
    app: Any, make_map: Make, inner: str, proxied: ApiProxy
) -> None:
    app.folder.put(make_map("stay"), _space(inner))
    app.apply()
    app.folder.drop("namespace", inner)
    _answer(proxied, f"/namespaces/{inner}/leases", 500, "try again")
    change = app.changes(code=4)[f"Namespace/{inner}"]
    assert (change["action"], "try again" in change["message"]) == ("failed", True)
    proxied.strike = None
    assert app.actions()[f"Namespace/{inner}"] in ("pruned", "held")
    until(lambda: not _exists(app, "namespace", inner))


def test_a_definition_goes_when_its_last_object_was_ours(app: Any, make_map: Make, things: dict[str, Any]) -> None:
    app.folder.put(make_map("stay"), things, _thing(app, "one"))
    app.apply()
    name = things["metadata"]["name"]
    app.folder.drop("customresourcedefinition", name).drop("thing", "one")
    assert app.actions() == {
        "ConfigMap/stay": "unchanged", f"CustomResourceDefinition/{name}": "pruned", "Thing/one": "pruned",
    }  # fmt: skip


def test_an_object_of_a_kind_that_is_defined_and_not_served_is_kept_until_it_is(
    app: Any, make_map: Make, things: dict[str, Any]
) -> None:
    """It lives on in the store, so forgetting it would leak it."""
    name = things["metadata"]["name"]

    def serve(*, served: bool) -> None:
        versions = [{**things["spec"]["versions"][0], "served": served}]
        patch = json.dumps({"spec": {"versions": versions}})
        app.kubectl("patch", "crd", name, "--type=merge", "-p", patch)
        until(lambda: (name in app.kubectl("api-resources", "-o", "name", "--cached=false").split()) == served)

    app.kubectl("create", "-f", "-", input=json.dumps(things))
    app.kubectl("wait", "--for=create", f"crd/{name}")
    serve(served=True)
    app.folder.put(make_map("stay"), _thing(app, "one"))
    app.apply()
    app.folder.drop("thing", "one")
    serve(served=False)
    result = json.loads(app.apply().out)
    assert [warning for warning in result["warnings"] if "served in no version" in warning]
    serve(served=True)
    assert app.actions() == {"ConfigMap/stay": "unchanged", "Thing/one": "pruned"}


def test_a_definition_with_an_object_of_others_anywhere_lives(
    app: Any, make_map: Make, things: dict[str, Any], inner: str
) -> None:
    app.folder.put(make_map("stay"), things, _thing(app, "one"))
    app.apply()
    app.kubectl("create", "namespace", inner)
    app.kubectl("create", "-n", inner, "-f", "-", input=json.dumps(_thing(app, "theirs")))
    name = things["metadata"]["name"]
    app.folder.drop("customresourcedefinition", name).drop("thing", "one")
    changes = app.changes()
    assert changes["Thing/one"]["action"] == "pruned"
    assert changes[f"CustomResourceDefinition/{name}"]["action"] == "released"
    assert f"{inner}/theirs" in changes[f"CustomResourceDefinition/{name}"]["message"]
    assert _exists(app, name, "theirs", "-n", inner)


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
    app.folder.put(make_map("stay"), make_map("operator"), things, _thing(app, "one", "example.com/operator"))
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
    app.folder.put(make_map("stay"), _noted(_deployment("web"), propagation="Orphan"))
    app.apply()
    app.folder.drop("deployment", "web")
    app.apply()
    until(lambda: not _exists(app, "deployment", "web", "-n", app.namespace))
    (name,) = app.names("replicaset")
    assert "ownerReferences" not in app.get("replicaset", name)["metadata"]


def test_what_hangs_on_an_object_can_go_first(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("stay"), _noted(_deployment("web"), propagation="Foreground"))
    app.apply()
    (name,) = app.names("replicaset")
    held = '{"metadata":{"finalizers":["example.com/slow"]}}'
    app.kubectl("patch", "replicaset", name, "-n", app.namespace, "--type=merge", "-p", held)
    app.folder.drop("deployment", "web")
    change = app.changes()["Deployment/web"]
    assert (change["action"], "foregroundDeletion" in change["message"]) == ("held", True)
    _free(app, "replicaset", name)
    until(lambda: not _exists(app, "deployment", "web", "-n", app.namespace))


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
    assert _exists(app, "pvc", "data", "-n", app.namespace) is not allowed


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
    assert _exists(app, "pvc", "data", "-n", app.namespace)


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
    app: Any, make_map: Make, things: dict[str, Any]
) -> None:
    app.kubectl("apply", "-f", "-", input=json.dumps(things))
    name, group = things["metadata"]["name"], things["spec"]["group"]
    app.kubectl("wait", "--for=condition=Established", f"crd/{name}")
    until(lambda: _exists(app, "apiservice", f"v1.{group}"))
    app.folder.put(make_map("stay"), _thing(app, "one"))
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
