"""`trimtab render`: what it prints instead of manifests, and that what is not valid is not printed."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\n",
    "templates/map.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n",
    "templates/NOTES.txt": "Visit {{ .Release.Name }}.\n",
}
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
SCHEMAS = {
    "definitions": {
        META: {"type": "object", "properties": {"name": {"type": "string"}}},
        "io.k8s.api.core.v1.ConfigMap": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "data": {"type": "object"},
                "metadata": {"$ref": f"#/definitions/{META}"},
            },
            "x-kubernetes-group-version-kind": [{"group": "", "kind": "ConfigMap", "version": "v1"}],
        },
    }
}  # fmt: skip


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    for name, text in CHART.items():
        file = tmp_path / "shop" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return tmp_path / "shop"


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    file = tmp_path / "swagger.json"
    file.write_text(json.dumps(SCHEMAS))
    return file


def test_notes_are_printed_alone(trimtab: Any, chart: Path) -> None:
    assert trimtab("render", chart, "--notes").out == "Visit shop.\n"


def test_notes_of_several_charts_say_whose(trimtab: Any, chart: Path) -> None:
    (chart.parent / "other").mkdir()
    for name in ("Chart.yaml", "templates"):
        (chart.parent / "other" / name).symlink_to(f"../shop/{name}")
    assert trimtab("render", chart.parent, "--notes").out == "other:\nVisit other.\n\nshop:\nVisit shop.\n"
    told = json.loads(trimtab("render", chart.parent, "--notes", "-o", "json").out)
    assert [(each["folder"], each["notes"].strip()) for each in told] == [
        ("other", "Visit other."),
        ("shop", "Visit shop."),
    ]


def test_explain_is_for_people_or_data(trimtab: Any, chart: Path) -> None:
    text = trimtab("render", chart, "--explain").out
    assert text.startswith(".: helm, 1 object\n  inputs:   Chart.yaml\n")
    [unit] = json.loads(trimtab("render", chart, "--explain", "-o", "json").out)
    assert unit["inputs"] == ["Chart.yaml", "templates/NOTES.txt", "templates/map.yaml"]


def test_notes_and_explain_are_one_choice(trimtab: Any, chart: Path) -> None:
    result = trimtab("render", chart, "--notes", "--explain")
    assert (result.code, result.out) == (2, "")


def test_what_is_valid_is_printed(trimtab: Any, chart: Path, schemas: Path) -> None:
    result = trimtab("render", chart, "--validate", "--schemas", schemas)
    assert (result.code, result.err) == (0, "")
    assert "kind: ConfigMap" in result.out


def test_what_is_not_valid_is_not_printed(trimtab: Any, chart: Path, schemas: Path) -> None:
    (chart / "templates" / "map.yaml").write_text(CHART["templates/map.yaml"] + "dota: {}\n")
    result = trimtab("render", chart, "--validate", "--schemas", schemas)
    assert (result.code, result.out) == (1, "")
    assert result.err == "error: templates/map.yaml: ConfigMap/shop: dota is no field of it\n"


def test_a_kind_without_a_schema_is_a_warning(trimtab: Any, chart: Path, schemas: Path) -> None:
    (chart / "templates" / "lamp.yaml").write_text("apiVersion: example.com/v1\nkind: Lamp\nmetadata: {name: a}\n")
    result = trimtab("render", chart, "--validate", "--schemas", schemas)
    assert result.code == 0
    assert "Lamp.example.com/a is not validated" in result.err


def test_missing_schemas_are_an_error_that_says_where_to_get_them(trimtab: Any, chart: Path, tmp_path: Path) -> None:
    env = {"GOMODCACHE": str(tmp_path), "GOPATH": "", "HOME": str(tmp_path)}
    result = trimtab("render", chart, "--validate", env=env)
    assert (result.code, result.out) == (2, "")
    assert "--schemas FILE" in result.err
