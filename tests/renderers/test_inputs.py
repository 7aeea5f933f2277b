"""Laying out a unit's closed inputs: exactly these, nothing that leads out, nothing half."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from renderers import inputs as inputs_module
from renderers.api import Fetched, HelmOptions, Inputs, JinjaOptions, RenderError, RenderRequest
from renderers.boundary import real
from renderers.files import InsideReader
from renderers.inputs import fetched_folder, folder_inputs, lay_out, size_of, whole_checkout, with_options
from renderers.sandbox import private_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = real(tmp_path) / "root"
    for name in ("unit/a.yaml", "unit/sub/b.yaml", "other/c.yaml", ".git/config", "values.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.fixture
def request_(root: Path) -> RenderRequest:
    return RenderRequest(root, root / "unit", name="unit", namespace="default")


def content(folder: Path) -> dict[str, str]:
    """Each file and link below a folder: its text, or where it leads."""
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def laid_out(inputs: Inputs, request: RenderRequest) -> dict[str, str]:
    with private_folder() as private:
        return content(lay_out(inputs, request, private).root)


def test_exactly_the_inputs_are_there(root: Path, request_: RenderRequest) -> None:
    files = frozenset({root / "unit/sub/b.yaml", root / "values.yaml"})
    assert laid_out(Inputs(files), request_) == {"unit/sub/b.yaml": "unit/sub/b.yaml", "values.yaml": "values.yaml"}


def test_a_link_leads_to_the_same_place_in_the_copy(root: Path, request_: RenderRequest) -> None:
    (root / "unit/link").symlink_to(root / "other")
    there = laid_out(folder_inputs(root / "unit", root), request_)
    assert there["unit/link"] == "-> ../other"
    assert there["other/c.yaml"] == "other/c.yaml"


def test_a_link_that_leads_out_is_never_made(root: Path, request_: RenderRequest) -> None:
    (root / "unit/link").symlink_to("/etc")
    assert laid_out(Inputs(links=frozenset({root / "unit/link"})), request_) == {}
    with pytest.raises(RenderError, match="unit/link is a link that leads out of the checkout, to /etc"):
        folder_inputs(root / "unit", root)


def test_a_file_that_became_a_link_meanwhile_is_not_read(root: Path, request_: RenderRequest) -> None:
    inputs = folder_inputs(root / "unit", root)
    (root / "unit/a.yaml").unlink()
    (root / "unit/a.yaml").symlink_to("/etc/passwd")
    with pytest.raises(RenderError, match=r"unit/a\.yaml cannot be read"):
        laid_out(inputs, request_)


def test_a_folder_that_became_a_link_meanwhile_is_not_entered(root: Path, request_: RenderRequest) -> None:
    inputs = folder_inputs(root / "unit", root)
    (root / "unit/sub").rename(root / "gone")
    (root / "unit/sub").symlink_to("../gone")
    with pytest.raises(RenderError, match=r"unit/sub/b\.yaml cannot be read"):
        laid_out(inputs, request_)


def test_what_is_no_regular_file_does_not_block(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with InsideReader(root) as reader, pytest.raises(RenderError, match="pipe is no regular file"):
        reader.read("pipe", limit=10)


def test_an_empty_file_and_a_long_one_are_whole(root: Path, request_: RenderRequest) -> None:
    (root / "unit/empty").write_text("")
    (root / "unit/long").write_text("x" * 3_000_000)
    there = laid_out(folder_inputs(root / "unit", root), request_)
    assert there["unit/empty"] == ""
    assert len(there["unit/long"]) == 3_000_000


def test_the_size_of_one_file_and_of_all_is_limited(
    root: Path, request_: RenderRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = folder_inputs(root / "unit", root)
    assert size_of(inputs) == len("unit/a.yaml") + len("unit/sub/b.yaml")
    monkeypatch.setattr(inputs_module, "MAX_ALL", size_of(inputs))
    laid_out(inputs, request_)
    monkeypatch.setattr(inputs_module, "MAX_ALL", size_of(inputs) - 1)
    with pytest.raises(RenderError, match="have more than 0 MiB together"):
        laid_out(inputs, request_)
    monkeypatch.setattr(inputs_module, "MAX_FILE", 12)
    with pytest.raises(RenderError, match="has more than 12 bytes"):
        laid_out(inputs, request_)


def test_the_whole_checkout_is_all_but_git_and_what_leads_out(root: Path, request_: RenderRequest) -> None:
    (root / "out").symlink_to("/etc/passwd")
    (root / "in").symlink_to("other/c.yaml")
    os.mkfifo(root / "pipe")
    there = laid_out(whole_checkout(Inputs(), root), request_)
    assert sorted(there) == ["in", "other/c.yaml", "unit/a.yaml", "unit/sub/b.yaml", "values.yaml"]


def test_all_paths_of_the_request_lead_into_the_copy(root: Path, request_: RenderRequest, tmp_path: Path) -> None:
    elsewhere = real(tmp_path) / "elsewhere.yaml"
    elsewhere.write_text("elsewhere")
    request = replace(
        request_,
        files=(root / "unit/a.yaml",),
        helm=(HelmOptions(value_files=(root / "values.yaml", elsewhere), set_file=(("a", root / "other/c.yaml"),)),),
        jinja=(JinjaOptions(value_files=(elsewhere,)),),
    )
    with private_folder() as private:
        inside = lay_out(with_options(Inputs(frozenset(request.files)), request), request, private)
        named = [*inside.helm[0].value_files, inside.helm[0].set_file[0][1], *inside.jinja[0].value_files]
        assert [path.read_text() for path in named] == ["values.yaml", "elsewhere", "other/c.yaml", "elsewhere"]
        assert all(path.is_relative_to(inside.root) for path in (*named, *inside.files, inside.folder))
        assert named[1].name == "elsewhere.yaml"


def test_a_values_file_of_the_checkout_is_an_input(root: Path, request_: RenderRequest) -> None:
    request = replace(request_, helm=(HelmOptions(value_files=(root / "values.yaml",)),))
    assert root / "values.yaml" in with_options(Inputs(), request).files


def test_what_was_fetched_lies_where_it_is_looked_for(root: Path, request_: RenderRequest, tmp_path: Path) -> None:
    brought = real(tmp_path) / "brought"
    (brought / "chart").mkdir(parents=True)
    (brought / "chart/Chart.yaml").write_text("chart")
    fetched = Fetched("https://example.com", "1.0.0", "sha256:ab/../cd", brought, brought / "chart")
    with private_folder() as private:
        inside = lay_out(Inputs(fetched=(fetched, fetched)), request_, private)
        place = fetched_folder(inside.root, fetched)
        assert (place / "Chart.yaml").read_text() == "chart"
        assert place.relative_to(inside.root).parts == (".trimtab-fetched", "sha256-ab----cd", "chart")


def test_a_fetched_link_that_leads_out_is_never_made(root: Path, request_: RenderRequest, tmp_path: Path) -> None:
    brought = real(tmp_path) / "brought"
    brought.mkdir()
    (brought / "out").symlink_to("/etc/passwd")
    (brought / "in").symlink_to("out")
    fetched = Fetched("https://example.com", "1.0.0", "id", brought, brought)
    assert laid_out(Inputs(fetched=(fetched,)), request_) == {}


@pytest.mark.parametrize("name", [".trimtab-fetched", ".trimtab-given"])
def test_a_checkout_cannot_say_what_was_fetched_or_given(root: Path, request_: RenderRequest, name: str) -> None:
    (root / name).symlink_to("other")
    with pytest.raises(RenderError, match=f"{name} in the checkout"):
        laid_out(Inputs(), request_)


def test_written_files_replace_those_of_the_checkout(root: Path, request_: RenderRequest) -> None:
    (root / "unit/link").symlink_to("a.yaml")
    inputs = replace(folder_inputs(root / "unit", root), written={root / "unit/link": b"new", root / "unit/n/d": b"d"})
    there = laid_out(inputs, request_)
    assert (there["unit/link"], there["unit/n/d"], there["unit/a.yaml"]) == ("new", "d", "unit/a.yaml")
