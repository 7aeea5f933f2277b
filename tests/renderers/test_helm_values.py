"""Values of a chart: where they may come from, which wins, and what is said of those that are wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from renderers.api import HelmOptions, RenderError, RenderRequest
from renderers.helm import template
from renderers.unit import render_unit

pytestmark = pytest.mark.usefixtures("each_helm")

PRINTER = """
apiVersion: v1
kind: ConfigMap
metadata: {name: it}
data: {values: {{ omit .Values "global" "sub" | toJson | quote }}}
"""


def values(request: RenderRequest) -> Any:
    """What `.Values` comes to."""
    return json.loads(render_unit(template, request).manifests[-1].data["data"]["values"])


@pytest.fixture
def printer(repository):
    """A chart, in `chart`, that prints its values."""
    chart = "apiVersion: v2\nname: printer\nversion: 0.1.0\n"
    return repository.write({"Chart.yaml": chart, "values.yaml": "a: chart\n", "templates/it.yaml": PRINTER}, "chart")


def test_each_kind_of_values_wins_over_the_one_before(printer, tmp_path: Path) -> None:
    (tmp_path / "set").write_text("set-file")
    (printer.root / "one.yaml").write_text("{a: file, b: file, c: file, d: file, e: file, f: file}")
    options = HelmOptions(
        value_files=(printer.root / "one.yaml",),
        value_texts=(("ConfigMap x", b"{b: text, c: text, d: text, e: text, f: text}"),),
        values={"c": "map", "d": "map", "e": "map", "f": "map"},
        set=("d=set,e=set", "f=set"),
        set_string=("e=string", "f=string"),
        set_file=(("f", tmp_path / "set"),),
    )
    found = values(printer.request("chart", helm=(options,)))
    assert found == {"a": "file", "b": "text", "c": "map", "d": "set", "e": "string", "f": "set-file"}


@pytest.mark.parametrize("name", ["plain", "with,comma", "with\\backslash", "{braces}", 'quo"te', "a=b", "é ü", "-x"])
@pytest.mark.parametrize("inside", [True, False])
def test_files_have_any_name(printer, tmp_path: Path, name: str, inside: bool) -> None:
    folder = printer.root if inside else tmp_path.resolve()
    (folder / name).write_text("line\n, {x}\n")
    (folder / f"{name}.yaml").write_text("b: 1\n")
    options = HelmOptions(value_files=(folder / f"{name}.yaml",), set_file=(("a.b[1]", folder / name),))
    assert values(printer.request("chart", helm=(options,))) == {"a": {"b": [None, "line\n, {x}\n"]}, "b": 1}


def test_a_null_takes_a_value_away(printer) -> None:
    assert values(printer.request("chart", helm=(HelmOptions(values={"a": None}),))) == {}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (lambda root: HelmOptions(value_files=(root / "inside.yaml",)), "inside.yaml"),
        (lambda root: HelmOptions(value_files=(root.parent / "outside.yaml",)), "outside.yaml"),
        (lambda _: HelmOptions(value_texts=(("Secret db, key v", b"a: [1\nb: 2\n"),)), "Secret db, key v"),
    ],
)
def test_a_broken_values_file_is_called_as_people_know_it(printer, options: Any, name: str) -> None:
    for file in (printer.root / "inside.yaml", printer.root.parent / "outside.yaml"):
        file.write_text("a: [1\nb: 2\n")
    good = HelmOptions(value_texts=(("good", b"{}"),), values={"a": 1})
    with pytest.raises(RenderError, match=f"failed to parse {name}: ") as e:
        values(printer.request("chart", helm=(good, options(printer.root))))
    assert "/" not in e.value.message.partition("failed to parse")[2].partition(": ")[0]


def test_no_value_is_in_a_message_about_a_broken_text(printer) -> None:
    secret = HelmOptions(value_texts=(("Secret db, key v", b"- password: hunter2\n"),))
    with pytest.raises(RenderError, match="Secret db, key v") as e:
        values(printer.request("chart", helm=(secret,)))
    assert "hunter2" not in str(e.value)


def test_a_values_file_may_be_a_link_that_stays_inside(printer) -> None:
    (printer.root / "real.yaml").write_text("a: linked\n")
    (printer.root / "chart/values-link.yaml").symlink_to("../real.yaml")
    options = HelmOptions(value_files=(printer.root / "chart/values-link.yaml",))
    assert values(printer.request("chart", helm=(options,))) == {"a": "linked"}


SCHEMA = {"properties": {f"p{n}": {"type": "integer"} for n in range(60)} | {"a": {"type": "string"}}}


def test_all_errors_of_all_schemas_are_shown(printer) -> None:
    printer.write({"values.schema.json": json.dumps(SCHEMA)}, "chart")
    printer.write(
        {"Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n", "values.schema.json": json.dumps(SCHEMA)},
        "chart/charts/sub",
    )
    wrong = {f"p{n}": "x" for n in range(60)}
    (printer.root / "prod.yaml").write_text(json.dumps({**wrong, "sub": wrong}))
    options = HelmOptions(value_files=(printer.root / "prod.yaml",), set=("a=1",))
    with pytest.raises(RenderError, match="don't meet the specifications of the schema") as e:
        values(printer.request("chart", helm=(options,)))
    assert e.value.where == "chart"
    assert e.value.message.count("/p") == e.value.message.count("got string, want integer") == 120
    assert "got number, want string" in e.value.message
    assert "printer:" in e.value.message
    assert "sub:" in e.value.message
    assert e.value.message.endswith("The values are those of the chart, and of prod.yaml, --set.")


def test_values_reach_subcharts_as_helm_says(printer) -> None:
    printer.write(
        {
            "Chart.yaml": """
                apiVersion: v2
                name: printer
                version: 0.1.0
                dependencies:
                - {name: sub, version: 0.1.0, import-values: [{child: out, parent: in}], tags: [extra]}
                """
        },
        "chart",
    )
    printer.write(
        {
            "Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
            "values.yaml": "out: {x: 1}\n",
            "templates/sub.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Values.global.name }}}\n",
        },
        "chart/charts/sub",
    )
    with_sub = printer.request("chart", helm=(HelmOptions(values={"global": {"name": "mine"}}),))
    assert values(with_sub) == {"a": "chart", "in": {"x": 1}}
    assert [m.id.name for m in render_unit(template, with_sub).manifests] == ["mine", "it"]
    without = printer.request("chart", helm=(HelmOptions(values={"tags": {"extra": False}}),))
    assert [m.id.name for m in render_unit(template, without).manifests] == ["it"]
