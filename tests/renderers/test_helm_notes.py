"""NOTES: exactly what `helm install` would print."""

import subprocess
from pathlib import Path

import pytest

from renderers.api import HelmOptions, RenderError, RenderRequest
from renderers.helm import template
from renderers.unit import render_unit

NOTES = """Hello {{ .Release.Name }} of {{ .Chart.Name }}, {{ .Values.missing }}!

  <b>"quoted" & 'more'</b> --- {{ "{{" }} é \t
---
# Source: no/such/template.yaml
{{ .Template.Name }} in {{ .Template.BasePath }}; {{ $.Values.count }}; {{ include "it.name" . }}

"""
HELPERS = '{{ define "it.name" }}named{{ end }}'
CHANGES_VALUES = """
{{ $_ := set .Values "count" (add1 .Values.count) }}
apiVersion: v1
kind: ConfigMap
metadata: {name: it}
"""


def notes(request: RenderRequest) -> tuple[tuple[str, str], ...]:
    """The notes of a unit."""
    return render_unit(template, request).notes


def installed(chart: Path) -> str:
    """What Helm 4 prints behind NOTES; Helm 3 cannot without a cluster."""
    argv = ["helm4", "install", "demo", str(chart), "--namespace", "shop", "--dry-run=client"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.partition("\nNOTES:\n")[2]


@pytest.fixture
def noted(repository):
    """A chart with notes, in `chart`, whose subchart has some too."""
    repository.write({"Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n"}, "chart/charts/sub")
    repository.write({"templates/NOTES.txt": "not these\n"}, "chart/charts/sub")
    for name, text in {
        "Chart.yaml": "apiVersion: v2\nname: it\nversion: 0.1.0\n",
        "values.yaml": "count: 1\n",
        "templates/NOTES.txt": NOTES,
        "templates/_helpers.tpl": HELPERS,
        "templates/it.yaml": CHANGES_VALUES,
    }.items():
        file = repository.root / "chart" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return repository


def test_notes_are_helms_own(noted, each_helm: str) -> None:
    ((unit, text),) = notes(noted.request("chart", notes=True))
    assert unit == "chart"
    assert f"{text}\n" == installed(noted.root / "chart")
    assert "; 2; named" in text


def test_notes_come_only_when_asked_for(noted) -> None:
    assert notes(noted.request("chart")) == ()


def test_notes_change_no_manifest(noted, each_helm: str) -> None:
    with_notes = render_unit(template, noted.request("chart", notes=True))
    without = render_unit(template, noted.request("chart"))
    assert with_notes.manifests == without.manifests


def test_no_notes_are_none(noted) -> None:
    (noted.root / "chart/templates/NOTES.txt").write_text("\n \n")
    assert notes(noted.request("chart", notes=True)) == ()
    (noted.root / "chart/templates/NOTES.txt").unlink()
    assert notes(noted.request("chart", notes=True)) == ()


def test_notes_with_hooks_crds_and_values(noted, each_helm: str) -> None:
    noted.write({"crds/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: crd}\n"}, "chart")
    noted.write({"templates/NOTES.txt": "{{ .Values.count }} {{ .Release.IsUpgrade }}"}, "chart")
    request = noted.request("chart", notes=True, is_upgrade=True, helm=(HelmOptions(set=("count=7",)),))
    assert notes(request) == (("chart", "8 true"),)


@pytest.mark.parametrize("asked", [True, False])
def test_notes_that_fail_are_an_error_with_their_place(noted, each_helm: str, asked: bool) -> None:
    (noted.root / "chart/templates/NOTES.txt").write_text('\n{{ fail "no notes today" }}')
    with pytest.raises(RenderError, match=r"at \(chart/templates/NOTES\.txt:2:3\): no notes today"):
        notes(noted.request("chart", notes=asked))


def test_the_checkout_stays_as_it_is(noted) -> None:
    before = noted.seen()
    notes(noted.request("chart", notes=True))
    assert noted.seen() == before
