"""From rendered manifests to what would be sent: final ids, marks, digests; and what cannot be sent (now)."""

import base64
from typing import Any

import pytest

from pipeline.cluster.discovery import Discovery, Resource
from pipeline.plan.order import Place, Stage
from pipeline.plan.prepare import Desired, Marks, prepare
from pipeline.plan.resolve import Resolved, resolve
from renderers.manifest import Manifest, ObjectId, Origin

_VERBS = frozenset({"list"})
CLUSTER = Discovery(
    [
        Resource("", "v1", "ConfigMap", "configmaps", namespaced=True, verbs=_VERBS),
        Resource("", "v1", "Secret", "secrets", namespaced=True, verbs=_VERBS),
        Resource("", "v1", "Namespace", "namespaces", namespaced=False, verbs=_VERBS),
        Resource("apps", "v1", "Deployment", "deployments", namespaced=True, verbs=_VERBS),
        Resource("example.com", "v2", "Old", "olds", namespaced=True, verbs=_VERBS),
    ]
)


def manifest(kind: str, name: str, *, api_version: str = "v1", **rest: Any) -> Manifest:
    metadata = {"name": name, **rest.pop("metadata", {})}
    data = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
    return Manifest.of(data, Origin("shop", f"{name}.yaml"))


def annotated(name: str, **annotations: str) -> Manifest:
    return manifest("ConfigMap", name, metadata={"annotations": annotations})


def resolved(*manifests: Manifest) -> Resolved:
    return resolve(manifests, CLUSTER, "shop")


def prepared(*manifests: Manifest) -> tuple[Desired, ...]:
    return prepare(resolved(*manifests), Marks("ns.shop", "owner"), secret_digest=lambda body: f"keyed {len(body)}")


_PROGRAM = manifest("Deployment", "operator", api_version="apps/v1")
_CUSTOM = manifest("Thing", "a", api_version="example.com/v1")


def test_an_object_without_a_namespace_goes_into_the_target() -> None:
    assert list(resolved(manifest("ConfigMap", "a")).options) == [ObjectId("ConfigMap", "", "shop", "a")]


def test_a_namespace_on_a_cluster_scoped_kind_is_left_out_and_said() -> None:
    found = resolved(manifest("Namespace", "x", metadata={"namespace": "shop"}))
    assert list(found.options) == [ObjectId("Namespace", "", "", "x")]
    assert "Namespace x is cluster-scoped; its namespace shop is left out" in found.warnings[0]


def test_each_object_gets_its_marks_and_none_of_the_servers_fields() -> None:
    (item,) = prepared(manifest("ConfigMap", "a", metadata={"uid": "1", "labels": {"mine": "1"}}))
    assert item.data["metadata"] == {
        "name": "a",
        "namespace": "shop",
        "labels": {"mine": "1", "trimtab.dev/app": "ns.shop"},
        "annotations": {"trimtab.dev/owner": "owner", "trimtab.dev/object": "ConfigMap/shop/a"},
    }


def test_the_digest_of_a_secret_is_taken_with_the_key() -> None:
    plain, secret = prepared(manifest("ConfigMap", "a"), manifest("Secret", "s"))
    assert secret.digest.startswith("keyed ")
    assert not plain.digest.startswith("keyed ")


def test_string_data_becomes_data() -> None:
    (secret,) = prepared(manifest("Secret", "s", stringData={"a": "1"}, data={"b": "Mg=="}))
    assert secret.data["data"] == {"a": base64.b64encode(b"1").decode(), "b": "Mg=="}
    assert "stringData" not in secret.data


def test_an_object_stands_in_its_wave_at_its_depth_in_its_stage() -> None:
    needs = {"config.kubernetes.io/depends-on": "/namespaces/shop/ConfigMap/a"}
    a, b = prepared(annotated("a"), annotated("b", **needs))
    assert (a.place, b.place) == (Place(0, 0, Stage.CONFIGURATION), Place(0, 1, Stage.CONFIGURATION))
    (late,) = prepared(annotated("a", **{"trimtab.dev/wave": "2"}))
    assert late.place == Place(2, 0, Stage.CONFIGURATION)


@pytest.mark.parametrize(
    ("others", "custom", "message"),
    [
        ([], _CUSTOM, "the cluster knows no kind Thing in example.com/v1\n  → install its CustomResourceDefinition"),
        ([_PROGRAM], manifest("Old", "a", api_version="example.com/v1"), "it serves example.com/v2"),
        ([_PROGRAM], manifest("Deploymint", "a", api_version="apps/v1"), "the cluster knows no kind Deploymint"),
    ],
)
def test_a_kind_that_nothing_will_bring_is_a_failed_change(
    others: list[Manifest], custom: Manifest, message: str
) -> None:
    found = resolved(*others, custom)
    assert [change.id.name for change in found.failed] == ["a"]
    assert message in found.failed[0].message
    assert found.awaited == ()


def test_a_kind_that_a_program_of_the_set_may_bring_is_awaited() -> None:
    found = resolved(_PROGRAM, _CUSTOM)
    assert [each.id for each in found.awaited] == [_CUSTOM.id]
    assert found.failed == ()


def test_an_annotation_that_cannot_be_read_fails_its_object_only() -> None:
    found = resolved(annotated("a", **{"trimtab.dev/wave": "first"}), annotated("b"))
    assert [change.id.name for change in found.failed] == ["a"]
    assert found.failed[0].message.startswith("a.yaml: the annotation trimtab.dev/wave is 'first'")
    assert [each.id.name for each in found.manifests] == ["b"]


def test_what_cannot_be_sent_keeps_its_wave() -> None:
    wave = {"annotations": {"trimtab.dev/wave": "3"}}
    found = resolved(_PROGRAM, manifest("Thing", "a", api_version="example.com/v1", metadata=wave))
    assert found.absent == {_CUSTOM.id: 3}


def test_an_object_whose_dependency_is_not_in_the_set_fails_with_its_file() -> None:
    needs = {"config.kubernetes.io/depends-on": "/namespaces/shop/ConfigMap/x"}
    found = resolved(annotated("a", **needs), annotated("b"))
    assert found.failed[0].message.startswith("a.yaml: it depends on ConfigMap/shop/x, which is not in the set")
    assert [each.id.name for each in found.manifests] == ["b"]
