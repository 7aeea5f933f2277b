"""The contract of a renderer as tests: what the author of a plug-in runs over it with pytest.

    from renderers.testing import RendererContract

    class TestMine(RendererContract):
        renderer = my_package.renderer
        example = Path(__file__).parent / "example"

Each test says in its name what a renderer owes. `example` is a folder that it renders to at least one manifest.
"""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from renderers.api import Inputs, Rendered, Renderer, RenderRequest
from renderers.inputs import lay_out
from renderers.manifest import TrimtabError
from renderers.sandbox import private_folder
from renderers.unit import render_unit


class RendererContract:
    """Derive from it in a test module, and set the two attributes."""

    renderer: ClassVar[Renderer]
    example: ClassVar[Path]
    #: The options of the `plugin` step that the example is rendered with.
    options: ClassVar[dict[str, object]] = {}

    def request(self, root: Path) -> RenderRequest:
        """A request for a copy of the example: it lies in a folder of a checkout that holds another one too."""
        folder = root.resolve() / "checkout" / "unit"
        if not folder.exists():
            shutil.copytree(self.example, folder, symlinks=True)
            (folder.parent / "other").mkdir()
            (folder.parent / "other" / "file.yaml").write_text("kind: Other\n")
        return RenderRequest(folder.parent, folder, name="demo", namespace="shop", plugin=self.options)

    def test_its_name_is_a_word_that_no_built_in_renderer_has(self) -> None:
        name = self.renderer.name
        assert name.replace("-", "a").isalnum(), f"{name!r} is no word for --renderer"
        assert name.islower(), f"{name!r} is not in lower case"
        assert name not in {"yaml", "kustomize", "helm", "jinja"}, f"{name!r} is a built-in renderer"

    def test_it_fits_the_example_and_no_empty_folder(self, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        assert self.renderer.fits(self.request(tmp_path).folder) is True
        assert self.renderer.fits(empty) is False

    def test_its_inputs_are_files_of_the_checkout(self, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        inputs = self.renderer.inputs(request)
        assert isinstance(inputs, Inputs)
        assert inputs.files or inputs.whole, "it reads nothing"
        for path in inputs.files:
            assert path.is_relative_to(request.root), f"{path} is outside the checkout"
            assert path.is_file(), f"{path} is no regular file"
            assert not path.is_symlink(), f"{path} is a link: those go into `links`"

    def test_the_example_renders_to_manifests_that_say_where_they_came_from(self, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        rendered = render_unit(self.renderer, request)
        assert rendered.manifests, "the example renders to nothing"
        for manifest in rendered.manifests:
            assert manifest.origin.unit == "unit", f"the origin of {manifest.id} has the unit {manifest.origin.unit!r}"
            assert (request.root / manifest.origin.file).exists(), f"{manifest.origin.file} is no path in the checkout"

    def test_its_inputs_are_all_that_it_reads(self, tmp_path: Path) -> None:
        """In a folder that holds nothing but the inputs it renders to the same as on the whole checkout."""
        request = self.request(tmp_path)
        whole = self.renderer.render(request)
        with private_folder() as private:
            closed = self.renderer.render(lay_out(self.renderer.inputs(request), request, private))
        assert _data(closed) == _data(whole), "it reads a file that its inputs do not name"

    def test_the_same_inputs_give_the_same(self, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        assert _data(render_unit(self.renderer, request)) == _data(render_unit(self.renderer, request))

    def test_two_at_a_time_do_not_disturb_each_other(self, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        alone = _data(render_unit(self.renderer, request))
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda _: _data(render_unit(self.renderer, request)), range(8)))
        assert together == [alone] * 8

    def test_it_writes_nothing_into_the_checkout(self, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        before = _seen(request.root)
        self.renderer.inputs(request)
        self.renderer.render(request)
        assert _seen(request.root) == before

    def test_a_link_out_of_the_checkout_is_not_read(self, tmp_path: Path) -> None:
        """Each file of the example in turn is a link to the same content outside: refused, or not looked at."""
        request = self.request(tmp_path)
        for path in sorted(self.renderer.inputs(request).files):
            outside = tmp_path / "outside"
            shutil.copyfile(path, outside)
            path.unlink()
            path.symlink_to(outside)
            try:
                read = self.renderer.inputs(request).files
                assert not {outside, path} & read, f"{path} leads out of the checkout and is an input"
            except TrimtabError:
                pass
            path.unlink()
            shutil.copyfile(outside, path)

    def test_bad_input_is_an_error_for_people(self, tmp_path: Path) -> None:
        """Each file of the example in turn is broken in several ways: an error that says so, or a result."""
        request = self.request(tmp_path)
        for path in sorted(self.renderer.inputs(request).files):
            content = path.read_bytes()
            for broken in (b"", b"\0", b"\xff\xfe\xff", b"[" * 10_000, content[: len(content) // 2], b"- a\nb: c\n"):
                path.write_bytes(broken)
                try:
                    assert isinstance(render_unit(self.renderer, request), Rendered)
                except TrimtabError as error:
                    assert error.message, "the error says nothing"
            path.write_bytes(content)

    def test_a_missing_file_is_an_error_for_people(self, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        for path in sorted(self.renderer.inputs(request).files):
            content = path.read_bytes()
            path.unlink()
            try:
                assert isinstance(render_unit(self.renderer, request), Rendered)
            except TrimtabError as error:
                assert error.message, "the error says nothing"
            path.write_bytes(content)

    def test_its_uses_are_read_without_a_change(self, tmp_path: Path) -> None:
        request = self.request(tmp_path)
        assert isinstance(self.renderer.uses(replace(request)), tuple)


def _data(rendered: Rendered) -> list[object]:
    return [[m.data for m in each] for each in (rendered.manifests, rendered.hooks, rendered.tests)]


def _seen(root: Path) -> dict[str, tuple[int, bytes]]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            found[str(path)] = (path.lstat().st_mtime_ns, path.read_bytes())
    return found
