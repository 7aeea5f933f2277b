"""What comes from the cache and what does not: units by their keys, and whole trees by git's ids."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from renderers import tree, unit
from renderers.api import Capabilities, Decryption, Inputs, Limits, Rendered, RenderError, RenderRequest, uses_nothing
from renderers.boundary import real
from renderers.cache import RenderCache
from renderers.inputs import folder_inputs
from renderers.keys import Index, plain, unit_key
from renderers.manifest import parse_documents
from renderers.options import RenderOptions
from renderers.settings import HelmStep, RenderStep
from renderers.tool import ToolError
from renderers.tree import render_tree
from renderers.unit import render_unit

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value!r}}}\n"


class Reader:
    """A renderer whose manifests are the YAML files of the folder, and that counts."""

    name = "reader"
    uses = staticmethod(uses_nothing)

    def __init__(self) -> None:
        self.renders = 0
        self.needs: Path | None = None

    def fits(self, folder: Path) -> bool:
        return True

    def inputs(self, request: RenderRequest) -> Inputs:
        return folder_inputs(request.folder, request.root)

    def render(self, request: RenderRequest) -> Rendered:
        self.renders += 1
        if self.needs and not (request.root / self.needs).exists():
            raise ToolError(f"{self.needs} does not exist")
        manifests = []
        for path in sorted(request.folder.rglob("*.yaml")):
            manifests += parse_documents(path.read_bytes(), file=path.name, unit="unit")[0]
        return Rendered(tuple(manifests))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with two folders."""
    root = real(tmp_path) / "root"
    for name in ("one", "two"):
        (root / name).mkdir(parents=True)
        (root / name / "it.yaml").write_text(CONFIG.format(name=name, value="a"))
    return root


@pytest.fixture
def request_(root: Path) -> RenderRequest:
    return RenderRequest(root, root / "one", name="one", namespace="default")


def key_of(request: RenderRequest, index: Index | None = None, besides: object = "") -> str:
    reader = Reader()
    return unit_key(reader, request, reader.inputs(request), index, besides)


def test_the_same_unit_is_rendered_once(request_: RenderRequest) -> None:
    reader, cache = Reader(), RenderCache()
    first, second = (render_unit(reader, request_, cache) for _ in range(2))
    assert reader.renders == 1
    assert first.manifests == second.manifests
    assert [first.units[0].cached, second.units[0].cached] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"namespace": "other"},
        {"capabilities": Capabilities("v1.30.0")},
        {"capabilities": Capabilities(api_versions=("a/v1",))},
        {"limits": Limits(wall=1)},
        {"is_upgrade": True},
        {"notes": True},
        {"plugin": {"a": 1}},
        {"decryption": Decryption(age=("AGE-SECRET-KEY",))},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_option_is_part_of_the_key(request_: RenderRequest, change: dict[str, Any]) -> None:
    assert key_of(request_) != key_of(replace(request_, **change))


def test_the_key_holds_no_place_of_the_checkout(root: Path, request_: RenderRequest, tmp_path: Path) -> None:
    """Two commits are checked out in two places."""
    before = key_of(request_)
    moved = root.rename(tmp_path / "elsewhere")
    assert key_of(replace(request_, root=moved, folder=moved / "one")) == before


def test_the_content_of_each_file_is_part_of_the_key(root: Path, request_: RenderRequest) -> None:
    before = key_of(request_)
    (root / "two/it.yaml").write_text("other")
    assert key_of(request_) == before
    (root / "one/it.yaml").write_text("other")
    assert key_of(request_) != before


def test_the_name_of_each_file_is_part_of_the_key(root: Path, request_: RenderRequest) -> None:
    before = key_of(request_)
    (root / "one/it.yaml").rename(root / "one/other.yaml")
    assert key_of(request_) != before


def test_where_a_link_leads_is_part_of_the_key(root: Path, request_: RenderRequest) -> None:
    (root / "same.yaml").write_bytes((root / "two/it.yaml").read_bytes())
    (root / "one/link.yaml").symlink_to("../two/it.yaml")
    before = key_of(request_)
    (root / "one/link.yaml").unlink()
    (root / "one/link.yaml").symlink_to("../same.yaml")
    assert key_of(request_) != before


def test_options_of_unequal_type_have_unequal_keys() -> None:
    values = [1, True, 1.0, "1", b"1", None, "None", [1], {"1": 1}, {1: 1}]
    assert len({repr(plain(value, str)) for value in values}) == len(values)


def test_what_is_no_data_can_be_no_part_of_a_key() -> None:
    with pytest.raises(TypeError, match="object cannot be part of a key"):
        plain({"a": object()}, str)


def test_attributes_are_part_of_every_key(request_: RenderRequest) -> None:
    """They change what is checked out without changing the ids."""
    files = {"one/it.yaml": "100644 1", ".gitattributes": "100644 2"}
    assert key_of(request_, Index(files)) != key_of(request_, Index({**files, ".gitattributes": "100644 3"}))


def test_a_file_that_git_does_not_know_counts_by_its_content(root: Path, request_: RenderRequest) -> None:
    index = Index({"two/it.yaml": "100644 1"})
    before = key_of(request_, index)
    (root / "one/it.yaml").write_text("other")
    assert key_of(request_, index) != before


def test_a_failure_is_not_kept(root: Path, request_: RenderRequest) -> None:
    reader, cache = Reader(), RenderCache()
    (root / "one/it.yaml").write_text("no: manifest\n")
    for _ in range(2):
        with pytest.raises(Exception, match="no Kubernetes object"):
            render_unit(reader, request_, cache)
    assert reader.renders == 2
    assert cache.entries == 0


def test_a_tool_that_misses_a_file_gets_the_whole_checkout(root: Path, request_: RenderRequest) -> None:
    reader, cache = Reader(), RenderCache()
    reader.needs = Path("two/it.yaml")
    assert len(render_unit(reader, request_, cache).manifests) == 1
    assert reader.renders == 2


def test_the_whole_checkout_is_then_what_the_key_is_made_of(root: Path, request_: RenderRequest) -> None:
    reader, cache = Reader(), RenderCache()
    reader.needs = Path("two/it.yaml")
    render_unit(reader, request_, cache)
    assert render_unit(reader, request_, cache).units[0].cached
    (root / "two/it.yaml").write_text("other")
    assert not render_unit(reader, request_, cache).units[0].cached
    assert reader.renders == 3, "that the closed set is not enough is known"
    (root / "two/it.yaml").unlink()
    with pytest.raises(ToolError):
        render_unit(reader, request_, cache)


def test_the_error_of_the_whole_checkout_is_the_one_to_see(root: Path, request_: RenderRequest) -> None:
    reader = Reader()
    reader.needs = Path("gone")
    with pytest.raises(ToolError, match="gone does not exist"):
        render_unit(reader, request_)
    assert reader.renders == 2


def test_a_limit_is_not_asked_for_twice(request_: RenderRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()

    def render(_: RenderRequest) -> Rendered:
        reader.renders += 1
        raise RenderError("took more than 1 seconds")

    monkeypatch.setattr(reader, "render", render)
    with pytest.raises(RenderError):
        render_unit(reader, request_)
    assert reader.renders == 1


def test_the_cache_is_bounded_and_forgets_what_was_asked_for_longest_ago() -> None:
    cache = RenderCache(limit=100)
    cache.put("a", 1, size=40)
    cache.put("b", 2, size=40)
    cache.get("a")
    cache.put("c", 3, size=40)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]
    assert cache.size == 80


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    cache = RenderCache(limit=100)
    cache.put("a", 1, size=40)
    cache.put("a", 2, size=101)
    assert cache.get("a") is None
    assert cache.size == 0


def test_the_size_of_manifests_counts(request_: RenderRequest, root: Path) -> None:
    (root / "one/it.yaml").write_text(CONFIG.format(name="one", value="x" * 100_000))
    cache = RenderCache(limit=50_000)
    render_unit(Reader(), request_, cache)
    assert cache.entries == 0


# Whole trees, at commits.


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The units that were looked at since it was cleared, by their folders."""
    seen: list[str] = []
    original = unit.render_job

    def render_job(job: unit.Job, cache: RenderCache | None, index: Index | None) -> unit.Done:
        seen.append(job.request.folder.name)
        return original(job, cache, index)

    monkeypatch.setattr(tree, "render_job", render_job)
    return seen


@pytest.fixture
def commit(root: Path, tmp_path: Path) -> Callable[..., tuple[Path, Index]]:
    """Commit the checkout with these files changed (None: deleted), and check it out in a place of its own."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "-q")

    def make(**files: str | None) -> tuple[Path, Index]:
        for name, content in files.items():
            path = root / name.replace("__", "/").replace("_yaml", ".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_text(content)
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", "change")
        head = git("rev-parse", "HEAD").strip()
        place = real(tmp_path) / head
        git("worktree", "add", "-q", "--detach", str(place), head)
        lines = git("ls-tree", "-r", "-z", "HEAD").split("\0")[:-1]
        entries = (line.split("\t") for line in lines)
        return place, Index({path: f"{about.split()[0]} {about.split()[2]}" for about, path in entries})

    return make


Commit = Callable[..., tuple[Path, Index]]


@pytest.fixture
def charts(root: Path) -> Path:
    for name in ("one", "two"):
        (root / name / "it.yaml").unlink()
        (root / name / "Chart.yaml").write_text(f"apiVersion: v2\nname: {name}\nversion: 0.1.0\n")
        (root / name / "templates").mkdir()
        template = f"kind: ConfigMap\napiVersion: v1\nmetadata: {{name: {name}}}\ndata: {{a: {{{{ .Values.a }}}}}}\n"
        (root / name / "templates/it.yaml").write_text(template)
        (root / name / "values.yaml").write_text("a: x1\n")
    return root


def render(checkout: tuple[Path, Index], cache: RenderCache, **options: Any) -> dict[str, Any]:
    place, index = checkout
    rendered = render_tree(place, place, RenderOptions(index=index, **options), cache)
    return {manifest.id.name: manifest.data["data"]["a"] for manifest in rendered.manifests}


@pytest.mark.usefixtures("charts")
def test_only_the_unit_that_reaches_a_changed_file_is_looked_at(commit: Commit, looked_at: list[str]) -> None:
    cache = RenderCache()
    assert render(commit(), cache) == {"one": "x1", "two": "x1"}
    looked_at.clear()
    assert render(commit(two__values_yaml="a: x2\n"), cache) == {"one": "x1", "two": "x2"}
    assert looked_at == ["two"]


@pytest.mark.usefixtures("charts")
def test_a_commit_that_no_unit_reaches_looks_at_nothing(commit: Commit, looked_at: list[str]) -> None:
    cache = RenderCache()
    (first, _), second = commit(README="a"), commit(README="b")
    render((first, commit()[1]), cache)
    looked_at.clear()
    render(second, cache)
    assert looked_at == []


@pytest.mark.usefixtures("charts")
@pytest.mark.parametrize(
    "change",
    [
        {"three__Chart_yaml": "apiVersion: v2\nname: three\nversion: 1.0.0\n"},
        {"one__templates__other_yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: three}\ndata: {a: x1}\n"},
        {"one__templates__it_yaml": None},
        {"one__Chart_yaml": "apiVersion: v2\nname: one\nversion: 0.2.0\n"},
        {".gitattributes": "*.yaml text eol=lf\n"},
        {".trimtabignore": "two\n"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_where_the_structure_changes_all_is_found_anew(commit: Commit, change: dict[str, str | None]) -> None:
    cache = RenderCache()
    render(commit(), cache)
    after = commit(**change)
    assert render(after, cache) == render(after, RenderCache())


@pytest.mark.usefixtures("charts")
def test_other_options_are_another_tree(commit: Commit) -> None:
    cache, checkout = RenderCache(), commit()
    render(checkout, cache)
    other = RenderOptions(index=checkout[1], name="other", namespace="other")
    assert not any(one.cached for one in render_tree(checkout[0], checkout[0], other, cache).units)


@pytest.mark.usefixtures("charts")
def test_another_binary_renders_anew(commit: Commit, monkeypatch: pytest.MonkeyPatch, looked_at: list[str]) -> None:
    cache, checkout = RenderCache(), commit()
    render(checkout, cache)
    looked_at.clear()
    monkeypatch.setattr(tree, "tool_file", lambda name: f"another {name}")
    render(checkout, cache)
    assert sorted(looked_at) == ["one", "two"]


@pytest.mark.usefixtures("charts")
def test_a_file_of_another_source_is_looked_at_each_time(commit: Commit, tmp_path: Path) -> None:
    cache, checkout = RenderCache(), commit()
    values = real(tmp_path) / "values"
    values.mkdir()
    steps = (RenderStep(helm=HelmStep(value_files=("other:values.yaml",))),)
    place, index = checkout
    seen = []
    for text in ("a: y1\n", "a: y2\n"):
        (values / "values.yaml").write_text(text)
        options = RenderOptions(index=index, steps=steps, sources={"other": values})
        seen += [m.data["data"]["a"] for m in render_tree(place, place / "one", options, cache).manifests]
    assert seen == ["y1", "y2"]


@pytest.mark.usefixtures("charts")
def test_post_steps_are_kept_too(commit: Commit, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, checkout = RenderCache(), commit()
    options = RenderOptions(index=checkout[1], steps=(RenderStep(name_prefix="a-"),))
    first = render_tree(checkout[0], checkout[0], options, cache)
    assert {manifest.id.name for manifest in first.manifests} == {"a-one", "a-two"}
    monkeypatch.setattr(tree, "apply_post", None)
    assert render_tree(checkout[0], checkout[0], options, cache).manifests == first.manifests
