"""The process is killed at every API request of a small scenario; the next sync finishes, and nothing leaks."""

import json
import multiprocessing
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy

from pipeline.app import App, Metadata
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.inventory.store import CONFIG_MAPS, NAMESPACES, SECRETS, Store, ensure_namespace

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pipeline.cli.main"])


def _child(arguments: list[str], environment: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "w") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from pipeline.cli.main import run  # noqa: PLC0415 - in the child only

    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    code = run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Runner:
    """Runs the command line in a process of its own, behind the proxy; it may be killed at a request."""

    def __init__(self, proxy: ApiProxy, kubeconfig: Path, environment: dict[str, str], log: Path) -> None:
        self._proxy, self._log = proxy, log
        self._environment = {**environment, "KUBECONFIG": str(kubeconfig)}

    def run(self, arguments: list[str], *, kill_at: int = 0, after: bool = False) -> tuple[int, str, int]:
        """Exit code (negative: killed), output, and the count of requests."""
        self._proxy.requests.clear()
        process = _FORKS.Process(target=_child, args=(arguments, self._environment, str(self._log)))

        def strike(number: int, method: str, path: str, *, after: bool = False) -> None:
            if number == kill_at and after is self._after and process.pid:
                os.kill(process.pid, signal.SIGKILL)

        self._after = after
        self._proxy.strike = strike if kill_at else None
        process.start()
        process.join(60)
        assert process.exitcode is not None, "the process hangs"
        return process.exitcode, self._log.read_text(), len(self._proxy.requests)


@pytest.fixture
def runner(control_plane: Any, tmp_path: Path) -> Iterator[Runner]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)
        yield Runner(proxy, kubeconfig, dict(control_plane.env), tmp_path / "log")


class Cluster:
    """Looks at one namespace after another without starting a process for each look."""

    def __init__(self, connection: Connection, folder: Any) -> None:
        self._connection = connection
        self._folder = folder
        self.namespace = ""

    def begin(self) -> list[str]:
        """A namespace of its own, with an object that existed before; the arguments of an apply to it."""
        self.namespace = f"crash-{secrets.token_hex(4)}"
        ensure_namespace(self._connection, self.namespace)
        old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old"}, "data": {"mine": "1"}}
        objects.create(self._connection, CONFIG_MAPS, self.namespace, old, manager="somebody")
        return [
            "apply", str(self._folder.path), "--name", "shop", "--namespace", self.namespace,
            "--inventory-namespace", self.namespace, "--timeout", "30s", "-o", "json",
        ]  # fmt: skip

    def end(self) -> None:
        meta = objects.get_metadata(self._connection, NAMESPACES, "", self.namespace)
        assert meta is not None
        objects.delete(self._connection, NAMESPACES, "", self.namespace, uid=meta["metadata"]["uid"])

    def labelled(self) -> set[str]:
        """Everything that carries the App's label."""
        found = set()
        for resource in (CONFIG_MAPS, SECRETS, _DEPLOYMENTS):
            for meta in objects.list_metadata(self._connection, resource, self.namespace, selector="trimtab.dev/app"):
                found.add(f"{resource.kind}/{meta['metadata']['name']}")
        return found

    def recorded(self) -> set[str]:
        """Everything that the inventory knows."""
        app = App(Metadata(name="shop", namespace=self.namespace))
        record = Store(self._connection, self.namespace).load(app).record
        return {f"{object_id.kind}/{object_id.name}" for object_id in (record.entries if record else ())}

    def old_lives(self) -> bool:
        """Whether what somebody else had made still has what he wrote into it."""
        old = objects.get(self._connection, CONFIG_MAPS, self.namespace, "old")
        return old is not None and old["data"]["mine"] == "1"


@pytest.fixture
def cluster(control_plane: Any, folder: Any) -> Iterator[Cluster]:
    with Connection.open(kubeconfig=Path(control_plane.kubeconfig)) as connection:
        yield Cluster(connection, folder)


_DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True, verbs=frozenset({"list"}))
_DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
}  # fmt: skip
_SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the request", "after the answer"])
@pytest.mark.parametrize("step", ["first", "second"])
def test_killed_at_every_request(
    cluster: Cluster, folder: Any, runner: Runner, make_map: Callable[..., Any], step: str, *, after: bool
) -> None:
    """`first` creates; `second` changes one object, adds one, prunes one and releases one that existed before."""

    def begin() -> list[str]:
        arguments = cluster.begin()
        folder.put(make_map("a"), make_map("b"), make_map("old", a="2"), _SECRET, _DEPLOYMENT)
        if step == "second":
            code, text, _ = runner.run(arguments)
            assert code == 0, text
            folder.put(make_map("a", a="2"), make_map("new")).drop("configmap", "b", "old")
        return arguments

    code, text, requests = runner.run(begin())
    assert code == 0, text
    wanted = cluster.labelled()
    assert wanted == cluster.recorded()
    cluster.end()
    for number in range(1, requests + 1):
        arguments = begin()
        runner.run(arguments, kill_at=number, after=after)
        assert cluster.labelled() <= cluster.recorded(), f"request {number}: an object of ours is in no inventory"
        assert cluster.old_lives()
        code, text, _ = runner.run(arguments)
        assert code == 0, f"request {number}: {text}"
        assert cluster.labelled() == cluster.recorded() == wanted, f"request {number}"
        assert cluster.old_lives()
        code, text, _ = runner.run(arguments)
        assert {change["action"] for change in json.loads(text)["changes"]} == {"unchanged"}, f"request {number}"
        cluster.end()
