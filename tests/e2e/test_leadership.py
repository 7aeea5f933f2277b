"""Several controllers, one leader: killed, paused, cut off or stopped, never do two of them write."""

import itertools
import json
import os
import signal
import threading
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

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.inventory.store import CONFIG_MAPS

Make = Callable[..., dict[str, Any]]
_READS = ("get", "list", "watch")
#: Asked before anything else, by whoever begins.
_QUESTIONS = ("selfsubjectreviews",)


@dataclass(frozen=True)
class Request:
    """One request that the API server carried out, and when: seconds of its clock."""

    user: str
    resource: str
    began: float
    ended: float


class Pair:
    """Two controllers of one namespace, each with an account of its own, so that the audit log tells them apart."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path, start: Callable[..., Controller]) -> None:
        self._plane, self._namespace, self._folder, self._start = plane, namespace, folder, start
        self.running: dict[str, Controller] = {}
        self.tokens: dict[str, str] = {}
        for name in ("one", "two"):
            plane.kubectl("create", "serviceaccount", name, "-n", namespace)
            subject = f"--serviceaccount={namespace}:{name}"
            plane.kubectl("create", "clusterrolebinding", f"{namespace}-{name}", "--clusterrole=cluster-admin", subject)
            self.tokens[name] = plane.kubectl("create", "token", name, "-n", namespace).strip()

    def close(self) -> None:
        for name in self.tokens:
            self._plane.kubectl("delete", "clusterrolebinding", f"{self._namespace}-{name}")

    def start(self, name: str, *flags: str, server: str = "") -> Controller:
        cluster = {"server": server} if server else {}
        direct = {"server": self._plane.url, "certificate-authority": str(self._plane.ca)}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": cluster or direct}],
            "users": [{"name": "me", "user": {"token": self.tokens[name]}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        }  # fmt: skip
        path = self._folder / f"{name}.kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        cache = f"--cache-dir={self._folder / name}"
        self.running[name] = self._start(cache, *flags, kubeconfig=path, name=name)
        return self.running[name]

    def leads(self, name: str, *, times: int = 1) -> None:
        """Wait until it leads for that many times since it began to write its log."""
        controller = self.running[name]
        controller.until("leading", lambda: len(controller.lines("leading")) >= times)

    def requests(self) -> list[Request]:
        """All requests of both that changed anything."""
        users = {f"system:serviceaccount:{self._namespace}:{name}": name for name in self.tokens}
        found = []
        for line in self._plane.audit_log.read_text().splitlines():
            event = json.loads(line)
            name = users.get(event["user"]["username"])
            reference = event.get("objectRef") or {}
            if name is None or event["verb"] in _READS or reference.get("resource") in _QUESTIONS:
                continue
            if event["responseStatus"]["code"] < 300:
                began, ended = (
                    datetime.fromisoformat(event[key]).timestamp()
                    for key in ("requestReceivedTimestamp", "stageTimestamp")
                )
                found.append(Request(name, reference["resource"], began, ended))
        return sorted(found, key=lambda request: request.began)

    def assert_one_wrote_at_a_time(self) -> None:
        """Nobody wrote after another one had the Lease, and no two requests of two of them were under way at once."""
        requests = self.requests()
        writes = [request for request in requests if request.resource != "leases"]
        for one, two in itertools.pairwise(writes):
            assert one.user == two.user or one.ended <= two.began, (one, two)
        leases = [request for request in requests if request.resource == "leases"]
        for write in writes:
            holders = [lease.user for lease in leases if lease.ended <= write.began]
            assert holders, write
            assert holders[-1] == write.user, write


@pytest.fixture
def pair(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, start: Callable[..., Controller]
) -> Iterator[Pair]:
    made = Pair(control_plane, namespace, tmp_path, start)
    yield made
    made.close()


@pytest.fixture
def connection(control_plane: ControlPlane) -> Iterator[Connection]:
    with Connection.open(kubeconfig=control_plane.kubeconfig) as opened:
        yield opened


@contextmanager
def disturbance(connection: Connection, namespace: str, names: list[str]) -> Iterator[None]:
    """Somebody changes what the App owns, again and again, so that whoever leads has something to do."""
    stop = threading.Event()

    def disturb() -> None:
        for number in itertools.count():
            for name in names:
                patch = {"data": {"a": str(number)}}
                objects.merge_patch(connection, CONFIG_MAPS, namespace, name, patch, manager="somebody")
            if stop.wait(0.2):
                return

    thread = threading.Thread(target=disturb)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.slow
def test_two_that_are_killed_paused_and_stopped_never_both_write(
    pair: Pair, app: Any, apps: Apps, repository: Repository, make_map: Make, connection: Connection
) -> None:
    names = [f"map-{number}" for number in range(8)]
    repository.commit(*(make_map(name, a="right") for name in names))
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace}, interval="200ms")
    one, two = pair.start("one"), pair.start("two")
    until(lambda: one.lines("leading") or two.lines("leading"))
    leader, other = ("one", "two") if one.lines("leading") else ("two", "one")
    terms = {leader: 1, other: 0}
    until(lambda: app.names() == set(names))
    with disturbance(connection, app.namespace, names):
        for blow in ("kill", "pause", "stop", "pause", "kill"):
            began = len(pair.requests())
            until(lambda began=began: len(pair.requests()) > began + 10)
            process = pair.running[leader].process
            process.send_signal({"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "stop": signal.SIGTERM}[blow])
            terms[other] += 1
            pair.leads(other, times=terms[other])
            if blow == "pause":
                process.send_signal(signal.SIGCONT)
                paused = pair.running[leader]
                paused.until("that it does not lead", lambda paused=paused: paused.lines("not leading any more"))
            else:
                process.wait(60)
                pair.start(leader)
            leader, other = other, leader
    apps.until_ready("shop")
    assert {request.user for request in pair.requests() if request.resource != "leases"} == {"one", "two"}
    pair.assert_one_wrote_at_a_time()
    for controller in pair.running.values():
        assert controller.stop() == 0
        assert "Traceback" not in controller.text()


def test_a_clean_stop_hands_over_though_the_lease_is_long(pair: Pair) -> None:
    one = pair.start("one", "--lease-duration", "1h")
    pair.leads("one")
    two = pair.start("two", "--lease-duration", "1h")
    two.until("the watch of the Lease", lambda: apps_in_step(two))
    assert one.stop() == 0
    pair.leads("two")


def test_a_killed_leader_is_waited_for_as_long_as_its_lease_says(pair: Pair) -> None:
    one = pair.start("one")
    pair.leads("one")
    pair.start("two")
    one.stop(signal.SIGKILL)
    pair.leads("two")
    leases = [request for request in pair.requests() if request.resource == "leases"]
    last = max(request.began for request in leases if request.user == "one")
    first = min(request.ended for request in leases if request.user == "two")
    assert first - last >= 3.0
    pair.assert_one_wrote_at_a_time()
