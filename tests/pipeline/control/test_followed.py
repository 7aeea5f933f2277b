"""What an App follows and what a render may fetch: whose credentials go where, and what is refused."""

from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.app import App, ChartSource, GitSource, Metadata, NamedSource, SecretRef, Source, Spec
from pipeline.control.answers import Answer, Answers, Repository
from pipeline.control.followed import followed, opener
from pipeline.control.shared import Shared
from pipeline.errors import SourceError, SourceUnreachableError
from pipeline.source.credentials import Credentials

GIT = GitSource("https://git.example.com/team/shop.git")
CHART = ChartSource(oci="oci://registry.example.com/team/app")
KEY = ("team", "shop")
MAIN, CHARTS = Credentials(password="main"), Credentials(password="charts")


def shared(*, file_urls: bool = False) -> Shared:
    """The part of a controller that is asked here; it lives in namespace `home`."""
    polls = SimpleNamespace(credentials=lambda _key, name: {"": MAIN, "charts": CHARTS}[name])
    return cast("Shared", SimpleNamespace(polls=polls, file_urls=file_urls, flags_url="", own_namespace="home"))


def app(source: Source, *sources: NamedSource, namespace: str = "team") -> App:
    return App(Metadata("shop", namespace), Spec(source=source, sources=sources))


BOTH = app(Source(GIT, SecretRef("git")), NamedSource(name="charts", chart=CHART, secret_ref=SecretRef("charts")))


def test_each_source_is_asked_where_it_is_and_by_its_own_secret() -> None:
    assert followed(BOTH, shared()) == {
        "": (Repository(GIT.url, ("team", "git")), GIT),
        "charts": (Repository(CHART.url, ("team", "charts"), charts=True), CHART),
    }


@pytest.mark.parametrize(
    ("url", "credentials"),
    [
        ("https://git.example.com/other/base.git", MAIN),
        ("https://GIT.example.com:443/other/base", MAIN),
        ("oci://registry.example.com/else", CHARTS),
        ("https://git.example.com:8443/other", Credentials()),
        ("https://git.example.com.evil.com/other", Credentials()),
        ("https://registry.example.com/charts", Credentials()),
        ("http://git.example.com/charts", Credentials()),
    ],
)
def test_credentials_go_to_the_server_that_they_are_for_and_to_no_other(url: str, credentials: Credentials) -> None:
    assert opener(BOTH, KEY, shared())(url) == credentials


def test_no_key_of_the_controllers_machine_opens_a_base() -> None:
    with pytest.raises(SourceError, match="no SSH key opens it"):
        opener(BOTH, KEY, shared())("git@git.example.com:other/base")


@pytest.mark.parametrize("source", [Source(GitSource("/srv/x")), Source(GitSource("file:///srv/x"))])
def test_a_path_of_the_controllers_machine_is_refused_unless_the_operator_allows_it(source: Source) -> None:
    for each in (app(source), app(Source(GIT), NamedSource(name="a", git=source.git))):
        with pytest.raises(SourceError, match="a path on the controller's own machine"):
            followed(each, shared())
        assert followed(each, shared(file_urls=True))
    with pytest.raises(SourceError, match="a path on the controller's own machine"):
        opener(BOTH, KEY, shared())("file:///srv/x")


def test_the_deploy_key_serves_only_the_controllers_own_namespace() -> None:
    ssh = Source(GitSource("git@example.com:team/shop"))
    with pytest.raises(SourceError, match="deploy key serves only"):
        followed(app(ssh), shared())
    assert followed(app(ssh, namespace="home"), shared())[""][0] == Repository("git@example.com:team/shop")


def test_a_chart_needs_no_deploy_key() -> None:
    assert followed(app(Source(chart=CHART)), shared())[""][0] == Repository(CHART.url, charts=True)


def test_the_answers_of_all_sources_are_as_old_and_as_bad_as_the_worst() -> None:
    error = SourceUnreachableError("no answer")
    answers = Answers(Answer(5.0, "a"), {"values": Answer(3.0, "b", error, 2)})
    assert (answers.asked, answers.lost, answers.commits) == (3.0, error, {"values": "b"})
    assert Answers(Answer(5.0, "a"), {}).lost is None
