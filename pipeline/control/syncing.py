"""The part of a turn that acts: one sync of one App at one commit, and what its end means for the next turn."""

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from pipeline.app import App, Place, parse_duration
from pipeline.app.status import Brought, Rollback
from pipeline.control import report
from pipeline.control import status as said
from pipeline.control.memory import Memory, Turn
from pipeline.control.rendering import Material, render
from pipeline.control.resource import APPROVED_ANNOTATION, outdated
from pipeline.control.shared import Shared
from pipeline.control.siblings import Siblings
from pipeline.control.watching import Watching
from pipeline.errors import LeaseLostError, TrimtabError
from pipeline.location import short
from pipeline.observe.logs import Logger
from pipeline.source.checkout import Checkout
from pipeline.sync import Target, sync

#: Between two tries after a failure that may pass the pause doubles, from this many seconds up to the interval.
_FIRST_PAUSE = 1.0
_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Job:
    """One sync to be done: the App, the commit that is wanted, and those of its further sources by name.

    `rollback` is set where the commit is an older one; `lost` says why a source gives no newer answer; `interval`
    (seconds) is the App's.
    """

    app: App
    commit: str
    others: Mapping[str, str]
    rollback: Rollback | None
    lost: TrimtabError | None
    interval: float


def run(shared: Shared, siblings: Siblings, turn: Turn, job: Job) -> float:
    """Sync the App at the wanted commit, say what came of it, and return the seconds until the next turn.

    Afterwards `turn.memory.ready` says whether it ended well. Raises LeaseLostError; ApiError where the status
    cannot be written.
    """
    app, commit, memory = job.app, job.commit, turn.memory
    patience = parse_duration(app.spec.wait.timeout, what="spec.wait.timeout")
    log = shared.log.bind(app=turn.name, commit=short(commit))
    ref, committed = "", 0.0
    sources: tuple[Brought, ...] = ()
    try:
        with Watching(shared.metrics) as watching, _material(shared, turn, job) as material:
            checkout = material.checkout
            ref, committed = checkout.ref, checkout.committed
            target = Target(
                shared.session, shared.store, watching, turn.stop,
                approved=turn.annotations.get(APPROVED_ANNOTATION, ""),
                gate=partial(shared.gates.through, stop=turn.stop),
                behind=partial(siblings.behind, turn.key, memory, patience),
                outdated=partial(outdated, shared.connection, turn.resource),
                on_planned=partial(siblings.planned, memory, commit),
            )  # fmt: skip
            result = sync(app, checkout, lambda: render(shared, turn, material, log), target)
            sources = said.sources_of(material.others, memory.rendered.rendered if memory.rendered else None)
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
    status = msgspec.structs.replace(status, inventory=shared.store.place_of(app), sources=sources)
    if (lost := job.lost or memory.pins.lost) is not None:
        status = said.source_lost(status, lost, turn.moment)
    memory.ready = (memory.generation, commit) if result.ok else None
    report.tell(shared, turn, result, status, committed, log)
    report.write(shared, turn, status)
    siblings.concern(result.concerned)
    if any(change.temporary for change in result.changes):
        return backoff(memory, job.interval)
    memory.failures = 0
    # Who is waited for wakes this App; when that takes too long, a person has to decide.
    return jittered(min(job.interval, patience) if result.waits else job.interval)


@contextmanager
def _material(shared: Shared, turn: Turn, job: Job) -> Iterator[Material]:
    """The checkouts of all sources of the App."""
    source = job.app.spec.source
    assert source is not None  # noqa: S101 - an App resource has one
    with ExitStack() as held:

        def checked_out(place: Place, commit: str, name: str = "") -> Checkout:
            credentials = shared.polls.credentials(turn.key, name)
            return held.enter_context(shared.sources.checked_out(place, commit, credentials))

        others = {each.name: checked_out(each.place, job.others[each.name], each.name) for each in job.app.spec.sources}
        yield Material(job.app, checked_out(source.place, job.commit), others)


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
