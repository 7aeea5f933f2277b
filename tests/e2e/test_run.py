"""`trimtab run` as a process: a push reaches the cluster, drift is put back, and nothing shakes it."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from control import Apps, Controller, Repository

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def run(app: Any, repository: Repository, start: Callable[..., Controller]) -> Callable[..., Controller]:
    """Starts a controller whose flags make the App `shop`."""

    def begin(*flags: str) -> Controller:
        return start(
            "--name", "shop", "--git-url", repository.url, "--target-namespace", app.namespace,
            "--git-poll-interval", "200ms", *flags,
        )  # fmt: skip

    return begin


def _value(app: Any, name: str) -> str | None:
    live = app.get("configmap", name)
    return live["data"].get("a") if live else None


def test_a_push_reaches_the_cluster_and_drift_is_put_back(
    app: Any, repository: Repository, make_map: Make, run: Callable[..., Controller]
) -> None:
    repository.commit(make_map("one"), make_map("two"))
    controller = run()
    controller.until("the first sync", lambda: app.names() == {"one", "two"})
    commit = repository.commit(make_map("one", a="2"), drop=("two",))
    controller.until("the second sync", lambda: app.names() == {"one"} and _value(app, "one") == "2")
    controller.until("the record", lambda: app.record()["commit"] == commit)
    app.kubectl("patch", "configmap", "one", "-n", app.namespace, "--type=merge", "-p", '{"data":{"a":"by hand"}}')
    controller.until("the repair of an edit", lambda: _value(app, "one") == "2")
    app.kubectl("delete", "configmap", "one", "-n", app.namespace)
    controller.until("the repair of a delete", lambda: _value(app, "one") == "2")
    assert controller.stop() == 0, controller.text()[-3000:]
    assert "Traceback" not in controller.text()


def test_a_force_push_is_followed(
    app: Any, repository: Repository, make_map: Make, run: Callable[..., Controller]
) -> None:
    repository.commit(make_map("one"), make_map("old"))
    controller = run()
    controller.until("the first sync", lambda: app.names() == {"one", "old"})
    repository.reset_to_nothing()
    repository.commit(make_map("one", a="forced"), drop=("old",), push="--force")
    controller.until("the forced commit", lambda: app.names() == {"one"} and _value(app, "one") == "forced")


def test_a_repository_that_is_gone_leaves_the_last_state(
    app: Any, apps: Apps, repository: Repository, make_map: Make, run: Callable[..., Controller]
) -> None:
    repository.commit(make_map("one"))
    controller = run()
    controller.until("the first sync", lambda: app.names() == {"one"})
    away = repository.bare.rename(repository.bare.with_name("away.git"))
    apps.until_reason("shop", "RepositoryNotFound", "SourceReady")
    time.sleep(10 * 0.2)
    assert controller.process.poll() is None
    assert app.names() == {"one"}
    assert len(controller.lines("poll failed")) == 1, "what only repeats itself is said once"
    # What is known is still kept in order.
    app.kubectl("delete", "configmap", "one", "-n", app.namespace)
    controller.until("the repair without the repository", lambda: app.names() == {"one"})
    away.rename(repository.bare)
    repository.commit(make_map("two"))
    controller.until("the next commit", lambda: app.names() == {"one", "two"})
    apps.until_reason("shop", "Read", "SourceReady")


def test_a_commit_that_cannot_be_rendered_changes_nothing_and_the_next_one_is_taken(
    app: Any, apps: Apps, repository: Repository, make_map: Make, run: Callable[..., Controller]
) -> None:
    repository.commit(make_map("one"), make_map("two"))
    controller = run()
    controller.until("the first sync", lambda: app.names() == {"one", "two"})
    (repository.work / "broken.yaml").write_text("a: [")
    repository.commit(drop=("two",))
    message = apps.until_reason("shop", "RenderFailed")["message"]
    assert "broken.yaml:" in message
    assert app.names() == {"one", "two"}
    (repository.work / "broken.yaml").unlink()
    repository.commit(make_map("three"))
    controller.until("the fix", lambda: app.names() == {"one", "three"})


def test_a_fixed_commit_ends_the_waiting_for_a_broken_one(
    app: Any, repository: Repository, make_map: Make, run: Callable[..., Controller]
) -> None:
    labels = {"app": "web"}

    def deployment(**selector: str) -> dict[str, Any]:
        pod = {"containers": [{"name": "web", "image": "nginx:1"}], "nodeSelector": selector}
        return {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        }  # fmt: skip

    repository.commit(deployment(no="such-node"))
    controller = run()
    controller.until("the rollout that is stuck", lambda: app.get("deployment", "web") is not None)
    commit = repository.commit(deployment())
    controller.until("the fixed one", lambda: app.record()["commit"] == commit and app.record()["state"] == "Ready")


def test_killed_and_started_again_it_goes_on(
    app: Any, repository: Repository, make_map: Make, run: Callable[..., Controller], tmp_path: Path
) -> None:
    repository.commit(make_map("one"))
    controller = run()
    controller.until("the first sync", lambda: app.names() == {"one"})
    controller.stop(signal.SIGKILL)
    repository.commit(make_map("two"), drop=("one",))
    again = run()
    again.until("the next sync", lambda: app.names() == {"two"})
    assert again.stop() == 0, again.text()[-3000:]
    # Also without anything that the first process kept on disk.
    shutil.rmtree(tmp_path / "cache")
    third = run()
    repository.commit(make_map("three"))
    third.until("the third sync", lambda: app.names() == {"two", "three"})


def test_garbage_collection_can_be_off(
    app: Any, repository: Repository, make_map: Make, run: Callable[..., Controller]
) -> None:
    repository.commit(make_map("one"), make_map("two"))
    controller = run("--no-sync-garbage-collection")
    controller.until("the first sync", lambda: app.names() == {"one", "two"})
    repository.commit(make_map("three"), drop=("two",))
    controller.until("the second sync", lambda: app.names() == {"one", "two", "three"})
    assert controller.stop() == 0, controller.text()[-3000:]
    repository.commit(make_map("four"))
    pruning = run()
    pruning.until("the prune, once it is on", lambda: app.names() == {"one", "three", "four"})


def test_two_apps_with_one_object_name_each_other(
    app: Any, apps: Apps, repository: Repository, make_map: Make, run: Callable[..., Controller]
) -> None:
    repository.commit(make_map("one"))
    controller = run()
    controller.until("the first sync", lambda: app.names() == {"one"})
    apps.put("second", {"url": repository.url}, target={"namespace": app.namespace})
    message = apps.until_reason("second", "ApplyFailed")["message"]
    assert f"{app.namespace}.shop" in message
    assert apps.status("second")["problems"][0]["reason"] == "Refused"
