"""What the tests of commands share: App resources on the control plane, and a terminal."""

import contextlib
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import harness
import pytest
from played import Apps

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.control.resource import APPS


@pytest.fixture
def connection(control_plane: harness.ControlPlane) -> Iterator[Connection]:
    with Connection.open(kubeconfig=control_plane.kubeconfig) as opened:
        yield opened


@pytest.fixture
def apps(
    connection: Connection, apps_are_known: None, namespace: str, control_plane: harness.ControlPlane
) -> Iterator[Apps]:
    made = Apps(connection, namespace, control_plane)
    yield made
    for item in objects.list_objects(connection, APPS, namespace)[0]:
        made.free(item["metadata"]["name"])


@pytest.fixture
def on_terminal(control_plane: harness.ControlPlane) -> Callable[..., harness.Result]:
    """Runs the command line with a terminal as standard input and error, on which `answer` is typed."""

    def run(*args: str, answer: str) -> harness.Result:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *args],
            env={**control_plane.env, "TERM": "dumb"}, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        shown: list[bytes] = []
        reader = threading.Thread(target=_read_all, args=(ours, shown))
        reader.start()
        out, _ = process.communicate(timeout=120)
        reader.join()
        os.close(ours)
        return harness.Result(process.returncode, out, b"".join(shown).decode())

    return run


def _read_all(terminal: int, shown: list[bytes]) -> None:
    """What is printed on a terminal, until nobody holds its other end."""
    with contextlib.suppress(OSError):
        while block := os.read(terminal, 4096):
            shown.append(block)
