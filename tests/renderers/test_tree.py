"""Rendering a whole folder: its units, the options of each, and all or nothing."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from renderers.api import Capabilities, HelmOptions, KustomizeOptions, Rendered, RenderError
from renderers.manifest import ManifestError
from renderers.manifest.load import load_text
from renderers.options import RenderOptions
from renderers.settings import HelmStep, KustomizeStep, RenderStep, YamlStep
from renderers.tree import boundary_of, render_tree

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\n"
FAILING = '{{ fail "no" }}\n'


def printer(repository, folder: str) -> None:
    """A chart that prints its release and values."""
    repository.write(
        {
            "Chart.yaml": "apiVersion: v2\nname: printer\nversion: 0.1.0\n",
            "values.yaml": "a: chart\nb: chart\n",
            "templates/it.yaml": """
                apiVersion: v1
                kind: ConfigMap
                metadata: {name: {{ .Release.Name }}}
                data: {a: {{ .Values.a | quote }}, b: {{ .Values.b | quote }}, in: {{ .Release.Namespace }}}
                """,
            "crds/it.yaml": """
                apiVersion: apiextensions.k8s.io/v1
                kind: CustomResourceDefinition
                metadata: {name: things.example.com}
                """,
        },
        folder,
    )


def rendered(repository, folder: str = ".", **options: Any) -> Rendered:
    """The folder, rendered."""
    return render_tree(repository.root, repository.root / folder, RenderOptions(**options))


def config_maps(result: Rendered) -> dict[str, Any]:
    """The data of ConfigMaps by name."""
    return {m.id.name: m.data.get("data") for m in result.manifests if m.id.kind == "ConfigMap"}


def output_of(*argv: str) -> list[Any]:
    """The objects that a tool prints."""
    done = subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return [document.data for document in load_text(done.stdout, file=argv[0]).documents]


@pytest.fixture
def everything(nginx_chart, nginx_kustomization):
    """A chart, a kustomization with its base, and plain files, in one checkout."""
    return nginx_chart.write({"plain/it.yaml": CONFIG_MAP, "plain/more/it.json": json.dumps(load(CONFIG_MAP))})


def load(text: str) -> Any:
    """One document."""
    return load_text(text, file="it").documents[0].data


def test_a_tree_is_its_units_in_order(everything) -> None:
    root = everything.root
    result = rendered(everything)
    assert [m.data for m in result.manifests] == [
        *[load(CONFIG_MAP)] * 2,
        *output_of("helm", "template", "chart", str(root / "chart"), "--kube-version", "v1.36.3"),
        *output_of("kustomize", "build", str(root / "overlay")),
    ]
    assert [m.origin.unit for m in result.manifests] == [".", ".", "chart", "chart", "overlay", "overlay"]


def test_the_same_tree_gives_the_same_result_and_nothing_is_written(everything) -> None:
    before = everything.seen()
    assert rendered(everything) == rendered(everything)
    assert everything.seen() == before


def test_without_recursion_folders_below_are_left_out(everything) -> None:
    assert rendered(everything, "plain", recursive=False).manifests[0].origin.file == "plain/it.yaml"
    assert len(rendered(everything, "plain", recursive=False).manifests) == 1
    step = RenderStep(yaml=YamlStep(recursive=False))
    assert len(rendered(everything, "plain", steps=(step,)).manifests) == 1


def test_an_empty_folder_renders_to_nothing(repository) -> None:
    assert rendered(repository) == Rendered(())


def test_release_names(repository) -> None:
    printer(repository, "shop")
    assert set(config_maps(rendered(repository, "shop", name="app"))) == {"app"}
    assert set(config_maps(rendered(repository, ".", name="app"))) == {"shop"}
    assert set(config_maps(rendered(repository, "shop", name="app", helm=HelmOptions(release_name="flag")))) == {"flag"}
    step = RenderStep(helm=HelmStep(release_name="step"))
    assert set(config_maps(rendered(repository, "shop", name="app", steps=(step,)))) == {"step"}
    repository.write({"shop/.trimtab.yaml": "render: [helm: {releaseName: settings}]\n"})
    assert set(config_maps(rendered(repository, ".", name="app"))) == {"settings"}


def test_namespace_and_capabilities_reach_every_chart(repository) -> None:
    printer(repository, "a")
    printer(repository, "b")
    result = rendered(repository, namespace="shop", capabilities=Capabilities("v1.30.0"))
    assert {data["in"] for data in config_maps(result).values()} == {"shop"}
    repository.write({"a/Chart.yaml": "apiVersion: v2\nname: a\nversion: 0.1.0\nkubeVersion: '<1.30'\n"})
    with pytest.raises(RenderError, match=r"incompatible with Kubernetes v1\.30\.0"):
        rendered(repository, capabilities=Capabilities("v1.30.0"))


def test_settings_then_the_app_then_flags(repository, tmp_path: Path) -> None:
    printer(repository, "shop")
    repository.write(
        {
            "shop/.trimtab.yaml": "render: [helm: {valueFiles: [../values/prod.yaml], values: {b: settings}}]\n",
            "values/prod.yaml": "a: settings\nb: file\n",
            "shop/app.yaml": "a: app\n",
        }
    )
    (tmp_path / "flag.yaml").write_text("a: flag\n", encoding="utf-8")
    flags = HelmOptions(value_files=(tmp_path / "flag.yaml",))
    app = RenderStep(helm=HelmStep(value_files=("app.yaml",)))

    def values(**options: Any) -> tuple[str, str]:
        data = config_maps(rendered(repository, "shop", name="it", **options))["it"]
        return data["a"], data["b"]

    assert values() == ("settings", "settings")
    assert values(steps=(app,)) == ("app", "settings")
    assert values(steps=(app,), helm=flags) == ("flag", "settings")
    assert values(steps=(app,), helm=HelmOptions(set=("b=set",))) == ("app", "set")


def test_flags_are_for_the_chart_at_the_path_alone(repository) -> None:
    printer(repository, "shop")
    printer(repository, "other")
    with pytest.raises(RenderError, match=r"values or a release name are given, and \. is no chart itself"):
        rendered(repository, helm=HelmOptions(set=("a=1",)))
    assert config_maps(rendered(repository, "shop", helm=HelmOptions(set=("a=1",))))["shop"]["a"] == "1"


@pytest.mark.parametrize("folder", [".", "shop"])
def test_crds_can_be_left_out_everywhere(repository, folder: str) -> None:
    printer(repository, "shop")
    kinds = {m.id.kind for m in rendered(repository, folder, helm=HelmOptions(include_crds=False)).manifests}
    assert kinds == {"ConfigMap"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/etc/passwd", "the values file /etc/passwd leads out"),
        ("../../values.yaml", "leads out of the checkout"),
        (".hidden", "leads out of the checkout"),
        ("gone.yaml", "the values file gone.yaml does not exist"),
        ("https://example.com/values.yaml", "is of a source https, which the App does not have"),
        ("a" * 5000, "does not exist"),
    ],
)
def test_a_values_file_of_the_repository_lies_in_it(repository, text: str, message: str) -> None:
    printer(repository, "shop")
    (repository.root / "shop/.hidden").symlink_to("/etc/hostname")
    repository.write({"shop/.trimtab.yaml": f"render: [helm: {{valueFiles: ['{text}']}}]\n"})
    with pytest.raises(RenderError, match=message) as e:
        rendered(repository)
    assert e.value.where == "shop/.trimtab.yaml"


def test_a_chart_that_is_a_kustomization_too_needs_a_choice(everything) -> None:
    everything.write({"chart/kustomization.yaml": "resources: [it.yaml]\n", "chart/it.yaml": CONFIG_MAP})
    with pytest.raises(RenderError, match="is a chart and a kustomization"):
        rendered(everything, "chart")
    assert len(rendered(everything, "chart", renderer="kustomize").manifests) == 1
    assert len(rendered(everything, "chart", renderer="helm").manifests) == 2
    assert len(rendered(everything, "chart", steps=(RenderStep(kustomize=KustomizeStep()),)).manifests) == 1
    everything.write({"chart/.trimtab.yaml": "render: [kustomize: {}]\n"})
    assert len(rendered(everything, "chart").manifests) == 1
    assert len(rendered(everything, "chart", renderer="helm").manifests) == 2


@pytest.mark.parametrize("by", ["flag", "app", "settings"])
def test_helm_charts_of_a_kustomization_are_allowed_by(everything, by: str) -> None:
    everything.write({"kustomized/kustomization.yaml": "helmCharts: [{name: nginx, releaseName: it}]\n"})
    (everything.root / "kustomized/charts").mkdir()
    (everything.root / "chart").rename(everything.root / "kustomized/charts/nginx")
    with pytest.raises(RenderError, match="needs helm"):
        rendered(everything, "kustomized")
    options: dict[str, Any] = {}
    if by == "flag":
        options["kustomize"] = KustomizeOptions(enable_helm=True)
    elif by == "app":
        options["steps"] = (RenderStep(kustomize=KustomizeStep(enable_helm=True)),)
    else:
        everything.write({"kustomized/.trimtab.yaml": "render: [kustomize: {enableHelm: true}]\n"})
    assert {m.id.name for m in rendered(everything, "kustomized", **options).manifests} == {"it"}


def test_one_failing_unit_is_no_result_and_the_first_is_named(everything) -> None:
    everything.write(
        {"chart/templates/service.yaml": FAILING, "overlay/kustomization.yaml": "resources: [gone.yaml]\n"}
    )
    with pytest.raises(RenderError) as e:
        rendered(everything)
    assert e.value.where == "chart"
    assert e.value.message.endswith("no (1 more failed: overlay/kustomization.yaml)")


def test_a_document_without_a_kind_is_no_result(everything) -> None:
    everything.write({"chart/templates/service.yaml": "a: b\n"})
    with pytest.raises(ManifestError, match="has no"):
        rendered(everything)


def test_hooks_and_warnings_of_all_units_come_along(repository) -> None:
    printer(repository, "a")
    printer(repository, "b")
    hook = 'apiVersion: v1\nkind: Pod\nmetadata: {name: hook, annotations: {"helm.sh/hook": %s}}\n'
    repository.write({"a/templates/hook.yaml": hook % "pre-install", "b/templates/hook.yaml": hook % "test"})
    repository.write({"it.yaml": CONFIG_MAP + "kind: ConfigMap\n"})
    result = rendered(repository)
    assert [m.origin.unit for m in result.hooks] == ["a"]
    assert [m.origin.unit for m in result.tests] == ["b"]
    assert any("it.yaml" in warning for warning in result.warnings)


def test_a_chart_at_the_root_of_the_checkout(repository) -> None:
    printer(repository, ".")
    result = rendered(repository, name="app")
    assert {(m.origin.unit, m.origin.file) for m in result.manifests} == {
        (".", "templates/it.yaml"),
        (".", "crds/it.yaml"),
    }


def test_a_path_through_a_link_is_the_folder_itself(repository) -> None:
    printer(repository, "v1")
    (repository.root / "current").symlink_to("v1")
    assert set(config_maps(rendered(repository, "current", name="app"))) == {"app"}


@pytest.mark.parametrize("path", ["..", "gone", "current"])
def test_a_path_that_is_no_folder_of_the_checkout(repository, path: str) -> None:
    (repository.root / "current").symlink_to("/etc")
    with pytest.raises(RenderError):
        rendered(repository, path)


def test_the_boundary_is_the_git_checkout(repository) -> None:
    (repository.root / ".git").mkdir()
    repository.write({"deploy/overlay/kustomization.yaml": "resources: [../base]\n"})
    assert boundary_of(repository.root / "deploy/overlay") == repository.root


def test_outside_git_the_boundary_reaches_as_far_as_the_bases(everything) -> None:
    root = everything.root
    assert boundary_of(root / "overlay") == root
    assert boundary_of(root / "base") == root / "base"
    assert boundary_of(root / "plain") == root / "plain"
    everything.write(
        {"a/b/kustomization.yaml": "resources: [../c]\n", "a/c/kustomization.yaml": "resources: [../../overlay]\n"}
    )
    assert boundary_of(root / "a/b") == root
    assert len(render_tree(boundary_of(root / "a/b"), root / "a/b", RenderOptions()).manifests) == 2


def test_a_relative_path_has_an_absolute_boundary(everything, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(everything.root)
    assert boundary_of(Path("base")) == everything.root / "base"


def test_templates_that_nobody_chose_are_told_of(repository) -> None:
    repository.write({"deep/a.yaml.j2": "{{ nothing }}"})
    result = rendered(repository)
    assert result.manifests == ()
    [warning] = result.warnings
    assert "deep/a.yaml.j2" in warning
    assert "jinja" in warning
