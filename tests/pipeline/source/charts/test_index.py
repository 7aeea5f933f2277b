"""What an index says of one chart: the quick way by its block, and the whole where that is not to be had."""

import json
import re

import pytest

from pipeline.errors import SourceError
from pipeline.source.charts.index import Entry, entries_of, names_in

DIGEST = "a" * 64
WRITTEN_BY_HELM = f"""apiVersion: v1
entries:
  app:
  - apiVersion: v2
    description: text that
      goes on
    digest: {DIGEST}
    name: app
    urls:
    - app-1.1.0.tgz
    version: 1.1.0
  - name: app
    urls: [https://elsewhere/app.tgz, app.tgz]
    version: 1.0.0
  "app-b":
  - {{name: app-b, version: 2.0.0, urls: [b.tgz]}}
generated: "2026-01-01T00:00:00Z"
"""
APP = (
    Entry("1.1.0", ("app-1.1.0.tgz",), f"sha256:{DIGEST}"),
    Entry("1.0.0", ("https://elsewhere/app.tgz", "app.tgz")),
)


def entries(text: str, name: str = "app") -> tuple[Entry, ...] | None:
    return entries_of(text.encode(), name, url="https://charts/index.yaml")


def test_an_index_of_helm() -> None:
    assert entries(WRITTEN_BY_HELM) == APP
    assert entries(WRITTEN_BY_HELM, "app-b") == (Entry("2.0.0", ("b.tgz",)),)
    assert entries(WRITTEN_BY_HELM, "other") is None
    assert names_in(WRITTEN_BY_HELM.encode()) == ["app", "app-b"]


def test_one_chart_is_read_without_the_others() -> None:
    assert entries(WRITTEN_BY_HELM.replace("{name: app-b", "{{{ no YAML")) == APP


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN_BY_HELM.replace("entries:\n", "entries:\n\n  # a comment\n"),
        WRITTEN_BY_HELM.replace("\n", "\r\n"),
        WRITTEN_BY_HELM.replace("  app:\n", "  'app':\n"),
        WRITTEN_BY_HELM.replace("apiVersion: v1\n", "").replace("generated:", "apiVersion: v1\ngenerated:"),
        re.sub("^(?=  - |    )", "  ", WRITTEN_BY_HELM, flags=re.MULTILINE),
        "# made by hand\n" + WRITTEN_BY_HELM,
    ],
)
def test_other_ways_to_write_the_same(text: str) -> None:
    assert entries(text) == APP


def test_what_is_no_block_is_read_as_a_whole() -> None:
    index = {"apiVersion": "v1", "entries": {"app": [{"name": "app", "version": "1.0.0", "urls": ["a.tgz"]}]}}
    expected = (Entry("1.0.0", ("a.tgz",)),)
    assert entries(json.dumps(index)) == expected
    assert entries(json.dumps(index, indent=2)) == expected
    assert entries("apiVersion: v1\nentries: {app: [{name: app, version: 1.0.0, urls: [a.tgz]}]}\n") == expected


def test_a_chart_that_is_nowhere_needs_no_reading() -> None:
    assert entries(WRITTEN_BY_HELM.replace("{name: app-b", "{{{ no YAML"), "other") is None


def test_an_alias_into_another_block_is_followed() -> None:
    text = "apiVersion: v1\nentries:\n  other:\n  - &one {name: app, version: 1.0.0, urls: [a.tgz]}\n  app:\n  - *one\n"
    assert entries(text) == (Entry("1.0.0", ("a.tgz",)),)


def test_what_helm_leaves_out_is_left_out() -> None:
    listed = "- null\n  - {name: app, version: nonsense}\n  - {version: 1.0.0}\n  - {name: app, version: 1.5}\n  - 7\n"
    assert entries(f"apiVersion: v1\nentries:\n  app:\n  {listed}") == ()


def test_a_digest_may_say_its_algorithm() -> None:
    text = WRITTEN_BY_HELM.replace(DIGEST, f"sha256:{DIGEST.upper()}")
    assert entries(text) == APP
    assert (entries(WRITTEN_BY_HELM.replace(DIGEST, "md5:1")) or ())[0].digest == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!doctype html><html>", "a page for people"),
        ("  <html>", "a page for people"),
        ("", "no index"),
        ("just text", "no index"),
        ("[]", "no index"),
        ("{", "no index"),
        ("kind: Pod\napiVersion: v1", "no index"),
        ("entries: {}", "no index"),
        ("apiVersion: v1\nentries: []", "no index"),
        ("apiVersion: v1\nentries: {app: text}", "no index"),
        ("apiVersion: v1\nentries:\n  app: text\n", "no index"),
        ("\0\1", "no index"),
    ],
)
def test_what_is_no_index_is_told(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        entries(text)
