"""Many sources of one repository are asked for at once; ranges of versions; when a commit was made."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import GitSource
from pipeline.errors import SourceError, SourceUnreachableError, TrimtabError
from pipeline.source.local import local_checkout
from pipeline.source.mirror import Mirrors


@pytest.fixture
def questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The command lines of git from now on that ask the remote."""
    tools = tmp_path / "bin"
    tools.mkdir()
    path = os.environ["PATH"]
    (tools / "git").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\nPATH={path} exec git "$@"\n')
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{path}")
    asked = tmp_path / "asked"
    asked.touch()
    return lambda: [line for line in asked.read_text().splitlines() if " ls-remote " in line]


def _tag(origin: Any, *names: str) -> str:
    """Commit and push with these tags, annotated; the commit."""
    commit: str = origin.push()
    for name in names:
        origin.git("tag", "--annotate", "-m", name, name)
    origin.git("push", "--quiet", "--tags", "origin")
    return commit


def test_all_refs_by_one_question(origin: Any, mirrors: Mirrors, questions: Callable[[], list[str]]) -> None:
    one = _tag(origin, "v1.0.0", "v1.1.0")
    two = origin.push(branch="other")
    sources = {
        origin.source(): one,
        origin.source(branch="main"): one,
        origin.source(branch="other"): two,
        origin.source(branch="other", path="deploy"): two,
        origin.source(tag="v1.0.0"): one,
        origin.source(semver="^1"): one,
        origin.source(commit="1" * 40): "1" * 40,
    }
    assert mirrors.resolve_all(list(sources)) == sources
    assert len(questions()) == 1


def test_branches_alone_leave_out_the_rest(origin: Any, mirrors: Mirrors, questions: Callable[[], list[str]]) -> None:
    mirrors.resolve_all([origin.source(branch="main")])
    assert " --heads " in questions()[0]
    assert " --tags " not in questions()[0]


def test_commits_ask_nobody(mirrors: Mirrors, questions: Callable[[], list[str]]) -> None:
    sources = [GitSource("file:///nowhere", commit=digit * 40) for digit in "12"]
    assert list(mirrors.resolve_all(sources).values()) == ["1" * 40, "2" * 40]
    assert mirrors.resolve_all([]) == {}
    assert questions() == []


def test_each_missing_ref_has_its_own_error(origin: Any, mirrors: Mirrors) -> None:
    here = _tag(origin, "v1.0.0", "other")
    sources = [
        origin.source(branch="main"), origin.source(branch="gone"), origin.source(tag="v9"), origin.source(semver="^2"),
        origin.source(branch="a..b"), origin.source(semver="latest"),
    ]  # fmt: skip
    good, *bad = mirrors.resolve_all(sources).values()
    assert good == here
    assert all(isinstance(error, SourceError) for error in bad)
    assert [(error.reason, str(error).split("\n  → ")[1]) for error in bad if isinstance(error, TrimtabError)] == [
        ("RefNotFound", "there are: main"),
        ("RefNotFound", "there are: other, v1.0.0"),
        ("RefNotFound", "the highest are: v1.0.0"),
        ("SourceInvalid", "write the branch as git shows it"),
        ("SourceInvalid", "write it as npm does: ~1.4, ^1, 1.x or >=1.2.0 <2.0.0"),
    ]


def test_a_remote_out_of_reach_is_the_answer_for_each(mirrors: Mirrors) -> None:
    sources = [GitSource("file:///nowhere", branch=name) for name in ("a", "b")]
    answers = mirrors.resolve_all(sources)
    assert set(answers) == set(sources)
    assert all(isinstance(answer, SourceUnreachableError) for answer in answers.values())


def test_sources_of_several_repositories_are_a_mistake(mirrors: Mirrors) -> None:
    with pytest.raises(ValueError, match="several URLs"):
        mirrors.resolve_all([GitSource("file:///a"), GitSource("file:///b")])


def test_a_range_of_versions_is_followed(origin: Any, mirrors: Mirrors) -> None:
    source = origin.source(semver="~1.4")
    for version in ("1.4.9", "1.4.10"):
        commit = _tag(origin, f"v{version}", f"v1.5.0-{version}", f"v2.{version}")
        assert mirrors.resolve(source) == commit
        with mirrors.checked_out(source, commit) as checkout:
            assert checkout.ref == f"semver ~1.4 (v{version})"


def test_a_tag_that_is_no_longer_known_is_not_named(origin: Any, mirrors: Mirrors, cache: Path) -> None:
    source = origin.source(semver="~1.4")
    commit = _tag(origin, "v1.4.0")
    with Mirrors(cache).checked_out(source, commit) as checkout:
        assert (checkout.ref, checkout.commit) == ("semver ~1.4", commit)


def test_when_the_commit_was_made(origin: Any, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_AUTHOR_DATE", "1000000000 +0200")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "1600000000 -0700")
    source, commit = origin.source(), origin.push()
    with mirrors.checked_out(source, commit) as checkout:
        assert checkout.committed == 1600000000
    with mirrors.checked_out(source, commit) as again:
        assert again.committed == 1600000000
    assert local_checkout(origin.work).committed == 1600000000


def test_a_folder_without_a_commit_was_made_at_no_time(make_origin: Any, tmp_path: Path) -> None:
    assert local_checkout(make_origin("empty").work).committed == 0
    assert local_checkout(tmp_path).committed == 0
