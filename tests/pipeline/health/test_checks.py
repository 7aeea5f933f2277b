"""The App's own rules of health, case by case."""

from typing import Any

import pytest

from pipeline.app import HealthCheck, Match
from pipeline.health.rules import Health, State, assess, may_be_unready, settled
from renderers.manifest import ObjectId

CURRENT, IN_PROGRESS, FAILED = State.CURRENT, State.IN_PROGRESS, State.FAILED
PHASE = "{.status.phase}"
NO_PHASE = "has no {.status.phase} yet; it is ready when that is Afloat or Moored"
BOATS = (
    HealthCheck("sea.example/v1", "Boat", Match(PHASE, ("Afloat", "Moored")), Match(PHASE, ("Sunk",))),
    HealthCheck("sea.example/v1", "Fleet", Match("{.status.boats[*].phase}", ("Afloat",)),
                Match("{.status.boats[*].phase}", ("Sunk",))),
)  # fmt: skip


def boat(status: dict[str, Any] | None = None, kind: str = "Boat", **metadata: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"apiVersion": "sea.example/v2", "kind": kind, "metadata": {"name": "x", **metadata}}
    return made | ({} if status is None else {"status": status})


def fleet(*phases: str) -> dict[str, Any]:
    return boat({"boats": [{"phase": phase} for phase in phases]}, "Fleet")


@pytest.mark.parametrize(
    ("obj", "health"),
    [
        (boat(), Health(IN_PROGRESS, NO_PHASE)),
        (boat({"phase": None}), Health(IN_PROGRESS, NO_PHASE)),
        (boat({"phase": "Building"}), Health(IN_PROGRESS, "its {.status.phase} is Building, not Afloat or Moored")),
        (boat({"phase": "Afloat"}), Health(CURRENT)),
        (boat({"phase": "Moored"}), Health(CURRENT)),
        (boat({"phase": "Sunk"}), Health(FAILED, "its {.status.phase} is Sunk")),
        (fleet(), Health(IN_PROGRESS, "has no {.status.boats[*].phase} yet; it is ready when that is Afloat")),
        (fleet("Afloat", "Afloat"), Health(CURRENT)),
        (fleet("Afloat", "Building"), Health(IN_PROGRESS, "its {.status.boats[*].phase} is Building, not Afloat")),
        (fleet("Afloat", "Sunk"), Health(FAILED, "its {.status.boats[*].phase} is Sunk")),
    ],
)  # fmt: skip
def test_a_rule_of_the_app(obj: dict[str, Any], health: Health) -> None:
    assert assess(obj, BOATS) == health
    assert settled(obj, BOATS) == (health.state is CURRENT)


def test_it_wins_over_what_the_object_says_otherwise() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Building"}
    assert assess(boat(ready)).state is CURRENT
    assert assess(boat(ready), BOATS).state is IN_PROGRESS


def test_it_is_asked_of_the_present_generation_only() -> None:
    assert assess(boat({"phase": "Afloat", "observedGeneration": 1}, generation=2), BOATS).state is IN_PROGRESS
    assert assess(boat({"phase": "Afloat"}, deletionTimestamp="2026-01-01T00:00:00Z"), BOATS).state is State.TERMINATING


def test_it_is_for_its_kind_only_whatever_the_version() -> None:
    assert assess(boat(kind="Ship"), BOATS).state is CURRENT
    assert assess({**boat(), "apiVersion": "lake.example/v1"}, BOATS).state is CURRENT
    assert assess({**boat(), "apiVersion": "sea.example/v9"}, BOATS).state is IN_PROGRESS


def test_of_two_for_one_kind_the_last_one_is_asked() -> None:
    later = HealthCheck("sea.example/v2", "Boat", Match("{.status.phase}", ("Building",)))
    assert assess(boat({"phase": "Building"}), (*BOATS, later)).state is CURRENT


def test_numbers_and_truth_are_compared_as_kubectl_prints_them() -> None:
    check = HealthCheck("sea.example/v1", "Boat", Match("{.status.crew}", ("3", "true")))
    assert assess(boat({"crew": 3}), (check,)).state is CURRENT
    assert assess(boat({"crew": True}), (check,)).state is CURRENT
    assert assess(boat({"crew": 4}), (check,)).state is IN_PROGRESS


def test_a_kind_without_a_rule_of_ours_is_waited_for() -> None:
    check = HealthCheck("v1", "ConfigMap", Match("{.data.done}", ("yes",)))
    found = ObjectId("ConfigMap", "", "ns", "x")
    assert not may_be_unready(found)
    assert may_be_unready(found, (check,))
    assert not may_be_unready(ObjectId("Secret", "", "ns", "x"), (check,))


def test_what_a_secret_holds_is_not_told() -> None:
    check = HealthCheck("v1", "Secret", Match("{.data.password}", ("x",)))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "aHVudGVyMg=="}}
    health = assess(secret, (check,))
    assert health == Health(IN_PROGRESS, "its {.data.password} is not x")


def test_a_long_value_is_cut_and_stays_one_line() -> None:
    health = assess(boat({"phase": "a\n" * 500}), BOATS)
    assert len(health.message) < 200
    assert "\n" not in health.message
