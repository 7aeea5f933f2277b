"""Random histories of several Apps and of somebody else: what Trimtab promises holds at every step."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
from crash import Moment, Mortal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from model import Promises
from things import Key
from world import World

#: How many histories a run tries; `make test-long` says more. Each seed draws a few, after a plain one.
_HISTORIES = 200 if os.environ.get("TRIMTAB_LONG") else 25
_A_SEED = 5
_STEPS = 14

_APPS = ("one", "two", "three")
_KEYS = (
    *(Key("ConfigMap", name) for name in "abcd"), Key("Secret", "a"), Key("Service", "a"), Key("Deployment", "a"),
    Key("Widget", "a"), Key("Widget", "b"),
)  # fmt: skip
#: Nobody's names: only copies are made there.
_COPIES = (Key("ConfigMap", "copy"), Key("Widget", "copy"))

_ACTS = ("create", "remove", "replace", "restore")

_apps = st.sampled_from(_APPS)
_keys = st.sampled_from(_KEYS)
_requests = st.integers(1, 30)


_Thing = TypeVar("_Thing")


def _from(first: _Thing, things: Sequence[_Thing], right: Callable[[_Thing], object]) -> _Thing:
    """The thing that was drawn, or the next one that something can be done to: no step is wasted."""
    start = things.index(first)
    return next((each for each in (*things[start:], *things[:start]) if right(each)), first)


class History(RuleBasedStateMachine):
    """One history; its steps are printed when it fails."""

    begin: Callable[[], World]

    def __init__(self) -> None:
        super().__init__()
        self.world = self.begin()
        self.promises = Promises(self.world)

    def check_invariants(self, *_: Any, **__: Any) -> None:
        """There are none of hypothesis' own: each step is watched."""

    @initialize(owners=st.fixed_dictionaries({key: st.sampled_from((*_APPS, "")) for key in _KEYS}))
    def begin_with(self, owners: dict[Key, str]) -> None:
        """Most histories begin with Apps that have something."""
        for app in _APPS:
            if mine := {key: 1 for key, owner in owners.items() if owner == app}:
                self.world.put(app, mine)
        for app in _APPS:
            self.promises.sync(app)

    @rule(app=_apps, versions=st.dictionaries(_keys, st.integers(1, 4), min_size=1, max_size=5))
    def put(self, app: str, versions: dict[Key, int]) -> None:
        self.world.put(app, versions)

    @precondition(lambda self: any(tenant.wanted for tenant in self.world.tenants.values()))
    @rule(app=_apps, keys=st.sets(_keys, min_size=1, max_size=5))
    def drop(self, app: str, keys: set[Key]) -> None:
        app = _from(app, _APPS, lambda each: self.world.tenants[each].wanted)
        wanted = self.world.tenants[app].wanted
        self.world.drop(app, keys & wanted.keys() or {min(wanted)})

    @precondition(lambda self: any(tenant.wanted for tenant in self.world.tenants.values()))
    @rule(old=_apps, new=_apps)
    def move_all(self, old: str, new: str) -> None:
        old = _from(old, _APPS, lambda each: self.world.tenants[each].wanted)
        self.world.put(new, dict(self.world.tenants[old].wanted))

    @precondition(lambda self: self._live_apps())
    @rule(app=_apps, how=st.sampled_from(("yaml", "field")))
    def break_(self, app: str, how: str) -> None:
        self.world.break_(_from(app, _APPS, self._live), how)

    @precondition(lambda self: self.world.unsynced)
    @rule(app=_apps)
    def sync(self, app: str) -> None:
        self.promises.sync(self._unsynced(app))

    @precondition(lambda self: self.world.unsynced)
    @rule(app=_apps, at=_requests, after=st.booleans())
    def sync_that_dies(self, app: str, at: int, after: bool) -> None:
        self.promises.sync(self._unsynced(app), Moment(at, after))

    @precondition(lambda self: self.world.unsynced)
    @rule(app=_apps, at=_requests, key=_keys, how=st.sampled_from((*_ACTS, "change", "unlabel", "keep")))
    def sync_with_somebody(self, app: str, at: int, key: Key, how: str) -> None:
        self.promises.sync(self._unsynced(app), Moment(at, act=lambda: self._does(key, how)))

    @precondition(lambda self: self._live_apps())
    @rule(app=_apps, at=_requests, after=st.booleans(), release=st.booleans())
    def delete(self, app: str, at: int, after: bool, release: bool) -> None:
        self.promises.delete(_from(app, _APPS, self._live), Moment(at, after), release=release)

    @rule(key=_keys, how=st.sampled_from(_ACTS))
    def somebody(self, key: Key, how: str) -> None:
        self._somebody(key, how)

    @rule(key=_keys, how=st.sampled_from(("change", "note", "unlabel", "disown", "keep")))
    def edit(self, key: Key, how: str) -> None:
        self._somebody(key, how)

    @rule(key=_keys, copy=st.sampled_from(_COPIES))
    def copy(self, key: Key, copy: Key) -> None:
        with self.promises.during():
            self.world.create(copy, marks_of=_from(key, _KEYS, self.promises.lives))

    @precondition(lambda self: self.world.unsynced)
    @rule()
    def settle(self) -> None:
        self.promises.settle()

    def _somebody(self, key: Key, how: str) -> None:
        if how != "create":
            key = _from(key, _KEYS, self.promises.lives)
        with self.promises.during():
            self._does(key, how)

    def _live(self, app: str) -> bool:
        return not self.world.tenants[app].gone

    def _live_apps(self) -> bool:
        return any(map(self._live, _APPS))

    def _unsynced(self, app: str) -> str:
        return _from(app, _APPS, self.world.unsynced.__contains__)

    def _does(self, key: Key, how: str) -> None:
        if how in _ACTS:
            getattr(self.world, how)(key)
        else:
            self.world.edit(key, how)

    def teardown(self) -> None:
        try:
            if not self.promises.broken:
                self.promises.settle()
        finally:
            self.world.end()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(_HISTORIES // _A_SEED))
def test_history(worlds: Mortal, tmp_path: Path, seed: int) -> None:
    count = iter(range(10_000))
    stories: list[list[str]] = []

    class Seeded(History):
        def begin(self) -> World:
            world = World(worlds, tmp_path / str(next(count)), _APPS)
            stories.append(world.story)
            return world

    Seeded._hypothesis_internal_use_seed = seed
    settings = hypothesis.settings(
        max_examples=_A_SEED + 1, stateful_step_count=_STEPS, deadline=None, database=None,
        phases=(hypothesis.Phase.generate,), suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    try:
        run_state_machine_as_test(Seeded, settings=settings, _min_steps=_STEPS)
    except BaseException as error:
        error.add_note("what was done, last:\n" + "\n".join(stories[-1]))
        raise
