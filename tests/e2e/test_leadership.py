"""Several controllers, one leader: killed, paused, cut off or stopped, never do two of them write."""

import itertools
import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from control import Apps, Controller, Repository
from harness import ControlPlane
from waiting import until

from pipeline.apply.run import THREADS
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.lease import LEASES
from pipeline.control.controller import LEASE
from pipeline.inventory.store import CONFIG_MAPS

pytestmark = pytest.mark.slow

Make = Callable[..., dict[str, Any]]

READS = ("get", "list", "watch")
#: Questions that are sent as a write. Kept off the cluster, they change nothing.
QUESTIONS = ("selfsubjectreviews",)
#: More than are sent at a time.
MANY = 3 * THREADS
BLOWS = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "stop": signal.SIGTERM}
PATIENCE = 180.0


@dataclass(frozen=True)
class Request:
    """One request that the API server answered, and when: seconds of its clock."""

    user: str
    verb: str
    resource: str
    code: int
    began: float
    ended: float

    @property
    def wrote(self) -> bool:
        """Whether it changed anything."""
        return self.verb not in READS and self.resource not in QUESTIONS and self.code < 300


class Audit:
    """The requests of some users, read as the API server writes them down."""

    def __init__(self, log: Path, users: dict[str, str]) -> None:
        """`users`: by the name that the API server knows, the name here."""
        self._log, self._users = log, users
        self._at = log.stat().st_size
        self._requests: list[Request] = []

    def requests(self) -> list[Request]:
        """All until now, by when they began."""
        with self._log.open("rb") as log:
            log.seek(self._at)
            for line in log:
                if not line.endswith(b"\n"):  # it is being written
                    break
                self._at += len(line)
                if any(user.encode() in line for user in self._users):
                    self._take(json.loads(line))
        self._requests.sort(key=lambda request: request.began)
        return self._requests

    def _take(self, event: dict[str, Any]) -> None:
        user = self._users.get(event["user"]["username"])
        if user is not None:
            began, ended = (
                datetime.fromisoformat(event[key]).timestamp() for key in ("requestReceivedTimestamp", "stageTimestamp")
            )
            resource = (event.get("objectRef") or {}).get("resource", "")
            code = event["responseStatus"]["code"]
            self._requests.append(Request(user, event["verb"], resource, code, began, ended))


class Pair:
    """Two controllers of one namespace, each with an account of its own, so that the audit log tells them apart."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path, start: Callable[..., Controller]) -> None:
        self._plane, self._namespace, self._folder, self._start = plane, namespace, folder, start
        self._connection = Connection.open(kubeconfig=plane.kubeconfig)
        self._running: dict[str, Controller] = {}
        self._starts = dict.fromkeys(("one", "two"), 0)
        self._tokens: dict[str, str] = {}
        self._audit = Audit(
            plane.audit_log, {f"system:serviceaccount:{namespace}:{name}": name for name in ("one", "two")}
        )
        for name in ("one", "two"):
            plane.kubectl("create", "serviceaccount", name, "-n", namespace)
            subject = f"--serviceaccount={namespace}:{name}"
            plane.kubectl("create", "clusterrolebinding", f"{namespace}-{name}", "--clusterrole=cluster-admin", subject)
            self._tokens[name] = plane.kubectl("create", "token", name, "-n", namespace).strip()

    def close(self) -> None:
        self._connection.close()
        for name in self._tokens:
            self._plane.kubectl("delete", "clusterrolebinding", f"{self._namespace}-{name}")

    def start(self, name: str, *flags: str, proxy: ApiProxy | None = None) -> Controller:
        """Start it, once more if it was stopped; `proxy` is what it goes through."""
        direct = {"server": self._plane.url, "certificate-authority": str(self._plane.ca)}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": proxy.url} if proxy else direct}],
            "users": [{"name": "me", "user": {"token": self._tokens[name]}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }  # fmt: skip
        path = self._folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        cache = f"--cache-dir={self._folder / name}"
        self._starts[name] += 1
        self._running[name] = self._start(cache, "--listen=127.0.0.1:0", *flags, kubeconfig=path, name=name)
        return self._running[name]

    def leader(self) -> str:
        """Who has the Lease and does the work; empty where nobody does."""
        lease = objects.get(self._connection, LEASES, self._namespace, LEASE)
        holder = (lease or {}).get("spec", {}).get("holderIdentity", "")
        return next((name for name, each in self._running.items() if holder in led(each)), "") if holder else ""

    def until_leader(self, *, other_than: str = "") -> str:
        """Wait until somebody leads, other than this one, and say who."""
        found = ""

        def right() -> bool:
            nonlocal found
            found = self.leader()
            return found not in ("", other_than)

        until(right, patience=PATIENCE)
        return found

    def until_led_by(self, name: str) -> None:
        """Wait until it is the leader."""
        self._running[name].until(f"{name} leads", lambda: self.leader() == name, patience=PATIENCE)

    def until_ready(self, name: str) -> None:
        """Wait until it says so itself: it leads, or knows who does."""
        self._running[name].until(f"{name} is ready", lambda: self._ready(name), patience=PATIENCE)

    def _ready(self, name: str) -> bool:
        said = self._running[name].lines("listening")[self._starts[name] - 1 :]
        if not said:
            return False
        try:
            with urllib.request.urlopen(f"http://{said[0]['address']}/readyz", timeout=10):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False

    def writes(self, *, leases: bool = False) -> list[Request]:
        """What changed anything: beside the Lease, or the Lease alone."""
        return [each for each in self._audit.requests() if each.wrote and (each.resource == "leases") is leases]

    def assert_one_wrote_at_a_time(self) -> None:
        """No two writes of two of them were under way at once, and each is of the one that had taken the Lease last."""
        writes, leases = self.writes(), self.writes(leases=True)
        for one, two in itertools.pairwise(writes):
            assert one.user == two.user or one.ended <= two.began, (one, two)
        for write in writes:
            holders = [lease.user for lease in leases if lease.began <= write.began]
            assert holders, write
            assert holders[-1] == write.user, (write, leases)


def led(controller: Controller) -> set[str]:
    """The identities by which it has led until now."""
    return {line["holder"] for line in controller.lines("leading")}


def losses(controller: Controller) -> int:
    return len(controller.lines("not leading any more"))


@pytest.fixture
def pair(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, start: Callable[..., Controller]
) -> Iterator[Pair]:
    made = Pair(control_plane, namespace, tmp_path, start)
    yield made
    made.close()


@pytest.fixture
def proxy(control_plane: ControlPlane) -> Iterator[ApiProxy]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as running:
        yield running
        running.strike = None


@contextmanager
def disturbance(plane: ControlPlane, namespace: str, names: list[str]) -> Iterator[None]:
    """Somebody changes what the App owns, again and again, so that whoever leads has something to do."""
    stop = threading.Event()

    def disturb() -> None:
        with Connection.open(kubeconfig=plane.kubeconfig) as connection:
            for number in itertools.count():
                for name in names:
                    patch = {"data": {"a": str(number)}}
                    objects.merge_patch(connection, CONFIG_MAPS, namespace, name, patch, manager="somebody")
                if stop.wait(0.2):
                    return

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_two_that_are_killed_paused_and_stopped_never_both_write(
    pair: Pair, control_plane: ControlPlane, app: Any, apps: Apps, repository: Repository, make_map: Make
) -> None:
    names = [f"map-{number}" for number in range(8)]
    repository.commit(*(make_map(name, a="right") for name in names))
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace}, interval="200ms")
    running = {name: pair.start(name) for name in ("one", "two")}
    until(lambda: app.names() == set(names), patience=PATIENCE)
    with disturbance(control_plane, app.namespace, names):
        for blow in ("kill", "pause", "stop", "pause", "kill"):
            before = len(pair.writes())
            until(lambda before=before: len(pair.writes()) > before + 10, patience=PATIENCE)
            leader = pair.until_leader()
            struck, lost = running[leader], losses(running[leader])
            struck.process.send_signal(BLOWS[blow])
            pair.until_leader(other_than=leader)
            if blow == "pause":
                struck.process.send_signal(signal.SIGCONT)
                struck.until("that it does not lead", lambda s=struck, n=lost: losses(s) > n, patience=PATIENCE)
            else:
                struck.process.wait(PATIENCE)
                running[leader] = pair.start(leader)
    apps.until_ready("shop", patience=PATIENCE)
    for name, controller in running.items():
        pair.until_ready(name)
        assert controller.stop() == 0, controller.text()[-3000:]
        assert "Traceback" not in controller.text()
    assert {request.user for request in pair.writes()} == {"one", "two"}
    pair.assert_one_wrote_at_a_time()


def test_who_stands_by_writes_nothing_but_the_lease(
    pair: Pair, app: Any, apps: Apps, repository: Repository, make_map: Make
) -> None:
    """Its own account's finalizers, which whoever runs may put on and take off, are not looked at here."""
    pair.start("one")
    pair.until_led_by("one")
    pair.start("two")
    pair.until_ready("two")
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace}, interval="200ms")
    for number in range(3):
        commit = repository.commit(make_map("map", a=str(number)))
        apps.until_ready("shop", commit, patience=PATIENCE)
    assert {request.user for request in pair.writes()} == {"one"}


def test_a_clean_stop_hands_over_though_the_lease_is_long(pair: Pair) -> None:
    one = pair.start("one", "--lease-duration", "1h")
    pair.until_led_by("one")
    two = pair.start("two", "--lease-duration", "1h")
    pair.until_ready("two")
    assert not led(two)
    assert one.stop() == 0, one.text()[-3000:]
    pair.until_led_by("two")
    pair.assert_one_wrote_at_a_time()


def test_a_killed_leader_is_waited_for_as_long_as_its_lease_says(pair: Pair) -> None:
    one = pair.start("one")
    pair.until_led_by("one")
    pair.start("two")
    pair.until_ready("two")
    pair.until_led_by("one")
    one.stop(signal.SIGKILL)
    pair.until_led_by("two")
    leases = pair.writes(leases=True)
    last = max(request.began for request in leases if request.user == "one")
    first = min(request.ended for request in leases if request.user == "two")
    assert first - last >= 3.0
    pair.assert_one_wrote_at_a_time()


def test_who_wakes_in_the_middle_of_a_sync_without_the_lease_sends_nothing_more(
    pair: Pair, proxy: ApiProxy, app: Any, apps: Apps, repository: Repository, make_map: Make
) -> None:
    names = [f"map-{number:02}" for number in range(MANY)]
    commit = repository.commit(*map(make_map, names))
    held = threading.Semaphore(0)
    go_on = threading.Event()

    def strike(_number: int, method: str, path: str, *, after: bool = False) -> None:
        if not after and method == "PATCH" and "/configmaps/map-" in path:
            held.release()
            go_on.wait(PATIENCE)

    proxy.strike = strike
    one = pair.start("one", proxy=proxy)
    pair.until_led_by("one")
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace})
    # As many as are sent at a time: whoever sends waits for an answer now, and nobody is just about to send.
    for _ in range(THREADS):
        assert held.acquire(timeout=PATIENCE)
    one.process.send_signal(signal.SIGSTOP)
    go_on.set()
    two = pair.start("two")
    pair.until_led_by("two")
    apps.until_ready("shop", commit, patience=PATIENCE)
    assert app.names() == set(names)
    began = len(proxy.requests)
    one.process.send_signal(signal.SIGCONT)
    one.until("the end of the turn", lambda: one.said("turn ended: the lease is lost"), patience=PATIENCE)
    one.until("that it does not lead", lambda: losses(one), patience=PATIENCE)
    commit = repository.commit(make_map("more"))
    apps.until_ready("shop", commit, patience=PATIENCE)
    sent = [(method, path) for method, path in proxy.requests[began:] if method != "GET"]
    assert [path for _, path in sent if "/leases/" not in path] == []
    pair.assert_one_wrote_at_a_time()
    # It is still of use.
    assert two.stop() == 0, two.text()[-3000:]
    pair.until_led_by("one")
    commit = repository.commit(make_map("last"))
    apps.until_ready("shop", commit, patience=PATIENCE)
    assert len(led(one)) == 1, "a process keeps its identity"
    assert len(one.lines("leading")) == 2
    assert one.stop() == 0, one.text()[-3000:]
    assert "Traceback" not in one.text()


def test_who_is_cut_off_stands_down_and_comes_back(
    pair: Pair, proxy: ApiProxy, app: Any, apps: Apps, repository: Repository, make_map: Make
) -> None:
    one = pair.start("one", proxy=proxy)
    pair.until_led_by("one")
    two = pair.start("two")
    pair.until_ready("two")
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace})
    commit = repository.commit(make_map("map"))
    apps.until_ready("shop", commit, patience=PATIENCE)
    proxy.strike = cut
    one.until("that it does not lead", lambda: losses(one), patience=PATIENCE)
    pair.until_led_by("two")
    commit = repository.commit(make_map("map", a="2"))
    apps.until_ready("shop", commit, patience=PATIENCE)
    proxy.strike = None
    assert two.stop() == 0, two.text()[-3000:]
    pair.until_led_by("one")
    commit = repository.commit(make_map("map", a="3"))
    apps.until_ready("shop", commit, patience=PATIENCE)
    assert one.stop() == 0, one.text()[-3000:]
    assert "Traceback" not in one.text()
    pair.assert_one_wrote_at_a_time()


def cut(*_: object, **__: object) -> None:
    """Every connection ends without an answer."""
    raise ConnectionAbortedError
