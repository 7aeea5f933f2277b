"""From text to manifests: origins, lists, and documents that are no objects."""

import pytest

from renderers.manifest import Manifest, ManifestError, Origin, parse_documents

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def parse(text: str, line_offset: int = 0) -> tuple[Manifest, ...]:
    return parse_documents(text, file="app/f.yaml", unit="app", line_offset=line_offset)[0]


def test_each_document_is_a_manifest_with_its_origin() -> None:
    manifests = parse(CONFIG_MAP % "a" + "---\n# second\n" + CONFIG_MAP % "b")
    assert [str(manifest.id) for manifest in manifests] == ["ConfigMap/a", "ConfigMap/b"]
    assert [manifest.origin for manifest in manifests] == [
        Origin("app", "app/f.yaml", 1),
        Origin("app", "app/f.yaml", 6),
    ]


def test_lines_count_from_the_offset() -> None:
    assert parse(CONFIG_MAP % "a", line_offset=40)[0].origin.line == 41


def test_warnings_come_with_the_manifests() -> None:
    _, warnings = parse_documents(CONFIG_MAP % "a" + "kind: ConfigMap\n", file="f.yaml", unit=".")
    assert warnings == ("f.yaml:4: the key 'kind' stands twice in one map; the last one wins",)


@pytest.mark.parametrize("kind", ["List", "ConfigMapList"])
def test_a_list_gives_its_items(kind: str) -> None:
    items = "".join(f"- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}\n" for name in "ab")
    assert [m.id.name for m in parse(f"apiVersion: v1\nkind: {kind}\nitems:\n{items}")] == ["a", "b"]


def test_a_list_in_a_list_gives_its_items() -> None:
    inner = "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Secret, metadata: {name: a}}]}"
    assert [str(m.id) for m in parse(f"apiVersion: v1\nkind: List\nitems: [{inner}]\n")] == ["Secret/a"]


def test_items_of_a_typed_list_take_its_type() -> None:
    (manifest,) = parse("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleList\nitems: [{metadata: {name: a}}]\n")
    assert str(manifest.id) == "Role.rbac.authorization.k8s.io/a"
    assert manifest.api_version == "rbac.authorization.k8s.io/v1"


@pytest.mark.parametrize("items", ["", "[]", "null"])
def test_an_empty_list_gives_nothing(items: str) -> None:
    assert parse(f"apiVersion: v1\nkind: List\nitems: {items}\n") == ()


def test_an_object_with_a_name_is_no_list() -> None:
    (manifest,) = parse("apiVersion: x.io/v1\nkind: AllowList\nmetadata: {name: a}\nitems: [b]\n")
    assert manifest.id.kind == "AllowList"


def test_a_bad_item_is_named() -> None:
    with pytest.raises(ManifestError) as caught:
        parse("---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret}\n")
    assert str(caught.value).startswith("app/f.yaml:2: items[0] of List: Secret has no metadata")


@pytest.mark.parametrize(
    ("text", "what"), [("- a\n", "a list"), ("text\n", "a single value"), ("1\n", "a single value")]
)
def test_a_document_that_is_no_map_is_an_error_with_its_place(text: str, what: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(CONFIG_MAP % "a" + "---\n" + text)
    assert caught.value.where == "app/f.yaml:5"
    assert what in caught.value.message


def test_a_json_file_may_hold_several_objects() -> None:
    text = '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}\n'
    assert len(parse(text)) == 1
    assert len(parse(text * 3)) == 3
