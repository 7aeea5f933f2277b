"""The process is killed at every API request of a small scenario; the next sync finishes, and nothing leaks."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy

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


def _labelled(app: Any) -> set[str]:
    """Everything in the namespace that carries the App's label."""
    kinds = "configmap,secret,service,deployment"
    text = app.kubectl("get", kinds, "-n", app.namespace, "-l", "trimtab.dev/app", "-o", "json")
    return {f"{item['kind']}/{item['metadata']['name']}" for item in json.loads(text)["items"]}


def _recorded(app: Any) -> set[str]:
    return {
        f"{item['id'].partition('/')[0].partition('.')[0]}/{item['id'].rpartition('/')[2]}"
        for item in app.record()["objects"]
    }


@pytest.mark.parametrize("after", [False, True], ids=["before the request", "after the answer"])
@pytest.mark.parametrize("step", ["first", "second"])
def test_killed_at_every_request(
    app: Any, runner: Runner, make_map: Callable[..., Any], step: str, *, after: bool
) -> None:
    """`first` creates; `second` changes one object, adds one, prunes one and releases one that existed before."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}
    deployment = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
            "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
    }  # fmt: skip
    arguments = [
        "apply", str(app.folder.path), "--name", "shop", "--namespace", app.namespace,
        "--inventory-namespace", app.namespace, "--timeout", "30s", "-o", "json",
    ]  # fmt: skip

    def reset() -> None:
        """A clean namespace, up to the step under test."""
        runner.run(["delete", "shop", "--yes", "--inventory-namespace", app.namespace])
        app.kubectl("delete", "configmap,secret,deployment", "--all", "-n", app.namespace, "--wait=true")
        app.kubectl("create", "configmap", "old", "-n", app.namespace, "--from-literal=mine=1")
        app.folder.put(make_map("a"), make_map("b"), make_map("old", a="2"), secret, deployment)
        if step == "second":
            code, text, _ = runner.run(arguments)
            assert code == 0, text
            app.folder.put(make_map("a", a="2"), make_map("new")).drop("configmap", "b", "old")

    reset()
    code, text, requests = runner.run(arguments)
    assert code == 0, text
    wanted = _labelled(app)
    assert wanted == _recorded(app)
    for number in range(1, requests + 1):
        reset()
        code, text, _ = runner.run(arguments, kill_at=number, after=after)
        labelled = _labelled(app)
        if labelled:
            assert labelled <= _recorded(app), f"request {number}: an object of ours is in no inventory"
        assert app.get("configmap", "old")["data"]["mine"] == "1"
        code, text, _ = runner.run(arguments)
        assert code == 0, f"request {number}: {text}"
        assert _labelled(app) == wanted, f"request {number}"
        assert _recorded(app) == wanted, f"request {number}"
        assert app.get("configmap", "old")["data"]["mine"] == "1"
        code, text, _ = runner.run(arguments)
        assert code == 0
        assert {change["action"] for change in json.loads(text)["changes"]} == {"unchanged"}, f"request {number}"
