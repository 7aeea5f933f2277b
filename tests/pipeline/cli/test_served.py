"""The commands and a real controller: what a person does from the first sync to the deletion."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from control import Controller, Repository
from played import Apps

Trimtab = Callable[..., Any]


def _map(name: str, value: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def served(apps: Apps, repository: Repository, tmp_path: Path) -> Iterator[Apps]:
    """The App `default`, whose repository is asked once an hour: only `trimtab sync` is faster."""
    repository.commit(*(_map(f"map-{number:02}", "1") for number in range(12)))
    controller = Controller(
        apps.plane, apps.namespace, tmp_path, "--git-url", repository.url, "--git-poll-interval", "1h",
        "--target-namespace", apps.namespace,
    )  # fmt: skip
    try:
        controller.until("the App", lambda: apps.plane.kubectl("get", "apps", "-n", apps.namespace, "-o", "name"))
        yield apps
    finally:
        controller.kill()


def test_sync_roll_back_hold_approve_and_delete(trimtab: Trimtab, served: Apps, repository: Repository) -> None:
    where = ("-n", served.namespace)

    def value() -> str:
        return served.plane.kubectl("get", "configmap", "map-00", *where, "-o", "jsonpath={.data.a}")

    first = repository.git("rev-parse", "HEAD").strip()
    result = trimtab("sync", *where)
    assert result.code == 0, result.err
    assert json.loads(trimtab("sync", *where, "-o", "json").out)["commit"] == first

    second = repository.commit(_map("map-00", "2"))
    result = trimtab("sync", *where)
    assert (result.code, f"{second[:12]} Succeeded: 1 configured" in result.out) == (0, True), result
    assert value() == "2"

    result = trimtab("rollback", *where)
    assert result.code == 0, result.err
    assert value() == "1"
    assert json.loads(trimtab("status", "default", *where, "-o", "json").out)["rollback"]["rejected"] == second
    assert trimtab("rollback", *where, "--cancel").code == 0
    assert value() == "2"

    repository.commit(drop=tuple(f"map-{number:02}" for number in range(1, 12)))
    result = trimtab("sync", *where)
    assert (result.code, f"trimtab approve default -n {served.namespace}" in result.err) == (3, True), result
    result = trimtab("approve", "default", *where)
    assert (result.code, "11 pruned" in result.out) == (0, True), result

    shown = trimtab("history", *where).out
    assert [line.split()[2] for line in shown.splitlines()[1:3]] == ["Succeeded", "PruneHeld"]
    assert "PruneHeld" in trimtab("events", *where).out
    assert trimtab("delete", "default", *where).code == 0
    assert "map-00" not in served.plane.kubectl("get", "configmaps", *where)


def test_a_suspended_app_is_left_alone_until_it_is_resumed(
    trimtab: Trimtab, served: Apps, repository: Repository
) -> None:
    where = ("-n", served.namespace)
    assert trimtab("sync", *where).code == 0
    assert trimtab("suspend", *where).code == 0
    repository.commit(_map("map-00", "2"))
    assert trimtab("sync", *where).code == 2
    assert trimtab("resume", *where).code == 0
    assert trimtab("sync", *where).code == 0
    value = served.plane.kubectl("get", "configmap", "map-00", *where, "-o", "jsonpath={.data.a}")
    assert value == "2"


def test_a_repository_that_is_lost_is_told_with_its_exit_code(
    trimtab: Trimtab, served: Apps, repository: Repository
) -> None:
    where = ("-n", served.namespace)
    assert trimtab("sync", *where).code == 0
    repository.bare.rename(repository.bare.with_name("gone"))
    result = trimtab("sync", *where)
    assert result.code == 5, result.out
    assert "NotReady" in result.out
