"""Polls: one question a repository, only news is news, and what was refused is not tried again for nothing."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from waiting import until

from pipeline.app import GitSource, Place
from pipeline.control import polls as module
from pipeline.control.answers import Answer, Repository
from pipeline.control.polls import Polls
from pipeline.errors import SourceError, SourceUnreachableError, TrimtabError
from pipeline.source.credentials import Credentials

URL = "https://example.com/shop.git"
MAIN, NEXT = GitSource(URL, branch="main"), GitSource(URL, branch="next")
HOUR = 3600.0


class Asker:
    """A git host whose refs the test moves."""

    def __init__(self) -> None:
        self.questions: list[tuple[Place, ...]] = []
        self.used: list[Credentials | None] = []
        self.refs: dict[str, str | TrimtabError] = {"main": "a" * 40, "next": "b" * 40}
        self.failure: TrimtabError | None = None
        self.hold = threading.Event()
        self.hold.set()

    def resolve_all(
        self, places: Sequence[Place], credentials: Credentials | None
    ) -> Mapping[Place, str | TrimtabError]:
        self.questions.append(tuple(places))
        self.used.append(credentials)
        self.hold.wait(10)
        if self.failure is not None:
            raise self.failure
        return {place: self.refs[place.branch] for place in places if isinstance(place, GitSource)}


class World:
    """The asker, the Secret, and what the polls told."""

    def __init__(self) -> None:
        self.asker = Asker()
        self.secret: Credentials | TrimtabError = Credentials(password="one")
        self.told: list[tuple[tuple[str, str], bool]] = []
        self.polled: list[tuple[TrimtabError | None, bool]] = []
        self.polls = Polls(self.asker, self._load, lambda _repository, error, news: self.polled.append((error, news)))

    def begin(self) -> "World":
        self.polls.start(lambda key, other: self.told.append((key, other)))
        return self

    def follow(self, name: str, source: GitSource = MAIN, interval: float = HOUR) -> tuple[str, str]:
        key = ("ns", name)
        self.polls.follow(key, {"": (Repository(source.url), source)}, interval)
        return key

    def _load(self, repository: Repository) -> Credentials:
        if isinstance(self.secret, TrimtabError):
            raise self.secret
        return self.secret


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.polls.close()


@pytest.fixture
def peeks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Secrets of repositories that refused them are looked at all the time."""
    return lambda: monkeypatch.setattr(module, "_PEEK", 0.01)


def test_twenty_apps_of_one_repository_are_one_question(world: World) -> None:
    keys = [world.follow(f"app{n}", NEXT if n % 2 else MAIN) for n in range(20)]
    world.begin()
    until(lambda: all(world.polls.answer(key) is not None for key in keys))
    assert [set(question) for question in world.asker.questions] == [{MAIN, NEXT}]
    answers = {world.polls.answer(key).commit[0] for key in keys}  # type: ignore[union-attr]
    assert answers == {"a", "b"}
    assert len(world.told) == 20


def test_who_follows_what_is_known_already_is_answered_without_a_question(world: World) -> None:
    first = world.follow("first")
    world.begin()
    until(lambda: world.polls.answer(first) is not None)
    second = world.follow("second")
    assert world.polls.answer(second) == world.polls.answer(first)
    assert len(world.asker.questions) == 1


def test_the_interval_of_the_most_eager_counts(world: World) -> None:
    world.follow("lazy", interval=HOUR)
    world.follow("eager", interval=0.01)
    world.begin()
    until(lambda: len(world.asker.questions) > 3)


def test_only_another_commit_is_news(world: World) -> None:
    key = world.follow("app", interval=0.01)
    world.begin()
    until(lambda: len(world.told) > 3)
    assert [other for _, other in world.told[:3]] == [True, False, False]
    world.asker.refs["main"] = "c" * 40
    until(lambda: world.told[-1][1] or any(other for _, other in world.told[3:]))
    answer = world.polls.answer(key)
    assert answer is not None
    assert answer.commit == "c" * 40


def test_the_last_commit_stays_known_while_there_is_no_answer(world: World) -> None:
    key = world.follow("app", interval=0.01)
    world.begin()
    until(lambda: world.polls.answer(key) is not None)
    world.asker.failure = SourceUnreachableError("no answer")
    until(lambda: (answer := world.polls.answer(key)) is not None and answer.lost)
    answer = world.polls.answer(key)
    assert answer is not None
    assert answer.commit == "a" * 40
    world.asker.failure = None
    until(lambda: (answer := world.polls.answer(key)) is not None and answer.error is None)


def test_one_missing_answer_is_no_loss_and_a_refusal_is() -> None:
    passing, refused = SourceUnreachableError("late"), SourceError("refused")
    assert not Answer(0.0, "a", passing, 1).lost
    assert Answer(0.0, "a", passing, 2).lost
    assert Answer(0.0, "a", refused, 1).lost


def test_each_missing_ref_is_its_own_error(world: World) -> None:
    world.asker.refs["next"] = SourceError("there is no branch next")
    good, bad = world.follow("good"), world.follow("bad", NEXT)
    world.begin()
    until(lambda: world.polls.answer(good) is not None and world.polls.answer(bad) is not None)
    answers = world.polls.answer(good), world.polls.answer(bad)
    assert answers[0] is not None
    assert answers[0].error is None
    assert answers[1] is not None
    assert answers[1].error is not None
    assert world.polled == [(None, True)]


def test_a_refused_credential_is_tried_again_only_when_it_changed(world: World, peeks: Callable[[], None]) -> None:
    peeks()
    world.asker.failure = SourceError("refused")
    key = world.follow("app")
    world.begin()
    until(lambda: world.polls.answer(key) is not None)
    loads: list[int] = []
    load = world._load
    world.polls._load = lambda repository: (loads.append(1), load(repository))[1]
    until(lambda: len(loads) > 5)
    assert len(world.asker.questions) == 1
    world.asker.failure = None
    world.secret = Credentials(password="two")
    until(lambda: (answer := world.polls.answer(key)) is not None and answer.error is None)
    assert world.asker.used == [Credentials(password="one"), Credentials(password="two")]


def test_a_person_who_asks_is_served_even_where_the_same_was_refused(world: World) -> None:
    world.asker.failure = SourceError("refused")
    key = world.follow("app")
    world.begin()
    until(lambda: world.polls.answer(key) is not None)
    world.polls.ask_now(key)
    until(lambda: len(world.asker.questions) == 2)


def test_a_missing_secret_is_the_answer(world: World) -> None:
    world.secret = SourceError("Secret ns/x does not exist")
    key = world.follow("app")
    world.begin()
    until(lambda: (answer := world.polls.answer(key)) is not None and answer.error is world.secret)
    assert world.asker.questions == []


def test_a_defect_of_one_repository_is_its_own_answer(world: World) -> None:
    world.asker.refs = {}
    broken = world.follow("broken")
    world.begin()
    until(lambda: world.polls.answer(broken) is not None)
    answer = world.polls.answer(broken)
    assert answer is not None
    assert "a defect in trimtab" in str(answer.error)
    other = ("ns", "other")
    world.asker.refs = {"main": "a" * 40}
    world.polls.follow(other, {"": (Repository("https://example.com/other.git"), MAIN)}, HOUR)
    until(lambda: world.polls.answer(other) is not None)


def test_nobody_asks_for_who_has_left(world: World) -> None:
    key = world.follow("app", interval=0.01)
    world.begin()
    until(lambda: world.polls.answer(key) is not None)
    world.polls.forget(key)
    assert world.polls.answer(key) is None
    world.polls.forget(key)
    world.polls.ask_now(key)
    asked = len(world.asker.questions)
    other = ("ns", "other")
    world.polls.follow(other, {"": (Repository("https://example.com/other.git"), NEXT)}, 0.01)
    until(lambda: len([q for q in world.asker.questions if q == (NEXT,)]) > 5)
    assert len([q for q in world.asker.questions if q == (MAIN,)]) <= asked + 1


def test_a_source_that_changes_while_it_is_asked_for_gets_its_own_answer(world: World) -> None:
    world.asker.hold.clear()
    key = world.follow("app", MAIN)
    world.begin()
    until(lambda: world.asker.questions)
    world.follow("app", NEXT)
    world.asker.hold.set()
    until(lambda: (answer := world.polls.answer(key)) is not None and answer.commit == "b" * 40)


def test_all_sources_of_an_app_are_followed_and_an_app_of_the_same_repository_asks_no_more(world: World) -> None:
    key, repository = ("ns", "app"), Repository(URL)
    world.polls.follow(key, {"": (repository, MAIN), "values": (repository, NEXT)}, HOUR)
    world.begin()
    until(lambda: world.polls.answer(key, "values") is not None)
    answers = [world.polls.answer(key), world.polls.answer(key, "values")]
    assert [answer.commit[0] for answer in answers if answer is not None] == ["a", "b"]
    assert [set(question) for question in world.asker.questions] == [{MAIN, NEXT}]


def test_a_source_that_was_taken_out_is_followed_no_more_and_the_rest_is_known_still(world: World) -> None:
    key, repository = ("ns", "app"), Repository(URL)
    world.polls.follow(key, {"": (repository, MAIN), "values": (repository, NEXT)}, HOUR)
    world.begin()
    until(lambda: world.polls.answer(key, "values") is not None)
    world.polls.follow(key, {"": (repository, MAIN)}, HOUR)
    assert world.polls.answer(key, "values") is None
    assert world.polls.answer(key) is not None
    assert len(world.asker.questions) == 1
