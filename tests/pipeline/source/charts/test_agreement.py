"""The version chosen is the one that helm chooses, of both majors, from a repository and from a registry."""

from collections.abc import Callable
from pathlib import Path

import pytest
import registry
from chartrepo import ChartServer, run_helm

from pipeline.app import ChartSource
from pipeline.errors import TrimtabError
from pipeline.source.charts import Charts

RANGES = (
    "", "1", "1.2", "1.2.7", "v1.2.0", "=1.1", "~1.2", "~1.2.0", "^1", "^0.1", "^0.0.1", "^0", "1.x", "*", ">1", ">1.2",
    ">=1.0.0 <1.2.0", ">=1.0.0, <1.2.0", "<1", "<=1.1", "!=2.0.0", "1.0 - 1.1", "<1 || >=3.0.0-0", ">0.0.0-0",
    "~1.0.0-alpha", "1.0.0-alpha.1", "1.3.0+build.5", "1.3.0", "~1.3", "^4", "1.2.9", "9.x || nonsense",
)  # fmt: skip
#: Where a registry differs from a repository: what looks like a version is a tag.
OF_A_REGISTRY = ("", "1", "1.2", "1.2.7", "v1.2.0", "~1.2", "1.2.x", ">0.0.0-0", "1.3.0+build.5", "1.3.0", "~1.3", "^4")


def helm_chooses(*arguments: str, program: str) -> str:
    """The version, or nothing where helm refuses."""
    try:
        return run_helm("template", "r", *arguments, program=program).partition('version: "')[2].partition('"')[0]
    except AssertionError:
        return ""


def we_choose(charts: Charts, source: ChartSource) -> str:
    try:
        return charts.resolve(source).version
    except TrimtabError:
        return ""


@pytest.mark.parametrize(("program", "ranges"), [("helm", RANGES), ("helm4", RANGES[::3])])
def test_of_a_repository(
    program: str, ranges: tuple[str, ...], repository: Path, serve: Callable[..., ChartServer], charts: Charts
) -> None:
    url = serve(repository, tls=False).url
    asked = {text: ["--version", text] if text else [] for text in ranges}
    theirs = {text: helm_chooses("app", "--repo", url, *flags, program=program) for text, flags in asked.items()}
    assert {text: we_choose(charts, ChartSource(repo=url, name="app", version=text)) for text in ranges} == theirs
    assert len(set(theirs.values())) > 4


@pytest.mark.parametrize("program", ["helm", "helm4"])
def test_of_a_registry(program: str, open_registry: registry.Registry, charts: Charts) -> None:
    url = f"oci://{open_registry.host}/charts/app"
    asked = {text: ["--version", text] if text else [] for text in OF_A_REGISTRY}
    theirs = {text: helm_chooses(url, "--plain-http", *flags, program=program) for text, flags in asked.items()}
    assert {text: we_choose(charts, ChartSource(oci=url, version=text)) for text in OF_A_REGISTRY} == theirs
    assert len(set(theirs.values())) > 4
