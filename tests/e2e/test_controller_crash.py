"""The controller is killed at every write, and at some reads; the next one finishes, and does nothing twice."""

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from control import Repository
from crash import DEPLOYMENT, KINDS, SECRET, Blow, Forked, Place
from waiting import until

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.control.resource import APPS, FINALIZER, get_app
from pipeline.inventory.names import APP_LABEL, OWNER_ANNOTATION
from pipeline.inventory.record import Entry

#: Cases at a time: most of its time a case waits for the Lease of the dead one.
_AT_A_TIME = 4
#: Reads at which it is killed; what matters happens between them.
_READS = 3
#: What goes on at its own pace, and is about no object: Leases, Events, watches, and who we are.
_ASIDE = ("/leases", "/events", "watch=", "/selfsubjectreviews")
_FIRST = {"ConfigMap/a", "ConfigMap/b", "ConfigMap/c", "ConfigMap/old", "Secret/s", "Deployment/d"}
#: As many, so that the status could be taken for the one before.
_SECOND = {"ConfigMap/a", "ConfigMap/c", "ConfigMap/new", "ConfigMap/newer", "Secret/s", "Deployment/d"}


def _matters(method: str, path: str) -> bool:
    return not any(part in path for part in _ASIDE)


def _writes(method: str, path: str) -> bool:
    return method != "GET" and _matters(method, path)


def _reads(method: str, path: str) -> bool:
    return method == "GET" and _matters(method, path)


class Case:
    """One App in a namespace of its own, and one controller after the other, behind a proxy."""

    def __init__(self, plane: Any, repository: Repository, connection: Connection, proxy: ApiProxy) -> None:
        self.place, self.proxy, self._connection = Place(connection), proxy, connection
        self.namespace = self.place.namespace
        self._repository, self._folder = repository, repository.work.parent / self.namespace
        self._folder.mkdir()
        kubeconfig = proxy.kubeconfig(self._folder / "kubeconfig", plane.token)
        self._environment = {**plane.env, "KUBECONFIG": str(kubeconfig)}
        self._controllers: list[Forked] = []
        theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"theirs": "1"}}
        objects.create(connection, KINDS["ConfigMap"], self.namespace, theirs, manager="somebody")

    def push(self, commit: str) -> None:
        """To the App's branch."""
        self._repository.git("update-ref", f"refs/heads/{self.namespace}", commit, at=self._repository.bare)

    def make(self, **spec: str) -> None:
        body = {
            "apiVersion": APPS.api_version, "kind": APPS.kind, "metadata": {"name": "shop"},
            "spec": {
                "source": {"git": {"url": self._repository.url, "branch": self.namespace}},
                "target": {"namespace": self.namespace}, "interval": "300ms", **spec,
            },
        }  # fmt: skip
        objects.create(self._connection, APPS, self.namespace, body, manager="somebody")

    def delete(self) -> None:
        """What `kubectl delete app` does, without waiting."""
        app = self.app()
        assert app is not None
        objects.delete(self._connection, APPS, self.namespace, "shop", uid=app["metadata"]["uid"])

    def app(self) -> dict[str, Any] | None:
        return get_app(self._connection, self.namespace, "shop")

    def gone(self) -> bool:
        return self.app() is None

    def ready_at(self, commit: str) -> bool:
        status = (self.app() or {}).get("status") or {}
        ready = [item["status"] for item in status.get("conditions", ()) if item["type"] == "Ready"]
        return ready == ["True"] and status["commit"] == commit

    def controller(self) -> Forked:
        log = self._folder / f"log{len(self._controllers)}"
        arguments = [
            "run", "--namespace", self.namespace, "--allow-file-urls", "--lease-duration", "1s",
            "--cache-dir", str(self._folder / "cache"), "--log-format", "json",
        ]  # fmt: skip
        self._controllers.append(Forked(arguments, self._environment, log))
        return self._controllers[-1]

    def until(self, done: Callable[[], object], controller: Forked) -> None:
        try:
            until(lambda: controller.ended or done())
        except AssertionError as error:
            raise AssertionError(f"it does not come to hold: {self.app()}\n{controller.text()}") from error
        assert not controller.ended, f"it ended: {controller.text()}"

    def end(self) -> None:
        for controller in self._controllers:
            controller.kill()
        if not self.gone():
            patch = {"metadata": {"finalizers": None}}
            objects.merge_patch(self._connection, APPS, self.namespace, "shop", patch, manager="somebody")
        self.place.end()


@dataclass(frozen=True)
class Seen:
    """What there is at one moment: all objects, and what the inventory says of them."""

    objects: dict[str, dict[str, Any]]
    entries: dict[str, Entry]

    @classmethod
    def of(cls, place: Place) -> "Seen":
        record = place.record()
        entries = record.entries.values() if record else ()
        return cls(place.objects(), {f"{entry.id.kind}/{entry.id.name}": entry for entry in entries})

    @property
    def labelled(self) -> set[str]:
        return {key for key, item in self.objects.items() if APP_LABEL in item["metadata"].get("labels", {})}

    def known_right(self, end: "Seen") -> set[str]:
        """What the inventory says the same of in the end: there is nothing to be done to it."""
        return {key for key, entry in self.entries.items() if entry == end.entries.get(key)}


class Successor:
    """The proxy's `strike` for the second controller: notes what it writes, and looks for leaks after each write."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.touched: set[str] = set()
        self.leaks: set[str] = set()

    def __call__(self, _number: int, method: str, path: str, *, after: bool = False) -> None:
        if not _writes(method, path):
            return
        if after:
            self.leaks |= _leaks(self._place)
        else:
            self.touched |= _object(path)


def _object(path: str) -> set[str]:
    """Kind/name of the object that a request is about, where it is one that an App may own."""
    parts = path.partition("?")[0].split("/")
    return {f"{kind}/{parts[-1]}" for kind, resource in KINDS.items() if parts[-2] == resource.plural}


def _leaks(place: Place) -> set[str]:
    """What carries the App's label and was in the inventory neither just before nor just after."""
    before = place.recorded()
    return place.labelled() - before - place.recorded()


@dataclass(frozen=True)
class World:
    """What all cases share; `first` and `second` are commits."""

    plane: Any
    connection: Connection
    repository: Repository
    first: str
    second: str

    def run(
        self, name: str, at: int = sys.maxsize, *, after: bool = False, matter: Callable[[str, str], bool] = _writes
    ) -> int:
        """Kill the first controller at that request, let a second one finish, and look; or only count the requests."""
        with ApiProxy(self.plane.url, Path(self.plane.ca)) as proxy:
            case = Case(self.plane, self.repository, self.connection, proxy)
            try:
                return self._run(case, name, at, after=after, matter=matter)
            finally:
                case.end()

    def _run(self, case: Case, name: str, at: int, *, after: bool, matter: Callable[[str, str], bool]) -> int:
        case.push(self.first)
        case.make(deletionPolicy="release" if name == "release" else "prune")
        victim = case.controller()
        blow = Blow(victim.kill, at, after=after, matter=matter)
        if name == "first":
            case.proxy.strike = blow
        victim.start()
        if name != "first":
            case.until(lambda: case.ready_at(self.first), victim)
            case.proxy.strike = blow
        before = Seen.of(case.place)
        self._act(case, name)
        until(lambda: victim.ended or (self._done(case, name) and blow.count < at))
        if not victim.ended:
            return blow.count
        where = f"{name}, killed {blow.fallen}"
        assert blow.fallen, victim.text()
        assert not _leaks(case.place), where
        assert case.place.old_lives(), where
        killed = Seen.of(case.place)
        successor = case.proxy.strike = Successor(case.place)
        second = case.controller()
        second.start()
        case.until(lambda: self._done(case, name), second)
        end = Seen.of(case.place)
        assert not successor.leaks, where
        assert case.place.old_lives(), where
        assert end.objects["ConfigMap/theirs"] == before.objects["ConfigMap/theirs"], where
        if name in ("first", "update"):
            self._check_synced(case, name, killed, end, successor, where)
        else:
            _check_deleted(name, before, killed, end, successor, where)
        return blow.count

    def _act(self, case: Case, name: str) -> None:
        if name == "update":
            case.push(self.second)
        elif name != "first":
            case.delete()

    def _done(self, case: Case, name: str) -> bool:
        if name in ("prune", "release"):
            return case.gone()
        return case.ready_at(self.first if name == "first" else self.second)

    def _check_synced(self, case: Case, name: str, killed: Seen, end: Seen, successor: Successor, where: str) -> None:
        wanted = _FIRST if name == "first" else _SECOND
        assert end.labelled == wanted == set(end.entries), where
        assert not successor.touched & killed.known_right(end), where
        for key in killed.labelled & wanted:
            was, now = killed.objects[key]["metadata"], end.objects[key]["metadata"]
            assert was["uid"] == now["uid"], where
            # Sent again where it was in doubt; where it was right, that changes nothing.
            if killed.objects[key].get("data") == end.objects[key].get("data") and key != "Deployment/d":
                assert was["resourceVersion"] == now["resourceVersion"], f"{where}: {key}"
        assert end.objects["ConfigMap/a"]["data"] == {"a": "1" if name == "first" else "2"}, where
        app = case.app()
        assert app is not None
        assert app["metadata"]["finalizers"] == [FINALIZER], where


def _check_deleted(name: str, before: Seen, killed: Seen, end: Seen, successor: Successor, where: str) -> None:
    assert not end.labelled, where
    assert not end.entries, where
    assert successor.touched <= killed.labelled, where
    assert not [key for key in end.objects if key.startswith("ConfigMap/trimtab.")], where
    lives = {"ConfigMap/old"} if name == "prune" else _FIRST
    assert _FIRST & set(end.objects) == lives, where
    for key in lives:
        metadata = end.objects[key]["metadata"]
        assert metadata["uid"] == before.objects[key]["metadata"]["uid"], where
        assert OWNER_ANNOTATION not in metadata.get("annotations", {}), where
        assert not [entry for entry in metadata["managedFields"] if entry["manager"].startswith("trimtab-")], where


@pytest.fixture
def world(
    control_plane: Any, apps_are_known: None, repository: Repository, make_map: Callable[..., Any]
) -> Iterator[World]:
    first = repository.commit(make_map("a"), make_map("b"), make_map("c"), make_map("old", a="2"), SECRET, DEPLOYMENT)
    second = repository.commit(make_map("a", a="2"), make_map("new"), make_map("newer"), drop=("b", "old"))
    with Connection.open(kubeconfig=Path(control_plane.kubeconfig), threads=2 * _AT_A_TIME) as connection:
        yield World(control_plane, connection, repository, first, second)


_names = pytest.mark.parametrize("name", ["first", "update", "prune", "release"])


def _all(jobs: Iterable[Callable[[], object]]) -> None:
    """Run them, some at a time; the first failure is raised when all have ended."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        done = [pool.submit(job) for job in jobs]
    for each in done:
        each.result()


@pytest.mark.slow
@_names
@pytest.mark.parametrize("after", [False, True], ids=["before the request", "after the answer"])
def test_killed_at_every_write(world: World, name: str, *, after: bool) -> None:
    count = world.run(name)
    _all(partial(world.run, name, number, after=after) for number in range(1, count + 1))


@pytest.mark.slow
@_names
def test_killed_at_some_reads(world: World, name: str) -> None:
    count = world.run(name, matter=_reads)
    numbers = random.Random(name).sample(range(1, count + 1), min(_READS, count))
    _all(partial(world.run, name, number, matter=_reads) for number in numbers)
