"""`trimtab run` as a process: a push reaches the cluster, drift is put back, and nothing shakes it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., dict[str, Any]]


class Repository:
    """A bare repository and a working copy of it."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.work = folder / "origin.git", folder / "work"
        self._git("init", "-q", "--bare", "-b", "main", str(self.bare), at=folder)
        self._git("clone", "-q", str(self.bare), str(self.work), at=folder)
        self._git("checkout", "-q", "-b", "main")

    def commit(self, *manifests: dict[str, Any], drop: tuple[str, ...] = (), push: str = "") -> str:
        for manifest in manifests:
            (self.work / f"{manifest['metadata']['name']}.json").write_text(json.dumps(manifest))
        for name in drop:
            (self.work / f"{name}.json").unlink()
        self._git("add", "-A")
        self._git("commit", "-q", "--allow-empty", "-m", "change")
        self._git("push", "-q", *([push] if push else []), "origin", "main")
        return self._git("rev-parse", "HEAD").strip()

    def reset_to_nothing(self) -> None:
        """The next push has no history in common with what was there."""
        self._git("checkout", "-q", "--orphan", "again")
        self._git("branch", "-q", "-D", "main")
        self._git("branch", "-m", "main")

    def _git(self, *arguments: str, at: Path | None = None) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=at or self.work, check=True, capture_output=True, text=True
        ).stdout


class Run:
    """One `trimtab run`, and what it says."""

    def __init__(self, app: Any, control_plane: Any, repository: Repository, folder: Path, *flags: str) -> None:
        self.log = folder / "run.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "pipeline", "run", "--name", "shop", "--git-url", repository.bare.as_uri(),
                    "--target-namespace", app.namespace, "--inventory-namespace", app.namespace,
                    "--git-poll-interval", "100ms", "--cache-dir", str(folder / "cache"), *flags,
                ],
                env=control_plane.env, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def until(self, what: str, right: Callable[[], bool], *, patience: float = 30) -> None:
        deadline = time.monotonic() + patience
        while not right():
            assert self.process.poll() is None, f"it ended: {self.text()}"
            assert time.monotonic() < deadline, f"{what} did not happen: {self.text()}"
            time.sleep(0.05)

    def said(self, text: str) -> bool:
        return text in self.text()

    def text(self) -> str:
        return self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def start(app: Any, control_plane: Any, repository: Repository, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*flags: str) -> Run:
        runs.append(Run(app, control_plane, repository, tmp_path, *flags))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def _value(app: Any, name: str) -> str | None:
    live = app.get("configmap", name)
    return live["data"].get("a") if live else None


def test_a_push_reaches_the_cluster_and_drift_is_put_back(
    app: Any, repository: Repository, make_map: Make, start: Callable[..., Run]
) -> None:
    repository.commit(make_map("one"), make_map("two"))
    run = start()
    run.until("the first sync", lambda: app.names() == {"one", "two"})
    commit = repository.commit(make_map("one", a="2"), drop=("two",))
    run.until("the second sync", lambda: app.names() == {"one"} and _value(app, "one") == "2")
    run.until("the record", lambda: app.record()["commit"] == commit)
    app.kubectl("patch", "configmap", "one", "-n", app.namespace, "--type=merge", "-p", '{"data":{"a":"by hand"}}')
    run.until("the repair of an edit", lambda: _value(app, "one") == "2")
    app.kubectl("delete", "configmap", "one", "-n", app.namespace)
    run.until("the repair of a delete", lambda: _value(app, "one") == "2")
    assert run.stop() == 0
    assert "Traceback" not in run.text()


def test_a_force_push_is_followed(app: Any, repository: Repository, make_map: Make, start: Callable[..., Run]) -> None:
    repository.commit(make_map("one"), make_map("old"))
    run = start()
    run.until("the first sync", lambda: app.names() == {"one", "old"})
    repository.reset_to_nothing()
    repository.commit(make_map("one", a="forced"), drop=("old",), push="--force")
    run.until("the forced commit", lambda: app.names() == {"one"} and _value(app, "one") == "forced")


def test_a_repository_that_is_gone_leaves_the_last_state(
    app: Any, repository: Repository, make_map: Make, start: Callable[..., Run]
) -> None:
    repository.commit(make_map("one"))
    run = start()
    run.until("the first sync", lambda: app.names() == {"one"})
    away = repository.bare.rename(repository.bare.with_name("away.git"))
    run.until("a word about it", lambda: run.said("error:"))
    time.sleep(20 * 0.1)
    assert run.process.poll() is None
    assert app.names() == {"one"}
    assert run.text().count("error:") == 1, "what only repeats itself is said once"
    # What is known is still kept in order.
    app.kubectl("delete", "configmap", "one", "-n", app.namespace)
    run.until("the repair without the repository", lambda: app.names() == {"one"})
    away.rename(repository.bare)
    repository.commit(make_map("two"))
    run.until("the next commit", lambda: app.names() == {"one", "two"})


def test_a_commit_that_cannot_be_rendered_changes_nothing_and_the_next_one_is_taken(
    app: Any, repository: Repository, make_map: Make, start: Callable[..., Run]
) -> None:
    repository.commit(make_map("one"), make_map("two"))
    run = start()
    run.until("the first sync", lambda: app.names() == {"one", "two"})
    (repository.work / "broken.yaml").write_text("a: [")
    repository.commit(drop=("two",))
    run.until("the error", lambda: run.said("broken.yaml:"))
    assert app.names() == {"one", "two"}
    (repository.work / "broken.yaml").unlink()
    repository.commit(make_map("three"))
    run.until("the fix", lambda: app.names() == {"one", "three"})


def test_a_fixed_commit_ends_the_waiting_for_a_broken_one(
    app: Any, repository: Repository, make_map: Make, start: Callable[..., Run]
) -> None:
    labels = {"app": "web"}

    def deployment(**selector: str) -> dict[str, Any]:
        pod = {"containers": [{"name": "web", "image": "nginx:1"}], "nodeSelector": selector}
        return {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        }  # fmt: skip

    repository.commit(deployment(no="such-node"))
    run = start()
    run.until("the rollout that is stuck", lambda: app.get("deployment", "web") is not None)
    commit = repository.commit(deployment())
    run.until("the fixed one", lambda: app.record()["commit"] == commit and app.record()["state"] == "Ready")


def test_killed_and_started_again_it_goes_on(
    app: Any, repository: Repository, make_map: Make, start: Callable[..., Run], tmp_path: Path
) -> None:
    repository.commit(make_map("one"))
    run = start()
    run.until("the first sync", lambda: app.names() == {"one"})
    run.stop(signal.SIGKILL)
    repository.commit(make_map("two"), drop=("one",))
    again = start()
    again.until("the next sync", lambda: app.names() == {"two"})
    assert again.stop() == 0
    # Also without anything that the first process kept on disk.
    shutil.rmtree(tmp_path / "cache")
    third = start()
    repository.commit(make_map("three"))
    third.until("the third sync", lambda: app.names() == {"two", "three"})


def test_garbage_collection_can_be_off(
    app: Any, repository: Repository, make_map: Make, start: Callable[..., Run]
) -> None:
    repository.commit(make_map("one"), make_map("two"))
    run = start("--no-sync-garbage-collection")
    run.until("the first sync", lambda: app.names() == {"one", "two"})
    repository.commit(make_map("three"), drop=("two",))
    run.until("the second sync", lambda: app.names() == {"one", "two", "three"})
    assert run.stop() == 0
    repository.commit(make_map("four"))
    pruning = start()
    pruning.until("the prune, once it is on", lambda: app.names() == {"one", "three", "four"})


def test_two_runs_with_one_object_name_each_other(
    app: Any, repository: Repository, make_map: Make, start: Callable[..., Run], trimtab: Callable[..., Any]
) -> None:
    repository.commit(make_map("one"))
    run = start()
    run.until("the first sync", lambda: app.names() == {"one"})
    second = trimtab(
        "run", "--once", "--name", "second", "--git-url", repository.bare.as_uri(), "--target-namespace", app.namespace,
        "--inventory-namespace", app.namespace,
    )  # fmt: skip
    assert second.code == 1
    assert f"{app.namespace}.shop" in second.out + second.err
