"""What is asked once and then known, by many threads at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.cluster import session as module
from pipeline.cluster.connection import Connection
from pipeline.cluster.session import Session
from pipeline.errors import ClusterUnreachableError


def _together(work: Callable[[], object], count: int = 16) -> list[object]:
    barrier = threading.Barrier(count)

    def one(_: int) -> object:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(max_workers=count) as threads:
        return list(threads.map(one, range(count)))


def test_many_threads_ask_once(connection: Connection) -> None:
    session = Session(connection)
    found = _together(lambda: session.discovery)
    assert all(discovery is found[0] for discovery in found)
    assert connection.requests["GET"] == 2
    assert len(set(_together(lambda: session.version + session.cluster_uid))) == 1
    assert connection.requests["GET"] == 4


def test_discovery_is_asked_for_again_when_it_is_old(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(connection)
    first = session.discovery
    assert session.discovery is first
    monkeypatch.setattr(module, "_OLD", 0.0)
    assert session.discovery is not first


def test_it_is_renewed_but_not_when_that_was_just_now(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(connection)
    first = session.discovery
    assert not session.renew_discovery()
    assert not session.renew_discovery(first)
    monkeypatch.setattr(module, "_FRESH", 0.0)
    assert session.renew_discovery(first)
    monkeypatch.undo()
    assert session.discovery is not first
    # Another thread has asked since: there is news for whoever still has the first.
    assert session.renew_discovery(first)
    assert not session.renew_discovery(session.discovery)


def test_an_error_reaches_all_who_wait_and_is_not_kept(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    waiting = threading.Event()

    def fail(_: Connection) -> str:
        asked.append(1)
        waiting.wait(1)
        raise ClusterUnreachableError("no answer")

    session = Session(connection)
    monkeypatch.setattr(module, "server_version", fail)

    def ask() -> str:
        try:
            return session.version
        except ClusterUnreachableError as error:
            return error.message

    assert set(_together(ask)) == {"no answer"}
    assert len(asked) == 1
    monkeypatch.undo()
    assert session.version.startswith("v1.")
