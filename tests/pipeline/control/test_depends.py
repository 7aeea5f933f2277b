"""Dependencies: who waits for whom, circles by name, and what counts as ready."""

from typing import Any

import pytest

from pipeline.app.status import Rollback
from pipeline.control.answers import Answer
from pipeline.control.depends import Dependencies, cycle_through
from pipeline.control.memory import Memories
from pipeline.control.resource import REJECTED_ANNOTATION, ROLLBACK_ANNOTATION
from pipeline.control.wanted import wanted_commit

Key = tuple[str, str]
C1, C2 = "1" * 40, "2" * 40


class World:
    def __init__(self) -> None:
        self.resources: dict[Key, dict[str, Any]] = {}
        self.answers: dict[Key, Answer] = {}
        self.memories = Memories()
        self.dependencies = Dependencies(self, self.memories, self.answers.get)

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        return self.resources.get((namespace, name))

    def app(self, name: str, *needs: Any, at: str = C1, ready: bool = True, **spec: Any) -> Key:
        key = ("ns", name)
        self.resources[key] = {
            "metadata": {"uid": name, "generation": 1, "annotations": {}},
            "spec": {"dependsOn": [{"name": n} if isinstance(n, str) else n for n in needs], **spec},
        }
        self.answers[key] = Answer(0.0, at)
        self.memories.of(key, self.resources[key]).ready = (1, at) if ready else None
        self.dependencies.learn(key)
        return key


@pytest.fixture
def world() -> World:
    return World()


def test_the_way_is_free_without_dependencies_and_with_ready_ones(world: World) -> None:
    assert world.dependencies.blocked(world.app("alone")) is None
    world.app("database")
    assert world.dependencies.blocked(world.app("shop", "database")) is None
    assert world.dependencies.dependents(("ns", "database")) == (("ns", "shop"),)


def test_what_is_not_ready_is_named(world: World) -> None:
    world.app("database", ready=False)
    world.app("queue", ready=False)
    blocked = world.dependencies.blocked(
        world.app("shop", "database", "queue", "nobody", {"name": "x", "namespace": "b"})
    )
    assert blocked is not None
    assert blocked[0] == "DependencyNotReady"
    for text in ("ns/database is not ready", "ns/queue is not ready", "ns/nobody does not exist", "b/x does not exist"):
        assert text in blocked[1]


def test_ready_at_an_older_commit_or_generation_is_not_ready(world: World) -> None:
    database = world.app("database")
    shop = world.app("shop", "database")
    world.answers[database] = Answer(0.0, C2)
    blocked = world.dependencies.blocked(shop)
    assert blocked is not None
    assert C2[:12] in blocked[1]
    memory = world.memories.get(database)
    assert memory is not None
    memory.ready = (1, C2)
    assert world.dependencies.blocked(shop) is None
    world.resources[database]["metadata"]["generation"] = 2
    assert world.dependencies.blocked(shop) is not None


def test_a_rolled_back_app_is_ready_at_what_it_went_back_to(world: World) -> None:
    database = world.app("database", at=C2)
    shop = world.app("shop", "database")
    world.resources[database]["metadata"]["annotations"] = {ROLLBACK_ANNOTATION: C1, REJECTED_ANNOTATION: C2}
    assert world.dependencies.blocked(shop) is not None
    memory = world.memories.get(database)
    assert memory is not None
    memory.ready = (1, C1)
    assert world.dependencies.blocked(shop) is None


def test_a_suspended_app_counts_as_its_status_says(world: World) -> None:
    database = world.app("database", ready=False, suspend=True)
    shop = world.app("shop", "database")
    assert world.dependencies.blocked(shop) is not None
    world.resources[database]["status"] = {"conditions": [{"type": "Ready", "status": "True", "reason": "Suspended"}]}
    assert world.dependencies.blocked(shop) is None


def test_a_circle_is_named_and_ends_where_one_link_is_taken_out(world: World) -> None:
    a = world.app("a", "b")
    world.app("b", "c")
    world.app("c", "a")
    outside = world.app("outside", "a")
    blocked = world.dependencies.blocked(a)
    assert blocked is not None
    assert blocked[0] == "DependencyCycle"
    assert "ns/a → ns/b → ns/c → ns/a" in blocked[1]
    assert world.dependencies.blocked(outside) is None, "who only looks at the circle is not in it"
    world.app("c")
    assert world.dependencies.blocked(a) is None
    assert world.dependencies.dependents(("ns", "a")) == (outside,)


def test_the_shortest_circle_is_found_among_many() -> None:
    keys = {name: ("ns", name) for name in "abcdef"}
    needed = {keys["a"]: [keys["b"], keys["c"]], keys["b"]: [keys["d"]], keys["d"]: [keys["a"]], keys["c"]: [keys["a"]]}
    assert cycle_through(keys["a"], needed) == (keys["a"], keys["c"])
    assert cycle_through(keys["e"], needed) == ()


def test_the_wanted_commit() -> None:
    rolled = {ROLLBACK_ANNOTATION: C1, REJECTED_ANNOTATION: C2}
    assert wanted_commit(Answer(0.0, C2), {}) == (C2, None)
    assert wanted_commit(None, {}) == ("", None)
    assert wanted_commit(Answer(0.0, C2), rolled)[0] == C1
    assert wanted_commit(Answer(0.0, ""), rolled)[0] == C1, "a source that is silent has not moved on"
    assert wanted_commit(Answer(0.0, "3" * 40), rolled) == ("3" * 40, None)
    assert wanted_commit(Answer(0.0, C2), {ROLLBACK_ANNOTATION: C1}) == (C2, None), "half a rollback is none"
    head = {ROLLBACK_ANNOTATION: C1, REJECTED_ANNOTATION: "HEAD"}
    assert wanted_commit(Answer(0.0, C2), head) == (C1, Rollback(C1, C2))
