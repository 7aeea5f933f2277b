"""Ids, manifests and sets, and what is refused as an object."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderers.manifest import Manifest, ManifestError, ManifestSet, ObjectId, Origin, TrimtabError

ORIGIN = Origin("app", "app/f.yaml", 3)


def manifest(name: str = "a", origin: Origin = ORIGIN, **fields: Any) -> Manifest:
    return Manifest.of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields}, origin)


def error_of(data: dict[str, Any]) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        Manifest.of(data, ORIGIN)
    assert caught.value.where == "app/f.yaml:3"
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("api_version", "namespace", "text"),
    [
        ("v1", "", "Foo/a"),
        ("v1", "shop", "Foo/shop/a"),
        ("apps/v1", "shop", "Foo.apps/shop/a"),
        ("apps/v1beta1", "shop", "Foo.apps/shop/a"),
        ("x.example.com/v1", "", "Foo.x.example.com/a"),
    ],
)
def test_the_id_has_no_version(api_version: str, namespace: str, text: str) -> None:
    metadata = {"name": "a"} | ({"namespace": namespace} if namespace else {})
    found = Manifest.of({"apiVersion": api_version, "kind": "Foo", "metadata": metadata}, ORIGIN)
    assert str(found.id) == text
    assert ObjectId.parse(text) == found.id


NAMES = st.text(alphabet="abc09.-:", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))


@settings(deadline=None, database=None)
@given(st.sampled_from(["Foo", "Bar"]), st.sampled_from(["", "apps", "a.b.io"]), st.just("") | NAMES, NAMES)
def test_an_id_is_read_back_from_its_text(kind: str, group: str, namespace: str, name: str) -> None:
    object_id = ObjectId(kind, group, namespace, name)
    assert ObjectId.parse(str(object_id)) == object_id


@pytest.mark.parametrize("text", ["", "Foo", "/a", "Foo/", "Foo//a", "Foo/a/b/c", ".apps/a"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no object id"):
        ObjectId.parse(text)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "a document has no kind, so it is no Kubernetes object"),
        ({"kind": ""}, "has no kind"),
        ({"kind": 7}, "has the number 7 as kind"),
        ({"kind": True}, "has the boolean true as kind"),
        ({"kind": {"password": "hunter2"}}, "has a map as kind"),
        ({"kind": "a/b"}, "has the kind 'a/b', which Kubernetes does not allow"),
        ({"kind": "Foo"}, "has no apiVersion"),
        ({"kind": "Foo", "apiVersion": 1}, "has the number 1 as apiVersion"),
        ({"kind": "Foo", "apiVersion": "../v1"}, "has the apiVersion '../v1'"),
        ({"kind": "Foo", "apiVersion": "a/b/c"}, "has the apiVersion 'a/b/c'"),
        ({"kind": "Foo", "apiVersion": "v1"}, "Foo has no metadata"),
        ({"kind": "Foo", "apiVersion": "v1", "metadata": []}, "Foo has no metadata"),
        ({"kind": "Foo", "apiVersion": "v1", "metadata": {}}, "Foo has no metadata.name"),
        ({"kind": "Foo", "apiVersion": "v1", "metadata": {"generateName": "a-"}}, "metadata.generateName and no name"),
        ({"kind": "Foo", "apiVersion": "v1", "metadata": {"name": 1}}, "Foo has the number 1 as metadata.name"),
        ({"kind": "Foo", "apiVersion": "v1", "metadata": {"name": "a/b"}}, "Foo has the metadata.name 'a/b'"),
        ({"kind": "Foo", "apiVersion": "v1", "metadata": {"name": ".."}}, "Foo has the metadata.name '..'"),
        ({"kind": "Foo", "apiVersion": "v1", "metadata": {"name": "a%2fb"}}, "Foo has the metadata.name"),
        (
            {"kind": "Foo", "apiVersion": "v1", "metadata": {"name": "a", "namespace": True}},
            "true as metadata.namespace",
        ),
        ({"kind": "Foo", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "../b"}}, "the metadata.namespace"),
    ],
)
def test_what_is_no_object_is_refused(data: dict[str, Any], message: str) -> None:
    assert message in error_of(data).message
    assert "hunter2" not in str(error_of(data))


@pytest.mark.parametrize("namespace", [None, ""])
def test_an_empty_namespace_is_none(namespace: str | None) -> None:
    data = {"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "a", "namespace": namespace}}
    assert Manifest.of(data, ORIGIN).id.namespace == ""


def test_names_as_rbac_has_them_are_allowed() -> None:
    assert manifest("system:node-proxier").id.name == "system:node-proxier"


def test_annotations_are_empty_where_there_are_none() -> None:
    assert manifest().annotations == {}
    assert manifest(metadata={"name": "a", "annotations": None}).annotations == {}
    assert manifest(metadata={"name": "a", "annotations": {"x": "y"}}).annotations == {"x": "y"}


def test_a_set_is_sorted_by_id_and_found_by_it() -> None:
    found = ManifestSet([manifest("b"), manifest("a"), manifest("c")])
    assert [m.id.name for m in found] == ["a", "b", "c"]
    assert len(found) == 3
    assert manifest("b").id in found
    assert found.get(manifest("c").id) == manifest("c")
    assert found.get(ObjectId("Foo", "", "", "x")) is None


def test_the_same_id_twice_is_an_error_that_names_both_places() -> None:
    with pytest.raises(ManifestError) as caught:
        ManifestSet([manifest(origin=Origin("a", "a/1.yaml", 1)), manifest(origin=Origin("b", "b/2.yaml", 9))])
    assert caught.value.message == "ConfigMap/a stands twice: in a/1.yaml:1 and in b/2.yaml:9"
    assert caught.value.where == "b/2.yaml:9"


def test_an_error_says_where_what_and_what_to_do() -> None:
    assert str(TrimtabError("it broke", where="f:1", hint="mend it")) == "f:1: it broke\n  → mend it"
    assert str(TrimtabError("it broke")) == "it broke"
