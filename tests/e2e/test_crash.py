"""A real process is killed at some API requests of a small sync; the next one finishes, and nothing leaks.

Every request of all that Trimtab can do is in `test_crash_points.py`, with something faster than a kill.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from crash import DEPLOYMENT, SECRET, Blow, Forked, Place

from pipeline.cluster.connection import Connection

#: One request of so many.
_STEP = 5


class Runner:
    """Runs the command line behind the proxy; it may be killed at a request."""

    def __init__(self, proxy: ApiProxy, kubeconfig: Path, environment: dict[str, str], log: Path) -> None:
        self._proxy, self._log = proxy, log
        self._environment = {**environment, "KUBECONFIG": str(kubeconfig)}

    def run(self, arguments: list[str], *, kill_at: int = 0, after: bool = False) -> tuple[int, str, int]:
        """Exit code (negative: killed), output, and the count of requests."""
        process = Forked(arguments, self._environment, self._log)
        blow = self._proxy.strike = Blow(process.kill, kill_at, after=after)
        process.start()
        return process.code(), process.text(), blow.count


@pytest.fixture
def runner(control_plane: Any, tmp_path: Path) -> Iterator[Runner]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)
        yield Runner(proxy, kubeconfig, dict(control_plane.env), tmp_path / "log")


@pytest.fixture
def connection(control_plane: Any) -> Iterator[Connection]:
    with Connection.open(kubeconfig=Path(control_plane.kubeconfig)) as connection:
        yield connection


def _arguments(folder: Any, place: Place) -> list[str]:
    return [
        "apply", str(folder.path), "--name", "shop", "--namespace", place.namespace,
        "--inventory-namespace", place.namespace, "--timeout", "30s", "-o", "json",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the request", "after the answer"])
def test_killed_at_some_requests(
    connection: Connection, folder: Any, runner: Runner, make_map: Callable[..., Any], *, after: bool
) -> None:
    """One object is changed, one added, one pruned, and one released that existed before."""

    def begin() -> tuple[Place, list[str]]:
        place = Place(connection)
        arguments = _arguments(folder, place)
        folder.put(make_map("a"), make_map("b"), make_map("old", a="2"), SECRET, DEPLOYMENT)
        code, text, _ = runner.run(arguments)
        assert code == 0, text
        folder.put(make_map("a", a="2"), make_map("new")).drop("configmap", "b", "old")
        return place, arguments

    place, arguments = begin()
    code, text, requests = runner.run(arguments)
    assert code == 0, text
    wanted = place.labelled()
    assert wanted == place.recorded()
    place.end()
    for number in range(3 if after else 1, requests + 1, _STEP):
        place, arguments = begin()
        runner.run(arguments, kill_at=number, after=after)
        assert place.labelled() <= place.recorded(), f"request {number}: an object of ours is in no inventory"
        assert place.old_lives()
        code, text, _ = runner.run(arguments)
        assert code == 0, f"request {number}: {text}"
        assert place.labelled() == place.recorded() == wanted, f"request {number}"
        assert place.old_lives()
        code, text, _ = runner.run(arguments)
        assert {change["action"] for change in json.loads(text)["changes"]} == {"unchanged"}, f"request {number}"
        place.end()
