"""What --explain says of a unit: read from the render and the files, before anything is applied."""

from renderers.api import Use
from renderers.explain import Explained, explain
from renderers.options import RenderOptions
from renderers.tree import render_tree

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
    "values.yaml": "image: nginx:1\n",
    "templates/web.yaml": """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, annotations: {at: {{ now | quote }}}}
        spec:
          template:
            spec:
              initContainers: [{name: wait, image: busybox}]
              containers: [{name: web, image: {{ .Values.image }}}]
        """,
    "templates/secret.yaml": """
        {{- $old := lookup "v1" "Secret" .Release.Namespace "web" }}
        apiVersion: v1
        kind: Secret
        metadata: {name: web}
        data: {password: {{ randAlphaNum 8 | b64enc }}}
        """,
    "templates/hook.yaml": """
        apiVersion: batch/v1
        kind: Job
        metadata: {name: migrate, annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
        spec: {template: {spec: {containers: [{name: a, image: migrate:2}]}}}
        """,
    "templates/test.yaml": """
        apiVersion: v1
        kind: Pod
        metadata: {name: try, annotations: {helm.sh/hook: test}}
        spec: {containers: [{name: a, image: curl:3}]}
        """,
    "templates/old.yaml": """
        {{ if .Capabilities.APIVersions.Has "policy/v1beta1" }}{{ end }}
        apiVersion: policy/v1beta1
        kind: PodDisruptionBudget
        metadata: {name: web}
        """,
}


def explained(repository, folder: str = ".") -> tuple[Explained, ...]:
    rendered = render_tree(repository.root, repository.root / folder, RenderOptions(explain=True))
    return explain(rendered, "v1.36.3")


def test_all_of_a_chart_is_said(repository) -> None:
    [unit] = explained(repository.write(CHART, "chart"))
    assert (unit.unit.folder, unit.unit.renderer, unit.objects) == ("chart", "helm", 3)
    assert set(unit.unit.inputs) == {f"chart/{name}" for name in CHART}
    assert unit.hooks == ("Job.batch/migrate (pre-install,pre-upgrade)",)
    assert unit.tests == ("Pod/try",)
    assert unit.images == ("busybox", "curl:3", "migrate:2", "nginx:1")
    assert unit.of("lookup") == (Use("lookup", "lookup v1 Secret", "chart/templates/secret.yaml:1"),)
    assert [use.what for use in unit.of("random", "time")] == ["randAlphaNum", "now"]
    assert [use.where for use in unit.of("capability")] == ["chart/templates/old.yaml:1"]
    [outdated] = unit.outdated
    assert outdated.startswith("PodDisruptionBudget.policy/web: ")
    assert "use policy/v1" in outdated


def test_each_unit_has_its_own(repository) -> None:
    repository.write(CHART, "chart").write({"plain/a.yaml": CHART["templates/test.yaml"]})
    assert [(unit.unit.folder, unit.unit.renderer, unit.images) for unit in explained(repository)] == [
        (".", "yaml", ("curl:3",)),
        ("chart", "helm", ("busybox", "curl:3", "migrate:2", "nginx:1")),
    ]


def test_what_is_no_list_of_containers_is_no_image(repository) -> None:
    odd = "containers: {image: x}\nspec: {containers: [1, {image: 2}]}\n"
    repository.write({"a.yaml": f"apiVersion: v1\nkind: A\nmetadata: {{name: a}}\n{odd}"})
    assert explained(repository)[0].images == ()
