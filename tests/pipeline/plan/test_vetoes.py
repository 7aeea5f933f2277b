"""Each veto keeps what it is there to keep, and lets the rest go."""

from dataclasses import replace

import pytest

from pipeline.app import Guard, Prune
from pipeline.inventory.live import LiveObject
from pipeline.inventory.record import Entry, Standing, digest_of
from pipeline.plan.decide import judge
from pipeline.plan.vetoes import VETOES, Candidate, Verdict
from pipeline.plan.vetoes.guard import held
from renderers.manifest import ObjectId

_ID = ObjectId("ConfigMap", "", "ns", "a")
_ENTRY = Entry(_ID, "v1", Standing.CREATED, uid="u1", applied="d", fingerprint="f")
_LIVE = LiveObject(id=_ID, uid="u1", resource_version="1", fingerprint="f", owner="me", object=str(_ID), has_entry=True)
_FINE = Candidate(_ENTRY, _LIVE, "me", Prune())


def _as(kind: str, group: str = "", *, prune: str = "") -> Candidate:
    object_id = ObjectId(kind, group, "ns", "a")
    return replace(
        _FINE,
        entry=replace(_ENTRY, id=object_id),
        live=replace(_LIVE, id=object_id, object=str(object_id), prune=prune),
    )


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
        (_as("Namespace"), Verdict.RELEASE, "Namespace"),
        (_as("CustomResourceDefinition", "apiextensions.k8s.io"), Verdict.RELEASE, "CustomResourceDefinition"),
        (_as("PersistentVolumeClaim"), Verdict.RELEASE, "allowed"),
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


def test_a_claim_with_permission_is_pruned() -> None:
    assert judge(_as("PersistentVolumeClaim", prune="allowed"))[0] is Verdict.PRUNE


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
