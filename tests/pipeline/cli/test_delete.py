"""`trimtab delete`: of an App that a controller serves."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from played import Apps, held, said

from pipeline.control.resource import APPROVED_ANNOTATION, get_app

Trimtab = Callable[..., Any]
FINALIZER = "trimtab.dev/finalizer"


def _going(apps: Apps) -> Callable[[], bool]:
    return lambda: "deletionTimestamp" in apps.get()["metadata"]


def test_a_deletion_is_followed_until_the_app_is_gone(trimtab: Trimtab, apps: Apps) -> None:
    apps.make(finalizers=(FINALIZER,))
    with apps.meanwhile(_going(apps), apps.free):
        result = trimtab("delete", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    assert result.out == f"App {apps.namespace}/shop is deleted\n"
    assert get_app(apps.connection, apps.namespace, "shop") is None


def test_an_app_without_a_finalizer_is_gone_at_once(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    result = trimtab("delete", "shop", "-n", apps.namespace, "-o", "json")
    assert json.loads(result.out) == {
        "app": f"{apps.namespace}/shop", "deleted": True, "exitCode": 0, "reason": "", "message": "", "problems": [],
        "heldDigest": "", "held": [],
    }  # fmt: skip


def test_release_is_said_before_the_deletion(trimtab: Trimtab, apps: Apps) -> None:
    apps.make(finalizers=(FINALIZER,))
    result = trimtab("delete", "shop", "-n", apps.namespace, "--release", "--no-wait")
    assert (result.code, "is being deleted" in result.out) == (0, True)
    assert apps.get()["spec"]["deletionPolicy"] == "release"
    assert _going(apps)()


def test_what_the_guard_holds_is_shown_and_approved_only_when_that_is_said(trimtab: Trimtab, apps: Apps) -> None:
    apps.make(finalizers=(FINALIZER,))
    # Held by a sync before: no answer to the deletion.
    apps.say(said("False", "PruneHeld", held=held("old", "ConfigMap/older")) | {"observedGeneration": 1})
    answer = said("False", "PruneHeld", "deleting the App would delete 2 objects", held=held("d1", "ConfigMap/x"))
    with apps.meanwhile(_going(apps), lambda: apps.say(answer)):
        result = trimtab("delete", "shop", "-n", apps.namespace)
    assert result.code == 3
    assert "held       ConfigMap/x" in result.err
    assert "ConfigMap/older" not in result.err
    assert f"trimtab approve shop -n {apps.namespace}" in result.err
    assert APPROVED_ANNOTATION not in apps.annotations()

    with apps.meanwhile(lambda: apps.annotations().get(APPROVED_ANNOTATION) == "d1", apps.free):
        assert trimtab("delete", "shop", "-n", apps.namespace, "--yes").code == 0


@pytest.mark.parametrize(("problems", "code"), [([{"object": "ConfigMap/x", "reason": "Failed"}], 4), ([], 1)])
def test_a_deletion_that_cannot_go_on_is_told(
    trimtab: Trimtab, apps: Apps, problems: list[dict[str, str]], code: int
) -> None:
    apps.make(finalizers=(FINALIZER,))
    answer = said("False", "DeletionFailed", "ConfigMap/x: the API server refuses", problems=problems)
    with apps.meanwhile(_going(apps), lambda: apps.say(answer)):
        result = trimtab("delete", "shop", "-n", apps.namespace)
    assert result.code == code
    assert "is still being deleted: ConfigMap/x: the API server refuses" in result.err
    assert ("failed     ConfigMap/x" in result.out) == bool(problems)


def test_an_app_that_is_not_there_is_an_error(trimtab: Trimtab, apps: Apps) -> None:
    apps.make("other")
    result = trimtab("delete", "shop", "--inventory-namespace", apps.namespace)
    assert result.code == 2
    assert f"there is no App {apps.namespace}/shop, neither a resource nor an inventory" in result.err
    assert f"namespace {apps.namespace} has other" in result.err
