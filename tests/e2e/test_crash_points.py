"""A process is killed at every API request of what Trimtab can do; the next ones finish, and every promise holds."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crash import Moment, Mortal
from model import Promises
from things import KINDS, Key
from world import World

from pipeline.cluster import objects
from pipeline.cluster.discovery import Resource
from pipeline.inventory.names import APP_LABEL
from pipeline.inventory.store import NAMESPACES

#: Whether reads count too.
_ALL = bool(os.environ.get("TRIMTAB_LONG"))
#: Each slice of a scenario's requests is a test of its own, so that workers share them.
_SLICES = 4

_MAPS = {name: Key("ConfigMap", name) for name in ("a", "b", "c", "e", "new", "moved", "old", "theirs")}
_CRDS = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
    namespaced=False, verbs=frozenset({"get"}),
)  # fmt: skip


def _frozen(value: str) -> dict[str, Any]:
    """It can only be changed by being made anew."""
    annotations = {"trimtab.dev/recreate": "allowed"}
    metadata = {"name": "frozen", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"v": value}, "immutable": True}


def _map(name: str, namespace: str, wave: int) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": {"trimtab.dev/wave": str(wave)}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"v": "1"}}


@dataclass
class Objects:
    """Change, create, adopt, prune with an approval, release, recreate, and a move between two Apps."""

    world: World
    promises: Promises

    def begin(self) -> None:
        world = self.world
        world.create(_MAPS["old"])
        world.put("shop", {_MAPS[name]: 1 for name in ("a", "b", "c", "e", "old")} | {Key("Secret", "s"): 1})
        world.add("shop", _frozen("1"))
        world.put("other", {_MAPS["moved"]: 1})
        for name in world.tenants:
            self.promises.sync(name)
        self.before = world.see()
        world.create(_MAPS["theirs"])
        world.add("shop", _frozen("2"))
        world.put("shop", {_MAPS["a"]: 2, _MAPS["new"]: 1, _MAPS["moved"]: 2, _MAPS["theirs"]: 1})
        world.drop("shop", {_MAPS[name] for name in ("b", "c", "e", "old")})

    def act(self, moment: Moment) -> None:
        for name in ("shop", "other", "shop", "shop", "other"):
            self.promises.sync(name, Moment() if moment.dead.is_set() else moment)
            self.world.approve(name)

    def check(self) -> None:
        seen = self.world.see()
        frozen = seen.get(Key("ConfigMap", "frozen"))
        assert frozen is not None
        assert frozen["data"] == {"v": "2"}
        for name in ("a", "moved", "old"):
            assert self._uid(self.before, name) == self._uid(seen, name), name
        assert self.world.his.keys() <= seen.objects.keys()
        assert not seen.get(_MAPS["b"]), "it is to be pruned: nothing was in doubt about it"

    @staticmethod
    def _uid(seen: Any, name: str) -> str | None:
        live = seen.get(_MAPS[name])
        return live and live["metadata"]["uid"]

    def end(self) -> None:
        self.world.end()


@dataclass
class Structure:
    """A definition and an object of it, a namespace and what is in it, and waves."""

    world: World
    promises: Promises

    def begin(self) -> None:
        self.inner = f"{self.world.namespace}-inner"
        group = f"{self.world.namespace}.example.com"
        self.crd = f"gears.{group}"
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": self.crd},
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": {"kind": "Gear", "plural": "gears", "singular": "gear", "listKind": "GearList"},
                "versions": [{"name": "v1", "served": True, "storage": True,
                              "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
        }  # fmt: skip
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.inner}}
        gear = {"apiVersion": f"{group}/v1", "kind": "Gear", "metadata": {"name": "g"}}
        self.gears = Resource(group, "v1", "Gear", "gears", namespaced=True, verbs=frozenset({"get"}))
        self.world.add("shop", crd, gear, namespace, _map("inside", self.inner, 0), _map("later", self.inner, 1))

    def act(self, moment: Moment) -> None:
        for _ in range(2):
            self.promises.sync("shop", Moment() if moment.dead.is_set() else moment)

    def check(self) -> None:
        world, label = self.world, self.world.label("shop")
        inner = (("ConfigMap", self.inner, name) for name in ("inside", "later"))
        found = [objects.get(world.connection, KINDS[kind], *place) for kind, *place in inner]
        found.append(objects.get(world.connection, self.gears, world.namespace, "g"))
        found.append(objects.get(world.connection, NAMESPACES, "", self.inner))
        found.append(objects.get(world.connection, _CRDS, "", self.crd))
        assert [live and live["metadata"]["labels"][APP_LABEL] for live in found] == [label] * len(found)

    def end(self) -> None:
        connection = self.world.connection
        for resource, name in ((_CRDS, self.crd), (NAMESPACES, self.inner)):
            live = objects.get_metadata(connection, resource, "", name)
            if live is not None:
                objects.delete(connection, resource, "", name, uid=live["metadata"]["uid"])
        self.world.end()


@dataclass
class Deletion:
    """The App goes: what it created is pruned once that is approved, what it adopted lives."""

    world: World
    promises: Promises

    def begin(self) -> None:
        world = self.world
        world.create(_MAPS["old"])
        wanted = {_MAPS[name]: 1 for name in ("a", "b", "c", "old")}
        world.put("shop", wanted | {Key("Secret", "s"): 1, Key("Service", "s"): 1, Key("Widget", "w"): 1})
        self.promises.settle()
        world.drop("shop", set(world.tenants["shop"].wanted))

    def act(self, moment: Moment) -> None:
        self.promises.delete("shop", moment)

    def check(self) -> None:
        seen = self.world.see()
        assert {seen.key(uid) for uid in seen.objects} == {_MAPS["old"]}
        assert self.world.record("shop") is None

    def end(self) -> None:
        self.world.end()


_SCENARIOS = {each.__name__.lower(): each for each in (Objects, Structure, Deletion)}


def _counts(method: str, path: str) -> bool:
    """A death at a read leaves what one after the write before it leaves; `make test-long` tries these too."""
    return _ALL or method not in ("GET", "WATCH")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(_SLICES))
@pytest.mark.parametrize("scenario", _SCENARIOS)
def test_killed_at_every_request(worlds: Mortal, tmp_path: Path, scenario: str, part: int) -> None:
    """The first request is lost; of all others, the answer."""
    for at in range(part, sys.maxsize, _SLICES):
        moment = Moment(max(at, 1), after=at > 0, matter=_counts)
        world = World(worlds, tmp_path / str(at), ("shop", "other"))
        case = _SCENARIOS[scenario](world, Promises(world))
        try:
            case.begin()
            case.act(moment)
            case.promises.settle()
            case.check()
        except Exception as error:
            error.add_note("\n".join(("what was done:", *world.story)))
            raise
        finally:
            case.end()
        if not moment.fallen:
            return
