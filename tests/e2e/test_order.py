"""On the real API server: what is sent before what, what waits for what, and what is held where it never comes."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from harness import ControlPlane
from waiting import until

Make = Callable[..., dict[str, Any]]

WAVE = "trimtab.dev/wave"
DEPENDS_ON = "config.kubernetes.io/depends-on"
#: Nobody schedules its Pods, so that it is never ready.
_NOWHERE = {"nodeSelector": {"no": "such-node"}}


def deployment(name: str, **pod: Any) -> dict[str, Any]:
    labels = {"app": name}
    spec = {"containers": [{"name": "main", "image": "nginx"}], **pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def job(name: str) -> dict[str, Any]:
    """Might bring anything, and is ready from the first moment."""
    pod = {"containers": [{"name": "main", "image": "busybox"}], "restartPolicy": "Never"}
    spec = {"suspend": True, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def service(name: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 443}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def annotated(manifest: dict[str, Any], **annotations: str) -> dict[str, Any]:
    metadata = {**manifest["metadata"], "annotations": {**annotations}}
    return {**manifest, "metadata": metadata}


def in_wave(wave: int, manifest: dict[str, Any]) -> dict[str, Any]:
    return annotated(manifest, **{WAVE: str(wave)})


def definition(group: str, kind: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def custom(group: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": {}}


def webhook(name: str, namespace: str, **rest: Any) -> dict[str, Any]:
    """Is asked about objects of a kind that nobody makes, so that it is in nobody's way."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "order.example.com",
                "clientConfig": {"service": {"name": "hook", "namespace": namespace}},
                "rules": [{"apiGroups": ["none.example.com"], "apiVersions": ["*"], "operations": ["CREATE"],
                           "resources": ["*"]}],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                **rest,
            }
        ],
    }  # fmt: skip


@pytest.fixture
def group(namespace: str, control_plane: ControlPlane) -> Iterator[str]:
    """An API group of the test's own; its definitions go with the test."""
    name = f"{namespace}.example.com"
    yield name
    found = control_plane.kubectl("get", "crd", "-o", "name").split()
    for each in found:
        if each.endswith(name):
            control_plane.kubectl("delete", each, "--wait=false")


@pytest.fixture
def hook(namespace: str, control_plane: ControlPlane) -> Iterator[str]:
    """The name of a webhook configuration, which goes with the test."""
    name = f"hook-{namespace}"
    yield name
    control_plane.kubectl("delete", "validatingwebhookconfiguration", name, "--ignore-not-found")


@contextmanager
def operator(control_plane: ControlPlane, namespace: str, name: str, *installs: dict[str, Any]) -> Iterator[None]:
    """Plays the program of a Deployment: once that exists, it installs these, one after the other."""
    ended = threading.Event()

    def run() -> None:
        def there() -> bool:
            return ended.is_set() or bool(
                control_plane.kubectl("get", "deployment", name, "-n", namespace, "--ignore-not-found")
            )

        until(there, pause=0.2)
        for manifest in installs:
            control_plane.kubectl("create", "-f", "-", input=json.dumps(manifest))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def order_of_writes(control_plane: ControlPlane, namespace: str) -> list[str]:
    """What was sent of this App, in the order of the API server's answers: `resource/name`."""
    lines = map(json.loads, control_plane.audit_log.read_text().splitlines())
    sent = [line for line in lines if "fieldManager=trimtab-shop-" in line["requestURI"]]
    references = [line["objectRef"] for line in sent if namespace in json.dumps(line["objectRef"])]
    return [f"{each['resource']}/{each['name']}" for each in references]


def test_what_others_need_is_sent_before_them(app: Any, make_map: Make, group: str, control_plane: Any) -> None:
    extra = f"{app.namespace}-more"
    elsewhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there", "namespace": extra}}
    app.folder.put(
        custom(group, "Thing", "a"),
        deployment("web"),
        make_map("settings"),
        elsewhere,
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "policy"}, "spec": {"limits": []}},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": extra}},
        definition(group, "Thing"),
    )
    assert set(app.actions().values()) == {"created"}
    assert [name for name in order_of_writes(control_plane, app.namespace) if not name.endswith("/settings")] == [
        f"customresourcedefinitions/things.{group}",
        f"namespaces/{extra}",
        "limitranges/policy",
        "configmaps/there",
        "deployments/web",
        "things/a",
    ]
    control_plane.kubectl("delete", "namespace", extra, "--wait=false")


def test_a_deployment_that_waits_for_a_custom_resource_does_not_hold_it_up(app: Any, group: str) -> None:
    mounts = {"volumes": [{"name": "secret", "secret": {"secretName": "made-by-an-operator"}}], **_NOWHERE}
    app.folder.put(deployment("web", **mounts), custom(group, "Thing", "a"), definition(group, "Thing"))
    assert app.actions("--timeout", "2s", code=1)["Thing/a"] == "created"


def test_a_kind_that_the_apps_operator_installs_is_waited_for_and_holds_nothing_up(
    app: Any, make_map: Make, group: str, control_plane: Any
) -> None:
    app.folder.put(make_map("old"))
    app.apply()
    app.folder.drop("configmap", "old").put(
        make_map("settings"), deployment("operator"), custom(group, "Thing", "a"), custom(group, "Other", "b")
    )
    with operator(control_plane, app.namespace, "operator", definition(group, "Thing"), definition(group, "Other")):
        actions = app.actions()
    assert actions == {
        "ConfigMap/settings": "created",
        "ConfigMap/old": "pruned",
        "Deployment/operator": "created",
        "Thing/a": "created",
        "Other/b": "created",
    }
    assert set(app.actions().values()) == {"unchanged"}


def test_a_difference_tells_what_waits_for_its_kind(app: Any, group: str) -> None:
    app.folder.put(job("install"), custom(group, "Thing", "a"))
    done = app.trimtab(
        "diff", str(app.folder.path), "--namespace", app.namespace, "--inventory-namespace", app.namespace
    )
    assert done.code == 1, done.err
    assert (
        f"the cluster knows no kind Thing in {group}/v1: it is applied when something in the App brings it" in done.out
    )


def test_a_kind_that_never_comes_fails_alone(app: Any, make_map: Make, group: str) -> None:
    app.folder.put(make_map("settings"), job("install"), custom(group, "Thing", "a"))
    changes = app.changes("--timeout", "1s", code=4)
    assert {name: change["action"] for name, change in changes.items()} == {
        "ConfigMap/settings": "created",
        "Job/install": "created",
        "Thing/a": "failed",
    }
    assert "nothing in the App brought it within 1s" in changes["Thing/a"]["message"]


def test_a_kind_that_did_not_come_is_not_waited_for_again_when_nothing_changed(app: Any, group: str) -> None:
    app.folder.put(job("install"), custom(group, "Thing", "a"))
    app.actions("--timeout", "1s", code=4)
    # Would this one wait, the command would be ended by the test's own timeout.
    assert app.actions("--timeout", "1h", code=4)["Thing/a"] == "failed"


def test_an_unknown_kind_fails_at_once_where_nothing_could_bring_it(app: Any, make_map: Make, group: str) -> None:
    app.folder.put(make_map("settings"), custom(group, "Thing", "a"))
    actions = app.actions("--timeout", "1h", code=4)
    assert actions == {"ConfigMap/settings": "created", "Thing/a": "failed"}


def test_a_wave_waits_until_the_one_before_is_ready(app: Any, make_map: Make, control_plane: Any) -> None:
    app.folder.put(in_wave(1, make_map("late")), in_wave(-1, deployment("early")))
    app.apply("--no-wait")
    lines = map(json.loads, control_plane.audit_log.read_text().splitlines())
    events = [
        (line["verb"], line["objectRef"].get("resource"), line["objectRef"].get("name", ""))
        for line in lines
        if line.get("objectRef", {}).get("namespace") == app.namespace
        and ("trimtab" in line.get("userAgent", "") or "trimtab-shop-" in line["requestURI"])
    ]
    early, late = events.index(("patch", "deployments", "early")), events.index(("patch", "configmaps", "late"))
    assert early < late
    assert ("watch", "deployments", "") in events[early:late]


def test_what_comes_after_a_wave_that_is_not_ready_is_held_and_nothing_is_pruned(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("old"), in_wave(2, make_map("known")))
    app.apply()
    app.folder.drop("configmap", "old").put(
        deployment("web", **_NOWHERE), in_wave(1, make_map("new")), in_wave(2, make_map("known", a="2"))
    )
    changes = app.changes("--timeout", "2s", code=1)
    assert {name: change["action"] for name, change in changes.items()} == {
        "Deployment/web": "created",
        "ConfigMap/new": "held",
        "ConfigMap/known": "held",
        "ConfigMap/old": "held",
    }
    assert changes["ConfigMap/new"]["message"] == (
        f"waits for wave 0: Deployment.apps/{app.namespace}/web is not ready"
    )
    assert app.names() == {"old", "known"}
    assert {each["id"].rpartition("/")[2] for each in app.record()["objects"]} == {"web", "known", "old"}

    app.folder.put(deployment("web"))
    assert app.actions() == {
        "Deployment/web": "configured",
        "ConfigMap/new": "created",
        "ConfigMap/known": "configured",
        "ConfigMap/old": "pruned",
    }


def test_a_wave_that_was_not_ready_is_looked_at_again_before_the_next_is_sent(app: Any, make_map: Make) -> None:
    app.folder.put(deployment("web", **_NOWHERE), in_wave(1, make_map("new")))
    app.apply("--timeout", "2s", code=1)
    assert app.actions("--timeout", "2s", code=1)["ConfigMap/new"] == "held"


def test_what_comes_after_a_wave_with_a_failed_object_is_held(app: Any, make_map: Make) -> None:
    bad = {**make_map("bad"), "data": {"not allowed!": "1"}}
    app.folder.put(bad, make_map("good"), in_wave(1, make_map("late")))
    changes = app.changes(code=4)
    assert changes["ConfigMap/good"]["action"] == "created"
    assert changes["ConfigMap/late"]["message"] == f"waits for wave 0: ConfigMap/{app.namespace}/bad was not applied"
    assert app.names() == {"good"}


def test_what_depends_on_an_object_is_sent_when_that_is_ready(app: Any, make_map: Make, control_plane: Any) -> None:
    needs = f"apps/namespaces/{app.namespace}/Deployment/web"
    app.folder.put(deployment("web"), annotated(make_map("a"), **{DEPENDS_ON: needs}))
    app.folder.put(annotated(make_map("b"), **{DEPENDS_ON: f"/namespaces/{app.namespace}/ConfigMap/a"}))
    assert set(app.actions().values()) == {"created"}
    assert order_of_writes(control_plane, app.namespace) == ["deployments/web", "configmaps/a", "configmaps/b"]


def test_what_depends_on_an_object_that_is_not_ready_is_held_and_nothing_else(app: Any, make_map: Make) -> None:
    needs = f"apps/namespaces/{app.namespace}/Deployment/web"
    app.folder.put(
        deployment("web", **_NOWHERE),
        annotated(make_map("a"), **{DEPENDS_ON: needs}),
        annotated(make_map("b"), **{DEPENDS_ON: f"/namespaces/{app.namespace}/ConfigMap/a"}),
        annotated(make_map("c"), **{DEPENDS_ON: f"/namespaces/{app.namespace}/ConfigMap/d"}),
        make_map("d"),
    )
    changes = app.changes("--timeout", "2s", code=1)
    assert changes["ConfigMap/a"]["message"] == f"waits for Deployment.apps/{app.namespace}/web, which is not ready"
    assert changes["ConfigMap/b"]["message"] == f"waits for ConfigMap/{app.namespace}/a, which was not applied"
    assert app.names() == {"c", "d"}


def test_a_prune_goes_through_waves_and_dependencies_the_other_way(
    app: Any, make_map: Make, control_plane: ControlPlane
) -> None:
    needs = annotated(make_map("needs"), **{DEPENDS_ON: f"/namespaces/{app.namespace}/ConfigMap/base"})
    app.folder.put(make_map("stays"), make_map("base"), needs, in_wave(1, make_map("a-late")), service("web"))
    app.apply()
    app.folder.drop("configmap", "base", "needs", "a-late").drop("service", "web")
    app.apply()
    lines = map(json.loads, control_plane.audit_log.read_text().splitlines())
    deleted = [line["objectRef"] for line in lines if line["verb"] == "delete"]
    names = [each["name"] for each in deleted if each.get("namespace") == app.namespace]
    assert names == ["a-late", "needs", "web", "base"]


def test_objects_that_depend_on_each_other_fail_and_the_circle_is_named(app: Any, make_map: Make) -> None:
    app.folder.put(
        annotated(make_map("a"), **{DEPENDS_ON: f"/namespaces/{app.namespace}/ConfigMap/b"}),
        annotated(make_map("b"), **{DEPENDS_ON: f"/namespaces/{app.namespace}/ConfigMap/a"}),
        make_map("c"),
    )
    changes = app.changes(code=4)
    assert {name: change["action"] for name, change in changes.items()} == {
        "ConfigMap/a": "failed",
        "ConfigMap/b": "failed",
        "ConfigMap/c": "created",
    }
    a, b = f"ConfigMap/{app.namespace}/a", f"ConfigMap/{app.namespace}/b"
    assert f"it depends on itself: {a} → {b} → {a}" in changes["ConfigMap/b"]["message"]


def test_a_webhook_comes_when_its_service_has_ready_endpoints(app: Any, hook: str, control_plane: Any) -> None:
    app.folder.put(webhook(hook, app.namespace), service("hook"), deployment("hook"))
    assert set(app.actions().values()) == {"created"}
    slices = json.loads(control_plane.kubectl("get", "endpointslices", "-n", app.namespace, "-o", "json"))["items"]
    assert any(each["conditions"]["ready"] for one in slices for each in one["endpoints"])
    lines = map(json.loads, control_plane.audit_log.read_text().splitlines())
    made = [line["objectRef"] for line in lines if hook in line["requestURI"] or "endpointslices" in line["requestURI"]]
    names = [
        (each["resource"], each.get("name", "")) for each in made if each.get("namespace") in (None, app.namespace)
    ]
    assert ("endpointslices", "") in names[: names.index(("validatingwebhookconfigurations", hook))]


def test_a_webhook_without_a_ready_endpoint_is_held(app: Any, hook: str) -> None:
    app.folder.put(webhook(hook, app.namespace), service("hook"))
    changes = app.changes("--timeout", "2s", code=1)
    assert changes[f"ValidatingWebhookConfiguration/{hook}"]["action"] == "held"
    assert changes[f"ValidatingWebhookConfiguration/{hook}"]["message"] == (
        f"waits for Service/{app.namespace}/hook, which has no ready endpoint"
    )
    assert app.get("validatingwebhookconfiguration", hook) is None


@pytest.mark.parametrize(
    "rest",
    [
        {"failurePolicy": "Ignore"},
        {"clientConfig": {"url": "https://hook.example.com"}},
        {"clientConfig": {"service": {"name": "unknown", "namespace": "default"}}},
    ],
)
def test_a_webhook_that_does_no_harm_or_has_no_service_to_wait_for_is_not_held(
    app: Any, hook: str, rest: dict[str, Any]
) -> None:
    app.folder.put(webhook(hook, app.namespace, **rest), service("hook"))
    assert app.actions("--timeout", "1h")[f"ValidatingWebhookConfiguration/{hook}"] == "created"


def test_a_newer_commit_ends_the_waiting_between_waves_at_once(
    app: Any, apps: Any, repository: Any, make_map: Make, start: Callable[..., Any]
) -> None:
    repository.commit(deployment("web", **_NOWHERE), in_wave(1, make_map("late")))
    start()
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace}, wait={"timeout": "1h"})
    until(lambda: app.get("deployment", "web") is not None)
    apps.until_ready("shop", repository.commit(deployment("web")))
    assert app.names() == {"late"}


def test_an_app_that_waits_between_waves_does_not_hold_up_the_others(
    app: Any, apps: Any, repository: Any, make_map: Make, start: Callable[..., Any]
) -> None:
    repository.commit(deployment("web", **_NOWHERE), in_wave(1, make_map("late")), folder="slow")
    repository.commit(make_map("one"), folder="quick")
    start("--concurrent-applies", "1")
    apps.put(
        "slow", {"url": repository.url, "path": "slow"}, target={"namespace": app.namespace}, wait={"timeout": "1h"}
    )
    until(lambda: app.get("deployment", "web") is not None)
    apps.put("quick", {"url": repository.url, "path": "quick"}, target={"namespace": app.namespace})
    apps.until_ready("quick")
    assert app.names() == {"one"}
