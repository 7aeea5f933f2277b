"""The renderer of plain files: manifests with their origins, or an error that names the file."""

import os
from pathlib import Path

import pytest

from renderers import plain
from renderers.api import Limits, Rendered, RenderError, RenderRequest
from renderers.files import read_inside
from renderers.manifest import ManifestError, Origin

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path.resolve() / "root"
    (path / "app").mkdir(parents=True)
    return path


def render(root: Path, *names: str, output: int = 64 << 20) -> Rendered:
    files = tuple(root / "app" / name for name in names)
    request = RenderRequest(root, root / "app", "app", "default", files, limits=Limits(output=output))
    return plain.render(request)


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


def test_a_folder_fits_where_a_manifest_file_lies_in_it(root: Path) -> None:
    assert not plain.fits(root / "app")
    (root / "app" / "a.yml").touch()
    assert plain.fits(root / "app")
