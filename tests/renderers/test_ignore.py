"""`.trimtabignore`: gitignore's syntax, and patterns that are refused."""

from pathlib import Path

import pytest

from renderers.api import RenderError
from renderers.ignore import IgnoreRules


def rules(folder: Path, text: str) -> IgnoreRules:
    (folder / ".trimtabignore").write_text(text)
    return IgnoreRules(folder).entering(folder)


@pytest.mark.parametrize(
    ("pattern", "path", "ignored"),
    [
        ("*.yaml", "a/b.yaml", True),
        ("/b.yaml", "a/b.yaml", False),
        ("/b.yaml", "b.yaml", True),
        ("a/*.yaml", "a/b.yaml", True),
        ("a/*.yaml", "a/b/c.yaml", False),
        ("a/**/c.yaml", "a/b/b/c.yaml", True),
        ("b.yaml/", "b.yaml", False),
        ("*.yaml\n!b.yaml", "b.yaml", False),
        ("!b.yaml\n*.yaml", "b.yaml", True),
        ("# b.yaml", "b.yaml", False),
        ("\\#b", "#b", True),
        ("[ab].yaml", "b.yaml", True),
        ("", "b.yaml", False),
    ],
)
def test_patterns_mean_what_they_mean_for_git(tmp_path: Path, pattern: str, path: str, ignored: bool) -> None:
    assert rules(tmp_path, pattern).ignores(tmp_path / path, is_folder=False) is ignored


def test_a_pattern_with_a_slash_at_its_end_is_for_folders(tmp_path: Path) -> None:
    assert rules(tmp_path, "build/").ignores(tmp_path / "build", is_folder=True)


def test_a_file_further_down_wins(tmp_path: Path) -> None:
    above = rules(tmp_path, "*.yaml")
    sub = tmp_path / "sub"
    sub.mkdir()
    (sub / ".trimtabignore").write_text("!a.yaml\n")
    below = above.entering(sub)
    assert not below.ignores(sub / "a.yaml", is_folder=False)
    assert below.ignores(sub / "b.yaml", is_folder=False)
    assert above.ignores(tmp_path / "a.yaml", is_folder=False)


def test_a_folder_without_a_file_keeps_the_rules(tmp_path: Path) -> None:
    above = IgnoreRules(tmp_path)
    assert above.entering(tmp_path) is above


@pytest.mark.parametrize("pattern", ["!", "\\", "a*b*c*d*e", "**/a/**/b/**/c/**/d"])
def test_what_is_no_pattern_or_a_costly_one_is_an_error_with_its_line(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(RenderError) as caught:
        rules(tmp_path, f"fine\n{pattern}\n")
    assert caught.value.where == ".trimtabignore:2"
    assert caught.value.hint


def test_the_number_of_patterns_is_limited(tmp_path: Path) -> None:
    with pytest.raises(RenderError, match="at most 500"):
        rules(tmp_path, "a\n" * 501)
