"""From what a turn came to, to the status of the App. Pure: takes the old status and the time, gives the new one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.app.status import HISTORY_MAX, LIST_MAX, Brought, Condition, Held, Past, Problem, Rollback, Status
from pipeline.errors import TrimtabError
from pipeline.location import short
from pipeline.plan.model import Action
from pipeline.result import SyncResult
from pipeline.source.checkout import Checkout
from renderers.api import Rendered

#: A condition's message may have 32 KiB (metav1.Condition); a person reads less.
_MESSAGE_MAX = 2000

Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Moment:
    """What every new status needs: the time (RFC 3339), the App's generation, and the request that it answers."""

    now: str
    generation: int
    request: str = ""


def after_sync(
    old: Status, result: SyncResult, ref: str, moment: Moment, *, waited: bool, rollback: Rollback | None = None
) -> Status:
    """A sync ended, well or not. `waited`: the App waits for health."""
    problems = _problems(result)
    held = _held(result)
    reason, message = _verdict(result, problems, held, rollback, waited=waited)
    synced = not result.of(Action.FAILED, Action.REFUSED)
    healthy: Truth = "False" if result.unhealthy else "True" if waited and synced else "Unknown"
    ready = result.ok and held is None
    status = _with(
        old, moment,
        ("Ready", "True" if ready else "False", reason, message),
        ("Synced", "True" if synced else "False", "Applied" if synced else reason, "" if synced else message),
        ("Healthy", healthy, {"True": "Ready", "False": "NotReady", "Unknown": "NotWaited"}[healthy],
         result.unhealthy[0] if result.unhealthy else ""),
        ("SourceReady", "True", "Read", ""),
    )  # fmt: skip
    counts = {str(action): n for action in Action if (n := len(result.of(action)))}
    past = Past(moment.now, reason, result.summary, result.commit, ready, counts)
    # The inventory is at this commit, and the status was not: whoever did it could not say so any more.
    untold = ready and result.commit == result.recorded != old.commit
    return msgspec.structs.replace(
        status,
        commit=result.commit,
        short_commit=short(result.commit),
        ref=ref,
        objects=result.owned,
        held=held,
        problems=problems,
        warnings=tuple(_cut(text) for text in result.warnings[:LIST_MAX]),
        rollback=rollback,
        history=_history(old, past, acted=untold or bool(set(counts) - {str(Action.UNCHANGED)})),
    )


def sources_of(others: Mapping[str, Checkout], rendered: Rendered | None) -> tuple[Brought, ...]:
    """What was read beside the source: the further sources of the App, and what its render fetched."""
    named = [Brought(each.url, each.ref, each.commit, name) for name, each in sorted(others.items())]
    units = rendered.units if rendered is not None else ()
    fetched = sorted({(each.url, each.version, each.id) for unit in units for each in unit.fetched})
    return tuple((named + [Brought(*each) for each in fetched])[:LIST_MAX])


def after_error(old: Status, error: TrimtabError, moment: Moment, *, commit: str = "") -> Status:
    """A sync could not be done at all, at this commit where one was known; what was applied stays."""
    text = plain(error)
    status = _with(old, moment, ("Ready", "False", error.reason, text), ("Synced", "False", error.reason, text))
    if commit:
        status = _with(status, moment, ("SourceReady", "True", "Read", ""))
    past = Past(moment.now, error.reason, text, commit or old.commit)
    # What the sync before said of single objects may not hold any more.
    return msgspec.structs.replace(status, history=_history(old, past, acted=False), problems=(), held=None)


def source_lost(status: Status, error: TrimtabError, moment: Moment) -> Status:
    """The source gives no answer, or a refusal: whatever the status says else, the App is not ready."""
    text = plain(error)
    return _with(status, moment, ("Ready", "False", error.reason, text), ("SourceReady", "False", error.reason, text))


def blocked(old: Status, reason: str, message: str, moment: Moment) -> Status:
    """Something outside the App has to happen first; nothing was done."""
    return _with(old, moment, ("Ready", "False", reason, message))


def suspended(old: Status, moment: Moment, *, name: str) -> Status:
    """A person said to leave it alone. Whether it was ready stays as it was. `name` is namespace/name."""
    ready = old.condition("Ready")
    message = f"nothing is applied or pruned until {_command('resume', name)}"
    return _with(old, moment, ("Ready", ready.status if ready else "Unknown", "Suspended", message))


def deleting(old: Status, result: SyncResult, moment: Moment) -> Status:
    """The App is being deleted, and something of it is still there."""
    held = _held(result)
    problems = _problems(result)
    if held is not None:
        reason = "PruneHeld"
        message = (
            f"deleting the App would delete {_objects(held.count)}: {_command('approve', result.app)} lets it go on"
        )
    elif problems:
        reason, message = "DeletionFailed", _first(problems)
    else:
        reason, message = "DeletionWaits", _waiting(result) or "some objects are still there"
    status = _with(old, moment, ("Ready", "False", reason, message))
    return msgspec.structs.replace(status, held=held, problems=problems, objects=result.owned)


def worth_writing(old: Status, new: Status) -> bool:
    """Whether a write would tell anything: that an App is the same at another commit is not worth one."""
    same_place = msgspec.structs.replace(
        new, commit=old.commit, short_commit=old.short_commit, ref=old.ref, sources=old.sources
    )
    return old != same_place


def patch_of(old: Status, new: Status) -> dict[str, Any]:
    """The JSON merge patch that makes the one of the other."""
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    gone = dict.fromkeys(before.keys() - after.keys())
    # A map is merged, and what it no longer has would stay.
    for key in ("held", "rollback"):
        if key in before and key in after:
            after[key] = {**dict.fromkeys(before[key].keys() - after[key].keys()), **after[key]}
    return {"status": {**after, **gone}}


def news(old: Status, new: Status) -> Iterable[tuple[str, str]]:
    """Reason and message of what is worth an Event: a new entry of the history, or another reason not to be ready."""
    if new.history[:1] != old.history[:1]:
        past = new.history[0]
        at = f"{short(past.commit)}: " if past.commit else ""
        yield past.reason, f"{at}{past.message}"
        return
    before, now = old.condition("Ready"), new.condition("Ready")
    if now is not None and (before is None or (before.reason, before.message) != (now.reason, now.message)):
        yield now.reason, now.message


def plain(error: TrimtabError) -> str:
    """An error on one line, as conditions and Events show it."""
    return _cut(str(error).replace("\n  → ", " → ").replace("\n", " "))


def _verdict(
    result: SyncResult, problems: tuple[Problem, ...], held: Held | None, rollback: Rollback | None, *, waited: bool
) -> tuple[str, str]:
    """Reason and message of Ready. For a good sync it speaks of the state and not of the turn: so it stays the same."""
    if result.blocked:
        return "PruneHeld", _cut(_line(result.blocked[0]))
    if result.of(Action.FAILED, Action.REFUSED):
        good = result.of(Action.CREATED, Action.CONFIGURED, Action.UNCHANGED)
        return "PartlyApplied" if good else "ApplyFailed", _first(problems)
    if result.unhealthy:
        return "NotReady", _first(problems)
    if held is not None:
        how = _command("approve", result.app)
        return "PruneHeld", f"the prune of {_objects(held.count)} waits: {how} lets it go on"
    state = f"{_objects(result.owned)} applied" + (" and ready" if waited else "")
    if waiting := _waiting(result):
        state += f"; {waiting}"
    if rollback is not None:
        rejected, to = short(rollback.rejected), short(rollback.to)
        return "RolledBack", f"{state}, rolled back to {to}; {rejected} is not taken again, a newer commit is"
    return "Succeeded", state


def _problems(result: SyncResult) -> tuple[Problem, ...]:
    failed = [Problem(str(c.id), "Failed", _cut(_line(c.message))) for c in result.of(Action.FAILED)]
    refused = [Problem(str(c.id), "Refused", _cut(_line(c.message))) for c in result.of(Action.REFUSED)]
    unready = [Problem(*_object_and(sentence)) for sentence in result.unhealthy]
    return tuple((failed + refused + unready)[:LIST_MAX])


def _object_and(sentence: str) -> tuple[str, Literal["NotReady"], str]:
    name, _, message = sentence.partition(": ")
    return name, "NotReady", _cut(_line(message))


def _held(result: SyncResult) -> Held | None:
    if not result.held_digest:
        return None
    ids = list(map(str, result.held))
    return Held(result.held_digest, len(ids), tuple(ids[:LIST_MAX]))


def _waiting(result: SyncResult) -> str:
    """What left the set and waits for something that no person has to do."""
    waiting = result.of(Action.HELD)
    if not waiting or result.held:
        return ""
    return f"{_objects(len(waiting))} of before not removed yet: {waiting[0].id}: {_line(waiting[0].message)}"


def _first(problems: tuple[Problem, ...]) -> str:
    if not problems:
        return ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return _cut(f"{problems[0].object}: {problems[0].message}{more}")


def _with(status: Status, moment: Moment, *said: tuple[str, Truth, str, str]) -> Status:
    """The status with these conditions, each with the time at which its truth last changed."""
    known = {condition.type: condition for condition in status.conditions}
    for kind, truth, reason, message in said:
        before = known.get(kind)
        since = before.last_transition_time if before is not None and before.status == truth else moment.now
        known[kind] = Condition(kind, truth, reason, _cut(message), since, moment.generation)
    current = (
        msgspec.structs.replace(condition, observed_generation=moment.generation) for condition in known.values()
    )
    return msgspec.structs.replace(
        status,
        conditions=tuple(current),
        observed_generation=moment.generation,
        last_handled_sync=moment.request or status.last_handled_sync,
    )


def _history(old: Status, past: Past, *, acted: bool) -> tuple[Past, ...]:
    """One entry more where something was done or the turn ended otherwise than the one before; a repetition is none."""
    last = old.history[0] if old.history else None
    if last is not None:
        same_end = (last.commit, last.reason, last.message) == (past.commit, past.reason, past.message)
        if same_end or (not acted and last.reason == past.reason and last.healthy == past.healthy):
            return old.history
    return (past, *old.history)[:HISTORY_MAX]


def _line(text: str) -> str:
    return text.replace("\n  → ", " → ").replace("\n", " ")


def _cut(text: str) -> str:
    return text if len(text) <= _MESSAGE_MAX else f"{text[: _MESSAGE_MAX - 1]}…"


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"


def _command(verb: str, app: str) -> str:
    """What a person types to do that to the App (namespace/name)."""
    namespace, _, name = app.rpartition("/")
    return f"`trimtab {verb} {name}{f' -n {namespace}' if namespace not in ('', DEFAULT_NAMESPACE) else ''}`"
