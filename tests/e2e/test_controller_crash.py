"""The controller is killed at every write; the next one finishes, leaks nothing, and does nothing twice."""

import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from control import Repository
from crash import DEPLOYMENT, KINDS, SECRET, Blow, Forked, Place
from waiting import until

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.lease import LEASES
from pipeline.control.controller import LEASE
from pipeline.control.resource import APPS, FINALIZER, get_app
from pipeline.inventory.names import APP_LABEL, OWNER_ANNOTATION
from pipeline.inventory.record import Entry

#: Cases at a time: most of its time a case waits for the Lease of the dead one.
_AT_A_TIME = 4
#: How many requests of any kind are lost with the process that sends them.
_LOST = 3
_PATIENCE, _PAUSE = 120.0, 0.2
#: What goes on at its own pace, and is about no object: Leases, Events, watches, and who we are.
_ASIDE = ("/leases", "/events", "watch=", "/selfsubjectreviews")
_FIRST = {"ConfigMap/a", "ConfigMap/b", "ConfigMap/c", "ConfigMap/old", "Secret/s", "Deployment/d"}
#: As many, so that the status could be taken for the one before.
_SECOND = {"ConfigMap/a", "ConfigMap/c", "ConfigMap/new", "ConfigMap/newer", "Secret/s", "Deployment/d"}

#: Whether a request (method, path) counts.
Matter = Callable[[str, str], bool]


def _matters(method: str, path: str) -> bool:
    return not any(part in path for part in _ASIDE)


def _writes(method: str, path: str) -> bool:
    return method != "GET" and _matters(method, path)


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
                "target": {"namespace": self.namespace}, "interval": "1s", **spec,
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

    def ready_at(self, commit: str) -> bool:
        status = (self.app() or {}).get("status") or {}
        ready = [item["status"] for item in status.get("conditions", ()) if item["type"] == "Ready"]
        return ready == ["True"] and status["commit"] == commit

    def controller(self) -> Forked:
        log = self._folder / f"log{len(self._controllers)}"
        arguments = [
            "run", "--namespace", self.namespace, "--allow-file-urls", "--lease-duration", "10s",
            "--cache-dir", str(self._folder / "cache"), "--log-format", "json",
        ]  # fmt: skip
        self._controllers.append(Forked(arguments, self._environment, log))
        return self._controllers[-1]

    def age_lease(self) -> None:
        """The dead one's Lease runs out in a second; before, it was longer, so that no slow machine took it away."""
        if objects.get_metadata(self._connection, LEASES, self.namespace, LEASE) is None:
            return  # it died before it led
        patch = {"spec": {"leaseDurationSeconds": 1}}
        objects.merge_patch(self._connection, LEASES, self.namespace, LEASE, patch, manager="somebody")

    def until(self, done: Callable[[], object], controller: Forked) -> None:
        try:
            until(lambda: controller.ended or done(), patience=_PATIENCE, pause=_PAUSE)
        except AssertionError as error:
            raise AssertionError(f"it does not come to hold: {self.app()}\n{controller.text()}") from error
        assert not controller.ended, f"it ended: {controller.text()}"

    def end(self) -> None:
        for controller in self._controllers:
            controller.kill()
        if self.app() is not None:
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
    found = {f"{kind}/{parts[-1]}" for kind, resource in KINDS.items() if parts[-2] == resource.plural}
    return {key for key in found if "/trimtab" not in key}


def _leaks(place: Place) -> set[str]:
    """What carries the App's label and was in the inventory neither just before nor just after."""
    before = place.recorded()
    return place.labelled() - before - place.recorded()


@dataclass(frozen=True)
class Scenario:
    """What an App goes through: its `first` sync, an `update`, or a deletion that ends in `prune` or `release`.

    `first` and `second` are the commits before and after the update.
    """

    plane: Any
    connection: Connection
    repository: Repository
    name: str
    first: str
    second: str

    def run(self, at: int = sys.maxsize, *, after: bool = True, matter: Matter = _writes) -> list[tuple[str, str]]:
        """Kill the first controller at that request, let a second one finish, and look.

        Returns the requests of the first one, from the moment on that it is about.
        """
        with ApiProxy(self.plane.url, Path(self.plane.ca)) as proxy:
            case = Case(self.plane, self.repository, self.connection, proxy)
            victim = case.controller()
            blow = Blow(victim.kill, at, after=after, matter=matter)
            try:
                return self._run(case, victim, blow, at)
            except AssertionError as error:
                error.add_note(f"{self.name}: killed {blow.fallen}")
                raise
            finally:
                case.end()

    def _run(self, case: Case, victim: Forked, blow: Blow, at: int) -> list[tuple[str, str]]:
        case.push(self.first)
        case.make(deletionPolicy="release" if self.name == "release" else "prune")
        if self.name == "first":
            case.proxy.strike = blow
        victim.start()
        if self.name != "first":
            case.until(lambda: case.ready_at(self.first), victim)
            case.proxy.strike = blow
        begun = 0 if self.name == "first" else len(case.proxy.requests)
        before = Seen.of(case.place)
        self._act(case)
        until(lambda: victim.ended or (blow.count < at and self._done(case)), patience=_PATIENCE, pause=_PAUSE)
        requests = case.proxy.requests[begun:]
        if not victim.ended:  # it needed fewer this time
            return requests
        assert blow.fallen, victim.text()
        assert not _leaks(case.place)
        killed = Seen.of(case.place)
        case.age_lease()
        successor = case.proxy.strike = Successor(case.place)
        second = case.controller()
        second.start()
        case.until(lambda: self._done(case), second)
        end = Seen.of(case.place)
        assert not successor.leaks
        assert case.place.old_lives()
        assert end.objects["ConfigMap/theirs"] == before.objects["ConfigMap/theirs"]
        if self._deletes:
            self._check_deleted(before, killed, end, successor)
        else:
            self._check_synced(killed, end, successor)
            assert (case.app() or {})["metadata"]["finalizers"] == [FINALIZER]
        return requests

    @property
    def _deletes(self) -> bool:
        return self.name in ("prune", "release")

    def _act(self, case: Case) -> None:
        if self._deletes:
            case.delete()
        elif self.name == "update":
            case.push(self.second)

    def _done(self, case: Case) -> bool:
        if self._deletes:
            return case.app() is None
        return case.ready_at(self.second if self.name == "update" else self.first)

    def _check_synced(self, killed: Seen, end: Seen, successor: Successor) -> None:
        wanted = _SECOND if self.name == "update" else _FIRST
        assert end.labelled == wanted == set(end.entries)
        assert end.objects["ConfigMap/a"]["data"] == {"a": "2" if self.name == "update" else "1"}
        assert not successor.touched & killed.known_right(end)
        for key in killed.labelled & wanted:
            was, now = killed.objects[key], end.objects[key]
            assert was["metadata"]["uid"] == now["metadata"]["uid"]
            # What was in doubt is sent again; where it was right, that changes nothing. A Deployment goes on by itself.
            if key != "Deployment/d" and was["data"] == now["data"]:
                assert was["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"], key

    def _check_deleted(self, before: Seen, killed: Seen, end: Seen, successor: Successor) -> None:
        assert not end.labelled
        assert not [key for key in end.objects if key.startswith("ConfigMap/trimtab.")], "the inventory is still there"
        assert successor.touched <= killed.labelled
        lives = _FIRST if self.name == "release" else {"ConfigMap/old"}
        assert _FIRST & set(end.objects) == lives
        for key in lives:
            metadata = end.objects[key]["metadata"]
            assert metadata["uid"] == before.objects[key]["metadata"]["uid"]
            assert OWNER_ANNOTATION not in metadata.get("annotations", {})
            assert not [item for item in metadata.get("managedFields", ()) if item["manager"].startswith("trimtab-")]


@pytest.fixture
def scenario(
    request: pytest.FixtureRequest, control_plane: Any, apps_are_known: None, repository: Repository, make_map: Any
) -> Iterator[Scenario]:
    first = repository.commit(make_map("a"), make_map("b"), make_map("c"), make_map("old", a="2"), SECRET, DEPLOYMENT)
    second = repository.commit(make_map("a", a="2"), make_map("new"), make_map("newer"), drop=("b", "old"))
    with Connection.open(kubeconfig=Path(control_plane.kubeconfig), threads=2 * _AT_A_TIME) as connection:
        yield Scenario(control_plane, connection, repository, request.param, first, second)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["first", "update", "prune", "release"], indirect=True)
def test_killed_at_every_write_and_at_some_requests(scenario: Scenario) -> None:
    """A write whose answer is lost leaves the cluster as a death before the next one would."""
    requests = scenario.run()
    writes, all_of_them = (sum(matter(*request) for request in requests) for matter in (_writes, _matters))
    lost = random.Random(scenario.name).sample(range(1, all_of_them + 1), _LOST)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        cases = [pool.submit(scenario.run, number) for number in range(1, writes + 1)]
        cases += [pool.submit(scenario.run, number, after=False, matter=_matters) for number in lost]
    for case in cases:
        case.result()
