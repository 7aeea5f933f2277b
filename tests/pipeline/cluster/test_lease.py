"""One leader at a time, on the real API server: hand-over, cut-off, races, other people's hands."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane
from waiting import until

from pipeline.cluster import lease as module
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.cluster.lease import LEASES, Lease
from pipeline.errors import LeaseLostError

#: So slow that only what comes at once can come within a test.
SLOW = {"duration": 7200.0, "renew_deadline": 7000.0, "retry": 3600.0}
FAST = {"duration": 3.0, "renew_deadline": 2.0, "retry": 0.2}


class Candidate:
    """A Lease with its thread, and what happened to it."""

    def __init__(self, lease: Lease, story: list[str] | None = None, name: str = "") -> None:
        self.lease, self.story, self.name = lease, story if story is not None else [], name
        self.stop = threading.Event()
        self.gained = self.lost = 0
        self._thread = threading.Thread(target=lease.run, args=(self.stop, self._on_gained, self._on_lost))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _on_gained(self) -> None:
        self.gained += 1
        self.story.append(f"{self.name} gained")

    def _on_lost(self) -> None:
        self.lost += 1
        self.story.append(f"{self.name} lost")


def candidate(connection: Connection, namespace: str, times: dict[str, float], *args: Any) -> Candidate:
    return Candidate(Lease(connection, namespace, "trimtab", "me", **times), *args)


def read(connection: Connection, namespace: str) -> dict[str, Any]:
    found = objects.get(connection, LEASES, namespace, "trimtab")
    assert found is not None
    spec: dict[str, Any] = found["spec"]
    return spec


def somebody(connection: Connection, namespace: str, **spec: object) -> None:
    body = {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "trimtab"},
        "spec": {"holderIdentity": "somebody", "renewTime": "2020-01-01T00:00:00.000000Z", **spec},
    }  # fmt: skip
    objects.create(connection, LEASES, namespace, body, manager="trimtab-test")


def test_a_free_lease_is_taken_and_given_back(connection: Connection, namespace: str) -> None:
    with candidate(connection, namespace, SLOW) as one:
        until(one.lease.held)
        assert one.lease.holder == one.lease.identity
        assert read(connection, namespace)["holderIdentity"] == one.lease.identity
        assert one.lost == 0
    assert (one.gained, one.lost) == (1, 1)
    assert not one.lease.held()
    spec = read(connection, namespace)
    assert (spec.get("holderIdentity", ""), spec["leaseDurationSeconds"]) == ("", 1)


def test_it_is_renewed_again_and_again(connection: Connection, namespace: str) -> None:
    with candidate(connection, namespace, FAST) as one:
        until(one.lease.held)
        seen = {read(connection, namespace)["renewTime"]}
        until(lambda: len(seen.union({read(connection, namespace)["renewTime"]})) > 1)
        until(lambda: connection.requests["PUT"] > 3)
    assert (one.gained, read(connection, namespace)["leaseTransitions"]) == (1, 0)


def test_who_waits_takes_over_at_once_when_the_lease_is_given_back(connection: Connection, namespace: str) -> None:
    with candidate(connection, namespace, SLOW) as one:
        until(one.lease.held)
        with candidate(connection, namespace, SLOW) as two:
            until(lambda: two.lease.holder == one.lease.identity)
            one.stop.set()
            until(two.lease.held)
            assert read(connection, namespace)["leaseTransitions"] == 1


def test_who_waits_takes_over_at_once_when_the_lease_is_deleted(connection: Connection, namespace: str) -> None:
    somebody(connection, namespace, leaseDurationSeconds=7200)
    with candidate(connection, namespace, SLOW) as one:
        until(lambda: one.lease.holder == "somebody")
        meta = objects.get_metadata(connection, LEASES, namespace, "trimtab")
        assert meta is not None
        objects.delete(connection, LEASES, namespace, "trimtab", uid=meta["metadata"]["uid"])
        until(one.lease.held)


def test_the_lease_is_given_back_after_on_lost(connection: Connection, namespace: str) -> None:
    holders: list[str] = []
    lease = Lease(connection, namespace, "trimtab", "me", **SLOW)
    stop = threading.Event()

    def lost() -> None:
        assert not lease.held()
        holders.append(read(connection, namespace)["holderIdentity"])

    thread = threading.Thread(target=lease.run, args=(stop, lambda: None, lost))
    thread.start()
    until(lease.held)
    stop.set()
    thread.join(60)
    assert holders == [lease.identity]


def test_another_holder_is_waited_for_by_our_own_clock(connection: Connection, namespace: str) -> None:
    # His clock says 2020; whether he lives shows only in that the Lease changes.
    somebody(connection, namespace, leaseDurationSeconds=7200)
    with candidate(connection, namespace, FAST) as one:
        connection.requests.clear()
        until(lambda: connection.requests["GET"] > 5)
        assert one.gained == 0
        assert connection.requests["PUT"] == 0
        assert one.lease.last_error is None


def test_a_holder_who_died_is_followed_after_his_own_duration(connection: Connection, namespace: str) -> None:
    somebody(connection, namespace, leaseDurationSeconds=1, leaseTransitions=4)
    with candidate(connection, namespace, FAST) as one:
        until(one.lease.held)
        assert read(connection, namespace)["leaseTransitions"] == 5


def test_a_label_on_the_lease_is_no_sign_of_life(connection: Connection, namespace: str) -> None:
    somebody(connection, namespace, leaseDurationSeconds=1)
    with candidate(connection, namespace, FAST) as one:
        labels = iter(range(10_000))

        def labelled_and_held() -> bool:
            patch = {"metadata": {"labels": {"a": str(next(labels))}}}
            objects.merge_patch(connection, LEASES, namespace, "trimtab", patch, manager="trimtab-test")
            return one.lease.held()

        until(labelled_and_held)
        # Nor does it end our own term.
        until(lambda: not labelled_and_held() or connection.requests["PUT"] > 5)
        assert one.gained == 1


@pytest.mark.parametrize("spec", [None, {}, {"holderIdentity": None}, {"holderIdentity": ""}])
def test_an_empty_lease_is_free(connection: Connection, namespace: str, spec: dict[str, Any] | None) -> None:
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "trimtab"}, "spec": spec}
    objects.create(connection, LEASES, namespace, body, manager="trimtab-test")
    with candidate(connection, namespace, SLOW) as one:
        until(one.lease.held)


def test_who_is_cut_off_stands_down_before_another_begins(
    connection: Connection, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    story: list[str] = []
    with cuttable(control_plane, tmp_path) as (proxy, other), candidate(other, namespace, FAST, story, "one") as one:
        until(one.lease.held)
        fence = one.lease.fence()
        fence()
        with candidate(connection, namespace, FAST, story, "two") as two:
            until(lambda: two.lease.holder == one.lease.identity)
            proxy.strike = lambda *_, **__: (503, b"cut off")
            until(two.lease.held)
            assert not one.lease.held()
            until(lambda: one.lost == 1)
            assert story[:3] == ["one gained", "one lost", "two gained"]
            with pytest.raises(LeaseLostError, match="lost the Lease"):
                fence()
            assert one.lease.last_error is not None
            proxy.strike = None
            until(lambda: one.lease.last_error is None)
        # The first one leads again, but what began in its first term stays cut off.
        until(one.lease.held)
        one.lease.fence()()
        with pytest.raises(LeaseLostError):
            fence()


def test_a_short_trouble_ends_no_term(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> None:
    with cuttable(control_plane, tmp_path) as (proxy, other), candidate(other, namespace, SHORT_RETRY) as one:
        until(one.lease.held)
        fence = one.lease.fence()
        proxy.strike = lambda *_, **__: (500, b"oops")
        until(lambda: one.lease.last_error is not None)
        proxy.strike = None
        until(lambda: one.lease.last_error is None)
        fence()
        assert one.gained == 1


def test_an_answer_that_was_lost_ends_no_term(
    connection: Connection, control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    with cuttable(control_plane, tmp_path) as (proxy, other), candidate(other, namespace, SHORT_RETRY) as one:
        until(one.lease.held)
        struck: list[str] = []

        def strike(_number: int, method: str, _path: str, *, after: bool) -> None:
            if method == "PUT" and after and len(struck) < 3:
                struck.append(method)
                raise ConnectionError

        proxy.strike = strike
        until(lambda: len(struck) == 3)
        before = read(connection, namespace)["renewTime"]
        until(lambda: read(connection, namespace)["renewTime"] != before)
        assert (one.gained, one.lost) == (1, 0)


def test_who_loses_the_lease_to_another_hand_stands_down(connection: Connection, namespace: str) -> None:
    with candidate(connection, namespace, SHORT_RETRY) as one:
        until(one.lease.held)
        spec = {"holderIdentity": "somebody", "leaseDurationSeconds": 7200}
        objects.merge_patch(connection, LEASES, namespace, "trimtab", {"spec": spec}, manager="trimtab-test")
        until(lambda: one.lost == 1)
        assert not one.lease.held()
    assert read(connection, namespace)["holderIdentity"] == "somebody"


def test_a_lease_that_was_deleted_begins_a_new_term(connection: Connection, namespace: str) -> None:
    with candidate(connection, namespace, SHORT_RETRY) as one:
        until(one.lease.held)
        fence = one.lease.fence()
        meta = objects.get_metadata(connection, LEASES, namespace, "trimtab")
        assert meta is not None
        objects.delete(connection, LEASES, namespace, "trimtab", uid=meta["metadata"]["uid"])
        until(lambda: one.gained == 2 and one.lease.held())
        with pytest.raises(LeaseLostError):
            fence()


def test_a_machine_that_slept_past_its_deadline_does_not_lead(
    connection: Connection, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with candidate(connection, namespace, SLOW) as one:
        until(one.lease.held)
        fence, awake = one.lease.fence(), module._now
        fence()
        monkeypatch.setattr(module, "_now", lambda: awake() + 7001)
        assert not one.lease.held()
        with pytest.raises(LeaseLostError):
            fence()


def test_of_many_candidates_one_leads_and_each_gets_its_turn(connection: Connection, namespace: str) -> None:
    candidates = [candidate(connection, namespace, FAST) for _ in range(5)]
    for one in candidates:
        one.__enter__()
    waiting = list(candidates)
    try:
        while waiting:
            until(lambda: any(one.lease.held() for one in waiting))
            holding = [one for one in waiting if one.lease.held()]
            assert len(holding) == 1
            waiting.remove(holding[0])
            holding[0].__exit__()
    finally:
        for one in waiting:
            one.stop.set()


def test_a_missing_right_is_told(
    connection: Connection, control_plane: ControlPlane, namespace: str, kubeconfig: Callable[..., Path]
) -> None:
    control_plane.kubectl("create", "serviceaccount", "small", "-n", namespace)
    token = control_plane.kubectl("create", "token", "small", "-n", namespace).strip()
    with (
        Connection.open(kubeconfig=kubeconfig(user={"token": token})) as small,
        candidate(small, namespace, FAST) as one,
    ):
        until(lambda: one.lease.last_error is not None)
        error = one.lease.last_error
        assert isinstance(error, ApiError)
        assert error.forbidden
        assert "leases.coordination.k8s.io" in error.hint
        assert not one.lease.held()
        # Without the right to watch it works all the same.
        control_plane.kubectl(
            "create",
            "role",
            "lease",
            "-n",
            namespace,
            "--verb=get,create,update",
            "--resource=leases.coordination.k8s.io",
        )
        control_plane.kubectl(
            "create", "rolebinding", "lease", "-n", namespace, "--role=lease", f"--serviceaccount={namespace}:small"
        )
        until(one.lease.held)
        assert one.lease.last_error is None


def test_a_missing_namespace_is_told(connection: Connection) -> None:
    with candidate(connection, "no-such-namespace", FAST) as one:
        until(lambda: one.lease.last_error is not None)
        assert "no-such-namespace" in str(one.lease.last_error)


def test_stop_ends_who_waits_at_once(connection: Connection, namespace: str) -> None:
    somebody(connection, namespace, leaseDurationSeconds=7200)
    with candidate(connection, namespace, SLOW) as one:
        until(lambda: one.lease.holder == "somebody")
    assert (one.gained, one.lost) == (0, 0)
    assert read(connection, namespace)["holderIdentity"] == "somebody"


#: Renewed often, and long held.
SHORT_RETRY = {**SLOW, "retry": 0.1}


@contextmanager
def cuttable(control_plane: ControlPlane, folder: Path) -> Iterator[tuple[ApiProxy, Connection]]:
    """A connection through a proxy that can answer in the API server's place."""
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        path = proxy.kubeconfig(folder / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection:
            yield proxy, connection
