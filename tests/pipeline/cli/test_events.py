"""`trimtab events`: the Events of one App, the newest last."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from played import Apps

Trimtab = Callable[..., Any]


def _emit(apps: Apps, name: str, *, at: str, uid: str = "", about: str = "shop") -> None:
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": apps.namespace},
        "involvedObject": {
            "apiVersion": "trimtab.dev/v1alpha1", "kind": "App", "name": about, "namespace": apps.namespace,
            "uid": uid or apps.get(about)["metadata"]["uid"],
        },
        "type": "Warning", "reason": "NotReady", "message": f"{name} says\nso", "lastTimestamp": at, "count": 3,
    }  # fmt: skip
    apps.plane.kubectl("create", "-f", "-", input=json.dumps(event))


def test_the_events_of_this_app_are_shown_the_newest_last(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    apps.make("other")
    none = trimtab("events", "shop", "-n", apps.namespace)
    assert (none.code, none.out) == (0, "")
    _emit(apps, "newer", at="2030-01-02T00:00:00Z")
    _emit(apps, "older", at="2030-01-01T00:00:00Z")
    _emit(apps, "foreign", at="2030-01-01T00:00:00Z", about="other")
    _emit(apps, "former", at="2030-01-01T00:00:00Z", uid="of-an-app-deleted-since")
    result = trimtab("events", "shop", "-n", apps.namespace)
    head, *rows = (line.split() for line in result.out.splitlines())
    assert head == ["AT", "TYPE", "REASON", "COUNT", "MESSAGE"]
    assert rows == [
        ["2030-01-01T00:00:00Z", "Warning", "NotReady", "3", "older", "says", "so"],
        ["2030-01-02T00:00:00Z", "Warning", "NotReady", "3", "newer", "says", "so"],
    ]
    data = json.loads(trimtab("events", "shop", "-n", apps.namespace, "-o", "json").out)
    assert data[0] == {
        "at": "2030-01-01T00:00:00Z", "type": "Warning", "reason": "NotReady", "count": 3, "message": "older says\nso",
    }  # fmt: skip


def test_what_comes_is_shown_until_it_is_interrupted(apps: Apps) -> None:
    apps.make()
    _emit(apps, "first", at="2030-01-01T00:00:00Z")
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "events", "shop", "-n", apps.namespace, "--watch"],
        env={**apps.plane.env, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(process)
        cleanup.callback(process.kill)
        assert process.stdout is not None
        process.stdout.readline()
        assert "first says so" in process.stdout.readline()
        _emit(apps, "second", at="2030-01-02T00:00:00Z")
        assert "second says so" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_a_watch_prints_lines_only(trimtab: Trimtab) -> None:
    assert trimtab("events", "--watch", "-o", "json").code == 2
