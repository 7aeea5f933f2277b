"""Sources of either kind by one pair of questions: where they are now, and a checkout of what was there then."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from chartrepo import ChartServer, package, run_helm, write_chart
from control import Repository

from pipeline.app import ChartSource, GitSource
from pipeline.errors import SourceError, TrimtabError
from pipeline.source.sources import Sources, chart_text


@pytest.fixture
def server(tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChartServer]:
    """A chart repository with 1.2.0 of `app`."""
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    (tmp_path / "charts").mkdir()
    with ChartServer(tmp_path / "charts").running() as made:
        publish(made, "1.2.0")
        yield made


def publish(server: ChartServer, version: str, greeting: str = "hello") -> None:
    chart = write_chart(server.folder.parent / "source", "app", {"values.yaml": f"greeting: {greeting}\n"})
    package(chart, server.folder, version)
    run_helm("repo", "index", server.folder)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path / "cache")


def chart(server: ChartServer, version: str = "~1.2") -> ChartSource:
    return ChartSource(repo=server.url, name="app", version=version)


def test_a_chart_is_a_checkout_with_version_and_digest(server: ChartServer, sources: Sources) -> None:
    place = chart(server)
    commit = sources.resolve(place)
    version, _, digest = commit.partition("@")
    assert (version, digest[:7], len(digest)) == ("1.2.0", "sha256:", 71)
    with sources.checked_out(place, commit) as checkout:
        assert (checkout.root / "Chart.yaml").is_file()
        assert checkout.folder == checkout.root
        assert (checkout.commit, checkout.url) == (commit, server.url)
        assert checkout.ref == "chart app ~1.2 (1.2.0)"


def test_each_place_has_its_own_answer(server: ChartServer, sources: Sources) -> None:
    good, bad = chart(server), chart(server, "~9")
    answers = sources.resolve_all([good, bad])
    assert str(answers[good]).startswith("1.2.0@")
    assert isinstance(answers[bad], TrimtabError)


def test_git_and_charts_may_stand_side_by_side(server: ChartServer, sources: Sources, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "git")
    commit = repository.commit()
    git = GitSource(repository.url)
    answers = sources.resolve_all([git, chart(server)])
    assert answers[git] == commit
    with sources.checked_out(git, commit) as checkout:
        assert (checkout.commit, checkout.ref) == (commit, "the default branch")
        assert checkout.index is not None


def test_an_earlier_version_is_had_by_another_process_too(server: ChartServer, tmp_path: Path) -> None:
    place = chart(server)
    first = Sources(tmp_path / "one").resolve(place)
    publish(server, "1.2.7")
    other = Sources(tmp_path / "two")
    assert other.resolve(place).startswith("1.2.7@")
    with other.checked_out(place, first) as checkout:
        assert "version: 1.2.0" in (checkout.root / "Chart.yaml").read_text()


def test_a_version_that_was_published_anew_is_no_earlier_one(server: ChartServer, tmp_path: Path) -> None:
    place = chart(server)
    first = Sources(tmp_path / "one").resolve(place)
    publish(server, "1.2.0", "goodbye")
    with (
        pytest.raises(SourceError, match="has another content now") as caught,
        Sources(tmp_path / "two").checked_out(place, first),
    ):
        pass
    assert caught.value.reason == "CommitNotFound"


def test_a_commit_is_no_version_of_a_chart(server: ChartServer, sources: Sources) -> None:
    with pytest.raises(SourceError, match="is no version of a chart"), sources.checked_out(chart(server), "a" * 40):
        pass


def test_what_is_followed_in_words() -> None:
    source = ChartSource(oci="oci://registry.example.com/team/app")
    assert chart_text(source, "1.2.7") == "chart app (1.2.7)"
    assert chart_text(msgspec.structs.replace(source, version="~1"), "1.2.7") == "chart app ~1 (1.2.7)"
