"""The order of an apply, without a cluster: stages, depths, what cannot hold, and whom the last stage waits for."""

from typing import Any

import pytest

from pipeline.plan.options import Options
from pipeline.plan.order import Stage, depths, servers, stage_of
from renderers.manifest import ObjectId


def map_id(name: str) -> ObjectId:
    return ObjectId(kind="ConfigMap", group="", namespace="shop", name=name)


def asked(**depends_on: str) -> dict[ObjectId, Options]:
    """`a="b c"`: a depends on b and c."""
    return {map_id(name): Options(depends_on=tuple(map(map_id, named.split()))) for name, named in depends_on.items()}


@pytest.mark.parametrize(
    ("group", "kind", "stage"),
    [
        ("apiextensions.k8s.io", "CustomResourceDefinition", Stage.CRDS),
        ("", "Namespace", Stage.NAMESPACES),
        ("storage.k8s.io", "StorageClass", Stage.CLASSES),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", Stage.CLASSES),
        ("rbac.authorization.k8s.io", "RoleBinding", Stage.CONFIGURATION),
        ("", "PersistentVolumeClaim", Stage.CONFIGURATION),
        ("networking.k8s.io", "NetworkPolicy", Stage.CONFIGURATION),
        ("apps", "Deployment", Stage.WORKLOADS),
        ("", "Service", Stage.WORKLOADS),
        ("networking.k8s.io", "Ingress", Stage.WORKLOADS),
        ("autoscaling", "HorizontalPodAutoscaler", Stage.WORKLOADS),
        ("cert-manager.io", "Certificate", Stage.CUSTOM),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", Stage.LAST),
        ("apiregistration.k8s.io", "APIService", Stage.LAST),
    ],
)
def test_each_kind_has_its_stage(group: str, kind: str, stage: Stage) -> None:
    assert stage_of(ObjectId(kind=kind, group=group, namespace="", name="x")) is stage


def test_the_depth_counts_the_longest_way() -> None:
    found, problems = depths(asked(a="", b="a", c="a b", d="c", e=""), {})
    assert {each.name: depth for each, depth in found.items()} == {"a": 0, "e": 0, "b": 1, "c": 2, "d": 3}
    assert problems == {}


def test_a_dependency_of_an_earlier_wave_adds_no_depth() -> None:
    options = {map_id("a"): Options(wave=0), map_id("b"): Options(wave=1, depends_on=(map_id("a"),))}
    assert depths(options, {}) == ({map_id("a"): 0, map_id("b"): 0}, {})


def test_what_depends_on_a_later_wave_cannot_hold() -> None:
    options = {map_id("a"): Options(wave=2), map_id("b"): Options(wave=1, depends_on=(map_id("a"),))}
    _, problems = depths(options, {})
    assert list(problems) == [map_id("b")]
    assert "it is in wave 1 and depends on ConfigMap/shop/a of wave 2, which comes later" in problems[map_id("b")]


def test_what_is_not_in_the_set_cannot_be_depended_on() -> None:
    _, problems = depths(asked(a="b", c=""), {})
    assert list(problems) == [map_id("a")]
    assert "it depends on ConfigMap/shop/b, which is not in the set" in problems[map_id("a")]


def test_what_cannot_be_sent_now_is_in_the_set_in_whatever_namespace_it_will_be() -> None:
    absent = {ObjectId(kind="ConfigMap", group="", namespace="", name="b"): 0}
    assert depths(asked(a="b"), absent) == ({map_id("a"): 0}, {})


@pytest.mark.parametrize(
    ("edges", "circle", "text"),
    [
        ({"a": "a"}, "a", "a → a"),
        ({"a": "b", "b": "c", "c": "a"}, "abc", "a → b → c → a"),
        ({"a": "b", "b": "a", "before": "", "c": "a before"}, "ab", "a → b → a"),
        ({name: "bcdefga"["abcdefg".index(name)] for name in "abcdefg"}, "abcdefg", "a → b → c → d → e → … → a"),
    ],
)
def test_what_depends_on_itself_is_told_with_its_circle(edges: dict[str, str], circle: str, text: str) -> None:
    found, problems = depths(asked(**edges), {})
    assert {each.name for each in problems} == set(circle)
    said = {message.partition("\n")[0] for message in problems.values()}
    assert said == {"it depends on itself: " + " → ".join(_named(part) for part in text.split(" → "))}
    assert found.keys() == asked(**edges).keys()


def _named(name: str) -> str:
    return name if name == "…" else f"ConfigMap/shop/{name}"


def test_two_circles_are_told_apart() -> None:
    _, problems = depths(asked(a="b", b="a", between="a c", c="d", d="c"), {})
    assert {each.name for each in problems} == {"a", "b", "c", "d"}


def test_a_chain_of_any_length_is_followed() -> None:
    chain = {f"n{number}": f"n{number - 1}" if number else "" for number in range(5_000)}
    found, _ = depths(asked(**chain), {})
    assert found[map_id("n4999")] == 4_999


def webhooks(*webhooks: object) -> dict[str, Any]:
    return {"kind": "ValidatingWebhookConfiguration", "webhooks": list(webhooks)}


_HOOK = {"clientConfig": {"service": {"namespace": "shop", "name": "hook"}}}
_SERVICE = frozenset({ObjectId(kind="Service", group="", namespace="shop", name="hook")})


@pytest.mark.parametrize(
    ("manifest", "services"),
    [
        (webhooks(_HOOK), _SERVICE),
        (webhooks({**_HOOK, "failurePolicy": "Fail"}, _HOOK), _SERVICE),
        (webhooks({**_HOOK, "failurePolicy": "Ignore"}), frozenset()),
        (webhooks({"clientConfig": {"url": "https://hook.example.com"}}), frozenset()),
        ({"kind": "APIService", "spec": {"service": {"namespace": "shop", "name": "hook"}}}, _SERVICE),
        ({"kind": "APIService", "spec": {"version": "v1"}}, frozenset()),
        # Nothing that a selector or a path is made of may come from elsewhere.
        (webhooks({"clientConfig": {"service": {"namespace": "shop", "name": "a),b"}}}), frozenset()),
        (webhooks({"clientConfig": {"service": {"namespace": "../x", "name": "hook"}}}), frozenset()),
        (webhooks(None, "text", {"clientConfig": [1]}), frozenset()),
        ({"kind": "MutatingWebhookConfiguration", "webhooks": {"a": 1}}, frozenset()),
        ({"kind": "MutatingWebhookConfiguration"}, frozenset()),
    ],
)
def test_whom_the_last_stage_waits_for(manifest: dict[str, Any], services: frozenset[ObjectId]) -> None:
    assert servers(manifest) == services
