"""Charts, each for one feature of helm: the same objects as helm's own, in both majors."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from renderers.api import Capabilities, HelmOptions, Rendered, RenderError, RenderRequest
from renderers.helm import template
from renderers.manifest.load import load_text
from renderers.manifest.parse import parse_documents
from renderers.unit import render_unit

pytestmark = pytest.mark.usefixtures("each_helm")

V2 = "apiVersion: v2\nname: {}\nversion: 0.1.0\n"


def config_map(name: str, data: str = "{}", annotations: str = "{}") -> str:
    """A ConfigMap as text."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {annotations}}}\ndata: {data}\n"


def crd(name: str) -> str:
    """The least of a CustomResourceDefinition."""
    kind = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
    return f"{kind}metadata: {{name: {name}.example.com}}\n"


SUB = {"charts/sub/Chart.yaml": V2.format("sub"), "charts/sub/values.yaml": "a: sub\nexports: {out: {x: 1}}\n"}
PRINTS = '{{ printf "%v" (omit .Values "global") | quote }}'

CHARTS: dict[str, Mapping[str, str]] = {
    "crds in nested folders, subcharts and several documents": {
        "crds/a.yaml": f"# first\n{crd('a')}---\n{crd('b')}",
        "crds/deep/er/c.yml": f"---\n{crd('c')}",
        "crds/d.json": json.dumps({**load_text(crd("d"), file="d").documents[0].data}),
        "crds/README.md": "no manifest",
        "crds/templated.yaml": crd("raw") + "# {{ fail `not executed` }}\n",
        **SUB,
        "charts/sub/crds/sub.yaml": crd("sub"),
    },
    "ignored files": {
        ".helmignore": "*.bak\nprivate/\n",
        "templates/a.bak": "{{ fail `ignored` }}",
        "templates/private/a.yaml": "{{ fail `ignored` }}",
        "templates/.hidden.yaml": "{{ fail `ignored` }}",
        "templates/it.yaml": config_map("it", '{a: {{ .Files.Get "a.bak" | quote }}}'),
        "a.bak": "x",
    },
    "a subchart that a condition turns off": {
        "Chart.yaml": V2.format("it") + "dependencies: [{name: sub, version: 0.1.0, condition: sub.enabled}]\n",
        **SUB,
        "charts/sub/templates/it.yaml": "{{ fail `it is off` }}",
        "values.yaml": "sub: {enabled: false}\n",
    },
    "subcharts by tags": {
        "Chart.yaml": V2.format("it") + "dependencies: [{name: sub, version: 0.1.0, tags: [extra]}]\n",
        **SUB,
        "charts/sub/templates/it.yaml": config_map("sub"),
        "values.yaml": "tags: {extra: true}\n",
    },
    "a subchart that is not declared": {**SUB, "charts/sub/templates/it.yaml": config_map("sub", f"{{v: {PRINTS}}}")},
    "imported values": {
        "Chart.yaml": V2.format("it") + "dependencies: [{name: sub, version: 0.1.0, import-values: [out]}]\n",
        **SUB,
        "templates/it.yaml": config_map("it", f"{{v: {PRINTS}}}"),
    },
    "aliases": {
        "Chart.yaml": V2.format("it")
        + "dependencies: [{name: sub, version: 0.1.0, alias: one}, {name: sub, version: 0.1.0, alias: two}]\n",
        **SUB,
        "charts/sub/templates/it.yaml": config_map("{{ .Chart.Name }}", f"{{v: {PRINTS}}}"),
        "values.yaml": "one: {a: 1}\ntwo: {a: 2}\n",
    },
    "a library": {
        "charts/lib/Chart.yaml": V2.format("lib") + "type: library\n",
        "charts/lib/templates/_lib.tpl": '{{ define "lib.name" }}from-{{ .Chart.Name }}{{ end }}',
        "charts/lib/templates/no.yaml": config_map("a-library-has-no-objects"),
        "templates/it.yaml": config_map('{{ include "lib.name" . }}'),
    },
    "globals": {
        **SUB,
        "values.yaml": "global: {a: {b: [1, 2]}}\n",
        "charts/sub/templates/it.yaml": config_map("sub", '{a: "{{ .Values.global.a.b }}"}'),
    },
    "files and tpl": {
        "files/a.conf": "port = {{ .Values.port }}\n",
        "files/b.conf": "é\n",
        "values.yaml": "port: 80\n",
        "templates/it.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata:\n"
        '{{ (.Files.Glob "files/*").AsConfig | indent 2 }}\n'
        '  tpl: {{ tpl (.Files.Get "files/a.conf") . | quote }}\n',
    },
    "a release": {"templates/it.yaml": config_map("it", '{r: "{{ omit .Release `Service` }} {{ .Release.Service }}"}')},
    "a chart of version 1 with its dependencies apart": {
        "Chart.yaml": "name: it\nversion: 0.1.0\n",
        "requirements.yaml": "dependencies: [{name: sub, version: 0.1.0, alias: other}]\n",
        **SUB,
        "charts/sub/templates/it.yaml": config_map("{{ .Chart.Name }}"),
    },
    "texts that hold what divides documents": {
        "templates/it.yaml": config_map("it", '\n  a: |\n    ---\n    # Source: it/no.yaml\n    x\n\n\n  b: "--- "')
        + "---\n# only a comment\n---\n" + config_map("second", '{c: "}}"}'),
    },
    "a list": {
        "templates/it.yaml": "apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n"
    },
    "an order of kinds": {
        "templates/a.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n---\n" + config_map("z"),
        "templates/z.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns}\n",
        "templates/y.yaml": "apiVersion: example.com/v1\nkind: Unknown\nmetadata: {name: u}\n",
    },
    "values that null takes away": {
        **SUB,
        "values.yaml": "sub: {a: null}\n",
        "charts/sub/templates/it.yaml": config_map("sub", f"{{v: {PRINTS}}}"),
    },
    "CRLF and a byte order mark": {
        "values.yaml": "\ufeffa: 1\r\n",
        "templates/it.yaml": config_map("it", '{a: "{{ .Values.a }}"}').replace("\n", "\r\n"),
    },
}  # fmt: skip


def write(root: Path, files: Mapping[str, str]) -> None:
    """A chart in `root/chart`; the texts stay as they are."""
    for name, text in {"Chart.yaml": V2.format("it"), **files}.items():
        file = root / "chart" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())


def render(request: RenderRequest) -> Rendered:
    """The unit as all of Trimtab renders it."""
    return render_unit(template, request)


def helms(chart: Path, *options: str) -> list[Any]:
    """What helm itself prints, as objects."""
    argv = ["helm", "template", "demo", str(chart), "--namespace=shop", "--kube-version=v1.36.3", "--include-crds"]
    done = subprocess.run([*argv, *options], check=True, capture_output=True, timeout=60)
    return [manifest.data for manifest in parse_documents(done.stdout, file="helm", unit="")[0]]


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("is_upgrade", [False, True])
def test_objects_are_helms_own(repository, name: str, is_upgrade: bool) -> None:
    write(repository.root, CHARTS[name])
    rendered = render(repository.request("chart", is_upgrade=is_upgrade))
    expected = helms(repository.root / "chart", *(["--is-upgrade"] if is_upgrade else []))
    assert [m.data for m in rendered.manifests] == expected
    assert not rendered.hooks
    for manifest in rendered.manifests:
        assert (repository.root / manifest.origin.file).is_file()


def test_versions_of_apis_and_of_kubernetes_are_the_clusters(repository) -> None:
    text = '{a: "{{ .Capabilities.APIVersions.Has `a.example.com/v1/Thing` }} {{ .Capabilities.KubeVersion.Minor }}"}'
    write(repository.root, {"templates/it.yaml": config_map("it", text)})
    known = Capabilities("v1.29.7-eks-abc", ("a.example.com/v1", "a.example.com/v1/Thing"))
    assert render(repository.request("chart", capabilities=known)).manifests[0].data["data"] == {"a": "true 29"}


HOOKS = {
    "pre": "pre-install",
    "upper": "PRE-Install , Post-Upgrade",
    "both": "test,post-install",
    "test": "test",
    "old-test": "test-success",
    "two-tests": "test, test-success",
    "delete": "pre-delete",
}


def test_hooks_are_no_manifests_and_tests_are_no_hooks(repository) -> None:
    files = {
        f"templates/{name}.yaml": config_map(name, annotations=json.dumps({"helm.sh/hook": text}))
        for name, text in HOOKS.items()
    }
    hook = config_map("sub", annotations='{"helm.sh/hook": pre-upgrade, "helm.sh/hook-weight": "-5"}')
    write(repository.root, {**files, **SUB, "charts/sub/templates/it.yaml": hook, "templates/m.yaml": config_map("m")})
    rendered = render(repository.request("chart"))
    assert {m.id.name for m in rendered.manifests} == {"m"}
    assert {m.id.name for m in rendered.hooks} == {"pre", "upper", "both", "delete", "sub"}
    assert {m.id.name for m in rendered.tests} == {"test", "old-test", "two-tests"}


@pytest.mark.parametrize("text", ["", "no-such-event", "pre-install,crd-install", "pre-install,"])
def test_helm_drops_what_has_an_unknown_hook_and_that_is_said(repository, text: str) -> None:
    hook = config_map("it", annotations=json.dumps({"helm.sh/hook": text}))
    write(repository.root, {"templates/it.yaml": hook})
    rendered = render(repository.request("chart"))
    assert (rendered.manifests, rendered.hooks, rendered.tests) == ((), (), ())
    (warning,) = rendered.warnings
    assert warning.startswith("chart: helm: skipping unknown hook")
    assert text in warning


def test_a_hook_in_the_crds_folder_is_none(repository) -> None:
    write(repository.root, {"crds/it.yaml": config_map("it", annotations='{"helm.sh/hook": pre-install}')})
    rendered = render(repository.request("chart"))
    assert [m.id.name for m in rendered.manifests] == ["it"]
    assert not rendered.hooks


def test_of_a_list_its_own_annotations_count(repository) -> None:
    item = '{apiVersion: v1, kind: Secret, metadata: {name: {}, annotations: {"helm.sh/hook": pre-install}}}'
    hook = 'metadata: {annotations: {"helm.sh/hook": pre-install}}'
    text = f"apiVersion: v1\nkind: List\nitems: [{item.replace('{}', 'manifest')}]\n"
    text += f"---\napiVersion: v1\nkind: List\n{hook}\nitems: [{item.replace('{}', 'hook')}]\n"
    write(repository.root, {"templates/it.yaml": text})
    rendered = render(repository.request("chart"))
    assert [m.id.name for m in rendered.manifests] == ["manifest"]
    assert [m.id.name for m in rendered.hooks] == ["hook"]


def test_what_helm_says_is_the_same_in_both_majors(repository) -> None:
    write(repository.root, {"Chart.yaml": V2.format("it") + "deprecated: true\n", "templates/it.yaml": config_map("a")})
    (warning,) = render(repository.request("chart")).warnings
    assert warning.lower() == "chart: helm: this chart is deprecated"


@pytest.mark.parametrize(
    ("file", "text", "place"),
    [
        ("templates/it.yaml", "\n{{ fail `no` }}", "(chart/templates/it.yaml:2:3)"),
        ("templates/it.yaml", "{{ .Values.a.b }}", "chart/templates/it.yaml:1:"),
        ("templates/it.yaml", "\n{{ if }}", "(chart/templates/it.yaml:2)"),
        ("templates/it.yaml", "a: [", "chart/templates/it.yaml"),
        ("charts/sub/templates/it.yaml", "{{ required `r` .Values.x }}", "(chart/charts/sub/templates/it.yaml:1:3)"),
    ],
)
def test_an_error_names_the_template_from_the_checkout(repository, file: str, text: str, place: str) -> None:
    write(repository.root, {**SUB, file: text})
    with pytest.raises(RenderError) as e:
        render(repository.request("chart"))
    assert place in e.value.message
    assert e.value.where == "chart"


def test_a_chart_at_the_root_of_the_checkout(repository) -> None:
    write(
        repository.root, {**SUB, "templates/it.yaml": config_map("it"), "charts/sub/templates/s.yaml": config_map("s")}
    )
    for file in (repository.root / "chart").iterdir():
        file.rename(repository.root / file.name)
    rendered = render(repository.request())
    assert {str(m.origin) for m in rendered.manifests} == {"templates/it.yaml", "charts/sub/templates/s.yaml"}


def test_a_library_chart_says_what_to_do(repository) -> None:
    write(repository.root, {"Chart.yaml": V2.format("it") + "type: library\n"})
    with pytest.raises(RenderError, match="library charts are not installable") as e:
        render(repository.request("chart"))
    assert ".trimtabignore" in e.value.hint


@pytest.mark.parametrize("name", ["../../evil", "/etc", "a/b", "..", ".", "--post-renderer=/bin/sh", ""])
def test_a_chart_with_any_name_writes_and_reads_nothing_outside(repository, name: str) -> None:
    local = f'dependencies: [{{name: {json.dumps(name)}, version: 0.1.0, repository: "file://../other"}}]\n'
    write(repository.root, {"Chart.yaml": V2.format("it") + local, "templates/it.yaml": config_map("it")})
    repository.write({"Chart.yaml": f"apiVersion: v2\nname: {json.dumps(name)}\nversion: 0.1.0\n"}, "other")
    before = repository.seen()
    for folder in ("chart", "other"):
        with pytest.raises(RenderError):
            render(repository.request(folder))
    assert repository.seen() == before


@pytest.mark.parametrize("option", ["--post-renderer=sh", "-fx", "--", "--set=a=b"])
def test_a_name_is_never_a_flag(repository, option: str) -> None:
    write(repository.root, {"templates/it.yaml": config_map("it")})
    (repository.root / "chart").rename(repository.root / option)
    with pytest.raises(RenderError, match="release name"):
        render(repository.request(option, name=option))
    assert render(repository.request(option, namespace=option)).manifests


def test_a_lock_that_is_a_link_is_not_written_through(repository) -> None:
    local = 'dependencies: [{name: sub, version: 0.1.0, repository: "file://../sub"}]\n'
    write(repository.root, {"Chart.yaml": V2.format("it") + local})
    repository.write({"Chart.yaml": V2.format("sub"), "templates/it.yaml": config_map("sub")}, "sub")
    target = repository.root / "target"
    target.write_text("digest: stale\n")
    (repository.root / "chart/Chart.lock").symlink_to("../target")
    with pytest.raises(RenderError, match="out of sync"):
        render(repository.request("chart"))
    assert target.read_text() == "digest: stale\n"


@pytest.mark.parametrize("name", [".helmignore", "Chart.yaml", "values.yaml", "Chart.lock", "charts", "crds"])
def test_a_link_that_leads_out_is_refused_whatever_helm_would_do_with_it(repository, name: str) -> None:
    write(repository.root, {"templates/it.yaml": config_map("it"), ".helmignore": "*\n"})
    (repository.root / "chart" / name).unlink(missing_ok=True)
    (repository.root / "chart" / name).symlink_to("/etc")
    with pytest.raises(RenderError, match=f"chart/{name} is a link that leads out"):
        template.inputs(repository.request("chart"))


def test_no_plugin_and_no_setting_of_the_repository_is_used(repository) -> None:
    write(repository.root, {"templates/it.yaml": config_map("it")})
    plugin = "name: template\nversion: 0.1.0\ncommand: /bin/false\nhooks: {install: /bin/false}\n"
    for place in (".local/share/helm/plugins/p", "chart/.local/share/helm/plugins/p", "chart/plugins/p"):
        repository.write({"plugin.yaml": plugin, ".config/helm/repositories.yaml": "{"}, place)
    assert len(render(repository.request("chart", helm=(HelmOptions(),))).manifests) == 1
