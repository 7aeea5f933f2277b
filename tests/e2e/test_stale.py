"""What Trimtab reads is older than what is there, or an event never comes: nothing is deleted on such grounds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from crash import Moment, Mortal
from faults import Stale
from model import Promises
from things import Key
from world import World

_A, _B, _C = (Key("ConfigMap", name) for name in "abc")


class Behind:
    """A world whose Trimtab may be shown an older state."""

    def __init__(self, world: World, proxy: ApiProxy) -> None:
        self.world, self.proxy = world, proxy
        self.promises = Promises(world)

    def remember(self, matter: Callable[[str], bool]) -> Stale:
        """Sync once and remember what was read; from now on that is what is read."""
        stale = Stale(matter)
        self.proxy.edit = stale
        self.promises.sync("shop")
        stale.old = True
        return stale


@pytest.fixture
def behind(worlds: Mortal, control_plane: Any, tmp_path: Path) -> Iterator[Behind]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)
        with Mortal.open(kubeconfig=kubeconfig) as through:
            world = World(worlds, tmp_path / "git", ("shop", "other"), through=through)
            world.put("shop", {_A: 1, _B: 1})
            case = Behind(world, proxy)
            case.promises.sync("shop")
            yield case
            world.end()


def _lists(path: str) -> bool:
    return "labelSelector" in path


def _objects(path: str) -> bool:
    """Lists, and each object; not the inventory."""
    return _lists(path) or "/configmaps/a" in path or "/configmaps/b" in path


def _writes(method: str, path: str) -> bool:
    return method not in ("GET", "WATCH")


def _everything(path: str) -> bool:
    return True


@pytest.mark.parametrize("matter", [_lists, _objects], ids=["lists", "all reads of objects"])
@pytest.mark.parametrize("act", ["replace", "restore", "keep"])
def test_what_became_somebody_elses_since_the_read_lives(
    behind: Behind, act: str, matter: Callable[[str], bool]
) -> None:
    stale = behind.remember(matter)
    with behind.promises.during():
        if act == "keep":
            behind.world.edit(_B, "keep")
        else:
            getattr(behind.world, act)(_B)
    uid = _uid(behind, _B)
    behind.world.drop("shop", {_B})
    behind.promises.sync("shop")
    assert stale.served
    assert _uid(behind, _B) == uid
    behind.proxy.edit = None
    behind.promises.settle()
    assert _uid(behind, _B) == uid


def test_what_was_deleted_since_the_read_is_made_again(behind: Behind) -> None:
    """The list shows it as it should be, so nothing is sent; the next sync that sees the truth heals it."""
    behind.remember(_objects)
    behind.world.remove(_A)
    behind.promises.sync("shop")
    behind.proxy.edit = None
    behind.promises.settle()
    assert behind.world.see().get(_A)


def test_an_old_inventory_is_not_acted_on(behind: Behind) -> None:
    """By it, b is the App's and has left git; in truth it was handed to another App."""
    stale = behind.remember(_everything)
    behind.proxy.edit = None
    behind.world.put("other", {_B: 2})
    behind.promises.settle()
    uid = _uid(behind, _B)
    behind.proxy.edit = stale
    behind.world.put("shop", {_A: 2})
    behind.promises.sync("shop")
    assert stale.served
    assert _uid(behind, _B) == uid
    behind.proxy.edit = None
    behind.promises.settle()
    assert _uid(behind, _B) == uid


def test_an_inventory_that_is_not_seen_yet_is_not_made_again(behind: Behind) -> None:
    world = behind.world
    behind.proxy.edit = stale = Stale()
    world.put("other", {_C: 1})
    world.sync("other", Moment(1, matter=_writes))
    stale.old = True
    behind.promises.sync("other")
    first = world.record("other")
    assert first is not None
    world.put("other", {_C: 2})
    behind.promises.sync("other")
    assert world.record("other") == first
    behind.proxy.edit = None
    behind.promises.settle()


def _uid(behind: Behind, key: Key) -> str:
    live = behind.world.see().get(key)
    assert live is not None
    return str(live["metadata"]["uid"])
