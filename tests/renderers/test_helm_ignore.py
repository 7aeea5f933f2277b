"""`.helmignore` as helm itself reads it."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderers.helm.ignore import HelmIgnore

FILES = ["a.md", "b.txt", "docs/a.md", "docs/deep/b.txt", "templates/.hidden.yaml", "templates/it.yaml", "[x].md", "-y"]

RULES = [
    "",
    "# a.md",
    "*.md",
    "/*.md",
    "docs",
    "docs/",
    "/docs/",
    "docs/*.md",
    "docs/*",
    "docs/*/*.txt",
    "*/a.md",
    "a.md/",
    "!*.md",
    "!docs/",
    "*.txt\n!a.md",
    "?.md",
    "[ab].*",
    "[^a].md",
    "[a-c]*[d-t]",
    "\\[x\\].md",
    "[\\[]x?.md",
    "*a*.*d",
    "  *.md  ",
    "\ufeff*.md",
    "docs/deep/b.txt",
    "deep",
    "templates/.?*",
    "*",
    "-y",
]


def packaged(folder: Path) -> set[str]:
    """The files that helm packs, without those that every chart has."""
    subprocess.run(["helm", "package", folder, "-d", folder.parent], check=True, capture_output=True, timeout=60)
    with tarfile.open(folder.parent / "it-0.1.0.tgz") as archive:
        names = {name.removeprefix("it/") for name in archive.getnames()}
    return names - {"Chart.yaml", ".helmignore"}


def kept(rules: str) -> set[str]:
    """The same by our reading."""
    ignore = HelmIgnore.of(rules)

    def ignored(file: str) -> bool:
        above = [file[:end] for end, char in enumerate(file) if char == "/"]
        return any(ignore.ignores(folder, is_folder=True) for folder in above) or ignore.ignores(file, is_folder=False)

    return {file for file in FILES if not ignored(file)}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart with files to ignore."""
    folder = tmp_path / "it"
    for file in FILES:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("")
    (folder / "templates/it.yaml").write_text("")
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: it\nversion: 0.1.0\n")
    return folder


@pytest.mark.parametrize("rules", RULES)
def test_a_rule_means_what_it_means_to_helm(chart: Path, rules: str) -> None:
    (chart / ".helmignore").write_text(rules)
    if HelmIgnore.of(rules).ignores("Chart.yaml", is_folder=False):
        with pytest.raises(subprocess.CalledProcessError):
            packaged(chart)
    else:
        assert packaged(chart) == kept(rules)


@pytest.mark.parametrize("rules", ["**/a.md", "[a", "a[", "x\\", "[]", "[a-]"])
def test_a_rule_that_helm_refuses_is_left_out(chart: Path, rules: str) -> None:
    (chart / ".helmignore").write_text(rules)
    with pytest.raises(subprocess.CalledProcessError):
        packaged(chart)
    assert kept(rules) == kept("")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("*?[]^-\\/ab!#", max_size=40), st.text("ab/", max_size=200))
def test_no_rule_fails_or_takes_long(rule: str, path: str) -> None:
    HelmIgnore.of(rule * 20 + os.linesep + rule).ignores(path, is_folder=False)
