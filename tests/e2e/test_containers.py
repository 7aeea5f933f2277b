"""On the real API server: a Namespace or a definition goes only with what is the App's own in it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from leaving import deployment, exists, noted, service, thing
from waiting import until

Make = Callable[..., dict[str, Any]]


def _space(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _in(namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


@pytest.fixture
def inner(app: Any) -> Iterator[str]:
    """The name of a namespace that the App makes."""
    name = f"{app.namespace}-inner"
    yield name
    app.kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


def _full(app: Any, inner: str, make_map: Make) -> list[str]:
    """Put what fills a namespace with more than what was applied: ReplicaSets, Pods, Endpoints, slices. Their names."""
    parts = [deployment("web"), service("web"), make_map("conf")]
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
    until(lambda: not exists(app, "namespace", inner))
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
    assert exists(app, kind, "theirs", "-n", inner)


def test_a_namespace_with_an_object_of_the_set_inside_lives(app: Any, make_map: Make, inner: str) -> None:
    names = _full(app, inner, make_map)
    _drop(app, f"namespace {inner}", *(name for name in names if "configmap" not in name))
    change = app.changes()[f"Namespace/{inner}"]
    assert (change["action"], f"ConfigMap/{inner}/conf" in change["message"]) == ("released", True)
    assert exists(app, "configmap", "conf", "-n", inner)


def test_a_namespace_with_a_released_object_inside_lives(app: Any, make_map: Make, inner: str) -> None:
    kept = noted(_in(inner, make_map("kept")), prune="never")
    app.folder.put(make_map("stay"), _space(inner), kept)
    app.apply()
    app.folder.drop("namespace", inner).drop("configmap", "kept")
    assert app.actions() == {
        "ConfigMap/kept": "released", "ConfigMap/stay": "unchanged", f"Namespace/{inner}": "released",
    }  # fmt: skip
    assert exists(app, "configmap", "kept", "-n", inner)


def test_a_namespace_with_what_was_orphaned_inside_lives(app: Any, make_map: Make, inner: str) -> None:
    app.folder.put(make_map("stay"), _space(inner), noted(_in(inner, deployment("web")), propagation="Orphan"))
    app.apply()
    app.folder.drop("namespace", inner).drop("deployment", "web")
    assert app.actions()[f"Namespace/{inner}"] == "released"
    until(lambda: not exists(app, "deployment", "web", "-n", inner))
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
    assert exists(app, "namespace", inner)


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
    assert exists(app, "namespace", inner)


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
    until(lambda: not exists(app, "namespace", inner))


def test_a_definition_goes_when_its_last_object_was_ours(app: Any, make_map: Make, things: dict[str, Any]) -> None:
    app.folder.put(make_map("stay"), things, thing(app, "one"))
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
    app.folder.put(make_map("stay"), thing(app, "one"))
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
    app.folder.put(make_map("stay"), things, thing(app, "one"))
    app.apply()
    app.kubectl("create", "namespace", inner)
    app.kubectl("create", "-n", inner, "-f", "-", input=json.dumps(thing(app, "theirs")))
    name = things["metadata"]["name"]
    app.folder.drop("customresourcedefinition", name).drop("thing", "one")
    changes = app.changes()
    assert changes["Thing/one"]["action"] == "pruned"
    assert changes[f"CustomResourceDefinition/{name}"]["action"] == "released"
    assert f"{inner}/theirs" in changes[f"CustomResourceDefinition/{name}"]["message"]
    assert exists(app, name, "theirs", "-n", inner)
