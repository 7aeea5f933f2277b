"""`trimtab doctor`: what it says of the walls around a renderer's tools."""

import pytest

from pipeline.cli import doctor
from renderers.sandbox import Walls

ALL = ("unshare", "-Unp", "--fork", "--kill-child", "--")


def walls(monkeypatch: pytest.MonkeyPatch, here: Walls, *, memory: int = 1 << 30) -> dict[str, doctor.Finding]:
    monkeypatch.setattr(doctor, "walls_here", lambda: here)
    monkeypatch.setattr(doctor, "memory_left", lambda: memory)
    return {finding.what: finding for finding in doctor._walls()}


def test_all_walls_are_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found = walls(monkeypatch, Walls(ALL, 7))
    assert all(finding.ok for finding in found.values())
    assert found["landlock"].detail == "ABI 7: tools reach only their inputs, and no TCP"


def test_a_pod_without_namespaces_still_has_no_tcp_by_landlock(monkeypatch: pytest.MonkeyPatch) -> None:
    found = walls(monkeypatch, Walls(landlock=4))
    assert not found["namespaces"].ok
    assert "UDP is not cut off: a NetworkPolicy can" in found["namespaces"].detail


def test_no_wall_is_said_plainly_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    found = walls(monkeypatch, Walls(), memory=1 << 20)
    assert not any(finding.ok or finding.needed for finding in found.values())
    assert "UDP is not cut off, nor is TCP" in found["namespaces"].detail
    assert "a tool could read what this user may read" in found["landlock"].detail
    assert "1 MiB in /dev/shm is little" in found["temp"].detail


def test_namespaces_of_root_alone_leave_it_its_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    found = walls(monkeypatch, Walls(("unshare", "-n", "--"), 3))
    assert "keep this user's privileges" in found["namespaces"].detail
    assert found["landlock"].detail == "ABI 3: tools reach only their inputs"
