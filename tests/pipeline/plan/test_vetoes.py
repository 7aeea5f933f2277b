"""Each veto keeps what it is there to keep, and lets the rest go."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.app import Guard, Prune
from pipeline.inventory.live import LiveObject
from pipeline.inventory.record import Entry, Standing, digest_of
from pipeline.plan.decide import judge
from pipeline.plan.vetoes import VETOES, Candidate, Verdict
from pipeline.plan.vetoes.going import held_by
from pipeline.plan.vetoes.guard import held
from renderers.manifest import ObjectId

_CRDS = "apiextensions.k8s.io"
_ID = ObjectId("ConfigMap", "", "ns", "a")
_ENTRY = Entry(_ID, "v1", Standing.CREATED, uid="u1", applied="d", fingerprint="f")
_LIVE = LiveObject(id=_ID, uid="u1", resource_version="1", fingerprint="f", owner="me", object=str(_ID), has_entry=True)
_FINE = Candidate(_ENTRY, _LIVE, "me", Prune())


def _as(kind: str, group: str = "", *, prune: str = "", adopted: bool = False) -> Candidate:
    """An object of that kind; `adopted`: it was, and the App says that such may be deleted."""
    object_id = ObjectId(kind, group, "ns", "a")
    return replace(
        _FINE,
        entry=replace(_ENTRY, id=object_id, standing=Standing.ADOPTED if adopted else Standing.CREATED),
        live=replace(_LIVE, id=object_id, object=str(object_id), prune=prune),
        prune=Prune(adopted=adopted),
    )


def _live(**marks: Any) -> Candidate:
    return replace(_FINE, live=replace(_LIVE, **marks))


def test_what_we_created_and_still_own_is_pruned() -> None:
    assert judge(_FINE)[0] is Verdict.PRUNE


@pytest.mark.parametrize(
    ("candidate", "verdict", "says"),
    [
        (replace(_FINE, prune=Prune(enabled=False)), Verdict.KEEP, "prune is off"),
        (replace(_FINE, unlisted="403"), Verdict.KEEP, "could not be listed"),
        (replace(_FINE, live=None), Verdict.RELEASE, "no longer carries"),
        (replace(_FINE, live=replace(_LIVE, uid="u2")), Verdict.RELEASE, "created again"),
        (replace(_FINE, live=replace(_LIVE, owner="other")), Verdict.RELEASE, "owner annotation"),
        (replace(_FINE, live=replace(_LIVE, owner="")), Verdict.RELEASE, "owner annotation"),
        (replace(_FINE, live=replace(_LIVE, object="ConfigMap/ns/b")), Verdict.RELEASE, "owner annotation"),
        (replace(_FINE, live=replace(_LIVE, has_entry=False)), Verdict.RELEASE, "field ownership"),
        (replace(_FINE, live=replace(_LIVE, prune="never")), Verdict.RELEASE, "never"),
        (replace(_FINE, live=replace(_LIVE, keep=True)), Verdict.RELEASE, "resource-policy"),
        (replace(_FINE, entry=replace(_ENTRY, standing=Standing.ADOPTED)), Verdict.RELEASE, "adopted"),
        (replace(_FINE, entry=replace(_ENTRY, standing=Standing.PENDING)), Verdict.RELEASE, "doubt"),
        (_live(apply="ignore"), Verdict.RELEASE, "ignore"),
        (_as("Namespace", adopted=True), Verdict.RELEASE, "Namespace"),
        (_as("CustomResourceDefinition", _CRDS, adopted=True), Verdict.RELEASE, "CustomResourceDefinition"),
        (_as("PersistentVolumeClaim", adopted=True, prune="allowed"), Verdict.RELEASE, "PersistentVolumeClaim"),
        (_as("PersistentVolumeClaim"), Verdict.RELEASE, "allowed"),
        (_as("PersistentVolumeClaim", prune="first"), Verdict.RELEASE, "allowed"),
        (replace(_FINE, claimed_by="x.other"), Verdict.OFFER, "x.other"),
        (replace(_FINE, kept_uids=frozenset({"u1"})), Verdict.FORGET, "another API group"),
        (replace(_FINE, live=None, kept_uids=frozenset({"u1"})), Verdict.FORGET, "another API group"),
        (_live(prune="Never"), Verdict.WAIT, "'Never'"),
        (_live(propagation="orphan"), Verdict.WAIT, "Foreground, Background or Orphan"),
        (_live(terminating=True, finalizers=("x/y",)), Verdict.WAIT, "x/y"),
    ],
)
def test_a_veto_has_its_verdict_and_says_why(candidate: Candidate, verdict: Verdict, says: str) -> None:
    answer, reason = judge(candidate)
    assert answer is verdict
    assert says in reason


def test_every_veto_is_needed() -> None:
    """Without it, some candidate of the table above would be deleted."""
    table = [mark for mark in test_a_veto_has_its_verdict_and_says_why.pytestmark if mark.name == "parametrize"]
    candidates = [case[0] for case in table[0].args[1]]
    for veto in VETOES:
        others = [other for other in VETOES if other is not veto]
        assert any(not any(other.ask(candidate) for other in others) for candidate in candidates), veto


@pytest.mark.parametrize(
    "candidate",
    [
        _as("PersistentVolumeClaim", prune="allowed"),
        _as("Namespace"),
        _as("CustomResourceDefinition", _CRDS),
        _as("PersistentVolumeClaim", "example.com"),
        _live(prune="first", propagation="Orphan"),
        _live(finalizers=("x/y",)),
        replace(_FINE, kept_uids=frozenset({"another"})),
    ],
)
def test_no_veto_stands_against_what_may_go(candidate: Candidate) -> None:
    """Whether a container is empty is seen when it is to go."""
    assert judge(candidate)[0] is Verdict.PRUNE


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"uid": "u2"}, {"terminating": True}),
        ({"owner": "other"}, {"prune": "Never"}),
        ({"keep": True}, {"propagation": "orphan"}),
    ],
)
def test_what_is_not_ours_is_let_go_whatever_else_is_said_on_it(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert judge(_live(**first, **second))[0] is Verdict.RELEASE


def test_an_object_that_moved_is_forgotten_whatever_else_holds() -> None:
    """Under its other id it is kept: neither a prune that is off, nor a claim, speaks of that."""
    moved = replace(
        _FINE, kept_uids=frozenset({"u1"}), prune=Prune(enabled=False), claimed_by="x.other", unlisted="403"
    )
    assert judge(moved)[0] is Verdict.FORGET


@pytest.mark.parametrize(
    ("finalizers", "says"),
    [
        ((), "about to end"),
        (("kubernetes",), "about to end"),
        (("a/b",), "its finalizer a/b is taken off"),
        (("a/b", "c"), "its finalizers a/b, c are taken off"),
    ],
)
def test_who_holds_what_was_deleted_is_named(finalizers: tuple[str, ...], says: str) -> None:
    assert says in held_by(finalizers)


def test_adopted_objects_go_only_where_the_app_says_so() -> None:
    adopted = replace(_FINE, entry=replace(_ENTRY, standing=Standing.ADOPTED), prune=Prune(adopted=True))
    assert judge(adopted)[0] is Verdict.PRUNE


def _objects(count: int) -> list[LiveObject]:
    return [replace(_LIVE, id=replace(_ID, name=f"a{n}"), uid=f"u{n}") for n in range(count)]


@pytest.mark.parametrize(
    ("prunes", "total", "is_held"),
    [(0, 0, False), (9, 9, False), (10, 20, False), (11, 20, True), (10, 10, True), (10, 1000, False)],
)
def test_the_guard_counts_share_and_number(prunes: int, total: int, *, is_held: bool) -> None:
    assert bool(held(_objects(prunes), total, Guard(), approved="")) is is_held


def test_an_approval_covers_exactly_what_was_held() -> None:
    objects = _objects(12)
    digest = held(objects, 12, Guard(), approved="")
    assert digest == digest_of((live.id, live.uid) for live in objects)
    assert held(objects, 12, Guard(), approved=digest) == ""
    assert held(objects[1:], 12, Guard(), approved=digest) not in ("", digest)
    assert held([*objects[1:], replace(objects[0], uid="again")], 12, Guard(), approved=digest) not in ("", digest)
