"""Which units a folder has: by what lies in it, by its settings, and by what is asked for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from renderers import detect
from renderers.api import RenderError
from renderers.detect import Unit, find_units

CHART = "apiVersion: v2\nname: web\nversion: 1.0.0\n"
Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Makes empty files (and charts) below a root and gives the root, resolved."""
    root = (tmp_path / "root").resolve()
    root.mkdir()

    def write(*empty: str) -> Path:
        for name in empty:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(CHART if path.name == "Chart.yaml" else "")
        return root

    return write


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def found(root: Path, folder: str = ".", *, renderer: str = "", recursive: bool = True) -> list[tuple[str, ...]]:
    """The units as (renderer, folder, *files), relative to the root."""
    units = find_units(root, root / folder, renderer=renderer, recursive=recursive).units
    return [
        (u.renderer, u.folder.relative_to(root).as_posix(), *(f.relative_to(root).as_posix() for f in u.files))
        for u in units
    ]


def error_of(root: Path, folder: str = ".", *, renderer: str = "") -> RenderError:
    with pytest.raises(RenderError) as caught:
        find_units(root, root / folder, renderer=renderer)
    assert caught.value.hint
    return caught.value


def test_all_plain_files_are_one_unit_in_order(tree: Tree) -> None:
    root = tree("b.yml", "a.yaml", "sub/c.json", "sub/deep/d.yaml", "README.md", "e.yaml.bak")
    assert found(root) == [("yaml", ".", "a.yaml", "b.yml", "sub/c.json", "sub/deep/d.yaml")]


def test_an_empty_folder_has_no_unit(tree: Tree) -> None:
    assert found(tree("README.md", "sub/notes.txt")) == []


def test_dot_files_and_dot_folders_are_left_out(tree: Tree) -> None:
    assert found(tree(".hidden.yaml", ".github/ci.yaml", "a.yaml")) == [("yaml", ".", "a.yaml")]


def test_nothing_below_a_chart_is_a_unit(tree: Tree) -> None:
    root = tree("web/Chart.yaml", "web/values.yaml", "web/charts/db/Chart.yaml", "web/k/kustomization.yaml", "a.yaml")
    assert found(root) == [("yaml", ".", "a.yaml"), ("helm", "web")]


@pytest.mark.parametrize("name", ["kustomization.yaml", "kustomization.yml", "Kustomization"])
def test_nothing_below_a_kustomization_is_plain(tree: Tree, name: str) -> None:
    root = tree(f"k/{name}", "k/deploy.yaml", "k/patches/p.yaml")
    assert found(root) == [("kustomize", "k")]


def test_units_below_a_kustomization_that_it_does_not_refer_to_are_units(tree: Tree) -> None:
    root = tree("kustomization.yaml", "other/kustomization.yaml", "web/Chart.yaml", "web/values.yaml", "x/y.yaml")
    assert found(root) == [("kustomize", "."), ("kustomize", "other"), ("helm", "web")]


@pytest.mark.parametrize("field", ["resources", "bases", "components"])
def test_a_kustomization_that_another_refers_to_is_no_unit(tree: Tree, field: str) -> None:
    root = tree("base/kustomization.yaml", "base/deploy.yaml")
    write(root, "prod/kustomization.yaml", f"{field}: [../base]\n")
    assert found(root) == [("kustomize", "prod")]


def test_a_base_is_followed_through_folders_outside_the_apps_path(tree: Tree) -> None:
    root = tree("app/base/kustomization.yaml")
    write(root, "app/prod/kustomization.yaml", "resources: [../../shared]\n")
    write(root, "shared/kustomization.yaml", "resources: [../app/base]\n")
    assert found(root, "app") == [("kustomize", "app/prod")]


def test_kustomizations_that_refer_to_each_other_stay_units(tree: Tree) -> None:
    root = tree()
    write(root, "a/kustomization.yaml", "resources: [../b]\n")
    write(root, "b/kustomization.yaml", "resources: [../a]\n")
    assert found(root) == [("kustomize", "a"), ("kustomize", "b")]


def test_a_chart_that_a_kustomization_renders_is_no_unit(tree: Tree) -> None:
    root = tree("k/charts/web/Chart.yaml", "k/charts/other/Chart.yaml", "k/vendor/db-1.0/db/Chart.yaml")
    write(root, "k/kustomization.yaml", "helmCharts:\n- name: web\n")
    write(
        root,
        "k/two/kustomization.yaml",
        "helmGlobals: {chartHome: ../vendor}\nhelmCharts:\n- {name: db, version: '1.0'}\n",
    )
    assert found(root) == [("kustomize", "k"), ("helm", "k/charts/other"), ("kustomize", "k/two")]


def test_a_kustomization_that_is_no_yaml_is_a_unit_whose_renderer_will_say_so(tree: Tree) -> None:
    write(tree(), "k/kustomization.yaml", "a: [\n")
    assert found(tree()) == [("kustomize", "k")]


def test_a_folder_that_is_both_needs_a_choice(tree: Tree) -> None:
    root = tree("web/Chart.yaml", "web/kustomization.yaml")
    error = error_of(root)
    assert error.message == "the folder web is a chart and a kustomization"
    assert "--renderer helm" in error.hint
    assert ".trimtab.yaml" in error.hint
    assert found(root, "web", renderer="helm") == [("helm", "web")]
    assert found(root, "web", renderer="kustomize") == [("kustomize", "web")]


@pytest.mark.parametrize("renderer", ["helm", "kustomize"])
def test_settings_choose_the_renderer(tree: Tree, renderer: str) -> None:
    root = tree("web/Chart.yaml", "web/kustomization.yaml")
    write(root, "web/.trimtab.yaml", f"render: [{renderer}: {{}}]\n")
    assert found(root) == [(renderer, "web")]


def test_settings_can_make_a_folder_plain(tree: Tree) -> None:
    root = tree("k/kustomization.yaml", "k/a.yaml", "k/sub/b.yaml")
    write(root, "k/.trimtab.yaml", "render: [yaml: {recursive: false}]\n")
    assert found(root) == [("yaml", ".", "k/a.yaml")]


def test_settings_that_do_not_fit_are_an_error(tree: Tree) -> None:
    root = tree("web/a.yaml")
    write(root, "web/.trimtab.yaml", "render: [helm: {}]\n")
    assert error_of(root).message == "the folder web has no Chart.yaml, and .trimtab.yaml says helm"


@pytest.mark.parametrize(("renderer", "missing"), [("helm", "Chart.yaml"), ("kustomize", "kustomization.yaml")])
def test_a_renderer_that_does_not_fit_is_an_error(tree: Tree, renderer: str, missing: str) -> None:
    error = error_of(tree("a.yaml"), renderer=renderer)
    assert error.message == f"the folder . has no {missing}, and --renderer says {renderer}"


def test_an_unknown_renderer_is_an_error(tree: Tree) -> None:
    assert "choose one of yaml, kustomize, helm, jinja" in error_of(tree("a.yaml"), renderer="ninja").hint


def test_the_yaml_renderer_reads_all_below_but_what_helm_and_kustomize_own(tree: Tree) -> None:
    root = tree("kustomization.yaml", "a.yaml", "web/Chart.yaml", "web/b.yaml", "k/kustomization.yml", "k/c.yaml")
    assert found(root, renderer="yaml") == [("yaml", ".", "a.yaml", "k/c.yaml", "web/b.yaml")]


def test_without_recursion_only_the_folder_itself_counts(tree: Tree) -> None:
    root = tree("a.yaml", "sub/b.yaml", "web/Chart.yaml")
    assert found(root, recursive=False) == [("yaml", ".", "a.yaml")]
    assert found(root, "web", recursive=False) == [("helm", "web")]


def test_ignored_files_and_folders_are_left_out(tree: Tree) -> None:
    root = tree("a.yaml", "values-prod.yaml", "test/b.yaml", "sub/c.yaml", "sub/keep-values.yaml", "web/Chart.yaml")
    write(root, ".trimtabignore", "# what is no manifest\n*values*.yaml\ntest/\nweb\n")
    write(root, "sub/.trimtabignore", "!keep-values.yaml\n/c.yaml\n")
    assert found(root) == [("yaml", ".", "a.yaml", "sub/keep-values.yaml")]


def test_rules_above_the_apps_path_do_not_count(tree: Tree) -> None:
    root = tree("app/a.yaml")
    write(root, ".trimtabignore", "*.yaml\n")
    assert found(root, "app") == [("yaml", "app", "app/a.yaml")]


def test_links_inside_are_followed_once(tree: Tree) -> None:
    root = tree("shared/s.yaml", "app/a.yaml")
    (root / "app" / "shared").symlink_to("../shared")
    (root / "app" / "again").symlink_to("../shared")
    (root / "app" / "loop").symlink_to(".")
    (root / "app" / "one.yaml").symlink_to("../shared/s.yaml")
    assert found(root, "app") == [("yaml", "app", "app/a.yaml", "shared/s.yaml")]


def test_the_folder_itself_may_be_a_link(tree: Tree) -> None:
    root = tree("real/a.yaml")
    (root / "link").symlink_to("real")
    assert found(root, "link") == [("yaml", "real", "real/a.yaml")]


def test_a_folder_below_a_kustomization_is_plain_where_a_link_from_outside_shows_it(tree: Tree) -> None:
    root = tree("k/kustomization.yaml", "k/sub/a.yaml")
    (root / "z").symlink_to("k/sub")
    assert found(root) == [("yaml", ".", "k/sub/a.yaml"), ("kustomize", "k")]


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_link_that_leads_out_is_an_error_that_names_both_ends(tree: Tree, tmp_path: Path, is_folder: bool) -> None:
    root = tree("app/a.yaml")
    target = tmp_path.resolve() / ("outside" if is_folder else "secret.yaml")
    if is_folder:
        target.mkdir()
    else:
        target.write_text("")
    (root / "app" / "link").symlink_to(target)
    assert error_of(root, "app").message == f"app/link is a link that leads out of the checkout, to {target}"


def test_a_link_to_nothing_is_an_error_until_it_is_ignored(tree: Tree) -> None:
    root = tree("a.yaml")
    (root / "gone").symlink_to("nowhere")
    assert error_of(root).message == "gone is a link to nowhere, which does not exist"
    write(root, ".trimtabignore", "gone\n")
    assert found(root) == [("yaml", ".", "a.yaml")]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("missing", "the path missing does not exist"),
        ("a.yaml", "the path a.yaml is a file"),
        ("a.yaml/b", "the path a.yaml/b does not exist"),
        ("..", "leads out of the checkout"),
        ("sub/../../other", "leads out of the checkout"),
    ],
)
def test_a_path_that_is_no_folder_inside_is_an_error(tree: Tree, folder: str, message: str) -> None:
    assert message in error_of(tree("a.yaml", "sub/b.yaml"), folder).message


def test_a_path_that_leads_out_by_a_link_is_an_error(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.yaml")
    (root / "out").symlink_to(tmp_path)
    assert "leads out of the checkout" in error_of(root, "out").message


def test_the_number_of_entries_is_limited(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(*(f"{i}.yaml" for i in range(11)))
    monkeypatch.setattr(detect, "MAX_ENTRIES", 10)
    assert "more than 10 files" in error_of(root).message


def test_folders_may_be_nested_deeper_than_a_stack(tree: Tree) -> None:
    root = tree()
    folder = str(root)
    for _ in range(1050):
        folder += "/d"
        os.mkdir(folder)  # noqa: PTH102 - pathlib's own way to the parents recurses
    Path(folder, "a.yaml").touch()
    try:
        assert len(find_units(root, root).units[0].files) == 1
    finally:
        Path(folder, "a.yaml").unlink()
        os.removedirs(folder)


def test_paths_are_absolute_and_resolved(tree: Tree, tmp_path: Path) -> None:
    root = tree("a.yaml")
    (tmp_path / "way").symlink_to("root")
    assert find_units(tmp_path / "way", tmp_path / "way").units == (Unit(root, "yaml", (root / "a.yaml",)),)


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in that fits folders with a file `it.toml`."""

    class Renderer:
        name = "toml"

        def fits(self, folder: Path) -> bool:
            return (folder / "it.toml").exists()

    monkeypatch.setattr(detect, "plugins", lambda: {"toml": None})
    original = detect.renderer_of
    monkeypatch.setattr(detect, "renderer_of", lambda name: Renderer() if name == "toml" else original(name))


@pytest.mark.usefixtures("plug_in")
def test_a_plug_in_renders_what_fits_it_and_all_below(tree: Tree) -> None:
    root = tree("a.yaml", "p/it.toml", "p/b.yaml", "p/web/Chart.yaml")
    assert found(root) == [("yaml", ".", "a.yaml"), ("toml", "p")]


@pytest.mark.usefixtures("plug_in")
def test_a_plug_in_is_no_match_for_a_chart(tree: Tree) -> None:
    assert found(tree("p/it.toml", "p/Chart.yaml")) == [("helm", "p")]


@pytest.mark.usefixtures("plug_in")
def test_a_plug_in_that_is_chosen_must_fit(tree: Tree) -> None:
    assert "nothing for that renderer" in error_of(tree("a.yaml"), renderer="toml").message


def test_templates_beside_plain_files_are_passed_over_and_known(tree: Tree) -> None:
    root = tree("a.yaml", "b.yaml.j2", "sub/c.json.j2", "README.j2")
    (unit,) = find_units(root, root).units
    assert unit == Unit(root, "yaml", (root / "a.yaml",), (root / "b.yaml.j2", root / "sub/c.json.j2"))


def test_jinja_reads_plain_files_and_templates_in_order_when_it_is_chosen(tree: Tree) -> None:
    root = tree("c.yaml", "b.yml.j2", "sub/a.json.j2", "README.md.j2")
    assert found(root, renderer="jinja") == [("jinja", ".", "b.yml.j2", "c.yaml", "sub/a.json.j2")]


def test_settings_choose_jinja_for_a_folder_and_what_lies_below(tree: Tree) -> None:
    root = tree("a.yaml", "j/b.yaml.j2", "j/sub/c.yaml", "j/web/Chart.yaml")
    write(root, "j/.trimtab.yaml", "render: [jinja: {}]\n")
    assert found(root) == [("yaml", ".", "a.yaml"), ("jinja", "j", "j/b.yaml.j2", "j/sub/c.yaml"), ("helm", "j/web")]


def test_settings_choose_jinja_for_the_folder_that_is_rendered(tree: Tree) -> None:
    root = tree("a.yaml.j2")
    write(root, ".trimtab.yaml", "render: [jinja: {}]\n")
    assert found(root) == [("jinja", ".", "a.yaml.j2")]


def test_a_plain_folder_with_post_steps_is_a_unit_of_its_own(tree: Tree) -> None:
    root = tree("a.yaml", "p/b.yaml", "p/sub/c.yaml", "q/d.yaml")
    write(root, "p/.trimtab.yaml", "render: [{namePrefix: x-}]\n")
    assert found(root) == [("yaml", ".", "a.yaml", "q/d.yaml"), ("yaml", "p", "p/b.yaml", "p/sub/c.yaml")]


def test_a_chart_with_post_steps_is_still_one(tree: Tree) -> None:
    root = tree("web/Chart.yaml")
    write(root, "web/.trimtab.yaml", "render: [{namePrefix: x-}]\n")
    assert found(root) == [("helm", "web")]
