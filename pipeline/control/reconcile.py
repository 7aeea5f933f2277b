"""One turn of one App: what its resource, its source and its dependencies say now, and so what is to be done."""

import contextlib
import threading
from collections.abc import Callable

from pipeline.app import App, app_of_resource, parse_duration
from pipeline.app.status import Rollback
from pipeline.cluster import objects
from pipeline.cluster.errors import ApiError
from pipeline.control import report, syncing
from pipeline.control import status as said
from pipeline.control.answers import Answer
from pipeline.control.depends import Dependencies
from pipeline.control.followed import Followed, answers_of, followed
from pipeline.control.memory import Memories, Memory, Turn
from pipeline.control.removal import Removal
from pipeline.control.resource import (
    APPS,
    CONTROLLER_MANAGER,
    FINALIZER,
    HEAD,
    REJECTED_ANNOTATION,
    ROLLBACK_ANNOTATION,
    AppKey,
)
from pipeline.control.shared import Shared
from pipeline.control.siblings import Siblings
from pipeline.control.syncing import Job
from pipeline.control.wanted import wanted_commit
from pipeline.errors import InputError, LeaseLostError, SourceError, TrimtabError

#: The longest pause, in seconds, after a failure of the controller's own doing beside a sync.
_LONGEST_PAUSE = 60.0


class Reconciler:
    """Runs turns: any number at a time, but one an App. `wake` asks for a turn of another App."""

    def __init__(
        self,
        shared: Shared,
        removal: Removal,
        siblings: Siblings,
        memories: Memories,
        wake: Callable[[AppKey], None],
    ) -> None:
        self._shared = shared
        self._removal = removal
        self._siblings = siblings
        self._wake = wake
        self._memories = memories
        self._dependencies = Dependencies(shared.apps, self._memories, shared.polls.answer)

    def changed(self, key: AppKey) -> None:
        """The resource is not as it was: a turn under way that has become wrong ends, and dependents look again."""
        self._dependencies.learn(key)
        self._end_if_outdated(key)
        for other in self._dependencies.dependents(key):
            self._wake(other)

    def answered(self, key: AppKey) -> bool:
        """The repository was asked. Tells whether somebody waits for just that."""
        self._end_if_outdated(key)
        memory = self._memories.get(key)
        return memory is not None and memory.waits_for_answer

    def stop_all(self) -> None:
        """End every turn that runs."""
        self._memories.stop_all()

    def turn(self, key: AppKey) -> float | None:
        """One turn; the seconds until the next, None where only a change can bring one.

        Raises LeaseLostError.
        """
        shared = self._shared
        resource = shared.apps.get(*key)
        if resource is None:
            shared.polls.forget(key)
            shared.metrics.forget_app(*key)
            self._memories.forget(key)
            return None
        memory = self._memories.of(key, resource)
        stop = memory.stop = threading.Event()
        memory.generation = resource["metadata"]["generation"]
        ready = memory.ready
        try:
            pause = self._turn(Turn(key, resource, memory, stop))
        except LeaseLostError:
            raise
        except TrimtabError as error:  # a status or a finalizer that could not be written
            shared.log.warning("turn failed", app="/".join(key), reason=error.reason, error=str(error))
            shared.metrics.failed(error.reason)
            pause = syncing.backoff(memory, _LONGEST_PAUSE)
        except Exception as defect:
            shared.log.exception("a defect in trimtab: please report it", app="/".join(key))
            pause = self._broke(Turn(key, resource, memory, stop), defect)
        finally:
            memory.stop, memory.commit, memory.others = None, "", {}
            if memory.ready != ready:
                for other in self._dependencies.dependents(key):
                    self._wake(other)
        return pause

    def _broke(self, turn: Turn, defect: Exception) -> float:
        """A defect of ours: said where the person looks, and tried again later."""
        shared = self._shared
        error = TrimtabError(
            f"a defect in trimtab: {type(defect).__name__}: {defect}",
            hint="please report it with the controller's log",
            reason="Defect",
        )
        shared.metrics.failed(error.reason)
        turn.memory.ready = None
        with contextlib.suppress(TrimtabError):
            report.write(shared, turn, said.after_error(turn.memory.status, error, turn.moment))
        return _LONGEST_PAUSE

    def _turn(self, turn: Turn) -> float | None:
        shared, memory = self._shared, turn.memory
        app, wrong = _read(turn)
        if "deletionTimestamp" in turn.resource["metadata"]:
            shared.polls.forget(turn.key)
            return self._removal.turn(turn, app)
        if app is None or app.spec.source is None:
            shared.polls.forget(turn.key)
            assert wrong is not None  # noqa: S101 - there is an App, or what is wrong with it
            report.write(shared, turn, said.after_error(memory.status, wrong, turn.moment))
            return None
        shared.metrics.app_suspended(*turn.key, suspended=app.spec.suspend)
        if app.spec.suspend:
            shared.polls.forget(turn.key)
            report.write(shared, turn, said.suspended(memory.status, turn.moment, name=str(app)))
            return None
        try:
            sources = followed(app, shared)
        except SourceError as error:
            shared.polls.forget(turn.key)
            report.write(shared, turn, said.source_lost(memory.status, error, turn.moment))
            return None
        return self._follow(turn, app, sources)

    def _follow(self, turn: Turn, app: App, sources: Followed) -> float | None:
        """Find out which commit is wanted, and whether it may be synced now."""
        shared, memory = self._shared, turn.memory
        interval = parse_duration(app.spec.interval, what="spec.interval")
        shared.polls.follow(turn.key, sources, interval)
        if memory.heard(turn.moment.request):
            shared.polls.ask_now(turn.key)
        answers = answers_of(shared.polls, turn.key, app)
        if answers is None or (turn.moment.request and answers.asked < memory.asked[1]):
            return None  # the answer brings the next turn
        commit, rollback = wanted_commit(answers.main, turn.annotations)
        self._keep_rollback(turn, rollback, answers.main)
        if not commit or not all(answers.commits.values()):
            if answers.lost is not None:
                report.write(shared, turn, said.source_lost(memory.status, answers.lost, turn.moment))
            return None
        blocked = self._dependencies.blocked(turn.key)
        if blocked is not None:
            memory.ready = None
            report.write(shared, turn, said.blocked(memory.status, *blocked, turn.moment))
            return interval
        finalizers = turn.resource["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers and not self._patch(turn, {"finalizers": [*finalizers, FINALIZER]}):
            return 0.0
        memory.commit, memory.others = commit, answers.commits
        if self._outdated(turn.key, memory):
            return 0.0
        job = Job(app, commit, answers.commits, rollback, answers.lost, interval)
        return syncing.run(shared, self._siblings, turn, job)

    def _keep_rollback(self, turn: Turn, rollback: Rollback | None, answer: Answer) -> None:
        """Write down which commit is rejected, or end a rollback that git has moved on past."""
        rejected = turn.annotations.get(REJECTED_ANNOTATION)
        if rejected is None or not answer.commit:
            return
        if rollback is None:
            self._patch(turn, {"annotations": {ROLLBACK_ANNOTATION: None, REJECTED_ANNOTATION: None}})
        elif rejected == HEAD:
            self._patch(turn, {"annotations": {REJECTED_ANNOTATION: answer.commit}})

    def _end_if_outdated(self, key: AppKey) -> None:
        memory = self._memories.get(key)
        if memory is not None and memory.stop is not None and self._outdated(key, memory):
            memory.stop.set()

    def _outdated(self, key: AppKey, memory: Memory) -> bool:
        """Whether the turn under way is no longer what is wanted."""
        resource = self._shared.apps.get(*key)
        if resource is None or resource["metadata"]["generation"] != memory.generation:
            return True
        if not memory.commit:
            return False
        polls = self._shared.polls
        for name, at in memory.others.items():
            answer = polls.answer(key, name)
            if answer is not None and answer.commit not in ("", at):
                return True
        commit, _ = wanted_commit(polls.answer(key), resource["metadata"].get("annotations") or {})
        return bool(commit) and commit != memory.commit

    def _patch(self, turn: Turn, metadata: dict[str, object]) -> bool:
        """Change the App's metadata as it was read. False: it is another by now, and its next turn is to come."""
        version = turn.resource["metadata"]["resourceVersion"]
        patch = {"metadata": {**metadata, "resourceVersion": version}}
        try:
            objects.merge_patch(self._shared.connection, APPS, *turn.key, patch, manager=CONTROLLER_MANAGER)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            return False
        return True


def _read(turn: Turn) -> tuple[App | None, InputError | None]:
    try:
        return app_of_resource(turn.resource), None
    except InputError as error:
        return None, error
