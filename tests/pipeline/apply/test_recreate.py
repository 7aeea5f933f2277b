"""Immutable fields: what is one, what may be created anew, and what never is."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from harness import ControlPlane
from sending import OneApp
from waiting import until

from pipeline.app import Prune
from pipeline.cluster.discovery import Discovery
from pipeline.inventory.record import Standing
from pipeline.plan.model import Action

ALLOWED = {"recreate": "allowed"}


def _service(**spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def _job(image: str = "one", name: str = "job", **annotations: str) -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": image}]}
    metadata = {"name": name, "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}


def _claim(size: str, **annotations: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "none"}
    metadata = {"name": "data", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def _stateful(name: str = "db", service: str = "db") -> dict[str, Any]:
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"replicas": 0, "serviceName": service, "selector": {"matchLabels": {"a": "b"}}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name}, "spec": spec}


def _binding(role: str) -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": "b"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": role}, "subjects": [],
    }  # fmt: skip


def _secret(**more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"password": "hunter"},
        **more,
    }


def _selector(value: str) -> dict[str, Any]:
    pod = {"metadata": {"labels": {"a": value}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"a": value}}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


_IMMUTABLE = {
    "selector": (_selector("1"), _selector("2"), "spec.selector"),
    "clusterIP": (_service(), _service(clusterIP="None"), "spec.clusterIPs[0]"),
    "StatefulSet": (_stateful(), _stateful(service="other"), "spec"),
    "roleRef": (_binding("one"), _binding("two"), "roleRef"),
    "immutable Secret": (_secret(immutable=True), _secret(immutable=True, stringData={"password": "new"}), "data"),
    "type of a Secret": (_secret(type="Opaque"), _secret(type="example.com/x"), "type"),
}


@pytest.mark.parametrize(("before", "after", "fields"), _IMMUTABLE.values(), ids=_IMMUTABLE.keys())
def test_an_immutable_field_is_named_with_what_to_do(app: OneApp, before: Any, after: Any, fields: str) -> None:
    app.one(before)
    uid = app.live(before)["metadata"]["uid"]
    sent = app.one(after)
    assert sent.change.action is Action.FAILED
    assert f"web.yaml: {fields} is immutable" in sent.change.message
    assert 'trimtab.dev/recreate: "allowed"' in sent.change.message
    assert "hunter" not in sent.change.message
    assert not sent.change.temporary
    assert app.live(before)["metadata"]["uid"] == uid


@pytest.mark.parametrize(("before", "after", "fields"), _IMMUTABLE.values(), ids=_IMMUTABLE.keys())
def test_it_is_created_anew_where_that_is_allowed(app: OneApp, before: Any, after: Any, fields: str) -> None:
    app.one(before)
    uid = app.live(before)["metadata"]["uid"]
    app.policy = ALLOWED
    sent = app.one(after)
    assert sent.change.action is Action.CONFIGURED, sent.change.message
    assert sent.change.message == f"recreated: {fields} is immutable"
    assert sent.entry is not None
    assert sent.entry.standing is Standing.CREATED
    assert app.live(after)["metadata"]["uid"] == sent.entry.uid != uid
    assert app.plan(after).empty


_MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "negative": ({**_selector("1"), "spec": {**_selector("1")["spec"], "replicas": -1}}, "spec.replicas"),
    "unknown type": (_service(type="Bogus"), "spec.type"),
    "two names": (_service(ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]), "spec.ports[1].name"),
}


@pytest.mark.parametrize(("after", "field"), _MISTAKES.values(), ids=_MISTAKES.keys())
def test_a_plain_mistake_is_none(app: OneApp, after: Any, field: str) -> None:
    app.policy = ALLOWED
    before = _service() if after["kind"] == "Service" else _selector("1")
    app.one(before)
    uid = app.live(before)["metadata"]["uid"]
    sent = app.one(after)
    assert field in sent.change.message
    assert "is immutable" not in sent.change.message
    assert app.live(before)["metadata"]["uid"] == uid


def test_nothing_is_deleted_for_an_object_that_would_be_refused(app: OneApp) -> None:
    app.policy = ALLOWED
    app.one(_selector("1"))
    wrong = _selector("2")
    wrong["spec"]["template"]["spec"]["containers"][0]["name"] = "Not_A_Name"
    uid = app.live(wrong)["metadata"]["uid"]
    sent = app.one(wrong)
    assert "the new object would be refused" in sent.change.message
    assert app.live(wrong)["metadata"]["uid"] == uid


def test_a_node_port_that_the_old_object_holds_is_no_obstacle(app: OneApp) -> None:
    app.policy = ALLOWED
    ports = [{"port": 80, "nodePort": 30987}]
    app.one(_service(type="NodePort", ports=ports))
    sent = app.one(_service(type="NodePort", ports=ports, clusterIP="10.0.77.78"))
    assert sent.change.message.startswith("recreated"), sent.change.message
    assert app.live(_service())["spec"]["ports"][0]["nodePort"] == 30987


def _annotated(manifest: dict[str, Any], **annotations: str) -> dict[str, Any]:
    copied = copy.deepcopy(manifest)
    names = {f"trimtab.dev/{name}": value for name, value in annotations.items()}
    copied["metadata"].setdefault("annotations", {}).update(names)
    return copied


def test_the_annotation_wins(app: OneApp) -> None:
    app.one(_selector("1"))
    assert app.one(_annotated(_selector("2"), recreate="allowed")).change.message.startswith("recreated")
    app.policy = ALLOWED
    assert app.one(_annotated(_selector("3"), recreate="never")).change.action is Action.FAILED


def test_what_existed_before_is_never_deleted(app: OneApp) -> None:
    app.policy = ALLOWED
    app.ctl("create", "-f", "-", body=_selector("1"))
    uid = app.live(_selector("1"))["metadata"]["uid"]
    assert "may not be deleted" in app.one(_selector("2")).change.message
    app.one(_selector("1"))
    assert "it existed before this App and was adopted" in app.one(_selector("2")).change.message
    assert app.live(_selector("1"))["metadata"]["uid"] == uid
    app.policy = {**ALLOWED, "prune": Prune(adopted=True)}
    assert app.one(_selector("2")).change.message.startswith("recreated")


@pytest.mark.parametrize(
    "lost",
    [
        {"op": "replace", "path": "/metadata/annotations/trimtab.dev~1owner", "value": "other"},
        {"op": "add", "path": "/metadata/annotations/trimtab.dev~1prune", "value": "never"},
        {"op": "add", "path": "/metadata/annotations/helm.sh~1resource-policy", "value": "keep"},
    ],
    ids=["another owner", "never", "keep"],
)
def test_every_veto_of_a_prune_is_asked(app: OneApp, lost: dict[str, Any]) -> None:
    app.policy = ALLOWED
    app.one(_selector("1"))
    uid = app.live(_selector("1"))["metadata"]["uid"]
    app.patch(_selector("1"), lost)
    assert "may not be deleted" in app.one(_selector("2")).change.message
    assert app.live(_selector("1"))["metadata"]["uid"] == uid


def test_prune_off_is_no_veto_since_nothing_leaves(app: OneApp) -> None:
    app.policy = {**ALLOWED, "prune": Prune(enabled=False)}
    app.one(_selector("1"))
    assert app.one(_selector("2")).change.message.startswith("recreated")


def test_a_claim_needs_the_permission_on_the_live_object(app: OneApp, control_plane: ControlPlane) -> None:
    app.policy = ALLOWED
    app.one(_claim("2Gi"))
    smaller = _annotated(_claim("1Gi"), prune="allowed")
    assert 'only with trimtab.dev/prune: "allowed" on it' in app.one(smaller).change.message
    app.ctl("annotate", "pvc", "data", "trimtab.dev/prune=allowed")
    assert app.one(smaller).change.message.startswith("recreated")


@pytest.fixture
def definition(app: OneApp, control_plane: ControlPlane) -> Iterator[dict[str, Any]]:
    """Of a kind that has a rule of its own about changes, in the words of its author; created by the App."""
    group = f"{app.namespace}.example.com"
    rule = {"rule": "self == oldSelf", "message": "x stays what it was"}
    spec = {"type": "object", "properties": {"x": {"type": "string", "x-kubernetes-validations": [rule]}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}]},
    }  # fmt: skip
    app.one(crd)
    control_plane.until_established(f"things.{group}")
    yield crd
    control_plane.kubectl("delete", "crd", f"things.{group}")


def test_a_definition_is_never_deleted_for_that(app: OneApp, definition: dict[str, Any]) -> None:
    app.policy = ALLOWED
    uid = app.live(definition)["metadata"]["uid"]
    sent = app.one({**definition, "spec": {**definition["spec"], "scope": "Cluster"}})
    assert "a CustomResourceDefinition is never deleted for that" in sent.change.message
    assert app.live(definition)["metadata"]["uid"] == uid


def test_a_rule_in_its_authors_words_is_found_by_trying(app: OneApp, definition: dict[str, Any]) -> None:
    until(lambda: Discovery.load(app.connection).find("Thing", definition["spec"]["group"]))
    app.discovery = Discovery.load(app.connection)
    api_version = f"{definition['spec']['group']}/v1"
    thing = {"apiVersion": api_version, "kind": "Thing", "metadata": {"name": "a"}, "spec": {"x": "1"}}
    app.one(thing)
    app.policy = ALLOWED
    assert app.one({**thing, "spec": {"x": "2"}}).change.message == "recreated: spec.x is immutable"


def _finish(app: OneApp, name: str = "job") -> None:
    app.ctl("wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")


def test_a_finished_job_is_created_anew_by_default(app: OneApp) -> None:
    app.one(_job())
    _finish(app)
    assert app.one(_job("two")).change.message == "recreated: spec.template is immutable"
    assert app.live(_job())["spec"]["template"]["spec"]["containers"][0]["image"] == "two"


@pytest.mark.parametrize("how", ["never", "adopted", "running"])
def test_another_job_is_not(app: OneApp, how: str) -> None:
    suspended = {"spec": {**_job()["spec"], "suspend": how == "running"}}
    if how == "adopted":
        app.policy["prune"] = Prune(adopted=True)
        app.ctl("create", "-f", "-", body=_job())
    app.one({**_job(), **suspended})
    if how != "running":
        _finish(app)
    changed = _job("two", **({"trimtab.dev/recreate": "never"} if how == "never" else {}))
    if how == "running":
        changed["spec"]["completions"], changed["spec"]["suspend"] = 2, True
    uid = app.live(_job())["metadata"]["uid"]
    sent = app.one(changed)
    assert sent.change.action is Action.FAILED
    assert sent.change.temporary is (how == "running")
    assert app.live(_job())["metadata"]["uid"] == uid


def test_a_finalizer_that_hangs_is_named_and_the_next_sync_goes_on(
    app: OneApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.apply.recreate._GONE", 0.2)
    app.policy = ALLOWED
    app.one(_selector("1"))
    app.patch(_selector("1"), {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/hold"]})
    sent = app.one(_selector("2"))
    assert sent.change.temporary
    assert "example.com/hold" in sent.change.message
    app.patch(_selector("1"), {"op": "remove", "path": "/metadata/finalizers"})
    sent = app.one(_selector("2"))
    assert sent.entry is not None
    assert sent.entry.standing is Standing.CREATED
    assert app.plan(_selector("2")).empty


def test_who_hurries_in_between_is_not_overwritten_as_ours(app: OneApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody creates the object again right after we deleted it: then it existed before, and counts as adopted."""
    app.policy = ALLOWED
    app.one(_selector("1"))

    def hurry(*_: object) -> None:
        app.ctl("delete", "deployment", "web")
        app.ctl("create", "-f", "-", body=_selector("2"))

    monkeypatch.setattr("pipeline.apply.send.make_way", hurry)
    sent = app.one(_selector("2"))
    assert sent.entry is not None
    assert sent.entry.standing is Standing.ADOPTED
