"""`.trimtab.yaml`: what it may say and what is refused."""

from pathlib import Path

import pytest

from renderers.api import RenderError
from renderers.manifest import ManifestError
from renderers.settings import HelmStep, KustomizeStep, RenderStep, Steps, YamlStep, load_settings


def load(folder: Path, text: str) -> RenderStep | None:
    (folder / ".trimtab.yaml").write_text(text)
    return load_settings(folder.resolve(), root=folder.resolve()).renderer


def test_a_folder_without_the_file_has_no_settings(tmp_path: Path) -> None:
    assert load_settings(tmp_path, root=tmp_path) == Steps()


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}\n", "render: []\n"])
def test_a_file_without_a_step_says_nothing(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) is None


def test_every_field_is_read(tmp_path: Path) -> None:
    helm = (
        "render:\n- helm: {releaseName: shop, valueFiles: [a.yaml, b.yaml], values: {replicas: 3}, set: [a=1], "
        "setString: [b=2], includeCRDs: false}\n"
    )
    expected = HelmStep(
        "shop", ("a.yaml", "b.yaml"), values={"replicas": 3}, set=("a=1",), set_string=("b=2",), include_crds=False
    )
    assert load(tmp_path, helm) == RenderStep(helm=expected)
    assert load(tmp_path, "render: [kustomize: {enableHelm: true}]") == RenderStep(kustomize=KustomizeStep(True))
    assert load(tmp_path, "render: [yaml: {recursive: false}]") == RenderStep(yaml=YamlStep(False))


@pytest.mark.parametrize("name", ["helm", "kustomize", "yaml"])
def test_a_step_knows_its_renderer(tmp_path: Path, name: str) -> None:
    step = load(tmp_path, f"render: [{name}: {{}}]")
    assert step is not None
    assert step.renderer == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rendr: []\n", "there is no field rendr"),
        ("render: [helm: {valuesFiles: [a]}]\n", "there is no field valuesFiles - at render[0].helm"),
        ("render: [helm: {valueFiles: a}]\n", "render[0].helm.valueFiles"),
        ("render: [helm: {set: [1]}]\n", "render[0].helm.set[0]"),
        ("render: [jinjer: {}]\n", "there is no field jinjer"),
        ("render: [helm: {allowRemote: ['https://x/']}]\n", "helm.allowRemote is for an App to say"),
        ("render: [helm: {valuesFrom: [{kind: Secret, name: x}]}]\n", "helm.valuesFrom is for an App to say"),
        ("render: [kustomize: {allowRemote: ['https://x/']}]\n", "kustomize.allowRemote is for an App to say"),
        ("render: [substitute: {from: [{kind: Secret, name: x}]}]\n", "substitute.from is for an App to say"),
        ("render: [{}]\n", "exactly one of helm, kustomize, yaml, jinja"),
        ("render: [{helm: {}, yaml: {}}]\n", "exactly one of helm, kustomize, yaml, jinja"),
        ("render: [helm: {}, yaml: {}]\n", "only the first step may be one"),
        ("- a\n", "the settings cannot be used"),
        ("{}\n---\n{}\n", "several documents"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_names_file_and_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RenderError) as caught:
        load(tmp_path, text)
    assert caught.value.where == ".trimtab.yaml"
    assert message in caught.value.message
    assert caught.value.hint


def test_broken_yaml_is_an_error_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"\.trimtab\.yaml:2"):
        load(tmp_path, "render: [\n")


def test_a_link_out_is_not_read(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (tmp_path / "settings").write_text("render: []\n")
    (root / ".trimtab.yaml").symlink_to("../settings")
    with pytest.raises(RenderError, match="leads out of the checkout"):
        load_settings(root, root=root)
