"""The road of one sync: checkout → render → parse → plan → record → apply → wait → prune → record."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial

from pipeline.app import App, parse_duration
from pipeline.apply.blocked import Trouble, blockers
from pipeline.apply.kinds import Kinds
from pipeline.apply.ready import Ready
from pipeline.apply.remove import Removed, Remover
from pipeline.apply.run import Applier
from pipeline.apply.send import Policy, Sent
from pipeline.cluster.session import Session
from pipeline.health.rules import Health, may_be_unready
from pipeline.inventory.names import selector
from pipeline.inventory.record import Entry
from pipeline.inventory.store import Store, Stored, ensure_namespace
from pipeline.plan.decide import Leave
from pipeline.plan.model import Action, Behind, Change
from pipeline.plan.vetoes import Verdict
from pipeline.planning import Planned, Wishes, make_plan
from pipeline.result import Progress, Silent, SyncResult
from pipeline.source.checkout import Checkout
from pipeline.turn import after, before, claims, concerned, differs
from renderers.api import Rendered
from renderers.manifest import ObjectId


@dataclass(frozen=True, slots=True)
class Target:
    """Where a sync goes, and who watches it.

    `stop` ends it between two requests, and any waiting at once; `approve_all` is `--yes`, `approved` the digest of
    a prune that a person approved. `gate` is passed for each of the steps render, apply and wait, and may hold it
    up; prune counts as apply. `behind` is that of `Wishes`. `outdated` is asked before anything is deleted or released:
    why this turn goes by something that is no longer so; empty: it does not. `on_planned` is told as soon as the
    inventory says what this App wants, with the labels of the Apps that it newly claims something of.
    """

    session: Session
    store: Store
    progress: Progress = field(default_factory=Silent)
    stop: threading.Event = field(default_factory=threading.Event)
    approve_all: bool = False
    approved: str = ""
    gate: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext()
    behind: Callable[[], Behind] = Behind
    outdated: Callable[[], str] = lambda: ""
    on_planned: Callable[[frozenset[str]], None] = lambda _: None


def sync(app: App, checkout: Checkout, render: Callable[[], Rendered], target: Target) -> SyncResult:
    """Make the cluster equal to what the checkout renders to.

    Raises TrimtabError for what concerns the whole App; before the record is written nothing was changed. What
    concerns one object is in the result.
    """
    with target.gate("render"):
        target.progress.step("render")
        rendered = render()
    result, more = _turn(app, checkout, rendered, target)
    while more:
        again, more = _turn(app, checkout, rendered, target, new_kinds=True)
        result = result.then(again)
    return result


def _turn(
    app: App, checkout: Checkout, rendered: Rendered, target: Target, *, new_kinds: bool = False
) -> tuple[SyncResult, bool]:
    """The road once. True: kinds came meanwhile, and objects of the set that were left out for want of them can go."""
    with target.gate("apply"):
        target.progress.step("plan")
        wishes = Wishes(approve_all=target.approve_all, approved=target.approved, behind=target.behind)
        planned = make_plan(app, rendered, target.session, target.store, wishes)
        recorded = planned.opened.record.commit
        if planned.settled:
            target.on_planned(frozenset())
            return replace(SyncResult.of_plan(app, checkout.commit, planned.plan), recorded=recorded), False
        stored = planned.opened.stored
        if not planned.plan.empty:
            stored = target.store.save(app, stored, before(app, checkout, planned))
        removed = remove(app, planned, target, [leave for leave in planned.plan.leaves if leave.first])
    ready, steps = _ready(app, planned, target)
    sent = _apply(app, planned, target, ready, steps, new_kinds=new_kinds)
    blocked: tuple[str, ...] = ()
    with target.gate("apply"):
        stored = _claim(app, planned, target, stored, sent)
        if app.spec.prune.after == "applied":
            pruned, blocked = _prune(app, planned, target, sent, {})
            removed += pruned
    unhealthy, came = _wait(planned, target, ready, sent)
    sent += _left_out(planned, app.spec.wait.timeout, came=came, stopped=target.stop.is_set())
    with target.gate("apply"):
        if app.spec.prune.after == "healthy":
            pruned, blocked = _prune(app, planned, target, sent, unhealthy)
            removed += pruned
        result = SyncResult.of_turn(
            app, checkout.commit, planned.plan, sent, removed, unhealthy, stopped=target.stop.is_set()
        )
        record = after(app, checkout, planned, sent, removed, result)
        if differs(stored.record, record):
            target.store.save(app, stored, record)
    told = concerned(planned, sent, record)
    return replace(result, owned=len(record.entries), recorded=recorded, concerned=told, blocked=blocked), came


class _Steps:
    """Apply and wait as they take turns: passes the gate of each, and says which one begins."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._name = ""

    @contextmanager
    def __call__(self, name: str, total: int) -> Iterator[None]:
        with self._target.gate(name):
            if name != self._name:
                self._name = name
                self._target.progress.step(name, total)
            yield


def _ready(app: App, planned: Planned, target: Target) -> tuple[Ready, _Steps]:
    """What waits in this turn. What is not touched now is looked at only when the last turn did not see it ready.

    So an unchanged, healthy App costs nothing.
    """
    spec, steps = app.spec, _Steps(target)
    unchanged = () if planned.opened.record.outcome.healthy else planned.plan.unchanged
    ready = Ready(
        connection=target.session.connection,
        selector=selector(app),
        timeout=parse_duration(spec.wait.timeout, what="wait.timeout"),
        stop=target.stop,
        desired={item.id: item for item in planned.desired},
        unsure=frozenset(entry.id for entry in unchanged if may_be_unready(entry.id, spec.health_checks)),
        checks=spec.health_checks,
        patient=spec.wait.enabled,
        waiting=partial(steps, "wait"),
        on_change=lambda object_id, state: target.progress.note(f"{object_id}: {state.message}"),
    )
    return ready, steps


def _apply(app: App, planned: Planned, target: Target, ready: Ready, steps: _Steps, *, new_kinds: bool) -> list[Sent]:
    sends = planned.plan.sends
    if not sends:
        return []
    session, spec = target.session, app.spec
    if spec.target.create_namespace and any(not item.uid for item in sends):
        ensure_namespace(session.connection, spec.target.namespace)
    applier = Applier(
        connection=session.connection,
        policy=Policy.of(spec, planned.manager),
        ready=ready,
        absent=planned.absent,
        stop=target.stop,
        gate=partial(steps, "apply"),
        on_sent=lambda sent: target.progress.done(sent.change),
        new_kinds=new_kinds,
    )
    return applier.run(sends)


def _claim(app: App, planned: Planned, target: Target, stored: Stored, sent: list[Sent]) -> Stored:
    """What this App wants and others own stands in its inventory before anything is waited for: they wait for that."""
    wanted, before = claims(app, planned, sent), planned.opened.record.claims
    if stored.record is not None and wanted != stored.record.claims:
        stored = target.store.save(app, stored, replace(stored.record, claims=wanted))
    looked = len(sent) == len(planned.plan.sends) and not planned.plan.awaited
    if looked and all(item.change.action is not Action.HELD for item in sent):
        target.on_planned(frozenset(dict(wanted.items() - before.items()).values()))
    return stored


def _wait(planned: Planned, target: Target, ready: Ready, sent: list[Sent]) -> tuple[dict[ObjectId, Health], bool]:
    """Wait until what was sent is ready. Returns what is not, and whether kinds came that objects were left out for.

    Kinds are waited for only in a turn that changed something, or was to see whether something is ready: nothing else
    brings them.
    """
    came = False
    acted = any(item.change.action in (Action.CREATED, Action.CONFIGURED) for item in sent)
    if planned.plan.awaited and (acted or not planned.opened.record.outcome.healthy):
        with Kinds(target.session, planned.plan.awaited) as kinds:
            ready.until(kinds.came, sent)
            came = not target.stop.is_set() and kinds.served(target.stop)
    elif ready.patient:
        ready.unready(sent)
    return ready.known_unready(), came


def _left_out(planned: Planned, timeout: str, *, came: bool, stopped: bool) -> list[Sent]:
    """What became of objects of unknown kinds."""
    if came or stopped:
        return [Sent(Change(each.id, Action.HELD, "its kind has just come"), None) for each in planned.plan.awaited]
    why = f"nothing in the App brought it within {timeout}"
    return [
        Sent(Change(each.id, Action.FAILED, f"{each.unknown}, and {why}\n  → {each.hint}", temporary=True), None)
        for each in planned.plan.awaited
    ]


def _prune(
    app: App, planned: Planned, target: Target, sent: list[Sent], unhealthy: dict[ObjectId, Health]
) -> tuple[list[Removed], tuple[str, ...]]:
    """Prune comes last, when all that is to live was applied and is ready; else it is put off.

    Returns also which objects in trouble wait for one that is put off.
    """
    last = [leave for leave in planned.plan.leaves if not leave.first]
    reason = _not_yet(planned, target, sent, unhealthy)
    if reason:
        blocked = () if target.stop.is_set() else _blocked(app, planned, target, sent, unhealthy, last)
        return _postponed(last, reason), blocked
    kept = [*planned.plan.unchanged, *(item.entry for item in sent if item.entry is not None)]
    return remove(app, planned, target, last, kept), ()


def _blocked(
    app: App,
    planned: Planned,
    target: Target,
    sent: list[Sent],
    unhealthy: dict[ObjectId, Health],
    leaves: Sequence[Leave],
) -> tuple[str, ...]:
    messages = {item.change.id: item.change.message for item in sent if item.change.action is Action.FAILED}
    messages |= {object_id: health.message for object_id, health in unhealthy.items()}
    troubled = [Trouble(each.id, each.data, messages[each.id]) for each in planned.desired if each.id in messages]
    found = blockers(target.session.connection, troubled, leaves, selector=selector(app))
    return tuple(f"{each.troubled}: {each.sentence}" for each in found)


def _not_yet(planned: Planned, target: Target, sent: list[Sent], unhealthy: dict[ObjectId, Health]) -> str:
    """Why nothing may be pruned in this turn; empty where it may."""
    if target.stop.is_set():
        return "the sync was ended before it could be pruned"
    bad = [item.change.id for item in sent if item.change.action in (Action.FAILED, Action.REFUSED, Action.HELD)]
    bad += planned.absent
    if bad:
        return f"it is pruned when everything else is applied; {bad[0]} is not"
    if unhealthy:
        return f"it is pruned when everything else is ready; {next(iter(unhealthy))} is not"
    return ""


def _postponed(leaves: Sequence[Leave], reason: str) -> list[Removed]:
    return [Removed(change, leave.entry) for leave in leaves for change in [_put_off(leave, reason)]]


def _put_off(leave: Leave, reason: str) -> Change | None:
    if leave.verdict in (Verdict.PRUNE, Verdict.RELEASE, Verdict.HOLD):
        return Change(leave.entry.id, Action.HELD, reason)
    return Change(leave.entry.id, Action.HELD, leave.reason) if leave.verdict in (Verdict.WAIT, Verdict.OFFER) else None


def remove(
    app: App, planned: Planned, target: Target, leaves: Sequence[Leave], kept: Iterable[Entry] = ()
) -> list[Removed]:
    """Carry out what the plan says of objects that left the set; `kept` are the entries of what is in it."""
    if not leaves:
        return []
    acts = any(leave.verdict in (Verdict.PRUNE, Verdict.RELEASE) for leave in leaves)
    if acts and (reason := target.outdated()):
        return _postponed(leaves, reason)
    target.progress.step("prune", len(leaves))
    remover = Remover(
        connection=target.session.connection,
        manager=planned.manager,
        owner=planned.opened.record.owner,
        prune=app.spec.prune,
        on_removed=lambda removed: target.progress.done(removed.change) if removed.change else None,
        kept_uids=frozenset(entry.uid for entry in kept),
        stop=target.stop,
    )
    return list(remover.run(leaves))
