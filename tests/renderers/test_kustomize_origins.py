"""Which file each manifest of a kustomization came from, and that nobody sees that it was asked for."""

from textwrap import dedent

import pytest

from renderers.kustomize.origins import is_observed
from tests.support.kustomizations import CONFIG_MAP, built, data, rendered


def origins(repository, folder: str = "app") -> dict[str, str]:
    """Names and files."""
    return {manifest.id.name: manifest.origin.file for manifest in rendered(repository.request(folder)).manifests}


def test_each_manifest_says_its_file(repository) -> None:
    repository.write(
        {
            "app/kustomization.yaml": "resources: [it.yaml, deep/other.yaml, ../base]\nnameSuffix: -x\n"
            "configMapGenerator: [{name: made, literals: [a=b], options: {disableNameSuffixHash: true}}]\n",
            "app/it.yaml": CONFIG_MAP,
            "app/deep/other.yaml": CONFIG_MAP.replace("name: it", "name: other"),
            "base/kustomization.yml": "resources: [inner]\n",
            "base/inner/kustomization.yaml": "resources: [in.yaml]\n",
            "base/inner/in.yaml": CONFIG_MAP.replace("name: it", "name: in"),
        }
    )
    assert origins(repository) == {
        "it-x": "app/it.yaml",
        "other-x": "app/deep/other.yaml",
        "in-x": "base/inner/in.yaml",
        "made-x": "app/kustomization.yaml",
    }


def test_the_unit_is_the_kustomizations_folder(repository) -> None:
    repository.write({"app/kustomization.yaml": "resources: [it.yaml]\n", "app/it.yaml": CONFIG_MAP})
    assert rendered(repository.request("app")).manifests[0].origin.unit == "app"


COPIES = '[{"op": "copy", "from": "/metadata", "path": "/x"}]'
REMOVES = '[{"op": "remove", "path": "/data"}]'


@pytest.mark.parametrize(
    "text",
    [
        f"patches: [{{target: {{kind: ConfigMap}}, patch: '{COPIES}'}}]\n",
        f"patches: [{{target: {{annotationSelector: config.kubernetes.io/origin}}, patch: '{REMOVES}'}}]\n",
        "labels: [{pairs: {a: b}, fields: [{path: metadata/annotations}]}]\n",
        """
        replacements:
        - source: {kind: ConfigMap, fieldPath: metadata}
          targets: [{select: {kind: ConfigMap}, fieldPaths: [x], options: {create: true}}]
        """,
    ],
)
def test_what_could_see_the_question_sees_nothing(repository, text: str) -> None:
    repository.write({"app/kustomization.yaml": f"resources: [it.yaml]\n{dedent(text)}", "app/it.yaml": CONFIG_MAP})
    assert is_observed(repository.root)
    ours = rendered(repository.request("app"))
    assert data(ours) == built(repository.root / "app")
    assert [manifest.origin.file for manifest in ours.manifests] == ["app/it.yaml"]


@pytest.mark.parametrize(
    "patch",
    [
        "patches: [{path: p.yaml}]",
        "patchesStrategicMerge: [p.yaml]",
        "patches: [{path: p.json, target: {kind: ConfigMap}}]",
        "patchesJson6902: [{path: p.json, target: {version: v1, kind: ConfigMap, name: it}}]",
        "commonAnnotations: {c: d}",
    ],
)
def test_a_patch_that_only_writes_needs_no_second_build(repository, patch: str) -> None:
    repository.write(
        {
            "app/kustomization.yaml": f"resources: [it.yaml, other.yaml]\n{patch}\n",
            "app/it.yaml": CONFIG_MAP.replace("{name: it}", "{name: it, annotations: {a: b}}"),
            "app/other.yaml": CONFIG_MAP.replace("name: it", "name: other"),
            "app/p.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: it, annotations: null, labels: {a: b}}}",
            "app/p.json": '[{"op": "add", "path": "/metadata/annotations/x", "value": "y"},'
            '{"op": "replace", "path": "/metadata/annotations", "value": {"z": "y"}}]',
        }
    )
    assert not is_observed(repository.root)
    assert data(rendered(repository.request("app"))) == built(repository.root / "app")
    assert origins(repository)["other"] in ("app/other.yaml", "app/kustomization.yaml")  # annotations were replaced


def test_a_build_that_only_fails_when_asked_counts(repository) -> None:
    """Then nothing is known of the files."""
    patch = '[{"op": "test", "path": "/metadata/annotations/config.kubernetes.io~1origin", "value": null}]'
    repository.write(
        {
            "app/kustomization.yaml": f"resources: [it.yaml]\n"
            f"patches: [{{target: {{kind: ConfigMap}}, patch: '{patch}'}}]\n",
            "app/it.yaml": CONFIG_MAP,
        }
    )
    assert data(rendered(repository.request("app"))) == built(repository.root / "app")
    assert origins(repository) == {"it": "app"}


@pytest.mark.parametrize("name", ["buildMetadata", "BuildMetadata"])
def test_who_asks_for_the_annotation_gets_it(repository, name: str) -> None:
    repository.write(
        {
            "app/kustomization.yaml": f"resources: [it.yaml]\n{name}: [originAnnotations, managedByLabel]\n",
            "app/it.yaml": CONFIG_MAP,
        }
    )
    assert data(rendered(repository.request("app"))) == built(repository.root / "app")
    assert "path: it.yaml" in data(rendered(repository.request("app")))[0]["metadata"]["annotations"].popitem()[1]
    assert origins(repository) == {"it": "app/it.yaml"}


def test_other_metadata_that_is_asked_for_stays(repository) -> None:
    repository.write(
        {
            "app/kustomization.yaml": "resources: [it.yaml]\nnamePrefix: a-\n"
            "buildMetadata: [managedByLabel, transformerAnnotations]\n",
            "app/it.yaml": CONFIG_MAP,
        }
    )
    assert data(rendered(repository.request("app"))) == built(repository.root / "app")
    assert origins(repository) == {"a-it": "app/it.yaml"}


def test_the_annotation_in_a_file_is_kept_where_kustomize_keeps_it(repository) -> None:
    annotated = CONFIG_MAP.replace("{name: it}", "{name: it, annotations: {config.kubernetes.io/origin: mine, a: b}}")
    repository.write({"app/kustomization.yaml": "resources: [it.yaml]\n", "app/it.yaml": annotated})
    assert data(rendered(repository.request("app"))) == built(repository.root / "app")
