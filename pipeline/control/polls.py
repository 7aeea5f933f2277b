"""Asks the repositories of all Apps where their refs are: one question a repository, however many Apps use it."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.app import Place
from pipeline.control.answers import Answer, Asker, Repository, Who
from pipeline.control.queue import WorkQueue
from pipeline.control.resource import AppKey
from pipeline.errors import TrimtabError
from pipeline.source.credentials import Credentials

#: How many repositories are asked at the same time; a question is nearly all waiting.
_THREADS = 8
#: A repository that does not answer is asked again after this many seconds, then twice as many, up to the interval.
_FIRST_PAUSE = 1.0
#: How often it is looked, in seconds, whether the Secret of a repository that refused it has changed.
_PEEK = 5.0
#: So that Apps made together do not ask together for ever.
_JITTER = 0.1


@dataclass(slots=True)
class _Follower:
    place: Place
    interval: float
    answer: Answer | None = None


@dataclass(slots=True)
class _State:
    """What is known of one repository. `digest` is of the credentials that were used last."""

    followers: dict[Who, _Follower] = field(default_factory=dict)
    credentials: Credentials | None = None
    failures: int = 0
    refused: bool = False
    asked: float = 0.0


class Polls:
    """The repositories that are followed. For any number of threads.

    `load` gets the credentials of a repository, and is asked anew for each poll, so that a changed Secret is taken
    up by itself. `on_poll` is told of each question that was asked: what failed it, and whether it brought news.
    """

    def __init__(
        self,
        asker: Asker,
        load: Callable[[Repository], Credentials],
        on_poll: Callable[[Repository, TrimtabError | None, bool], None],
    ) -> None:
        self._asker = asker
        self._load = load
        self._on_answer: Callable[[AppKey, bool], None] = lambda _key, _other: None
        self._on_poll = on_poll
        self._lock = threading.Lock()
        self._queue: WorkQueue[Repository] = WorkQueue()
        self._states: dict[Repository, _State] = {}
        self._places: dict[AppKey, dict[str, Repository]] = {}

    def follow(self, key: AppKey, wanted: Mapping[str, tuple[Repository, Place]], interval: float) -> None:
        """Let the App follow these sources, by name, at least every `interval` seconds, and no others.

        The name of the one that is rendered is empty.
        """
        with self._lock:
            for name in self._places.get(key, {}).keys() - wanted.keys():
                self._drop((key, name))
        for name, (repository, place) in wanted.items():
            self._follow((key, name), repository, place, interval)

    def forget(self, key: AppKey) -> None:
        """The App follows nothing any more; a repository that nobody follows is asked no more."""
        self.follow(key, {}, 0)

    def ask_now(self, key: AppKey) -> None:
        """Do not wait for the interval, not even where the same credentials were refused."""
        with self._lock:
            repositories = set(self._places.get(key, {}).values())
            for repository in repositories:
                self._states[repository].refused = False
        for repository in repositories:
            self._queue.add(repository)

    def answer(self, key: AppKey, name: str = "") -> Answer | None:
        """The last answer for a source of the App; None where there was none yet."""
        with self._lock:
            repository = self._places.get(key, {}).get(name)
            return self._states[repository].followers[key, name].answer if repository is not None else None

    def credentials(self, key: AppKey, name: str = "") -> Credentials | None:
        """What opened a source of the App when it was asked last."""
        with self._lock:
            repository = self._places.get(key, {}).get(name)
            return self._states[repository].credentials if repository is not None else None

    def start(self, on_answer: Callable[[AppKey, bool], None]) -> None:
        """Begin to ask, in threads that end after `close`.

        `on_answer` is told of each answer: the App, and whether the answer is another one than before.
        """
        self._on_answer = on_answer
        for number in range(_THREADS):
            threading.Thread(target=self._work, name=f"poll-{number}", daemon=True).start()

    def close(self) -> None:
        """Ask no more."""
        self._queue.close()

    def _follow(self, who: Who, repository: Repository, place: Place, interval: float) -> None:
        key, name = who
        with self._lock:
            state = self._states.get(repository)
            known = state.followers.get(who) if state is not None else None
            if known is not None and (known.place, known.interval) == (place, interval):
                return
            self._drop(who)
            followers = self._states.setdefault(repository, _State()).followers
            # Another App may follow the very same: its answer serves both, and nobody needs to be asked.
            same = next((other.answer for other in followers.values() if other.place == place), None)
            followers[who] = _Follower(place, interval, same)
            self._places.setdefault(key, {})[name] = repository
        if same is None:
            self._queue.add(repository)

    def _drop(self, who: Who) -> None:
        """One source less; the lock is held."""
        key, name = who
        repository = self._places.get(key, {}).pop(name, None)
        if repository is None:
            return
        if not self._places[key]:
            del self._places[key]
        followers = self._states[repository].followers
        del followers[who]
        if not followers:
            del self._states[repository]
            self._queue.drop(repository)

    def _work(self) -> None:
        while (taken := self._queue.take()) is not None:
            repository = taken[0]
            try:
                pause = self._poll(repository)
            finally:
                self._queue.done(repository)
            if pause is not None:
                self._queue.add_after(repository, pause)

    def _poll(self, repository: Repository) -> float | None:
        """Ask once; the seconds until it is to be asked again, None where nobody follows it any more."""
        with self._lock:
            state = self._states.get(repository)
            if state is None:
                return None
            places = tuple(dict.fromkeys(follower.place for follower in state.followers.values()))
            interval = min(follower.interval for follower in state.followers.values())
        asked = time.monotonic()
        answers: Mapping[Place, str | TrimtabError]
        failure: TrimtabError | None = None
        credentials: Credentials | None = None
        try:
            credentials = self._load(repository)
            if self._useless(state, credentials, places, interval, asked):
                return _PEEK
            answers = self._asker.resolve_all(places, credentials)
            failure = _all_failed(answers)
        except TrimtabError as error:
            failure = error
            answers = dict.fromkeys(places, error)
        except Exception as defect:  # noqa: BLE001 - one repository must not take the polls of the others with it
            failure = TrimtabError(f"a defect in trimtab: {type(defect).__name__}: {defect}", hint="please report it")
            answers = dict.fromkeys(places, failure)
        self._on_poll(repository, failure, self._tell(state, answers, asked))
        with self._lock:
            state.credentials = credentials or state.credentials
            state.asked = asked
            state.refused = failure is not None and not failure.temporary
            state.failures = state.failures + 1 if failure is not None and failure.temporary else 0
            pause = interval
            if state.failures:
                pause = min(interval, _FIRST_PAUSE * 2.0 ** (state.failures - 1))
            elif state.refused:
                pause = min(interval, _PEEK)
        return pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret

    def _useless(
        self, state: _State, credentials: Credentials, places: Sequence[Place], interval: float, now: float
    ) -> bool:
        """Whether to ask with the same credentials that were refused, before the interval is over, is of no use."""
        with self._lock:
            same = state.refused and state.credentials == credentials and now - state.asked < interval
            answered = {follower.place for follower in state.followers.values() if follower.answer is not None}
            return same and answered.issuperset(places)

    def _tell(self, state: _State, answers: Mapping[Place, str | TrimtabError], asked: float) -> bool:
        """Pass the answers on; tells whether any of them is another one than before."""
        told: list[tuple[AppKey, bool]] = []
        with self._lock:
            for (key, _), follower in state.followers.items():
                said = answers.get(follower.place)
                if said is None:  # it came while the question was under way; its own is queued
                    continue
                before = follower.answer
                if isinstance(said, TrimtabError):
                    commit, failures = (before.commit, before.failures) if before else ("", 0)
                    follower.answer = Answer(asked, commit, said, failures + 1)
                else:
                    follower.answer = Answer(asked, said)
                told.append((key, follower.answer.differs(before)))
        for key, other in told:
            self._on_answer(key, other)
        return any(other for _, other in told)


def _all_failed(answers: Mapping[Place, str | TrimtabError]) -> TrimtabError | None:
    """The error of the repository as a whole: one of those where nothing could be told."""
    errors = [said for said in answers.values() if isinstance(said, TrimtabError)]
    return errors[0] if errors and len(errors) == len(answers) else None
