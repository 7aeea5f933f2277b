"""The fetcher of a render: only what is allowed, and at ids that hold for a while."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from control import Repository

from pipeline.app import App, GitSource, Metadata, Spec
from pipeline.errors import SourceError, SourceUnreachableError, TrimtabError
from pipeline.fetching import Fetching, Pin, Pins, allowed_by
from pipeline.source.credentials import Credentials
from pipeline.source.sources import Sources
from renderers.api import RenderError
from renderers.settings import HelmStep, KustomizeStep, RenderStep

HOUR = 3600.0


@pytest.fixture
def base(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "git", "base")
    (made.work / "deploy").mkdir()
    (made.work / "deploy" / "file").write_text("one")
    made.commit()
    return made


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path / "cache")


Fetch = Callable[..., Fetching]


@pytest.fixture
def fetch(sources: Sources, base: Repository) -> Iterator[Fetch]:
    """Makes fetchers that allow the base's repository; all end with the test."""
    made: list[Fetching] = []

    def make(pins: Pins | None = None, allowed: tuple[str, ...] | None = None) -> Fetching:
        allowed = (base.url,) if allowed is None else allowed
        made.append(Fetching(sources, allowed, lambda _: Credentials(), pins or Pins()))
        return made[-1].__enter__()

    yield make
    for each in made:
        each.__exit__(None, None, None)


def test_a_base_is_a_folder_at_the_commit_of_its_ref(fetch: Fetch, base: Repository) -> None:
    base.git("tag", "v1")
    base.git("push", "-q", "origin", "v1")
    first = base.git("rev-parse", "HEAD").strip()
    (base.work / "deploy" / "file").write_text("two")
    second = base.commit()
    for ref, commit, content in (
        ("v1", first, "one"),
        ("main", second, "two"),
        (first, first, "one"),
        ("", second, "two"),
    ):
        found = fetch().base(f"{base.url}//deploy" + f"?ref={ref}" * bool(ref))
        assert (found.url, found.id, found.folder.name) == (base.url, commit, "deploy")
        assert (found.folder / "file").read_text() == content
        assert found.folder.is_relative_to(found.root)


def test_a_tag_comes_before_a_branch_of_its_name(fetch: Fetch, base: Repository) -> None:
    tagged = base.git("rev-parse", "HEAD").strip()
    base.commit()
    base.git("push", "-q", "origin", "HEAD:refs/heads/v1", f"{tagged}:refs/tags/v1")
    assert fetch().base(f"{base.url}?ref=v1").id == tagged


def test_what_is_not_allowed_is_named_with_what_to_do(fetch: Fetch, base: Repository) -> None:
    with pytest.raises(RenderError) as caught:
        fetch(allowed=()).base(f"{base.url}//deploy")
    assert base.url in caught.value.message
    assert "allowRemote" in caught.value.hint
    with pytest.raises(RenderError, match="https://charts.example.com"):
        fetch().chart("https://charts.example.com", "app", "1.x")


@pytest.mark.parametrize("url", ["../base", "https://user:s3cr3t@example.com/a/b", "ext::sh -c x"])
def test_what_is_no_remote_base_is_an_error_of_the_render(fetch: Fetch, url: str) -> None:
    with pytest.raises(RenderError) as caught:
        fetch().base(url)
    assert "s3cr3t" not in str(caught.value)


def test_a_ref_that_is_not_there_is_an_error_that_names_those_that_are(fetch: Fetch, base: Repository) -> None:
    with pytest.raises(SourceError) as caught:
        fetch().base(f"{base.url}?ref=gone")
    assert "gone" in caught.value.message
    assert "main" in caught.value.hint


def test_a_render_knows_whether_what_it_used_has_moved(fetch: Fetch, base: Repository) -> None:
    first = fetch()
    first.base(f"{base.url}//deploy")
    assert fetch().unchanged(first.used)
    base.commit()
    assert not fetch().unchanged(first.used)


def test_a_pin_holds_for_a_while_and_until_it_expires(fetch: Fetch, base: Repository) -> None:
    pins = Pins(HOUR)
    first = fetch(pins).base(base.url).id
    second = base.commit()
    assert fetch(pins).base(base.url).id == first
    pins.expire()
    assert fetch(pins).base(base.url).id == second


class Server:
    """What is asked: a place that moves, or an error."""

    def __init__(self, place: Pin) -> None:
        self.place = place
        self.error: TrimtabError | None = None

    def __call__(self) -> Pin:
        if self.error is not None:
            raise self.error
        return self.place


def test_the_last_pin_holds_while_nobody_answers_and_that_is_told(base: Repository) -> None:
    pins, ask = Pins(), Server((GitSource(base.url), "a"))
    assert pins.get("key", ask)[1] == "a"
    ask.error = SourceUnreachableError("no answer")
    assert pins.get("key", ask)[1] == "a"
    assert pins.lost is ask.error
    with pytest.raises(SourceUnreachableError):
        pins.get("other", ask)
    ask.error = None
    pins.get("key", ask)
    assert pins.lost is None


def test_a_refusal_is_no_blink_of_the_network(base: Repository) -> None:
    pins, ask = Pins(), Server((GitSource(base.url), "a"))
    pins.get("key", ask)
    ask.error = SourceError("refused")
    with pytest.raises(SourceError, match="refused"):
        pins.get("key", ask)


def test_the_steps_of_an_app_say_what_is_allowed() -> None:
    helm, kustomize = HelmStep(allow_remote=("https://a.example.com",)), KustomizeStep(allow_remote=("oci://b",))
    steps = (RenderStep(helm=helm), RenderStep(kustomize=kustomize), RenderStep(namespace="x"))
    assert allowed_by(App(Metadata("shop"), Spec(render=steps))) == ("https://a.example.com", "oci://b")
