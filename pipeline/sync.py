"""The road of one sync: checkout → render → parse → plan → record → apply → wait → prune → record."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from pipeline.app import App, parse_duration
from pipeline.apply.remove import Removed, Remover
from pipeline.apply.run import Applier
from pipeline.apply.send import Policy, Sent
from pipeline.cluster.session import Session
from pipeline.health.rules import Health, State, may_be_unready, settled
from pipeline.health.wait import wait
from pipeline.inventory.names import selector
from pipeline.inventory.store import Store, ensure_namespace
from pipeline.plan.decide import Leave
from pipeline.plan.model import Action, Change
from pipeline.plan.vetoes import Verdict
from pipeline.planning import Planned, Wishes, make_plan
from pipeline.result import Progress, Silent, SyncResult
from pipeline.source.checkout import Checkout
from pipeline.turn import after, before, differs
from renderers.api import Rendered
from renderers.manifest import ObjectId


@dataclass(frozen=True, slots=True)
class Target:
    """Where a sync goes, and who watches it.

    `stop` ends it between two requests, and any waiting at once; `approve_all` is `--yes`, `approved` the digest of
    a prune that a person approved. `gate` is passed for each of the steps render, apply and wait, and may hold it
    up; prune counts as apply.
    """

    session: Session
    store: Store
    progress: Progress = field(default_factory=Silent)
    stop: threading.Event = field(default_factory=threading.Event)
    approve_all: bool = False
    approved: str = ""
    gate: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()


def sync(app: App, checkout: Checkout, render: Callable[[], Rendered], target: Target) -> SyncResult:
    """Make the cluster equal to what the checkout renders to.

    Raises TrimtabError for what concerns the whole App; before the record is written nothing was changed. What
    concerns one object is in the result.
    """
    with target.gate("render"):
        target.progress.step("render")
        rendered = render()
    with target.gate("apply"):
        target.progress.step("plan")
        wishes = Wishes(approve_all=target.approve_all, approved=target.approved)
        planned = make_plan(app, rendered, target.session, target.store, wishes)
        recorded = planned.opened.record.commit
        if planned.settled:
            return replace(SyncResult.of_plan(app, checkout.commit, planned.plan), recorded=recorded)
        stored = planned.opened.stored
        if not planned.plan.empty:
            stored = target.store.save(app, stored, before(app, checkout, planned))
        removed = remove(app, planned, target, [leave for leave in planned.plan.leaves if leave.first])
        sent = _apply(app, planned, target)
        if app.spec.prune.after == "applied":
            removed += _prune(app, planned, target, sent, {})
    unhealthy = _wait(app, planned, target, sent)
    with target.gate("apply"):
        if app.spec.prune.after == "healthy":
            removed += _prune(app, planned, target, sent, unhealthy)
        result = SyncResult.of_turn(
            app, checkout.commit, planned.plan, sent, removed, unhealthy, stopped=target.stop.is_set()
        )
        record = after(app, checkout, planned, sent, removed, result)
        if differs(stored.record, record):
            target.store.save(app, stored, record)
    return replace(result, owned=len(record.entries), recorded=recorded)


def _apply(app: App, planned: Planned, target: Target) -> list[Sent]:
    sends = planned.plan.sends
    if not sends:
        return []
    target.progress.step("apply", len(sends))
    session, spec = target.session, app.spec
    if spec.target.create_namespace and any(not item.uid for item in sends):
        ensure_namespace(session.connection, spec.target.namespace)
    applier = Applier(
        connection=session.connection,
        policy=Policy(planned.manager, spec.conflicts, frozenset(spec.adopt.from_)),
        selector=selector(app),
        stop=target.stop,
        on_sent=lambda sent: target.progress.done(sent.change),
    )
    return list(applier.run(planned.plan))


def _wait(app: App, planned: Planned, target: Target, sent: list[Sent]) -> dict[ObjectId, Health]:
    """Wait until what was sent is ready; returns what is not.

    What was not touched now is looked at only when the last turn did not see it ready: an unchanged, healthy App
    costs nothing.
    """
    if not app.spec.wait.enabled or target.stop.is_set():
        return {}
    waiting = {
        item.change.id: planned.resources[item.change.id]
        for item in sent
        if item.answer is not None and not settled(item.answer)
    }
    if not planned.opened.record.outcome.healthy:
        unchanged = {entry.id for entry in planned.plan.unchanged if may_be_unready(entry.id)}
        waiting |= {object_id: planned.resources[object_id] for object_id in unchanged}
    if not waiting:
        return {}
    with target.gate("wait"):
        target.progress.step("wait", len(waiting))
        health = wait(
            target.session.connection,
            waiting,
            selector=selector(app),
            timeout=parse_duration(app.spec.wait.timeout, what="wait.timeout"),
            stop=target.stop,
            on_change=lambda object_id, state: target.progress.note(f"{object_id}: {state.message}"),
        )
    return {object_id: state for object_id, state in health.items() if state.state is not State.CURRENT}


def _prune(
    app: App, planned: Planned, target: Target, sent: list[Sent], unhealthy: dict[ObjectId, Health]
) -> list[Removed]:
    """Prune comes last, when all that is to live was applied and is ready; else it is put off."""
    last = [leave for leave in planned.plan.leaves if not leave.first]
    reason = _not_yet(planned, target, sent, unhealthy)
    return _postponed(last, reason) if reason else remove(app, planned, target, last)


def _not_yet(planned: Planned, target: Target, sent: list[Sent], unhealthy: dict[ObjectId, Health]) -> str:
    """Why nothing may be pruned in this turn; empty where it may."""
    if target.stop.is_set():
        return "the sync was ended before it could be pruned"
    bad = [item.change for item in sent if item.change.action in (Action.FAILED, Action.REFUSED)]
    bad += planned.plan.failed
    if bad:
        return f"it is pruned when everything else is applied; {bad[0].id} is not"
    if unhealthy:
        return f"it is pruned when everything else is ready; {next(iter(unhealthy))} is not"
    return ""


def _postponed(leaves: list[Leave], reason: str) -> list[Removed]:
    acts = (Verdict.PRUNE, Verdict.RELEASE, Verdict.HOLD)
    return [
        Removed(Change(leave.entry.id, Action.HELD, reason) if leave.verdict in acts else None, leave.entry)
        for leave in leaves
    ]


def remove(app: App, planned: Planned, target: Target, leaves: Sequence[Leave]) -> list[Removed]:
    """Carry out what the plan says of objects that left the set."""
    if not leaves:
        return []
    target.progress.step("prune", len(leaves))
    remover = Remover(
        connection=target.session.connection,
        manager=planned.manager,
        owner=planned.opened.record.owner,
        prune=app.spec.prune,
        on_removed=lambda removed: target.progress.done(removed.change) if removed.change else None,
    )
    return list(remover.run(leaves))
