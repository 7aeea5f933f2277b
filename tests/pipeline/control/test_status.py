"""The status: what each end of a turn says, and when a write would say nothing new."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.app.status import HISTORY_MAX, LIST_MAX, Brought, Rollback, Status, status_of
from pipeline.control import status as said
from pipeline.errors import InputError, SourceError, SourceUnreachableError
from pipeline.plan.model import Action, Change
from pipeline.result import SyncResult
from pipeline.source.checkout import Checkout
from renderers.api import Fetched, Rendered, Unit
from renderers.manifest import ObjectId

C1, C2 = "1" * 40, "2" * 40


def _id(name: str) -> ObjectId:
    return ObjectId("ConfigMap", "", "ns", name)


def _result(*changes: Change, commit: str = C1, **rest: Any) -> SyncResult:
    return SyncResult("ns/shop", commit, changes, owned=len(changes), **rest)


def _moment(now: str = "2030-01-01T00:00:00Z", generation: int = 1, request: str = "") -> said.Moment:
    return said.Moment(now, generation, request)


def _synced(old: Status, result: SyncResult, **rest: Any) -> Status:
    return said.after_sync(old, result, "branch main", rest.pop("moment", _moment()), waited=True, **rest)


CREATED, SAME = Change(_id("a"), Action.CREATED), Change(_id("a"), Action.UNCHANGED)


def _truth(status: Status) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions}


def test_a_good_sync() -> None:
    status = _synced(Status(), _result(CREATED))
    assert _truth(status) == {"Ready": "True", "Synced": "True", "Healthy": "True", "SourceReady": "True"}
    ready = status.condition("Ready")
    assert ready is not None
    assert (ready.reason, ready.message) == ("Succeeded", "1 object applied and ready")
    assert (status.commit, status.short_commit, status.ref, status.objects) == (C1, "1" * 12, "branch main", 1)
    assert status.history[0].counts == {"created": 1}


def test_a_sync_that_did_nothing_is_not_worth_a_write_also_at_another_commit_and_at_another_time() -> None:
    status = _synced(Status(), _result(CREATED))
    again = _synced(status, _result(SAME, commit=C2), moment=_moment("2031-01-01T00:00:00Z"))
    assert not said.worth_writing(status, again)
    assert list(said.news(status, again)) == []


def test_what_was_done_at_a_commit_and_could_not_be_said_is_said_by_the_next_turn() -> None:
    status = _synced(Status(), _result(CREATED))
    again = _synced(status, _result(SAME, commit=C2, recorded=C2))
    assert said.worth_writing(status, again)
    assert [past.commit for past in again.history] == [C2, C1]
    assert not said.worth_writing(again, _synced(again, _result(SAME, commit=C2, recorded=C2)))


def test_an_answer_to_a_person_and_a_new_generation_are_worth_a_write() -> None:
    status = _synced(Status(), _result(CREATED))
    asked = _synced(status, _result(SAME, commit=C2), moment=_moment(request="now"))
    assert said.worth_writing(status, asked)
    assert (asked.last_handled_sync, asked.commit) == ("now", C2)
    assert len(asked.history) == 1, "nothing was done"
    changed = _synced(status, _result(SAME), moment=_moment(generation=2))
    assert said.worth_writing(status, changed)
    assert {condition.observed_generation for condition in changed.conditions} == {2}


def test_the_time_of_a_condition_is_that_of_its_last_change() -> None:
    good = _synced(Status(), _result(CREATED))
    bad = _synced(good, _result(Change(_id("a"), Action.FAILED, "no")), moment=_moment("2030-01-02T00:00:00Z"))
    worse = _synced(bad, _result(Change(_id("a"), Action.FAILED, "never")), moment=_moment("2030-01-03T00:00:00Z"))
    times = [status.condition("Ready").last_transition_time[:10] for status in (good, bad, worse)]  # type: ignore[union-attr]
    assert times == ["2030-01-01", "2030-01-02", "2030-01-02"]


def test_failed_and_refused_objects_are_named() -> None:
    failed = Change(_id("bad"), Action.FAILED, "it is invalid\n  → correct it")
    refused = Change(_id("his"), Action.REFUSED, "it belongs to Helm")
    part = _synced(Status(), _result(CREATED, failed, refused))
    ready = part.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "PartlyApplied")
    assert ready.message == "ConfigMap/ns/bad: it is invalid → correct it (and 1 more)"
    assert [(problem.object, problem.reason) for problem in part.problems] == [
        ("ConfigMap/ns/bad", "Failed"), ("ConfigMap/ns/his", "Refused"),
    ]  # fmt: skip
    whole = _synced(Status(), _result(failed))
    assert whole.condition("Ready").reason == "ApplyFailed"  # type: ignore[union-attr]
    assert _truth(whole)["Healthy"] == "Unknown"


def test_what_is_not_ready_says_why() -> None:
    status = _synced(Status(), _result(CREATED, unhealthy=("Deployment.apps/ns/web: 0 of 3 replicas",)))
    assert _truth(status) == {"Ready": "False", "Synced": "True", "Healthy": "False", "SourceReady": "True"}
    assert status.condition("Ready").message == "Deployment.apps/ns/web: 0 of 3 replicas"  # type: ignore[union-attr]
    assert status.problems[0].reason == "NotReady"


def test_without_waiting_health_is_not_known() -> None:
    status = said.after_sync(Status(), _result(CREATED), "branch main", _moment(), waited=False)
    assert _truth(status)["Healthy"] == "Unknown"
    assert _truth(status)["Ready"] == "True"


def test_what_the_guard_holds_is_bound_to_its_digest_and_goes_again() -> None:
    changes = [Change(_id(f"h{n}"), Action.HELD, "the guard holds it") for n in range(60)]
    held = tuple(change.id for change in changes)
    status = _synced(Status(), _result(*changes, held_digest="d1", held=held))
    assert status.held is not None
    assert (status.held.digest, status.held.count, len(status.held.objects)) == ("d1", 60, LIST_MAX)
    ready = status.condition("Ready")
    assert ready is not None
    assert ready.reason == "PruneHeld"
    assert "trimtab approve shop" in ready.message
    free = _synced(status, _result(SAME))
    assert said.patch_of(status, free)["status"]["held"] is None


def test_a_rollback_is_ready_and_says_so() -> None:
    status = _synced(Status(), _result(CREATED), rollback=Rollback(C1, C2))
    ready = status.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("True", "RolledBack")
    assert ready.message.endswith("222222222222 is not taken again, a newer commit is")


def test_an_error_of_the_whole_keeps_what_was_applied() -> None:
    good = _synced(Status(), _result(CREATED))
    status = said.after_error(good, InputError("it is empty", hint="allow it"), _moment(), commit=C2)
    assert (status.commit, status.objects) == (C1, 1)
    ready = status.condition("Ready")
    assert ready is not None
    assert (ready.reason, ready.message) == ("InvalidSpec", "it is empty → allow it")
    assert status.history[0].commit == C2
    again = said.after_error(
        status, InputError("it is empty", hint="allow it"), _moment("2031-01-01T00:00:00Z"), commit=C2
    )
    assert not said.worth_writing(status, again), "the same failure again is no news"


def test_an_error_of_the_whole_says_nothing_of_objects_any_more() -> None:
    bad = _synced(
        Status(), _result(Change(_id("a"), Action.FAILED, "no"), Change(_id("h"), Action.HELD), held_digest="d")
    )
    status = said.after_error(bad, InputError("it is empty"), _moment(), commit=C2)
    assert (status.problems, status.held) == ((), None)


def test_a_lost_source_is_not_ready_whatever_else() -> None:
    good = _synced(Status(), _result(CREATED))
    lost = said.source_lost(good, SourceUnreachableError("no answer"), _moment())
    assert _truth(lost) == {"Ready": "False", "Synced": "True", "Healthy": "True", "SourceReady": "False"}
    assert lost.condition("Ready").reason == "SourceUnreachable"  # type: ignore[union-attr]
    back = _synced(lost, _result(SAME))
    assert _truth(back)["SourceReady"] == "True"


def test_suspended_leaves_ready_as_it_was() -> None:
    good = _synced(Status(), _result(CREATED))
    status = said.suspended(good, _moment(generation=2), name="shop")
    ready = status.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason, ready.observed_generation) == ("True", "Suspended", 2)
    assert said.suspended(Status(), _moment(), name="shop").condition("Ready").status == "Unknown"  # type: ignore[union-attr]


def test_the_history_has_each_different_end_and_no_more_than_its_limit() -> None:
    status = Status()
    for number in range(30):
        action = Action.CREATED if number % 2 else Action.CONFIGURED
        commit = f"{number:040d}"
        status = _synced(status, _result(Change(_id("a"), action), commit=commit))
    assert len(status.history) == HISTORY_MAX
    assert status.history[0].commit == f"{29:040d}"


def test_news_is_one_event_an_end() -> None:
    good = _synced(Status(), _result(CREATED))
    assert list(said.news(Status(), good)) == [("Succeeded", f"{C1[:12]}: 1 created")]
    waiting = said.blocked(good, "DependencyNotReady", "App a/b is not ready", _moment())
    assert list(said.news(good, waiting)) == [("DependencyNotReady", "App a/b is not ready")]
    assert list(said.news(waiting, waiting)) == []


@pytest.mark.parametrize("seed", range(4))
def test_the_patch_makes_the_one_status_of_the_other(seed: int) -> None:
    statuses = [
        Status(),
        _synced(Status(), _result(CREATED, warnings=("doubtful",))),
        _synced(Status(), _result(Change(_id("h"), Action.HELD), held_digest="d")),
        _synced(Status(), _result(CREATED, commit=C2), rollback=Rollback(C2, C1)),
        said.after_error(Status(), SourceError("no"), _moment(request="r")),
    ]
    old, new = statuses[seed], statuses[seed + 1]
    assert status_of({"status": _merged(msgspec.to_builtins(old), said.patch_of(old, new)["status"])}) == new
    assert status_of({"status": _merged(msgspec.to_builtins(new), said.patch_of(new, old)["status"])}) == old


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return patch
    target = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = _merged(target.get(key), value)
    return target


def test_no_message_is_endless() -> None:
    status = _synced(Status(), _result(Change(_id("a"), Action.FAILED, "x" * 100_000)))
    assert all(len(condition.message) <= 2000 for condition in status.conditions)


def test_what_was_read_beside_the_source_is_told_once(tmp_path: Path) -> None:
    values = Checkout(tmp_path, tmp_path, C1, "https://example.com/values", "branch main")
    base = Fetched("https://example.com/base", "tag v1", C2, tmp_path, tmp_path)
    rendered = Rendered((), units=(Unit("a", "kustomize", fetched=(base,)), Unit("b", "kustomize", fetched=(base,))))
    assert said.sources_of({"values": values}, rendered) == (
        Brought("https://example.com/values", "branch main", C1, "values"),
        Brought("https://example.com/base", "tag v1", C2),
    )
    assert said.sources_of({}, None) == ()


def test_that_another_source_has_moved_is_alone_not_worth_a_write() -> None:
    old = _synced(Status(), _result(CREATED))
    assert not said.worth_writing(old, msgspec.structs.replace(old, sources=(Brought("u", "v", C2),)))


def test_a_chart_is_at_a_version() -> None:
    status = _synced(Status(), _result(CREATED, commit=f"1.2.7@sha256:{'0' * 64}"))
    assert status.short_commit == "1.2.7"
