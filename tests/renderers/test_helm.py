"""The helm renderer: what helm prints, taken apart, and a chart that may read and do nothing else."""

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from renderers.api import Capabilities, HelmOptions, Limits, Rendered, RenderError, RenderRequest
from renderers.helm import template
from renderers.manifest import ManifestError
from renderers.manifest.load import load_text
from renderers.unit import render_unit

pytestmark = pytest.mark.usefixtures("each_helm")

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata:\n"


def render(request: RenderRequest) -> Rendered:
    """The unit as all of Trimtab renders it."""
    return render_unit(template, request)


def printed(chart: Path, *options: str) -> list[Any]:
    """What `helm template` prints, as objects."""
    argv = ["helm", "template", "demo", str(chart), "--namespace", "shop", "--kube-version", "v1.36.3", *options]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return [document.data for document in load_text(done.stdout, file="helm").documents]


def data(manifests: Any) -> list[Any]:
    """The objects."""
    return [manifest.data for manifest in manifests]


def values_of(repository, *options: HelmOptions, **changes: Any) -> Any:
    """What `.Values` comes to in a chart that prints its values."""
    rendered = render(repository.request("chart", helm=options, **changes))
    return rendered.manifests[0].data["data"]


@pytest.fixture
def printer(repository):
    """A chart, in `chart`, that prints its value `a`, `b` and `c`."""
    return repository.write(
        {
            "Chart.yaml": "apiVersion: v2\nname: printer\nversion: 0.1.0\n",
            "values.yaml": "a: chart\nb: chart\nc: chart\n",
            "templates/it.yaml": CONFIG_MAP
            + "".join(f"  {key}: {{{{ .Values.{key} | toJson | quote }}}}\n" for key in "abc"),
        },
        "chart",
    )


def test_the_output_is_helms(nginx_chart) -> None:
    rendered = render(nginx_chart.request("chart"))
    assert data(rendered.manifests) == printed(nginx_chart.root / "chart")
    assert [str(manifest.origin) for manifest in rendered.manifests] == [
        "chart/templates/service.yaml",
        "chart/templates/deployment.yaml",
    ]
    assert {manifest.origin.unit for manifest in rendered.manifests} == {"chart"}


def test_nothing_is_written_into_the_checkout(nginx_chart) -> None:
    before = nginx_chart.seen()
    render(nginx_chart.request("chart", helm=(HelmOptions(values={"replicas": 1}),)))
    assert nginx_chart.seen() == before


def test_release_name_and_namespace(nginx_chart) -> None:
    deployment = render(nginx_chart.request("chart")).manifests[1]
    assert str(deployment.id) == "Deployment.apps/shop/demo"
    named = (HelmOptions(release_name="settings"), HelmOptions(release_name="flag"), HelmOptions())
    assert render(nginx_chart.request("chart", helm=named)).manifests[1].id.name == "flag"


def test_values_files_then_values_then_sets(printer) -> None:
    printer.write({"one.yaml": "a: one\nb: one\nc: one\n", 'two,"2".yaml': "a: two\nb: two\n"})
    files = (printer.root / "one.yaml", printer.root / 'two,"2".yaml')
    assert values_of(printer, HelmOptions(value_files=files)) == {"a": '"two"', "b": '"two"', "c": '"one"'}
    inline = HelmOptions(value_files=files, values={"a": "map"})
    assert values_of(printer, inline) == {"a": '"map"', "b": '"two"', "c": '"one"'}
    sets = HelmOptions(value_files=files, values={"a": "map"}, set=("a=8",), set_string=("b=8",))
    assert values_of(printer, sets) == {"a": "8", "b": '"8"', "c": '"one"'}


def test_later_options_win_over_earlier_ones(printer) -> None:
    printer.write({"flag.yaml": "a: flag\n"})
    settings = HelmOptions(values={"a": "settings", "b": "settings"})
    assert values_of(printer, settings, HelmOptions(value_files=(printer.root / "flag.yaml",))) == {
        "a": '"flag"',
        "b": '"settings"',
        "c": '"chart"',
    }


@pytest.mark.parametrize(
    "value", ["yes", "1e3", "0644", "a: b", "{{ .x }}", "line\nline\n", 8, 1.5, True, [1, {"k": "v"}]]
)
def test_values_arrive_as_they_are(printer, value: Any) -> None:
    assert json.loads(values_of(printer, HelmOptions(values={"a": value}))["a"]) == value


def test_a_missing_values_file_is_named(printer) -> None:
    with pytest.raises(RenderError, match=r"the file gone\.yaml cannot be read: No such file"):
        values_of(printer, HelmOptions(value_files=(printer.root / "gone.yaml",)))


def test_capabilities_are_the_target_clusters(repository) -> None:
    repository.write(
        {
            "Chart.yaml": "apiVersion: v2\nname: asks\nversion: 0.1.0\n",
            "templates/it.yaml": CONFIG_MAP
            + "  kube: {{ .Capabilities.KubeVersion }}\n"
            + '  has: {{ .Capabilities.APIVersions.Has "example.com/v7/Thing" | quote }}',
        },
        "chart",
    )
    assert values_of(repository) == {"kube": "v1.36.3", "has": "false"}
    known = Capabilities("v1.31.4", ("v1", "example.com/v7/Thing"))
    assert values_of(repository, capabilities=known) == {"kube": "v1.31.4", "has": "true"}


def test_a_chart_for_another_kubernetes_is_helms_message(nginx_chart) -> None:
    nginx_chart.write({"Chart.yaml": "apiVersion: v2\nname: nginx\nversion: 0.1.0\nkubeVersion: '>=1.99'\n"}, "chart")
    with pytest.raises(
        RenderError, match=r"requires kubeVersion: >=1.99 which is incompatible with Kubernetes v1.36.3"
    ):
        render(nginx_chart.request("chart"))


@pytest.mark.parametrize("wanted", [True, False])
def test_the_crds_folder_comes_or_stays(nginx_chart, wanted: bool) -> None:
    nginx_chart.write(
        {
            "crds/crd.yaml": """
                apiVersion: apiextensions.k8s.io/v1
                kind: CustomResourceDefinition
                metadata: {name: a.example.com}
                ---
                apiVersion: apiextensions.k8s.io/v1
                kind: CustomResourceDefinition
                metadata: {name: b.example.com}
                """
        },
        "chart",
    )
    rendered = render(nginx_chart.request("chart", helm=(HelmOptions(include_crds=wanted), HelmOptions())))
    crds = [m for m in rendered.manifests if m.id.kind == "CustomResourceDefinition"]
    assert [m.id.name for m in crds] == (["a.example.com", "b.example.com"] if wanted else [])
    assert {str(m.origin) for m in crds} == ({"chart/crds/crd.yaml"} if wanted else set())


def test_hooks_and_tests_are_no_manifests(nginx_chart) -> None:
    events = {
        "a": "pre-install,post-upgrade",
        "b": "test",
        "c": "test-success",
        "e": "test,pre-delete",
    }
    nginx_chart.write(
        {
            f"templates/{key}.yaml": f"""
                apiVersion: batch/v1
                kind: Job
                metadata:
                  name: {key}
                  annotations: {{helm.sh/hook: "{text}"}}
                """
            for key, text in events.items()
        },
        "chart",
    )
    rendered = render(nginx_chart.request("chart"))
    assert {m.id.kind for m in rendered.manifests} == {"Deployment", "Service"}
    assert {m.id.name for m in rendered.hooks} == {"a", "e"}
    assert {m.id.name for m in rendered.tests} == {"b", "c"}


def test_a_subcharts_objects_name_their_file(nginx_chart) -> None:
    nginx_chart.write(
        {
            "Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
            "templates/it.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: sub}\n",
        },
        "chart/charts/sub",
    )
    origins = {str(m.origin) for m in render(nginx_chart.request("chart")).manifests}
    assert "chart/charts/sub/templates/it.yaml" in origins


def test_a_dependency_that_is_not_there_says_what_to_do(nginx_chart) -> None:
    nginx_chart.write(
        {
            "Chart.yaml": """
                apiVersion: v2
                name: nginx
                version: 0.1.0
                dependencies: [{name: redis, version: 1.0.0, repository: "https://example.com"}]
                """
        },
        "chart",
    )
    with pytest.raises(RenderError, match=r"not in its charts/ folder: redis 1\.0\.0 from https://example\.com: ") as e:
        render(nginx_chart.request("chart"))
    assert "helm dependency update" in e.value.hint
    assert "allowRemote" in e.value.hint


def test_a_failing_template_is_helms_own_message(nginx_chart) -> None:
    nginx_chart.write({"templates/service.yaml": '{{ fail "no service today" }}\n'}, "chart")
    with pytest.raises(RenderError) as e:
        render(nginx_chart.request("chart"))
    assert e.value.message == (
        "helm template failed with exit code 1: execution error at (chart/templates/service.yaml:1:3): no service today"
    )
    assert (e.value.where, e.value.exit_code) == ("chart", 2)


def test_a_broken_template_names_file_and_line(nginx_chart) -> None:
    nginx_chart.write({"templates/service.yaml": "a: {{ .Values.x | nosuchfunction }}\n"}, "chart")
    with pytest.raises(RenderError, match=r'templates/service.yaml:1.: function "nosuchfunction" not defined') as e:
        render(nginx_chart.request("chart"))
    assert "goroutine" not in str(e.value)
    assert str(nginx_chart.root) not in str(e.value)


def test_a_document_without_a_kind_names_its_template(nginx_chart) -> None:
    nginx_chart.write({"templates/service.yaml": "apiVersion: v1\nmetadata: {name: it}\n"}, "chart")
    with pytest.raises(ManifestError, match="has no kind") as e:
        render(nginx_chart.request("chart"))
    assert e.value.where.startswith("chart/templates/service.yaml (rendered)")


def test_a_duplicate_key_is_a_warning_with_its_template(nginx_chart) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata:\n  a: first\n  a: last\n"
    nginx_chart.write({"templates/service.yaml": text}, "chart")
    rendered = render(nginx_chart.request("chart"))
    assert [w for w in rendered.warnings if "chart/templates/service.yaml" in w]
    assert {"a": "last"} in [m.data.get("data") for m in rendered.manifests]


def test_a_chart_of_nothing_is_empty(repository) -> None:
    repository.write(
        {"Chart.yaml": "apiVersion: v2\nname: nothing\nversion: 0.1.0\n", "templates/it.yaml": "{{/* */}}"}
    )
    assert render(repository.request()).manifests == ()


def test_notes_are_not_printed_and_lookup_finds_nothing(nginx_chart) -> None:
    nginx_chart.write(
        {
            "templates/NOTES.txt": "Thank you for installing\n",
            "templates/service.yaml": CONFIG_MAP + '  found: {{ lookup "v1" "Secret" "" "" | len | quote }}\n',
        },
        "chart",
    )
    found = [m.data.get("data") for m in render(nginx_chart.request("chart")).manifests]
    assert {"found": "0"} in found
    assert len(found) == 2


def test_what_helm_warns_of_is_a_warning(nginx_chart) -> None:
    nginx_chart.write({"values.yaml": "replicas: 3\nimage: nginx\nsub: {a: {b: 1}}\n"}, "chart")
    warnings = render(nginx_chart.request("chart", helm=(HelmOptions(set=("sub.a=1",)),))).warnings
    assert any(w.startswith("chart: helm: ") and "cannot overwrite table with non table" in w for w in warnings)


@pytest.mark.parametrize("place", ["templates/link.yaml", "files/link", "charts/link"])
@pytest.mark.parametrize("target", ["/etc/passwd", "/etc", "../../../../../../../../../../etc/hostname"])
def test_a_link_out_is_refused_before_helm_runs(nginx_chart, without_tools, place: str, target: str) -> None:
    link = nginx_chart.root / "chart" / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    without_tools("helm")
    with pytest.raises(RenderError, match=f"chart/{place} is a link that leads out of the checkout"):
        render(nginx_chart.request("chart"))


def test_a_link_to_a_folder_with_a_link_out_is_refused(nginx_chart) -> None:
    (nginx_chart.root / "shared").mkdir()
    (nginx_chart.root / "shared/passwd").symlink_to("/etc/passwd")
    (nginx_chart.root / "chart/files").symlink_to("../shared")
    with pytest.raises(RenderError, match="passwd is a link that leads out"):
        render(nginx_chart.request("chart"))


def test_a_link_that_stays_inside_is_followed(nginx_chart) -> None:
    nginx_chart.write({"shared/it.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: linked}\n"})
    (nginx_chart.root / "chart/templates/linked").symlink_to("../../shared")
    rendered = render(nginx_chart.request("chart"))
    assert "linked" in {m.id.name for m in rendered.manifests}
    assert not any("symbolic link" in warning for warning in rendered.warnings)


SCHEMAS = [
    '{"$ref": "file:///etc/passwd"}',
    '{"$ref": "/etc/passwd"}',
    '{"$ref": "etc/passwd"}',
    '{"$ref": "FILE:///etc/passwd#/a"}',
    '{"\\u0024ref": "etc/passwd"}',
    '{"$ref": "etc/passwd", "$ref": "#"}',
    '{"$schema": "file:///etc/passwd"}',
    '{"properties": {"a": [{"items": {"$dynamicRef": "../etc/passwd"}}]}}',
    '{"$ref": "/etc/passwd", "examples": [{"$id": "/etc/passwd"}]}',
]


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("place", ["values.schema.json", "charts/sub/values.schema.json"])
def test_a_schema_that_refers_to_a_file_is_refused(nginx_chart, schema: str, place: str) -> None:
    nginx_chart.write({place: schema}, "chart")
    with pytest.raises(RenderError, match="a schema may refer to no other file") as e:
        render(nginx_chart.request("chart"))
    assert e.value.where == f"chart/{place}"


def packed(chart: Path, name: str = "{}") -> bytes:
    """A folder as `helm package` packs it; `name` is how members are called."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file in chart.rglob("*"):
            archive.add(file, name.format(file.relative_to(chart.parent)), recursive=False)
    return packed.getvalue()


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("name", ["{}", "{}/x/.."])
def test_a_schema_in_an_archive_is_looked_at_too(nginx_chart, depth: int, name: str) -> None:
    chart = nginx_chart.root / "chart"
    for _ in range(depth):
        sub = nginx_chart.root / "sub"
        nginx_chart.write({"Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n"}, "sub")
        if not (sub / "charts").exists():
            nginx_chart.write({"values.schema.json": SCHEMAS[0]}, "sub")
        archive = packed(sub, name)
        shutil.rmtree(sub)
        (sub / "charts").mkdir(parents=True)
        (sub / "charts/sub.tgz").write_bytes(archive)
    (sub / "charts").rename(chart / "charts")
    with pytest.raises(RenderError, match="a schema may refer to no other file") as e:
        render(nginx_chart.request("chart"))
    assert e.value.where.startswith("chart/charts/sub.tgz, ")


def test_a_chart_in_an_archive_with_a_schema_of_its_own_is_rendered(nginx_chart) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "nginx",
        "properties": {"replicas": {"$ref": "#/$defs/count"}},
        "$defs": {"count": {"type": "integer"}},
    }
    nginx_chart.write({"values.schema.json": json.dumps(schema)}, "chart")
    nginx_chart.write({"Chart.yaml": "apiVersion: v2\nname: outer\nversion: 0.1.0\n"}, "outer")
    (nginx_chart.root / "outer/charts").mkdir()
    (nginx_chart.root / "outer/charts/nginx.tgz").write_bytes(packed(nginx_chart.root / "chart"))
    assert len(render(nginx_chart.request("outer")).manifests) == 2
    with pytest.raises(RenderError, match="got string, want integer"):
        render(nginx_chart.request("chart", helm=(HelmOptions(set=("replicas=many",)),)))


def test_an_archive_that_cannot_be_looked_into_is_refused(nginx_chart) -> None:
    nginx_chart.write({"charts/sub.tgz": "no archive"}, "chart")
    with pytest.raises(RenderError, match="the archive cannot be read") as e:
        render(nginx_chart.request("chart"))
    assert e.value.where == "chart/charts/sub.tgz"


def test_an_archive_that_unpacks_to_too_much_is_refused(nginx_chart) -> None:
    nginx_chart.write({"sub/zeros": ""})
    with (nginx_chart.root / "sub/zeros").open("wb") as file:
        file.truncate(101 << 20)
    (nginx_chart.root / "chart/charts").mkdir()
    (nginx_chart.root / "chart/charts/sub.tgz").write_bytes(packed(nginx_chart.root / "sub"))
    with pytest.raises(RenderError, match="unpack to too much"):
        render(nginx_chart.request("chart"))


def test_a_remote_schema_is_not_fetched(nginx_chart) -> None:
    nginx_chart.write({"values.schema.json": '{"$ref": "http://192.0.2.1/schema.json"}\n'}, "chart")
    with pytest.raises(RenderError, match=r"192\.0\.2\.1"):
        render(nginx_chart.request("chart", limits=Limits(wall=30)))


def test_a_name_that_helm_refuses_says_what_to_do(nginx_chart) -> None:
    with pytest.raises(RenderError, match="invalid release name") as e:
        render(nginx_chart.request("chart", name="--Not_A_Name"))
    assert "--release-name" in e.value.hint


def test_a_missing_helm_is_named(nginx_chart, without_tools: Callable[..., None]) -> None:
    without_tools("helm")
    with pytest.raises(RenderError, match="helm is not installed, or not on PATH"):
        render(nginx_chart.request("chart"))
