"""What a chart makes use of, read from its templates."""

import io
import tarfile

import pytest

from renderers.api import Use
from renderers.helm import template
from renderers.helm.tokens import actions
from renderers.unit import render_unit

CHART = "apiVersion: v2\nname: it\nversion: 0.1.0\n"


def found(repository, text: str) -> list[tuple[str, str, int]]:
    """The uses of one template: kind, what, line."""
    file = repository.root / "chart/templates/it.yaml"
    file.parent.mkdir(parents=True)
    (repository.root / "chart/Chart.yaml").write_text(CHART)
    file.write_text(text)
    uses = template.uses(repository.request("chart"))
    assert {use.where.rpartition(":")[0] for use in uses} <= {"chart/templates/it.yaml"}
    return [(use.kind, use.what, int(use.where.rpartition(":")[2])) for use in uses]


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ('{{ lookup "v1" "Secret" .ns "x" }}', [("lookup", "lookup v1 Secret", 1)]),
        ("{{- (lookup $v $k `` ``).data -}}", [("lookup", "lookup", 1)]),
        ('{{ lookup "v1" (printf "%s" "x") }}', [("lookup", "lookup v1", 1)]),
        ("a\n{{ randAlphaNum 8 | b64enc }}", [("random", "randAlphaNum", 2)]),
        ("{{ $ca := genCA `a` 365 }}\n\n{{ uuidv4 }}", [("random", "genCA", 1), ("random", "uuidv4", 3)]),
        ('{{ if .a }}{{ else if (htpasswd "a" "b") }}{{ end }}', [("random", "htpasswd", 1)]),
        ("{{ now | date `2006` }}", [("time", "now", 1)]),
        ("{{ date `2006` .Values.day }}", [("time", "date", 1)]),
        ("{{ toDate `2006` .Values.day | date `06` }}", []),
        ("{{ tpl .Values.text $ }}", [("tpl", "tpl", 1)]),
        ("{{ getHostByName `a` }}", [("network", "getHostByName", 1)]),
        ('{{ .Capabilities.APIVersions.Has "a/v1" }}', [("capability", "APIVersions.Has a/v1", 1)]),
        ("{{ $.Capabilities.KubeVersion.Minor }}", [("capability", "KubeVersion.Minor", 1)]),
        ("{{ with .context.Capabilities }}x{{ end }}", [("capability", "Capabilities", 1)]),
        ("{{\n  include\n  (\n    now ) }}", [("time", "now", 4)]),
        # No use: not in an action, in a comment, in a text, a field, a variable, a key.
        ("randAlphaNum now lookup", []),
        ("{{/* randAlphaNum 8 }} */}}{{- /* now */ -}}", []),
        ('{{ "now }} {{ uuidv4" }}{{ `{{ now }}` }}', []),
        ('{{ "a\\" now" }}', []),
        ("{{ .Values.now }}{{ $.lookup }}{{ $now }}{{ .Values.Capabilities }}{{ .CapabilitiesOf }}", []),
        ("{{ derivePassword 1 `long` `a` `b` `c` }}", []),
        ("{{ nowhere }}{{ renow }}", []),
        ("{{ now", []),
        ("{{/* never closed {{ now }}", []),
    ],
)
def test_uses_of_a_template(repository, text: str, uses: list[tuple[str, str, int]]) -> None:
    assert found(repository, text) == uses


def test_a_use_is_named_once_a_line(repository) -> None:
    assert found(repository, "{{ now }}{{ now }}\n{{ now }}") == [("time", "now", 1), ("time", "now", 2)]


def test_subcharts_in_folders_archives_and_beside_it_are_looked_at(repository) -> None:
    local = 'dependencies: [{name: beside, version: 0.1.0, repository: "file://../beside"}]\n'
    repository.write({"Chart.yaml": CHART + local, "values.yaml": "{{ now }}", "README.md": "{{ now }}"}, "chart")
    for place in ("chart/charts/sub", "beside"):
        name = place.rpartition("/")[2]
        repository.write({"Chart.yaml": CHART.replace("it", name), "templates/_a.tpl": "\n{{ uuidv4 }}"}, place)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file in ("Chart.yaml", "templates/_a.tpl"):
            archive.add(repository.root / "chart/charts/sub" / file, f"sub/{file}")
    (repository.root / "chart/charts/packed.tgz").write_bytes(packed.getvalue())
    places = {use.where for use in template.uses(repository.request("chart"))}
    assert places == {
        "chart/charts/sub/templates/_a.tpl:1",
        "chart/charts/packed.tgz/templates/_a.tpl:1",
        "beside/templates/_a.tpl:1",
    }


def test_a_dependency_that_is_not_there_does_not_matter(repository) -> None:
    remote = "dependencies: [{name: redis, version: 1.0.0, repository: 'https://example.com'}]\n"
    repository.write({"Chart.yaml": CHART + remote, "templates/NOTES.txt": "{{ now }}"}, "chart")
    assert template.uses(repository.request("chart")) == (Use("time", "now", "chart/templates/NOTES.txt:1"),)


@pytest.mark.parametrize("piece", ["{{/* }}", "{{", '{{ "', "{{ `", "{{ a.b ", "}}", "{{ '", "{{/**/}}"])
def test_no_text_takes_long(piece: str) -> None:
    assert sum(len(tokens) for tokens in actions(piece * 50_000)) <= 100_000


def test_uses_are_part_of_what_a_unit_came_to_and_know_where_dependencies_lie(repository) -> None:
    local = 'dependencies: [{name: beside, version: 0.1.0, repository: "file://../beside"}]\n'
    repository.write({"Chart.yaml": CHART + local, "templates/NOTES.txt": "{{ now }}"}, "chart")
    repository.write({"Chart.yaml": CHART.replace("it", "beside"), "templates/_a.tpl": "{{ now }}"}, "beside")
    rendered = render_unit(template, repository.request("chart", explain=True, notes=True))
    places = {use.where for use in rendered.units[0].uses}
    assert places == {"chart/templates/NOTES.txt:1", "beside/templates/_a.tpl:1"}
