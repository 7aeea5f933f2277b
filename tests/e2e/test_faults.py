"""Between Trimtab and the API server everything goes wrong that can; the end is the same, and every promise holds."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy, Instead
from crash import Mortal
from faults import ANSWERS, Faults
from model import Promises
from things import Key
from world import World

_KINDS = (*ANSWERS, "delay", "drop", "lost", "late", "cut")
_APPS = ("shop", "other")
_MAPS = {name: Key("ConfigMap", name) for name in ("a", "b", "c", "d", "old", "moved", "new")}
_OTHERS = {Key(kind, "o"): 1 for kind in ("Secret", "Service", "Deployment", "Widget")}


class Storm:
    """A world whose Trimtab speaks through the proxy."""

    def __init__(self, world: World, proxy: ApiProxy) -> None:
        self.world, self.proxy = world, proxy
        self.promises = Promises(world)
        self.faults = Faults(())

    def turns(self, *acts: Callable[[], object]) -> None:
        """Do these again under the faults, and once more."""
        self.proxy.strike = self.faults
        for act in acts * 2:
            act()
            for name in _APPS:
                self.world.approve(name)
        self.proxy.strike = None


@pytest.fixture
def storm(worlds: Mortal, control_plane: Any, tmp_path: Path) -> Iterator[Storm]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)
        with Mortal.open(kubeconfig=kubeconfig) as through:
            world = World(worlds, tmp_path / "git", _APPS, through=through)
            yield Storm(world, proxy)
            world.end()


def _history(storm: Storm) -> None:
    """Create, adopt; change, prune with an approval, release, move; delete. Each under the faults first."""
    world, promises = storm.world, storm.promises
    syncs = [partial(promises.sync, name) for name in _APPS]
    world.create(_MAPS["old"])
    world.put("shop", _OTHERS | {_MAPS[name]: 1 for name in ("a", "b", "c", "d", "old")})
    world.put("other", {_MAPS["moved"]: 1})
    storm.turns(*syncs)
    promises.settle()
    moved = _uid(world, "moved")
    world.put("shop", {_MAPS["a"]: 2, _MAPS["new"]: 1, _MAPS["moved"]: 2} | dict.fromkeys(_OTHERS, 2))
    world.drop("shop", {_MAPS[name] for name in ("b", "c", "d", "old")})
    storm.turns(*syncs)
    promises.settle()
    assert _uid(world, "moved") == moved
    world.drop("shop", set(world.tenants["shop"].wanted))
    storm.turns(partial(promises.deletion, "shop"))
    promises.delete("shop")
    assert _uid(world, "old")
    assert storm.faults.struck


def _uid(world: World, name: str) -> str:
    live = world.see().get(_MAPS[name])
    assert live is not None
    return str(live["metadata"]["uid"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_one_kind_of_fault(storm: Storm, kind: str) -> None:
    # A server that asks for a second's patience gets it.
    storm.faults = Faults((kind,), share=0.06 if kind == "429" else 0.25)
    _history(storm)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_all_at_once(storm: Storm, seed: int) -> None:
    storm.faults = Faults(_KINDS, seed=seed)
    _history(storm)


def test_what_was_created_although_each_answer_was_an_error_is_in_the_inventory(storm: Storm) -> None:
    def strike(_number: int, method: str, path: str, *, after: bool = False) -> Instead | None:
        return ANSWERS["500"] if after and method == "PATCH" and "/configmaps/a" in path else None

    storm.world.put("shop", {_MAPS["a"]: 1, _MAPS["b"]: 1})
    storm.proxy.strike = strike
    storm.promises.sync("shop")
    assert _uid(storm.world, "a")
    storm.proxy.strike = None
    storm.promises.settle()
