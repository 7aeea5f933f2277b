"""The part of a turn that acts: one sync of one App at one commit, and what its end means for the next turn."""

import random
from dataclasses import dataclass
from functools import partial

import msgspec

from pipeline.app import App, GitSource
from pipeline.app.status import Rollback
from pipeline.control import report
from pipeline.control import status as said
from pipeline.control.memory import Memory, Turn
from pipeline.control.polls import Answer
from pipeline.control.resource import APPROVED_ANNOTATION
from pipeline.control.shared import Shared
from pipeline.control.watching import Watching
from pipeline.errors import LeaseLostError, TrimtabError
from pipeline.observe.logs import Logger
from pipeline.rendering import capabilities_of, left_out, render_app
from pipeline.source.checkout import Checkout
from pipeline.sync import Target, sync
from renderers.api import Rendered
from renderers.tree import RenderOptions

#: Between two tries after a failure that may pass the pause doubles, from this many seconds up to the interval.
_FIRST_PAUSE = 1.0
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Job:
    """One sync to be done: the App with its git source, what the repository said, and the commit that is wanted.

    `rollback` is set where the commit is an older one; `interval` (seconds) is the App's.
    """

    app: App
    git: GitSource
    answer: Answer
    commit: str
    rollback: Rollback | None
    interval: float


def run(shared: Shared, turn: Turn, job: Job) -> float:
    """Sync the App at the wanted commit, say what came of it, and return the seconds until the next turn.

    Afterwards `turn.memory.ready` says whether it ended well. Raises LeaseLostError; ApiError where the status
    cannot be written.
    """
    app, commit, memory = job.app, job.commit, turn.memory
    log = shared.log.bind(app=turn.name, commit=commit[:12])
    ref, committed = "", 0.0
    try:
        with (
            Watching(shared.metrics) as watching,
            shared.mirrors.checked_out(job.git, commit, shared.polls.credentials(turn.key)) as checkout,
        ):
            ref, committed = checkout.ref, checkout.committed
            target = Target(
                shared.session, shared.store, watching, turn.stop,
                approved=turn.annotations.get(APPROVED_ANNOTATION, ""),
                gate=partial(shared.gates.through, stop=turn.stop),
            )  # fmt: skip
            result = sync(app, checkout, lambda: _render(shared, turn, app, checkout, log), target)
    except LeaseLostError:
        raise
    except TrimtabError as error:
        memory.ready = None
        return 0.0 if turn.stop.is_set() else _failed(shared, turn, error, job, log)
    if result.stopped:
        log.info("ended early", changes=result.summary)
        return 0.0
    status = said.after_sync(
        memory.status, result, ref, turn.moment, waited=app.spec.wait.enabled, rollback=job.rollback
    )
    status = msgspec.structs.replace(status, inventory=shared.store.place_of(app))
    if job.answer.lost and job.answer.error is not None:
        status = said.source_lost(status, job.answer.error, turn.moment)
    memory.ready = (memory.generation, commit) if result.ok else None
    report.tell(shared, turn, result, status, committed, log)
    report.write(shared, turn, status)
    if any(change.temporary for change in result.changes):
        return backoff(memory, job.interval)
    memory.failures = 0
    return jittered(job.interval)


def backoff(memory: Memory, longest: float) -> float:
    """One more failure that may pass: the seconds until the next try."""
    memory.failures += 1
    return jittered(min(longest, _FIRST_PAUSE * 2.0 ** min(memory.failures - 1, 16)))


def jittered(seconds: float) -> float:
    """About so many seconds, so that Apps made together do not come together for ever."""
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret


def _failed(shared: Shared, turn: Turn, error: TrimtabError, job: Job, log: Logger) -> float:
    """Nothing could be done. A failure that may pass is told when it has come twice; one for good is not repeated."""
    log.error("sync failed", reason=error.reason, error=str(error))
    shared.metrics.failed(error.reason)
    memory = turn.memory
    pause = backoff(memory, job.interval) if error.temporary else jittered(job.interval)
    if not error.temporary or memory.failures > 1 or turn.moment.request:
        report.write(shared, turn, said.after_error(memory.status, error, turn.moment, commit=job.commit))
    return pause


def _render(shared: Shared, turn: Turn, app: App, checkout: Checkout, log: Logger) -> Rendered:
    """The same commit for the same cluster renders to the same; only something new is rendered anew."""
    memory, capabilities = turn.memory, capabilities_of(shared.session)
    made_of = (checkout.commit, memory.generation, capabilities)
    if memory.rendered is not None and memory.rendered[0] == made_of:
        shared.metrics.rendered("cached")
        return memory.rendered[1]
    try:
        rendered = render_app(app, checkout, RenderOptions(capabilities=capabilities))
    except TrimtabError:
        shared.metrics.rendered("failed")
        raise
    shared.metrics.rendered("ok")
    for text in (*rendered.warnings, *left_out(rendered)):
        log.warning("render", warning=text)
    memory.rendered = (made_of, rendered)
    return rendered
