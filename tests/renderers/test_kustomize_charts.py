"""Charts inside kustomizations: `helmCharts`, of the checkout or fetched, with both majors of helm."""

from pathlib import Path
from typing import Any

import pytest

from renderers.api import Capabilities, Fetched, RenderError
from renderers.kustomize import build
from tests.support.kustomizations import WITH_HELM, built, data, rendered

CHART = "helmCharts: [{name: nginx, releaseName: demo, valuesInline: {replicas: 5}}]\n"


class ChartFetcher:
    """Brings one chart, and remembers what was asked."""

    def __init__(self, chart: Path) -> None:
        self.folder = chart.resolve()
        self.asked: list[tuple[str, str, str]] = []

    def chart(self, repository: str, name: str, version: str) -> Fetched:
        self.asked.append((repository, name, version))
        return Fetched(repository, "0.1.0", "sha256:0123", self.folder, self.folder)

    def base(self, url: str) -> Fetched:
        raise RenderError(f"{url} is not listed")


def with_chart(nginx_chart, text: str) -> Any:
    """The nginx chart in the `charts` folder of a kustomization."""
    (nginx_chart.root / "charts").mkdir()
    (nginx_chart.root / "chart").rename(nginx_chart.root / "charts/nginx")
    return nginx_chart.write({"kustomization.yaml": text})


@pytest.fixture
def elsewhere(nginx_chart, tmp_path: Path) -> Path:
    """The nginx chart, outside the checkout."""
    (nginx_chart.root / "chart").rename(tmp_path / "nginx")
    return tmp_path / "nginx"


def replicas(objects: list[Any]) -> int:
    """Of the Deployment."""
    (deployment,) = (found for found in objects if found["kind"] == "Deployment")
    count: int = deployment["spec"]["replicas"]
    return count


def test_charts_need_leave(nginx_chart) -> None:
    with_chart(nginx_chart, CHART)
    with pytest.raises(RenderError, match=r"helmCharts\[0\] needs helm") as e:
        rendered(nginx_chart.request())
    assert "--enable-helm" in e.value.hint


def test_a_chart_in_the_checkout_is_rendered_and_nothing_written(nginx_chart, each_helm: str) -> None:
    with_chart(nginx_chart, CHART)
    before = nginx_chart.seen()
    found = data(rendered(nginx_chart.request(kustomize=WITH_HELM)))
    assert {(o["kind"], o["metadata"]["name"]) for o in found} == {("Deployment", "demo"), ("Service", "demo")}
    assert replicas(found) == 5
    assert nginx_chart.seen() == before
    assert build.inputs(nginx_chart.request(kustomize=WITH_HELM)).tools == ("kustomize", "helm")


def test_the_output_is_kustomizes_with_helm(nginx_chart, each_helm: str) -> None:
    with_chart(
        nginx_chart,
        "namespace: other\nhelmCharts: [{name: nginx, releaseName: demo, valuesFile: v.yaml, additionalValuesFiles: "
        "[w.yaml], valuesMerge: merge, includeCRDs: true}]\nimages: [{name: nginx, newTag: '9'}]\n",
    ).write({"v.yaml": "replicas: 4\nimage: nginx:4\n", "w.yaml": "image: nginx:5\n"})
    options = ("--enable-helm", "--helm-command", "helm", "--helm-kube-version", "v1.36.3")
    ours = data(rendered(nginx_chart.request(kustomize=WITH_HELM)))
    assert ours == built(nginx_chart.root, *options)
    assert replicas(ours) == 4


def test_only_the_charts_that_are_named_are_inputs(nginx_chart) -> None:
    with_chart(nginx_chart, CHART).write({"charts/other/Chart.yaml": "", "charts/nginx/files/a": "a"})
    files = {
        path.relative_to(nginx_chart.root).as_posix()
        for path in build.inputs(nginx_chart.request(kustomize=WITH_HELM)).files
    }
    assert "charts/nginx/files/a" in files
    assert "charts/other/Chart.yaml" not in files


def test_a_link_in_a_chart_is_followed(nginx_chart, each_helm: str) -> None:
    with_chart(nginx_chart, CHART)
    templates = nginx_chart.root / "charts/nginx/templates"
    templates.rename(nginx_chart.root / "shared")
    templates.symlink_to("../../shared")
    assert replicas(data(rendered(nginx_chart.request(kustomize=WITH_HELM)))) == 5


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
    found = data(rendered(nginx_chart.request(kustomize=WITH_HELM, capabilities=capabilities)))
    assert next(o for o in found if o["kind"] == "ConfigMap")["data"] == {"kube": "v1.31.4", "has": "true"}


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ("repo: 'https://example.com/charts', version: ^0.1", ("https://example.com/charts", "nginx", "^0.1")),
        ("repo: 'oci://example.com/charts', version: 0.1.0", ("oci://example.com/charts", "nginx", "0.1.0")),
        ("repo: 'https://example.com/charts'", ("https://example.com/charts", "nginx", "")),
    ],
)
def test_a_chart_that_is_allowed_is_where_kustomize_looks_for_it(
    nginx_chart, elsewhere: Path, each_helm: str, options: str, asked: tuple[str, str, str]
) -> None:
    nginx_chart.write({"app/kustomization.yaml": f"helmCharts: [{{name: nginx, releaseName: demo, {options}}}]\n"})
    fetcher = ChartFetcher(elsewhere)
    before = nginx_chart.seen()
    found = rendered(nginx_chart.request("app", kustomize=WITH_HELM, fetcher=fetcher))
    assert replicas(data(found)) == 3
    assert set(fetcher.asked) == {asked}
    assert [fetched.id for fetched in found.units[0].fetched] == ["sha256:0123"]
    assert nginx_chart.seen() == before


def test_a_generator_may_have_a_chart_fetched_too(nginx_chart, elsewhere: Path) -> None:
    nginx_chart.write(
        {
            "kustomization.yaml": "generators: [generator.yaml]\n",
            "generator.yaml": """
                apiVersion: builtin
                kind: HelmChartInflationGenerator
                metadata: {name: it}
                name: nginx
                version: 0.1.0
                repo: https://example.com/charts
                releaseName: demo
                valuesInline: {replicas: 6}
                """,
        }
    )
    request = nginx_chart.request(kustomize=WITH_HELM, fetcher=ChartFetcher(elsewhere))
    assert replicas(data(rendered(request))) == 6


def test_a_chart_in_the_checkout_is_not_fetched(nginx_chart, elsewhere: Path) -> None:
    nginx_chart.write(
        {"kustomization.yaml": "helmCharts: [{name: nginx, version: 0.1.0, repo: 'https://example.com'}]\n"}
    )
    (nginx_chart.root / "charts/nginx-0.1.0").mkdir(parents=True)
    elsewhere.rename(nginx_chart.root / "charts/nginx-0.1.0/nginx")
    fetcher = ChartFetcher(elsewhere)
    assert len(data(rendered(nginx_chart.request(kustomize=WITH_HELM, fetcher=fetcher)))) == 2
    assert fetcher.asked == []


def test_the_form_of_old_is_understood(nginx_chart) -> None:
    text = """
        helmChartInflationGenerator:
        - {chartName: nginx, releaseName: one, chartHome: else, valuesLocal: {replicas: 7}}
        - {chartName: nginx, releaseName: two, chartHome: charts, values: v.yaml, extraArgs: [--post-renderer=x]}
        """
    with_chart(nginx_chart, text).write({"v.yaml": "replicas: 8\nimage: nginx:8\n"})
    found = data(rendered(nginx_chart.request(kustomize=WITH_HELM)))
    assert {o["metadata"]["name"]: o["spec"]["replicas"] for o in found if o["kind"] == "Deployment"} == {
        "one": 7,
        "two": 8,
    }
    options = ("--enable-helm", "--helm-command", "helm", "--helm-kube-version", "v1.36.3")
    assert found == built(nginx_chart.root, *options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "helmCharts: [{name: gone, repo: 'https://example.com'}]",
            r"helmCharts\[0\]: the chart gone would be fetched from https",
        ),
        ("helmCharts: [{name: nginx, version: 1.0.0, repo: 'https://example.com'}]", "would be fetched from https"),
        ("helmCharts: [{name: nginx, version: 1.0.0, repo: 'oci://example.com'}]", "would be fetched from oci"),
        ("helmCharts: [{name: gone}]", "the chart gone is not there"),
        ("helmCharts: [{name: ../../../../../../../../etc}]", "name is '../../../../../../../../etc', which is a path"),
        ("helmCharts: [{name: .., version: 1, repo: 'https://example.com'}]", "name is '..', which is a path"),
        (
            "helmCharts: [{name: nginx, version: ../x, repo: 'https://example.com'}]",
            "version is '../x', which is a path",
        ),
        ("helmCharts: [{name: -nginx}]", "name begins with a dash"),
        ("helmCharts: [{name: nginx}]\nhelmGlobals: {chartHome: /etc}", "chartHome /etc is an absolute path"),
        (
            "helmCharts: [{name: nginx}]\nhelmGlobals: {chartHome: ../../../../../../../etc}",
            "leads out of the checkout",
        ),
        ("helmCharts: [{name: nginx}]\nhelmGlobals: {chartHome: linked}", "leads out of the checkout"),
        ("helmCharts: [{name: nginx}]\nhelmGlobals: {configHome: plugins}", "configHome would give helm settings"),
        ("helmCharts: [{name: nginx, releaseName: --post-renderer=evil.sh}]", "releaseName begins with a dash"),
        ("helmChartInflationGenerator: [{chartName: nginx, helmHome: plugins}]", "configHome would give helm settings"),
        ("helmChartInflationGenerator: [{chartName: nginx, chartHome: /etc}]", "chartHome /etc is an absolute path"),
        ("generators: [folder]", "with --enable-helm it may only name their files"),
    ],
)
def test_what_a_chart_may_not_be(nginx_chart, text: str, message: str) -> None:
    with_chart(nginx_chart, text + "\n").write({"folder/kustomization.yaml": "namePrefix: x\n"})
    (nginx_chart.root / "linked").symlink_to("/etc")
    with pytest.raises(RenderError, match=message):
        rendered(nginx_chart.request(kustomize=WITH_HELM))


@pytest.mark.parametrize("form", ["file", "inline", "folder"])
def test_a_chart_of_a_generator_is_held_to_the_same(nginx_chart, form: str) -> None:
    generator = (
        "{apiVersion: builtin, kind: HelmChartInflationGenerator, metadata: {name: it}, name: nginx, chartHome: /x}"
    )
    entry = {"file": "generator.yaml", "inline": f"'{generator}'", "folder": "folder"}[form]
    with_chart(nginx_chart, f"generators: [{entry}]\n").write(
        {
            "generator.yaml": generator,
            "folder/kustomization.yaml": "resources: [generator.yaml]\n",
            "folder/generator.yaml": generator,
        }
    )
    with pytest.raises(RenderError, match=r"HelmChartInflationGenerator: chartHome /x is an absolute path"):
        rendered(nginx_chart.request(kustomize=WITH_HELM))


def test_no_reading_of_a_plug_in_makes_it_another_chart(nginx_chart) -> None:
    """kyaml takes a key where a merge says otherwise, and kubectl what is merged: one of them is laid out."""
    with_chart(nginx_chart, "resources: [it.yaml]\ngenerators: [generator.yaml]\n").write(
        {
            "it.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\n",
            "generator.yaml": """
                apiVersion: builtin
                kind: HelmChartInflationGenerator
                metadata: {name: made}
                name: nginx
                chartHome: /etc
                <<: {kind: ConfigMapGenerator}
                """,
        }
    )
    assert [o["kind"] for o in data(rendered(nginx_chart.request(kustomize=WITH_HELM)))] == ["ConfigMap", "ConfigMap"]


def test_a_link_out_in_a_chart_is_refused(nginx_chart) -> None:
    with_chart(nginx_chart, CHART)
    (nginx_chart.root / "charts/nginx/passwd").symlink_to("/etc/passwd")
    with pytest.raises(RenderError, match="charts/nginx/passwd is a link that leads out"):
        rendered(nginx_chart.request(kustomize=WITH_HELM))


def test_helm_has_no_settings_but_its_own_empty_ones(nginx_chart, each_helm: str) -> None:
    with_chart(nginx_chart, "helmCharts: [{name: nginx, nameTemplate: '{{ env \"HOME\" | base }}'}]\n")
    found = data(rendered(nginx_chart.request(kustomize=WITH_HELM)))
    assert {o["metadata"]["name"] for o in found} == {"home"}
