"""The renderer of plain files: manifests with their origins, or an error that names the file."""

import os
from pathlib import Path

import pytest

from renderers import plain
from renderers.api import Inputs, Limits, Rendered, RenderError, RenderRequest
from renderers.files import read_inside
from renderers.manifest import ManifestError, Origin
from renderers.unit import render_unit

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "root"
    (path / "app").mkdir(parents=True)
    return path


def request(root: Path, *names: str, output: int = 64 << 20) -> RenderRequest:
    files = tuple(root / "app" / name for name in names)
    return RenderRequest(root, root / "app", "app", "default", files, limits=Limits(output=output))


def render(root: Path, *names: str, output: int = 64 << 20) -> Rendered:
    return plain.render(request(root, *names, output=output))


def inputs(root: Path, *names: str) -> Inputs:
    return plain.inputs(request(root, *names))


def test_files_become_manifests_in_their_order(root: Path) -> None:
    (root / "app" / "b.yaml").write_text(OBJECT % "b" + "---\n" + OBJECT % "c")
    (root / "app" / "a.json").write_text('{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}')
    rendered = render(root, "b.yaml", "a.json")
    assert [str(m.id) for m in rendered.manifests] == ["ConfigMap/b", "ConfigMap/c", "Secret/a"]
    assert [m.origin for m in rendered.manifests] == [
        Origin("app", "app/b.yaml", 1),
        Origin("app", "app/b.yaml", 5),
        Origin("app", "app/a.json", 1),
    ]
    assert rendered.hooks == rendered.tests == ()


def test_empty_files_give_nothing(root: Path) -> None:
    (root / "app" / "a.yaml").write_text("# nothing yet\n---\n")
    assert render(root, "a.yaml") == Rendered(())


def test_warnings_are_handed_on(root: Path) -> None:
    (root / "app" / "a.yaml").write_text(OBJECT % "a" + "kind: ConfigMap\n")
    assert render(root, "a.yaml").warnings == (
        "app/a.yaml:4: the key 'kind' stands twice in one map; the last one wins",
    )


@pytest.mark.parametrize("text", ["replicas: 3\n", "kind: ''\n", "- a\n", "a: {{ .Values.a }}\n"])
def test_a_file_that_is_no_manifest_is_named_with_the_way_to_exclude_it(root: Path, text: str) -> None:
    (root / "app" / "a.yaml").write_text(OBJECT % "a")
    (root / "app" / "values.yaml").write_text(text)
    with pytest.raises(ManifestError) as caught:
        render(root, "a.yaml", "values.yaml")
    assert caught.value.where.startswith("app/values.yaml:1")
    assert caught.value.hint.endswith("; if app/values.yaml is no manifest, name it in .trimtabignore")


def test_a_file_outside_is_not_read(root: Path) -> None:
    (root.parent / "secret.yaml").write_text(OBJECT % "a")
    (root / "app" / "link.yaml").symlink_to("../../secret.yaml")
    with pytest.raises(RenderError, match=r"app/link\.yaml is a link that leads out of the checkout"):
        render(root, "link.yaml")


def test_a_missing_file_is_an_error(root: Path) -> None:
    with pytest.raises(RenderError, match=r"app/gone\.yaml cannot be read: No such file"):
        render(root, "gone.yaml")


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_regular_file_is_an_error_and_does_not_block(root: Path, kind: str) -> None:
    path = root / "app" / "a.yaml"
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(RenderError, match=r"app/a\.yaml is no regular file"):
        render(root, "a.yaml")


def test_the_size_of_all_files_is_limited(root: Path) -> None:
    (root / "app" / "a.yaml").write_text(OBJECT % "a")
    (root / "app" / "b.yaml").write_text(OBJECT % "b")
    with pytest.raises(RenderError, match="more than 60 bytes together"):
        render(root, "a.yaml", "b.yaml", output=60)


def test_the_size_of_one_file_is_limited(root: Path) -> None:
    (root / "a").write_bytes(b"x" * 11)
    assert read_inside(root / "a", root, limit=11) == b"x" * 11
    with pytest.raises(RenderError, match="more than 10 bytes"):
        read_inside(root / "a", root, limit=10)


def test_a_link_put_in_place_after_the_check_is_not_followed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "a.yaml").write_text(OBJECT % "a")
    (root / "app").rmdir()
    (root / "app").symlink_to(outside)
    monkeypatch.setattr("renderers.files.real", lambda path: path)
    with pytest.raises(RenderError, match="cannot be read"):
        read_inside(root / "app" / "a.yaml", root, limit=100)


def test_the_inputs_are_the_files_and_the_links_on_the_way_to_them(root: Path) -> None:
    (root / "base").mkdir()
    (root / "base" / "a.yaml").write_text(OBJECT % "a")
    (root / "app" / "b.yaml").write_text(OBJECT % "b")
    (root / "app" / "linked").symlink_to("../base")
    (root / "app" / "a.yaml").symlink_to("linked/a.yaml")
    found = inputs(root, "a.yaml", "b.yaml", "linked/a.yaml")
    assert found.files == {root / "base" / "a.yaml", root / "app" / "b.yaml"}
    assert found.links == {root / "app" / "a.yaml", root / "app" / "linked"}


def test_a_link_that_leads_out_is_no_input(root: Path) -> None:
    (root.parent / "secret.yaml").write_text(OBJECT % "a")
    (root / "app" / "link.yaml").symlink_to("../../secret.yaml")
    with pytest.raises(RenderError, match=r"app/link\.yaml is a link that leads out of the checkout"):
        inputs(root, "link.yaml")


def test_the_unit_is_rendered_through_its_links(root: Path) -> None:
    (root / "base").mkdir()
    (root / "base" / "a.yaml").write_text("# c\n" + OBJECT % "a")
    (root / "app" / "linked").symlink_to("../base")
    rendered = render_unit(plain, request(root, "linked/a.yaml"))
    assert [m.origin for m in rendered.manifests] == [Origin("app", "app/linked/a.yaml", 2)]


def test_the_line_is_the_one_on_which_the_document_begins(root: Path) -> None:
    item = "{apiVersion: v1, kind: Secret, metadata: {name: %s}}"
    (root / "app" / "a.yaml").write_text(
        "# c\r\n---\r\n# d\r\n\r\n" + (OBJECT % "a").replace("\n", "\r\n")
        + f"---\napiVersion: v1\nkind: List\nitems:\n- {item % 'b'}\n- {item % 'c'}\n---\n---\n\n"
        + OBJECT % "d"
    )  # fmt: skip
    rendered = render(root, "a.yaml")
    assert [(m.id.name, m.origin.line) for m in rendered.manifests] == [("a", 5), ("b", 9), ("c", 9), ("d", 17)]


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("labels: {version: 1.10}", "the number 1.1 as metadata.labels['version'], and it has to be text"),
        ("annotations: {enabled: yes}", "the boolean true as metadata.annotations['enabled'], and it has to be text"),
        ("labels: [a]", "a list as metadata.labels, and it has to be a map"),
        ("finalizers: [a, {b: c}]", "a map as metadata.finalizers[1], and it has to be text"),
        ("ownerReferences: [a]", "text as metadata.ownerReferences[0], and it has to be a map"),
        ("generation: '1'", "text as metadata.generation, and it has to be a whole number"),
    ],
)
def test_metadata_that_kubectl_refuses_is_an_error(root: Path, field: str, what: str) -> None:
    (root / "app" / "a.yaml").write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a, {field}}}\n")
    with pytest.raises(ManifestError) as caught:
        render(root, "a.yaml")
    assert caught.value.message == f"ConfigMap/a has {what}"
    assert caught.value.where == "app/a.yaml:1"


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\0GITCRYPT\0\1\2", "is encrypted by git-crypt"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n6162\n", "is encrypted by Ansible Vault"),
        (b"-----BEGIN PGP MESSAGE-----\n", "is encrypted by PGP as a whole"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "is encrypted by age as a whole"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is in Git LFS, and only its pointer is here"),
        (b"\x1f\x8b\x08\0", "is compressed"),
    ],
)
def test_a_file_that_only_looks_like_yaml_by_its_name_is_an_error_that_says_what_it_is(
    root: Path, start: bytes, what: str
) -> None:
    (root / "app" / "a.yaml").write_bytes(start)
    with pytest.raises(ManifestError) as caught:
        render(root, "a.yaml")
    assert caught.value.message == f"the file {what}"
    assert caught.value.where == "app/a.yaml:1"


def test_a_folder_fits_where_a_manifest_file_lies_in_it(root: Path) -> None:
    assert not plain.fits(root / "app")
    (root / "app" / "a.yml").touch()
    assert plain.fits(root / "app")
