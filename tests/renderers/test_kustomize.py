"""The kustomize renderer: what kustomize prints, from a private copy of what it may read."""

from collections.abc import Callable

import pytest

from renderers.api import RenderError
from renderers.kustomize import build
from tests.support.kustomizations import CONFIG_MAP, built, data, rendered

DEPLOYMENT = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, annotations: {note: $(NAME)}}
    spec:
      replicas: 1
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers: [{name: web, image: "nginx:1", envFrom: [{configMapRef: {name: settings}}]}]
    """
COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"

#: Kustomizations by what they are for: files, where `app` is built.
LOCAL = {
    "base beside": {
        "app/kustomization.yaml": "resources: [../base]\nnamespace: shop\nnameSuffix: -x\n",
        "base/kustomization.yaml": "resources: [web.yaml]\n",
        "base/web.yaml": DEPLOYMENT,
    },
    "base far away": {
        "app/kustomization.yaml": "resources: [../x/y/../../base/./one]\n",
        "x/y/z": "",
        "base/one/kustomization.yaml": "resources: [deep/web.yaml]\n",
        "base/one/deep/web.yaml": DEPLOYMENT,
    },
    "component": {
        "app/kustomization.yaml": "resources: [web.yaml]\ncomponents: [../component]\n",
        "app/web.yaml": DEPLOYMENT,
        "component/kustomization.yaml": COMPONENT
        + "replicas: [{name: web, count: 3}]\nconfigMapGenerator: [{name: settings, envs: [s.env]}]\n",
        "component/s.env": "A=b\n# no\nC=d\n",
    },
    "component at the top": {
        "app/kustomization.yaml": COMPONENT
        + "resources: [web.yaml]\nlabels: [{pairs: {a: b}, includeTemplates: true}]\n",
        "app/web.yaml": DEPLOYMENT,
    },
    "generators": {
        "app/kustomization.yaml": """
            metadata: {name: named}
            resources: [web.yaml]
            configMapGenerator:
            - {name: settings, literals: [a=b], files: [f.txt, g=f.txt], options: {labels: {x: z}}}
            secretGenerator: [{name: s, type: Opaque, files: [f.txt], options: {disableNameSuffixHash: true}}]
            generatorOptions: {annotations: {made: by}}
            """,
        "app/web.yaml": DEPLOYMENT,
        "app/f.txt": "text",
    },
    "a merged generator": {
        "app/kustomization.yaml": """
            resources: [../base]
            configMapGenerator: [{name: settings, behavior: merge, literals: [b=2]}]
            """,
        "base/kustomization.yaml": "configMapGenerator: [{name: settings, literals: [a=1]}]\n",
    },
    "patches": {
        "app/kustomization.yaml": """
            resources: [web.yaml]
            patches:
            - path: p.yaml
            - {path: p.json, target: {kind: Deployment}}
            - patch: '[{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}]'
              target: {name: web, kind: Deployment}
            """,
        "app/web.yaml": DEPLOYMENT,
        "app/p.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {paused: true}\n",
        "app/p.json": '[{"op": "replace", "path": "/spec/replicas", "value": 7}]',
    },
    "replacements": {
        "app/kustomization.yaml": """
            resources: [web.yaml]
            replacements:
            - path: r.yaml
            - source: {kind: Deployment, fieldPath: spec.replicas}
              targets: [{select: {kind: Deployment}, fieldPaths: [spec.revisionHistoryLimit], options: {create: true}}]
            """,
        "app/web.yaml": DEPLOYMENT,
        "app/r.yaml": """
            - source: {kind: Deployment, name: web}
              targets: [{select: {kind: Deployment}, fieldPaths: ["metadata.annotations.note"]}]
            """,
    },
    "vars": {
        "app/kustomization.yaml": """
            resources: [web.yaml]
            namePrefix: a-
            vars: [{name: NAME, objref: {kind: Deployment, name: web, apiVersion: apps/v1}}]
            configurations: [c.yaml]
            """,
        "app/c.yaml": "varReference: [{path: metadata/annotations, kind: Deployment}]\n",
        "app/web.yaml": DEPLOYMENT,
    },
    "images and labels of old": {
        "app/kustomization.yaml": """
            resources: [web.yaml]
            imageTags: [{name: nginx, newTag: "2"}]
            commonLabels: {a: b}
            commonAnnotations: {c: d}
            sortOptions: {order: fifo}
            """,
        "app/web.yaml": DEPLOYMENT,
    },
    "a schema": {
        "app/kustomization.yaml": "resources: [it.yaml]\nopenapi: {path: s.json}\npatches: [{path: p.yaml}]\n",
        "app/it.yaml": "apiVersion: example.com/v1\nkind: It\nmetadata: {name: it}\nlist: [{key: a, x: 1}]\n",
        "app/p.yaml": "apiVersion: example.com/v1\nkind: It\nmetadata: {name: it}\nlist: [{key: b}]\n",
        "app/s.json": """
            {"definitions": {"it": {"properties": {"list": {"type": "array", "items": {"type": "object"},
              "x-kubernetes-patch-merge-key": "key", "x-kubernetes-patch-strategy": "merge"}},
              "x-kubernetes-group-version-kind": [{"group": "example.com", "kind": "It", "version": "v1"}]}}}
            """,
    },
    "configured plug-ins": {
        "app/kustomization.yaml": """
            resources: [web.yaml]
            transformers: [t.yaml, ../plugins]
            generators:
            - |
              apiVersion: builtin
              kind: ConfigMapGenerator
              metadata: {name: made}
              files: [kustomization.yaml]
            """,
        "app/web.yaml": DEPLOYMENT,
        "app/t.yaml": "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: t}\nannotations: {yes: no}\n"
        "fieldSpecs: [{path: metadata/annotations, create: true}]\n",
        "plugins/kustomization.yaml": "resources: [s.yaml]\n",
        "plugins/s.yaml": "apiVersion: builtin\nkind: SuffixTransformer\nmetadata: {name: s}\nsuffix: -s\n"
        "fieldSpecs: [{path: metadata/name}]\n",
    },
    "annotations of all sorts": {
        "app/kustomization.yaml": "resources: [web.yaml, ../base]\n",
        "app/web.yaml": DEPLOYMENT.replace("{note: $(NAME)}", "{}"),
        "base/kustomization.yaml": """
            resources: [a.yaml]
            patches: [{patch: '[{"op": "add", "path": "/metadata/annotations/x", "value": "y"}]', target: {name: it}}]
            labels: [{pairs: {a: b}, fields: [{path: metadata/annotations}]}]
            """,
        "base/a.yaml": CONFIG_MAP,
    },
    "json, anchors and merge keys": {
        "app/kustomization.yaml": '{"resources": ["web.yaml", "../base"], "namePrefix": "p-"}\n',
        "app/web.yaml": DEPLOYMENT,
        "base/kustomization.yaml": """
            configMapGenerator:
            - &first {name: first, literals: [a=b]}
            - {<<: *first, name: second}
            """,
    },
}


@pytest.mark.parametrize("folder", ["base", "overlay"])
def test_the_output_is_kustomizes(nginx_kustomization, folder: str) -> None:
    assert data(rendered(nginx_kustomization.request(folder))) == built(nginx_kustomization.root / folder)


@pytest.mark.parametrize("what", LOCAL)
def test_all_that_kustomize_does_locally_is_done(repository, what: str) -> None:
    repository.write(LOCAL[what])
    ours = data(rendered(repository.request("app")))
    assert ours == built(repository.root / "app")
    assert ours


def test_nothing_is_written_into_the_checkout(nginx_kustomization) -> None:
    before = nginx_kustomization.seen()
    rendered(nginx_kustomization.request("overlay"))
    assert nginx_kustomization.seen() == before


def test_warnings_are_passed_on(repository) -> None:
    repository.write(LOCAL["images and labels of old"])
    warnings = rendered(repository.request("app")).warnings
    assert any("'imageTags' is deprecated" in warning for warning in warnings)
    assert all(warning.startswith("app: kustomize: ") for warning in warnings)
    assert len(warnings) == 2


def test_inline_patches_and_plug_ins_are_no_references(repository) -> None:
    repository.write(
        {
            "kustomization.yaml": """
                resources: [it.yaml]
                patchesStrategicMerge:
                - |
                  apiVersion: v1
                  kind: ConfigMap
                  metadata: {name: it}
                  data: {c: d}
                transformers:
                - |
                  apiVersion: builtin
                  kind: PrefixTransformer
                  metadata: {name: it}
                  prefix: pre-
                  fieldSpecs: [{path: metadata/name}]
                """,
            "it.yaml": CONFIG_MAP,
        }
    )
    found = data(rendered(repository.request()))[0]
    assert found["data"] == {"a": "b", "c": "d"}
    assert found["metadata"]["name"] == "pre-it"


def test_a_single_file_outside_its_kustomization_keeps_kustomizes_rule(repository) -> None:
    repository.write({"app/kustomization.yaml": "resources: [../it.yaml]\n", "it.yaml": CONFIG_MAP})
    with pytest.raises(RenderError, match="is not in or below 'app'") as e:
        rendered(repository.request("app"))
    assert "refer to its folder as a base" in e.value.hint


def test_two_kustomizations_that_refer_to_each_other_keep_kustomizes_rule(repository) -> None:
    repository.write({"a/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../a]\n"})
    with pytest.raises(RenderError, match="cycle detected"):
        rendered(repository.request("a"))


def test_kustomizes_own_message_is_shown(repository) -> None:
    repository.write({"kustomization.yaml": "resource: [it.yaml]\n"})
    with pytest.raises(RenderError, match=r'kustomize build failed with exit code 1: .*unknown field "resource"') as e:
        rendered(repository.request())
    assert str(repository.root) not in str(e.value)


@pytest.mark.parametrize("text", ["", "{}", "namePrefix: ''\n", "- a list\n", "kind: Kustomization\n"])
def test_what_kustomize_takes_for_no_kustomization_is_an_error(repository, text: str) -> None:
    repository.write({"kustomization.yaml": text})
    with pytest.raises(RenderError, match="kustomize build failed"):
        rendered(repository.request())


def test_several_kustomization_files_in_one_folder_are_an_error(repository) -> None:
    repository.write({"kustomization.yaml": "namePrefix: x\n", "kustomization.yml": "namePrefix: x\n"})
    with pytest.raises(RenderError, match="Found multiple kustomization files"):
        rendered(repository.request())


def test_an_empty_result_is_one(repository) -> None:
    repository.write({"kustomization.yaml": "namePrefix: x\n"})
    assert rendered(repository.request()).manifests == ()


def test_a_missing_kustomize_is_named(nginx_kustomization, without_tools: Callable[..., None]) -> None:
    without_tools("kustomize")
    with pytest.raises(RenderError, match="kustomize is not installed"):
        build.render(nginx_kustomization.request("base"))
