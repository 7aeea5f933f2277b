"""Ownership read from managedFields: pure cases, and the real API server with its controllers."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from harness import ControlPlane

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource
from pipeline.cluster.fields import apply_entry, fingerprint, known_deployer, lost_fields, other_managers

Apply = Callable[..., tuple[int, dict[str, Any]]]
ME = "trimtab-test"

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "web",
        "labels": {"app.kubernetes.io/name": "web", "team": "a"},
        "annotations": {"note": "a", "more": "b"},
    },
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "nginx:1.13.12",
                        "args": ["one", "two"],
                        "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
                        "env": [{"name": "A", "value": "1"}],
                        "resources": {},
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            },
        },
    },
}
CONFIG_MAP: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "one", "finalizers": ["trimtab.dev/one", "trimtab.dev/two"]},
    "data": {"a": "1", "b": "2"},
}


def entry(manager: str, fields: dict[str, Any], operation: str = "Apply", **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def test_only_the_apply_entry_of_the_object_itself_is_ours() -> None:
    mine = entry(ME, {"f:data": {}})
    fields = [entry(ME, {}, "Update"), entry(ME, {}, subresource="status"), entry("other", {}), mine]
    assert apply_entry({"managedFields": fields}, ME) == mine
    assert apply_entry({"managedFields": fields[:3]}, ME) is None
    assert apply_entry({}, ME) is None


def test_a_fingerprint_is_of_uid_generation_and_our_fields() -> None:
    meta = {"uid": "u", "generation": 1, "managedFields": [entry(ME, {"f:spec": {"f:a": {}, "f:b": {}}})]}
    reordered = {"generation": 1, "uid": "u", "managedFields": [entry(ME, {"f:spec": {"f:b": {}, "f:a": {}}})]}
    foreign = {**meta, "managedFields": [*meta["managedFields"], entry("x", {"f:spec": {"f:c": {}}})]}  # type: ignore[misc]
    assert fingerprint(meta, ME) == fingerprint(reordered, ME) == fingerprint(foreign, ME)
    others = [{**meta, "uid": "v"}, {**meta, "generation": 2}, {**meta, "managedFields": [entry(ME, {"f:spec": {}})]}]
    assert len({fingerprint(other, ME) for other in [meta, *others]}) == 4
    assert fingerprint(meta, "other") == ""


@pytest.mark.parametrize("generation", [{}, {"generation": 0}])
def test_without_a_generation_every_managers_fields_count_but_no_subresource(generation: dict[str, int]) -> None:
    meta = {"uid": "u", **generation, "managedFields": [entry(ME, {"f:data": {}})]}
    status = {**meta, "managedFields": [*meta["managedFields"], entry("x", {}, subresource="status")]}  # type: ignore[misc]
    foreign = {**meta, "managedFields": [*meta["managedFields"], entry("x", {"f:data": {}}, "Update")]}  # type: ignore[misc]
    assert fingerprint(meta, ME) == fingerprint(status, ME) != fingerprint(foreign, ME)


def test_nothing_is_lost_right_after_an_apply(apply: Apply) -> None:
    for body in (DEPLOYMENT, {**CONFIG_MAP, "metadata": {"name": "one"}}):
        _, live = apply(body)
        assert lost_fields(body, live["metadata"], ME) == ()


@pytest.mark.parametrize(
    ("path", "value", "lost"),
    [
        ("spec/replicas", 3, "spec.replicas"),
        ("spec/template/spec/containers/0/image", "x", "spec.template.spec.containers[name=web].image"),
        ("spec/template/spec/containers/0/args", ["x"], "spec.template.spec.containers[name=web].args"),
        ("metadata/labels/app.kubernetes.io\0name", "x", "metadata.labels[app.kubernetes.io/name]"),
        ("metadata/annotations/note", "x", "metadata.annotations.note"),
    ],
)
def test_a_field_that_somebody_changed_is_named(apply: Apply, path: str, value: Any, lost: str) -> None:
    apply(DEPLOYMENT)
    theirs = copy.deepcopy(DEPLOYMENT)
    *parents, last = path.split("/")
    node: Any = theirs
    for name in parents:
        node = node[int(name)] if isinstance(node, list) else node[name]
    node[last.replace("\0", "/")] = value
    _, live = apply(theirs, manager="somebody", force=True)
    assert lost_fields(DEPLOYMENT, live["metadata"], ME) == (lost,)


def test_a_renamed_list_item_is_named_by_its_keys(apply: Apply, control_plane: ControlPlane, namespace: str) -> None:
    apply(DEPLOYMENT)
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/ports/0/containerPort", "value": 81}]
    control_plane.kubectl("patch", "deployment", "web", "-n", namespace, "--type=json", "-p", json.dumps(patch))
    live = json.loads(
        control_plane.kubectl("get", "deployment", "web", "-n", namespace, "-o", "json", "--show-managed-fields")
    )
    assert lost_fields(DEPLOYMENT, live["metadata"], ME) == (
        "spec.template.spec.containers[name=web].ports[containerPort=80]",
    )


def test_without_an_entry_everything_is_lost() -> None:
    assert lost_fields(DEPLOYMENT, {"managedFields": [entry("x", {"f:spec": {}})]}, ME) == ("spec", "metadata")


def test_an_item_of_a_set_is_named(apply: Apply, control_plane: ControlPlane, namespace: str) -> None:
    apply(CONFIG_MAP)
    patch = json.dumps([{"op": "remove", "path": "/metadata/finalizers/1"}])
    control_plane.kubectl("patch", "configmap", "one", "-n", namespace, "--type=json", "-p", patch)
    live = json.loads(
        control_plane.kubectl("get", "configmap", "one", "-n", namespace, "-o", "json", "--show-managed-fields")
    )
    assert lost_fields(CONFIG_MAP, live["metadata"], ME) == ("metadata.finalizers[trimtab.dev/two]",)
    patch = json.dumps({"metadata": {"finalizers": None}})
    control_plane.kubectl("patch", "configmap", "one", "-n", namespace, "--type=merge", "-p", patch)


def test_controllers_leave_the_fingerprint_of_a_rollout_alone(
    apply: Apply, connection: Connection, discovery: Discovery, namespace: str, control_plane: ControlPlane
) -> None:
    _, answer = apply(DEPLOYMENT)
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "name": "http"}]},
    }  # fmt: skip
    _, service_answer = apply(service)
    control_plane.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")
    for kind, group, sent in (("Deployment", "apps", answer), ("Service", "", service_answer)):
        resource = discovery.find(kind, group)
        assert resource is not None
        meta = objects.get_metadata(connection, resource, namespace, "web")
        assert meta is not None
        assert fingerprint(meta["metadata"], ME) == fingerprint(sent["metadata"], ME)


def test_an_edit_and_a_re_creation_change_the_fingerprint(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str, control_plane: ControlPlane
) -> None:
    body = {**CONFIG_MAP, "metadata": {"name": "one"}}
    _, first = apply(body)
    control_plane.kubectl("patch", "configmap", "one", "-n", namespace, "-p", '{"data": {"a": "9"}}')
    edited = objects.get_metadata(connection, config_maps, namespace, "one")
    control_plane.kubectl("delete", "configmap", "one", "-n", namespace)
    _, again = apply(body)
    assert edited is not None
    prints = {fingerprint(meta["metadata"], ME) for meta in (first, edited, again)}
    assert len(prints) == 3
    assert "" not in prints


def test_other_managers_are_those_of_the_object_itself() -> None:
    fields = [entry("b", {}), entry(ME, {}), entry("a", {}, "Update"), entry("c", {}, subresource="status")]
    assert other_managers({"managedFields": fields}, ME) == ("a", "b")


@pytest.mark.parametrize(
    ("metadata", "name", "detail"),
    [
        (
            {
                "labels": {"app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "ns"},
            },
            "helm",
            "the Helm release ns/shop",
        ),
        ({"managedFields": [entry("helm", {}, "Update")]}, "helm", "Helm"),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:ns/web"}},
            "argocd",
            "the Argo CD application shop",
        ),
        ({"managedFields": [entry("argocd-controller", {})]}, "argocd", "Argo CD"),
        (
            {"labels": {"kustomize.toolkit.fluxcd.io/name": "k", "kustomize.toolkit.fluxcd.io/namespace": "flux"}},
            "flux",
            "the Flux Kustomization flux/k",
        ),
        (
            {
                "labels": {"helm.toolkit.fluxcd.io/name": "r", "app.kubernetes.io/managed-by": "Helm"},
                "annotations": {"meta.helm.sh/release-name": "r"},
            },
            "flux",
            "the Flux HelmRelease r",
        ),
        ({"managedFields": [entry("kustomize-controller", {})]}, "flux", "Flux"),
        ({"labels": {"kapp.k14s.io/app": "123"}}, "kapp", "the kapp app 123"),
        ({"annotations": {"kluctl.io/discriminator": "x"}}, "kluctl", "kluctl"),
        ({"managedFields": [entry("kluctl-controller", {})]}, "kluctl", "kluctl"),
        (
            {"labels": {"trimtab.dev/app": "ns.other"}, "managedFields": [entry("trimtab-other-0123abcd", {})]},
            "trimtab",
            "the Trimtab App ns.other (field manager trimtab-other-0123abcd)",
        ),
        # Somebody took the label off: it is still the other App's.
        (
            {"managedFields": [entry("trimtab-other-0123abcd", {})]},
            "trimtab",
            "the Trimtab App of another owner (field manager trimtab-other-0123abcd)",
        ),
    ],
)
def test_known_deployers_are_known_by_their_marks(metadata: dict[str, Any], name: str, detail: str) -> None:
    found = known_deployer(metadata, ME)
    assert found is not None
    assert (found.name, found.detail) == (name, detail)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"labels": {"app.kubernetes.io/instance": "shop"}},
        {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
        {"annotations": {"meta.helm.sh/release-name": "shop"}},
        {"managedFields": [entry("kubectl", {}), entry("kubectl-client-side-apply", {}, "Update")]},
        {"labels": {"trimtab.dev/app": "ns.me"}, "managedFields": [entry(ME, {})]},
        {"labels": {"trimtab.dev/app": "ns.me"}, "managedFields": [entry("trimtab-release", {}, "Update")]},
    ],
)
def test_other_marks_are_no_deployers(metadata: dict[str, Any]) -> None:
    assert known_deployer(metadata, ME) is None
