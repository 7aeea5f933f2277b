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


def test_items_of_a_typed_list_take_its_type() -> None:
    (manifest,) = parse("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleList\nitems: [{metadata: {name: a}}]\n")
    assert str(manifest.id) == "Role.rbac.authorization.k8s.io/a"
    assert manifest.api_version == "rbac.authorization.k8s.io/v1"


@pytest.mark.parametrize("items", ["", "[]", "null"])
def test_an_empty_list_gives_nothing(items: str) -> None:
    assert parse(f"apiVersion: v1\nkind: List\nitems: {items}\n") == ()


def test_whatever_has_items_is_a_list_and_a_warning_says_so_of_another_kind() -> None:
    item = "{apiVersion: v1, kind: A, metadata: {name: b}}"
    text = f"apiVersion: x.io/v1\nkind: Folder\nmetadata: {{name: a}}\nitems: [{item}]\n"
    manifests, warnings = parse_documents(text, file="f.yaml", unit=".")
    assert [str(m.id) for m in manifests] == ["A/b"]
    assert warnings == ("f.yaml:1: Folder has items at its top, so it is read as a list of them, as kubectl does",)


def test_every_item_has_the_place_of_its_list() -> None:
    items = "".join(f"- {{apiVersion: v1, kind: A, metadata: {{name: {name}}}}}\n" for name in "ab")
    assert {m.origin.line for m in parse(f"# c\n---\n# d\napiVersion: v1\nkind: List\nitems:\n{items}")} == {4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: List\nitems: {}", "List has a map as items"),
        ("kind: List\nitems: x", "List has text as items"),
        ("kind: List\nmetadata: []\nitems: []", "List has a list as metadata"),
        ("kind: 1\nitems: []", "a document has the number 1 as kind"),
        ("kind: List\napiVersion: a/b/c\nitems: []", "a document has the apiVersion 'a/b/c'"),
        ("kind: List\nitems: [a]", "items[0] of List: it is a single value"),
        ("kind: List\nitems: [{kind: List, items: []}]", "items[0] of List: it is a list itself"),
    ],
)
def test_a_list_that_kubectl_refuses_is_refused(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse(f"---\n{text}\n")
    assert caught.value.where == "app/f.yaml:2"
    assert caught.value.message.startswith(message)
    assert caught.value.hint


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
