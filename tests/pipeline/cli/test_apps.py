"""Which App is meant, and what is said where there is none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from played import Apps

from pipeline.cli.apps import app_named, choose, find
from pipeline.cluster.errors import ApiError
from pipeline.errors import InputError

Trimtab = Callable[..., Any]


def test_without_a_name_the_only_app_is_meant_and_default_before_others(apps: Apps) -> None:
    apps.make("one")
    assert choose(apps.connection, "", apps.namespace)["metadata"]["name"] == "one"
    apps.make("default")
    assert choose(apps.connection, "", apps.namespace)["metadata"]["name"] == "default"


def test_several_apps_are_listed_where_none_is_named(apps: Apps) -> None:
    for number in range(12):
        apps.make(f"app-{number:02}")
    with pytest.raises(InputError, match=r"has several Apps: app-00, app-01, .*app-09 and 2 more\n"):
        choose(apps.connection, "", apps.namespace)


def test_an_app_that_is_not_there_is_looked_for_elsewhere(apps: Apps, namespace: str) -> None:
    name = f"only-in-{namespace}"
    apps.make(name)
    with pytest.raises(InputError, match=rf"an App {name} is in namespace {namespace}: choose with -n"):
        choose(apps.connection, name, "kube-system")
    with pytest.raises(InputError, match=rf"there is no App {namespace}/shop; namespace {namespace} has {name}"):
        choose(apps.connection, "shop", namespace)


def test_an_empty_namespace_and_a_missing_one_are_told_apart(apps: Apps) -> None:
    with pytest.raises(InputError, match=rf"there is no App in namespace {apps.namespace}"):
        choose(apps.connection, "", apps.namespace)
    with pytest.raises(InputError, match="there is no namespace nowhere"):
        choose(apps.connection, "", "nowhere")
    with pytest.raises(InputError, match="there is no App nowhere/shop: there is no namespace nowhere"):
        choose(apps.connection, "shop", "nowhere")


def test_a_cluster_that_knows_no_apps_is_told_how_to(trimtab: Trimtab, control_plane: Any, tmp_path: Path) -> None:
    def strike(number: int, method: str, path: str, *, after: bool) -> tuple[int, bytes] | None:
        return (404, b"404 page not found\n") if "/apis/trimtab.dev/" in path and not after else None

    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = strike
        config = str(proxy.kubeconfig(tmp_path / "config", control_plane.token))
        for command in ("sync", "history", "events", "suspend", "resume", "rollback"):
            result = trimtab(command, "shop", "--kubeconfig", config)
            assert result.code == 2
            assert "apps.trimtab.dev is missing" in result.err
            assert "trimtab install" in result.err


def test_who_may_not_list_apps_is_told_which_right_is_missing(trimtab: Trimtab, apps: Apps, tmp_path: Path) -> None:
    forbidden = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 403, "reason": "Forbidden",
        "message": 'apps.trimtab.dev is forbidden: User "eve" cannot list resource "apps" in API group "trimtab.dev" '
        'in the namespace "x"',
    }  # fmt: skip

    def strike(number: int, method: str, path: str, *, after: bool) -> tuple[int, bytes] | None:
        return (403, json.dumps(forbidden).encode()) if path.endswith("/apps?limit=500") and not after else None

    with ApiProxy(apps.plane.url, apps.plane.ca) as proxy:
        proxy.strike = strike
        config = str(proxy.kubeconfig(tmp_path / "config", apps.plane.token))
        result = trimtab("status", "-n", apps.namespace, "--kubeconfig", config)
        assert result.code == 0
        assert "give eve the verb list on apps.trimtab.dev" in result.err
        result = trimtab("sync", "shop", "-n", apps.namespace, "--kubeconfig", config)
        assert f"there is no App {apps.namespace}/shop" in result.err


def test_who_may_not_read_apps_still_has_those_of_inventories(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(status: int) -> None:
        def get_app(*_: object) -> None:
            raise ApiError(status, "no")

        monkeypatch.setattr("pipeline.cli.apps.get_app", get_app)

    connection: Any = None
    refuse(403)
    assert find(connection, app_named("shop", "ns")) is None
    refuse(500)
    with pytest.raises(ApiError):
        find(connection, app_named("shop", "ns"))
