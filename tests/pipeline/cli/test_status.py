"""`trimtab status` and `trimtab history`: what the resource and the inventory say together."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from played import COMMIT, NOW, Apps, condition, held, past, said

Trimtab = Callable[..., Any]


@pytest.fixture
def applied(trimtab: Trimtab, apps: Apps, tmp_path: Path) -> str:
    """An App `local` that only an inventory knows: made by `trimtab apply`."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}}
    (tmp_path / "one.json").write_text(json.dumps(manifest))
    result = trimtab("apply", tmp_path, "--name", "local", "-n", apps.namespace, *_home(apps))
    assert result.code == 0, result.err
    return "local"


def _home(apps: Apps) -> tuple[str, str]:
    return "--inventory-namespace", apps.namespace


def test_all_apps_are_listed_with_and_without_a_resource(trimtab: Trimtab, apps: Apps, applied: str) -> None:
    apps.make("shop")
    apps.say(said("False", "NotReady", "Pod/x has [no] image\nmore"))
    result = trimtab("status", *_home(apps))
    assert result.code == 0
    head, *rows = (line.split() for line in result.out.splitlines())
    assert head == ["APP", "STATE", "COMMIT", "OBJECTS", "REF", "MESSAGE", "AGE"]
    assert rows[0][:4] == [f"{apps.namespace}/local", "Ready", "-", "1"]
    assert rows[1][:-1] == [
        f"{apps.namespace}/shop", "NotReady", "a" * 12, "2", "branch", "main", "Pod/x", "has", "[no]", "image",
    ]  # fmt: skip


def test_the_apps_of_all_namespaces_are_listed_where_that_is_asked_for(trimtab: Trimtab, apps: Apps) -> None:
    apps.make("shop")
    listed = json.loads(trimtab("status", "-A", "-o", "json").out)
    assert f"{apps.namespace}/shop" in {app["app"] for app in listed}
    elsewhere = trimtab("status", "-n", "kube-public", *_home(apps))
    assert (elsewhere.code, elsewhere.out) == (0, "")
    assert "there is no App in namespace kube-public" in elsewhere.err
    assert trimtab("status", "shop", "-A").code == 2


def test_one_app_is_shown_in_full(trimtab: Trimtab, apps: Apps) -> None:
    apps.make("shop", dependsOn=[{"name": "database"}, {"name": "queue", "namespace": "infra"}], suspend=True)
    apps.say(
        said(
            "False", "PruneHeld", "the prune waits",
            conditions=[condition("Ready", "False", "PruneHeld", "the prune waits")],
            history=[past("a", "PruneHeld", created=2), past("b")],
            held=held("d1", "ConfigMap/old", count=9),
            problems=[{"object": "Pod/x", "reason": "NotReady", "message": "no image"}],
            warnings=["a duplicate key"],
            rollback={"to": COMMIT["a"], "rejected": COMMIT["b"]},
        )
    )  # fmt: skip
    result = trimtab("status", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    where = f"-n {apps.namespace}"
    for text in (
        "State:       Suspended",
        "Source:      https://example.com/shop.git",
        "Ref:         branch main",
        "Path:        deploy",
        f"Commit:      {COMMIT['a']}",
        "Target:      default",
        "Depends on:  database, infra/queue",
        f"trimtab resume shop {where}",
        f"stays at {'a' * 12} until git moves on past {'b' * 12}, or trimtab rollback shop {where} --cancel",
        "  Ready        False    0s    PruneHeld: the prune waits",
        f"  {NOW}  {'a' * 12}  PruneHeld: 2 created",
        f"Held (9); trimtab approve shop {where} lets exactly these go:\n  ConfigMap/old\n  … and 8 more",
        "  NotReady Pod/x: no image",
        "  a duplicate key",
    ):
        assert text in result.out, result.out


def test_the_data_of_an_app_is_a_promise(trimtab: Trimtab, apps: Apps) -> None:
    apps.make("shop")
    apps.say(said(held=held("d1", "ConfigMap/old"), history=[past("a", created=2)]))
    data = json.loads(trimtab("status", "shop", "-n", apps.namespace, "-o", "json").out)
    assert data | {"conditions": []} == {
        "app": f"{apps.namespace}/shop", "state": "Held", "commit": COMMIT["a"], "url": "https://example.com/shop.git",
        "ref": "branch main", "path": "deploy", "targetNamespace": "default", "message": "all is well", "at": NOW,
        "counts": {"created": 2}, "held": ["ConfigMap/old"], "heldCount": 1, "heldDigest": "d1", "objectCount": 2,
        "conditions": [], "problems": [], "warnings": [], "sources": [], "history": [past("a", created=2)],
        "rollback": None, "suspended": False, "deleting": False, "dependsOn": [], "inventory": "", "objects": [],
    }  # fmt: skip
    assert data["conditions"][0] == condition("Ready", "True", "Succeeded", "all is well")


def test_the_objects_come_from_the_inventory_that_the_status_names(trimtab: Trimtab, apps: Apps, applied: str) -> None:
    apps.make(applied)
    apps.say(said(inventory=f"{apps.namespace}/trimtab.{apps.namespace}.local"), applied)
    data = json.loads(trimtab("status", applied, "-n", apps.namespace, "-o", "json").out)
    assert [item["id"] for item in data["objects"]] == [f"ConfigMap/{apps.namespace}/one"]
    assert data["objectCount"] == 1
    assert f"  created  ConfigMap/{apps.namespace}/one" in trimtab("status", applied, "-n", apps.namespace).out


def test_an_app_that_no_controller_has_seen_is_unknown(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    data = json.loads(trimtab("status", "shop", "-n", apps.namespace, "-o", "json").out)
    assert (data["state"], data["message"]) == ("Unknown", "no controller has looked at this App yet")
    assert data["ref"] == "branch main"


def test_the_history_is_a_table_and_data(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    empty = trimtab("history", "-n", apps.namespace)
    assert (empty.code, empty.out) == (0, "")
    assert "was not synced yet" in empty.err
    entries = [past("b", "NotReady", configured=1, unchanged=3), past("a", at="2030-01-01T00:00:00Z", created=4)]
    apps.say(said(history=entries))
    shown = [line.split() for line in trimtab("history", "-n", apps.namespace).out.splitlines()]
    assert shown[0] == ["AT", "COMMIT", "RESULT", "CHANGES", "MESSAGE"]
    assert shown[1][:5] == [NOW, "b" * 12, "NotReady", "1", "configured"]
    assert json.loads(trimtab("history", "-n", apps.namespace, "-o", "json").out) == entries
