"""Between Trimtab and the API server everything goes wrong that can; the end is the same, and every promise holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from crash import Mortal
from faults import ANSWERS, Faults
from model import Promises
from things import Key
from world import World

_KINDS = (*ANSWERS, "delay", "drop", "lost", "cut")
_MAPS = {name: Key("ConfigMap", name) for name in ("a", "b", "c", "d", "old", "moved", "new")}
_OTHERS = {Key(kind, "o"): 1 for kind in ("Secret", "Service", "Deployment", "Widget")}


class Storm:
    """A world whose Trimtab speaks through the proxy."""

    def __init__(self, world: World, proxy: ApiProxy) -> None:
        self.world, self.proxy = world, proxy
        self.promises = Promises(world)

    def turns(self, faults: Faults, names: tuple[str, ...]) -> None:
        """Sync the Apps again and again under the faults."""
        self.proxy.strike = faults
        try:
            for _ in range(2):
                for name in names:
                    self.promises.sync(name)
                    self.world.approve(name)
        finally:
            self.proxy.strike = None


@pytest.fixture
def storm(worlds: Mortal, control_plane: Any, tmp_path: Path) -> Iterator[Storm]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)
        with Mortal.open(kubeconfig=kubeconfig) as through:
            world = World(worlds, tmp_path / "git", ("shop", "other"), through=through)
            yield Storm(world, proxy)
            world.end()


def _history(storm: Storm, faults: Faults) -> None:
    """Create, adopt; change, prune with an approval, release, move; delete. Each under the faults."""
    world, promises = storm.world, storm.promises
    world.create(_MAPS["old"])
    world.put("shop", _OTHERS | {_MAPS[name]: 1 for name in ("a", "b", "c", "d", "old")})
    world.put("other", {_MAPS["moved"]: 1})
    storm.turns(faults, ("shop", "other"))
    promises.settle()
    moved = world.see().get(_MAPS["moved"])
    world.put("shop", {_MAPS["a"]: 2, _MAPS["new"]: 1, _MAPS["moved"]: 2} | dict.fromkeys(_OTHERS, 2))
    world.drop("shop", {_MAPS[name] for name in ("b", "c", "d", "old")})
    storm.turns(faults, ("shop", "other"))
    promises.settle()
    now = world.see().get(_MAPS["moved"])
    assert moved is not None
    assert now is not None
    assert now["metadata"]["uid"] == moved["metadata"]["uid"]
    storm.proxy.strike = faults
    promises.delete("shop")
    storm.proxy.strike = None
    assert _MAPS["old"] in {world.see().key(uid) for uid in world.see().objects}
    assert faults.struck


@pytest.mark.slow
@pytest.mark.parametrize("kind", _KINDS)
def test_one_kind_of_fault(storm: Storm, kind: str) -> None:
    _history(storm, Faults((kind,)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_all_at_once(storm: Storm, seed: int) -> None:
    _history(storm, Faults(_KINDS, seed=seed, share=0.3))
