"""The kustomize renderer: what kustomize prints, and every reference looked at before it runs."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from renderers.api import Capabilities, KustomizeOptions, RenderError
from renderers.kustomize import build
from renderers.kustomize.references import referenced_folders
from renderers.manifest.load import load_text

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata: {a: b}\n"
WITH_HELM = KustomizeOptions(enable_helm=True)

#: A kustomization, where REF is the reference; and the field as messages name it.
FIELDS = [
    ("resources: [it.yaml, REF]", "resources[1]"),
    ("bases: [REF]", "bases[0]"),
    ("components: [REF]", "components[0]"),
    ("crds: [REF]", "crds[0]"),
    ("configurations: [REF]", "configurations[0]"),
    ("openapi: {path: REF}", "openapi.path"),
    ("patches: [{path: REF}]", "patches[0].path"),
    ("patchesStrategicMerge: [REF]", "patchesStrategicMerge[0]"),
    ("patchesJson6902: [{path: REF, target: {kind: ConfigMap}}]", "patchesJson6902[0].path"),
    ("replacements: [{path: REF}]", "replacements[0].path"),
    ("configMapGenerator: [{name: a, files: [REF]}]", "configMapGenerator[0].files[0]"),
    ("configMapGenerator: [{name: a, files: ['key=REF']}]", "configMapGenerator[0].files[0]"),
    ("configMapGenerator: [{name: a, envs: [REF]}]", "configMapGenerator[0].envs[0]"),
    ("configMapGenerator: [{name: a, env: REF}]", "configMapGenerator[0].env"),
    ("secretGenerator: [{name: a, files: [REF]}]", "secretGenerator[0].files[0]"),
    ("secretGenerator: [{name: a, files: ['key=REF']}]", "secretGenerator[0].files[0]"),
    ("secretGenerator: [{name: a, envs: [REF]}]", "secretGenerator[0].envs[0]"),
    ("secretGenerator: [{name: a, env: REF}]", "secretGenerator[0].env"),
    ("generators: [REF]", "generators[0]"),
    ("transformers: [REF]", "transformers[0]"),
    ("validators: [REF]", "validators[0]"),
    ("Resources: [REF]", "Resources[0]"),
    ("patches: [{PATH: REF}]", "patches[0].PATH"),
]
#: What a field says, and what is said of it.
REFERENCES = [
    ("https://example.com/it.yaml", "is remote"),
    ("/etc/passwd", "is an absolute path"),
    ("../../../../../../../../etc/passwd", "leads out of the checkout"),
    ("not-there.yaml", "does not exist"),
    ("link", "leads out of the checkout"),
]
BUILTIN = [
    ("PatchTransformer", "path: REF", "path"),
    ("PatchJson6902Transformer", "path: REF", "path"),
    ("PatchStrategicMergeTransformer", "paths: [REF]", "paths[0]"),
    ("ReplacementTransformer", "replacements: [{path: REF}]", "replacements[0].path"),
    ("ConfigMapGenerator", "envs: [REF]", "envs[0]"),
    ("SecretGenerator", "files: ['key=REF']", "files[0]"),
]


def built(root: Path, *options: str) -> list[Any]:
    """What kustomize prints, as objects."""
    done = subprocess.run(["kustomize", "build", *options, str(root)], check=True, capture_output=True, timeout=60)
    return [document.data for document in load_text(done.stdout, file="kustomize").documents]


def data(rendered: Any) -> list[Any]:
    """The objects of a render."""
    return [manifest.data for manifest in rendered.manifests]


@pytest.mark.parametrize("folder", ["base", "overlay"])
def test_the_output_is_kustomizes(nginx_kustomization, folder: str) -> None:
    rendered = build.render(nginx_kustomization.request(folder))
    assert data(rendered) == built(nginx_kustomization.root / folder)
    assert [str(manifest.origin) for manifest in rendered.manifests] == [folder, folder]


def test_nothing_is_written_into_the_checkout(nginx_kustomization) -> None:
    before = nginx_kustomization.seen()
    build.render(nginx_kustomization.request("overlay"))
    assert nginx_kustomization.seen() == before


@pytest.mark.parametrize(("text", "cause"), REFERENCES)
@pytest.mark.parametrize(("kustomization", "field"), FIELDS)
def test_each_field_refuses_what_it_must(repository, kustomization: str, field: str, text: str, cause: str) -> None:
    repository.write({"app/kustomization.yaml": kustomization.replace("REF", text) + "\n", "app/it.yaml": CONFIG_MAP})
    (repository.root / "app/link").symlink_to("/etc/passwd")
    with pytest.raises(RenderError) as e:
        build.render(repository.request("app"))
    assert (e.value.where, e.value.exit_code) == ("app/kustomization.yaml", 2)
    assert e.value.message.startswith(f"{field} refers to {text}, which {cause}")
    assert e.value.hint


@pytest.mark.parametrize(("text", "cause"), REFERENCES)
@pytest.mark.parametrize(("kind", "fields", "field"), BUILTIN)
@pytest.mark.parametrize("form", ["file", "inline", "list", "folder"])
def test_the_files_of_a_built_in_plug_in_are_looked_at_too(
    repository, form: str, kind: str, fields: str, field: str, text: str, cause: str
) -> None:
    plugin = f"apiVersion: builtin\nkind: {kind}\nmetadata: {{name: it}}\n{fields.replace('REF', text)}\n"
    if form == "list":
        plugin = f"apiVersion: v1\nkind: List\nitems:\n-\n{indent(plugin, '  ')}"
    where = "plugins/plugin.yaml" if form == "folder" else "plugin.yaml"
    transformers = (
        f"- |\n{indent(plugin, '  ')}" if form == "inline" else "- plugins" if form == "folder" else f"- {where}"
    )
    repository.write(
        {
            "kustomization.yaml": f"resources: [it.yaml]\ntransformers:\n{transformers}\n",
            "plugins/kustomization.yaml": "resources: [plugin.yaml]\n",
            where: plugin,
            "it.yaml": CONFIG_MAP,
        }
    )
    (repository.root / "link").symlink_to("/etc/passwd")
    with pytest.raises(RenderError, match=cause) as e:
        build.render(repository.request())
    assert f"{kind}.{field} refers to {text}, which {cause}" in e.value.message


@pytest.mark.parametrize(
    "text",
    [
        "HTTPS://example.com/it.yaml",
        "http:it.yaml",
        "github.com/org/repository//deploy?ref=main",
        "GitHub.com/org/repository",
        "git@github.com:org/repository.git//deploy",
        "git::https://example.com/org/repository",
        "ssh://git@example.com/org/repository",
        "file:///srv/repository",
        "someone@example.com/org/repository",
        "oci://example.com/chart",
    ],
)
def test_every_form_of_a_remote_is_seen(repository, text: str) -> None:
    repository.write({"kustomization.yaml": f'resources: ["{text}"]\n'})
    with pytest.raises(RenderError, match="is remote, and a render uses no network") as e:
        build.render(repository.request())
    assert "copy it into the repository" in e.value.hint


def test_a_password_in_a_remote_is_not_shown(repository) -> None:
    repository.write({"kustomization.yaml": "resources: ['https://me:secret@example.com/org/repository']\n"})
    with pytest.raises(RenderError, match=r"refers to https://example\.com/org/repository, which is remote") as e:
        build.render(repository.request())
    assert "secret" not in str(e.value)


def test_a_folder_with_the_name_of_a_remote_is_remote_as_for_kustomize(repository) -> None:
    repository.write(
        {
            "kustomization.yaml": "resources: [github.com/org/repository]\n",
            "github.com/org/repository/kustomization.yaml": "resources: [it.yaml]\n",
            "github.com/org/repository/it.yaml": CONFIG_MAP,
        }
    )
    with pytest.raises(RenderError, match="is remote"):
        build.render(repository.request())


def test_a_file_with_an_at_in_its_name_is_a_file(repository) -> None:
    repository.write({"kustomization.yaml": "resources: [app@2/it.yaml]\n", "app@2/it.yaml": CONFIG_MAP})
    assert len(data(build.render(repository.request()))) == 1


def test_a_reference_of_a_base_names_the_bases_file(nginx_kustomization) -> None:
    nginx_kustomization.write({"base/kustomization.yaml": "resources: [deployment.yaml, gone.yaml]\n"})
    with pytest.raises(RenderError, match=r"resources\[1\] refers to gone.yaml, which does not exist") as e:
        build.render(nginx_kustomization.request("overlay"))
    assert e.value.where == "base/kustomization.yaml"


def test_a_base_behind_a_link_out_is_refused(repository, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kustomization.yaml").write_text("resources: []\n", encoding="utf-8")
    repository.write({"kustomization.yaml": "resources: [base]\n"})
    (repository.root / "base").symlink_to(outside)
    with pytest.raises(RenderError, match="leads out of the checkout"):
        build.render(repository.request())


def test_a_kustomization_file_that_is_a_link_out_is_refused(repository, tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text("namePrefix: x\n", encoding="utf-8")
    (repository.root / "kustomization.yaml").symlink_to(tmp_path / "kustomization.yaml")
    with pytest.raises(RenderError, match=r"kustomization\.yaml is a link that leads out of the checkout"):
        build.render(repository.request())


def test_a_link_that_stays_inside_is_followed(nginx_kustomization) -> None:
    nginx_kustomization.write({"linked/kustomization.yaml": "resources: [there]\n"})
    (nginx_kustomization.root / "linked/there").symlink_to("../base")
    assert len(data(build.render(nginx_kustomization.request("linked")))) == 2


def test_dots_are_taken_away_before_links_are_followed_as_in_kustomize(repository, tmp_path: Path) -> None:
    """`link/../it.yaml` is `it.yaml` here, and not what stands beside the link's target."""
    repository.write(
        {"app/kustomization.yaml": "resources: [link/../it.yaml]\n", "app/it.yaml": CONFIG_MAP, "a/b/c": ""}
    )
    (repository.root / "app/link").symlink_to("../a/b")
    assert len(data(build.render(repository.request("app")))) == 1


def test_two_spellings_of_one_field_are_refused(repository) -> None:
    repository.write({"kustomization.yaml": "resources: [it.yaml]\nRESOURCES: [it.yaml]\n", "it.yaml": CONFIG_MAP})
    with pytest.raises(RenderError, match="resources and RESOURCES are one field"):
        build.render(repository.request())


def test_a_reference_that_is_no_text_is_refused(repository) -> None:
    repository.write({"kustomization.yaml": "resources: [8]\n"})
    with pytest.raises(RenderError, match=r"resources\[0\] is no text"):
        build.render(repository.request())


@pytest.mark.parametrize("text", ["a" * 5000, "a/" * 3000, "nul\\0", "a: [\\nsecret"])
@pytest.mark.parametrize("field", ["resources", "patchesStrategicMerge", "transformers"])
def test_a_text_that_is_no_path_is_an_error_of_ours(repository, field: str, text: str) -> None:
    repository.write({"kustomization.yaml": f'{field}: ["{text}"]\n'})
    with pytest.raises(RenderError, match=r"does not exist|is no path") as e:
        build.render(repository.request())
    assert "secret" not in str(e.value)
    assert len(e.value.message) < 6000


def test_a_folder_without_a_kustomization_is_said_plainly(repository) -> None:
    repository.write({"kustomization.yaml": "resources: [folder]\n", "folder/it.yaml": CONFIG_MAP})
    with pytest.raises(
        RenderError, match=r"resources\[0\] refers to the folder folder, which has no kustomization.yaml"
    ):
        build.render(repository.request())


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
    rendered = build.render(repository.request())
    assert data(rendered)[0]["data"] == {"a": "b", "c": "d"}
    assert data(rendered)[0]["metadata"]["name"] == "pre-it"
    assert any("'patchesStrategicMerge' is deprecated" in warning for warning in rendered.warnings)


def test_generators_read_their_files(repository) -> None:
    repository.write(
        {
            "kustomization.yaml": """
                configMapGenerator: [{name: it, files: [key=values.txt], envs: [it.env]}]
                generatorOptions: {disableNameSuffixHash: true}
                """,
            "values.txt": "text",
            "it.env": "A=1\n",
        }
    )
    assert data(build.render(repository.request()))[0]["data"] == {"key": "text", "A": "1"}


def test_a_plug_in_that_runs_code_is_refused_by_kustomize(repository) -> None:
    repository.write(
        {
            "kustomization.yaml": "resources: [it.yaml]\ntransformers: [plugin.yaml]\n",
            "plugin.yaml": """
                apiVersion: example.com/v1
                kind: Evil
                metadata:
                  name: it
                  annotations: {config.kubernetes.io/function: "exec: {path: ./evil.sh}"}
                """,
            "evil.sh": "#!/bin/sh\ntouch ran\n",
            "it.yaml": CONFIG_MAP,
        }
    )
    (repository.root / "evil.sh").chmod(0o755)
    with pytest.raises(RenderError, match="external plugins disabled"):
        build.render(repository.request())
    assert not (repository.root / "ran").exists()


def test_a_single_file_outside_its_kustomization_keeps_kustomizes_rule(repository) -> None:
    repository.write({"app/kustomization.yaml": "resources: [../it.yaml]\n", "it.yaml": CONFIG_MAP})
    with pytest.raises(RenderError, match="is not in or below 'app'") as e:
        build.render(repository.request("app"))
    assert "refer to its folder as a base" in e.value.hint


def test_kustomizes_own_message_is_shown(repository) -> None:
    repository.write({"kustomization.yaml": "resource: [it.yaml]\n"})
    with pytest.raises(RenderError, match=r'kustomize build failed with exit code 1: .*unknown field "resource"') as e:
        build.render(repository.request())
    assert str(repository.root) not in str(e.value)


def test_an_empty_result_is_one(repository) -> None:
    repository.write({"kustomization.yaml": "namePrefix: x\n"})
    assert build.render(repository.request()).manifests == ()


def test_a_missing_kustomize_is_named(nginx_kustomization, without_tools: Callable[..., None]) -> None:
    without_tools("kustomize")
    with pytest.raises(RenderError, match="kustomize is not installed"):
        build.render(nginx_kustomization.request("base"))


def with_chart(nginx_chart, text: str) -> Any:
    """The nginx chart in the `charts` folder of a kustomization."""
    (nginx_chart.root / "charts").mkdir()
    (nginx_chart.root / "chart").rename(nginx_chart.root / "charts/nginx")
    return nginx_chart.write({"kustomization.yaml": text})


CHART = "helmCharts: [{name: nginx, releaseName: demo, valuesInline: {replicas: 5}}]\n"


def test_charts_need_leave(nginx_chart) -> None:
    with_chart(nginx_chart, CHART)
    with pytest.raises(RenderError, match=r"helmCharts\[0\] needs helm") as e:
        build.render(nginx_chart.request())
    assert "--enable-helm" in e.value.hint


def test_a_chart_in_the_checkout_is_rendered_and_nothing_written(nginx_chart) -> None:
    with_chart(nginx_chart, CHART)
    before = nginx_chart.seen()
    rendered = data(build.render(nginx_chart.request(kustomize=WITH_HELM)))
    assert {(o["kind"], o["metadata"]["name"]) for o in rendered} == {("Deployment", "demo"), ("Service", "demo")}
    assert next(o for o in rendered if o["kind"] == "Deployment")["spec"]["replicas"] == 5
    assert nginx_chart.seen() == before


def test_a_chart_sees_the_target_clusters_version(nginx_chart) -> None:
    with_chart(nginx_chart, "helmCharts: [{name: nginx, releaseName: demo}]\n").write(
        {
            "charts/nginx/templates/service.yaml": """
                apiVersion: v1
                kind: ConfigMap
                metadata: {name: versions}
                data:
                  kube: {{ .Capabilities.KubeVersion }}
                  has: {{ .Capabilities.APIVersions.Has "example.com/v7" | quote }}
                """
        }
    )
    capabilities = Capabilities("v1.31.4", ("v1", "example.com/v7"))
    rendered = data(build.render(nginx_chart.request(kustomize=WITH_HELM, capabilities=capabilities)))
    assert next(o for o in rendered if o["kind"] == "ConfigMap")["data"] == {"kube": "v1.31.4", "has": "true"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("helmCharts: [{name: gone, repo: 'https://example.com'}]", "the chart gone would be fetched from https"),
        ("helmCharts: [{name: nginx, version: 1.0.0, repo: 'https://example.com'}]", "would be fetched from https"),
        ("helmCharts: [{name: gone}]", "the chart gone is not there"),
        ("helmCharts: [{name: ../../../../../../../../etc}]", "leads out of the checkout"),
        ("helmCharts: [{name: nginx}]\nhelmGlobals: {chartHome: /etc}", "chartHome /etc is an absolute path"),
        (
            "helmCharts: [{name: nginx}]\nhelmGlobals: {chartHome: ../../../../../../../etc}",
            "leads out of the checkout",
        ),
        ("helmCharts: [{name: nginx}]\nhelmGlobals: {configHome: plugins}", "configHome would give helm settings"),
        ("helmCharts: [{name: nginx, releaseName: --post-renderer=evil.sh}]", "releaseName begins with a dash"),
        ("helmCharts: [{name: nginx, valuesFile: 'https://example.com/v.yaml'}]", "valuesFile refers to https"),
        (
            "helmCharts: [{name: nginx, additionalValuesFiles: [/etc/passwd]}]",
            "additionalValuesFiles.0. refers to /etc",
        ),
        ("helmChartInflationGenerator: [{chartName: nginx}]", "a form that kustomize has given up"),
        ("generators: [folder]", "only files may stand there"),
    ],
)
def test_what_a_chart_may_not_be(nginx_chart, text: str, message: str) -> None:
    with_chart(nginx_chart, text + "\n").write({"folder/kustomization.yaml": "resources: []\n"})
    with pytest.raises(RenderError, match=message):
        build.render(nginx_chart.request(kustomize=WITH_HELM))


def test_a_chart_of_a_generator_is_held_to_the_same(nginx_chart) -> None:
    with_chart(nginx_chart, "generators: [generator.yaml]\n").write(
        {
            "generator.yaml": """
                apiVersion: builtin
                kind: HelmChartInflationGenerator
                metadata: {name: it}
                name: nginx
                releaseName: --post-renderer=evil.sh
                """
        }
    )
    with pytest.raises(RenderError, match=r"HelmChartInflationGenerator\.releaseName begins with a dash"):
        build.render(nginx_chart.request(kustomize=WITH_HELM))


def test_a_link_out_in_a_chart_is_refused(nginx_chart) -> None:
    with_chart(nginx_chart, CHART)
    (nginx_chart.root / "charts/nginx/passwd").symlink_to("/etc/passwd")
    with pytest.raises(RenderError, match="charts/nginx/passwd is a link that leads out"):
        build.render(nginx_chart.request(kustomize=WITH_HELM))


def test_the_folders_that_a_kustomization_refers_to(nginx_kustomization) -> None:
    nginx_kustomization.write(
        {"both/kustomization.yaml": "resources: [../overlay, it.yaml, https://example.com/a]\ncomponents: [../base]\n"}
    )
    root = nginx_kustomization.root
    assert referenced_folders(root / "both", root) == {root / "overlay", root / "base"}
    assert referenced_folders(root / "base", root) == set()
