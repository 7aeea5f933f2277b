"""`trimtab approve`: exactly what is held, shown before."""

from collections.abc import Callable
from typing import Any

from played import Apps, held, past, said

from pipeline.control.resource import APPROVED_ANNOTATION, SYNC_ANNOTATION

Trimtab = Callable[..., Any]
HELD = said("False", "PruneHeld", "waits", held=held("d1", "ConfigMap/x/one", "ConfigMap/x/two"))


def test_what_is_held_is_shown_approved_and_followed(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    apps.say(HELD)
    with apps.answering(said(held=None, history=[past("a", pruned=2)])):
        result = trimtab("approve", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    assert apps.annotations()[APPROVED_ANNOTATION] == "d1"
    lines = result.out.splitlines()
    assert lines[:3] == ["prune      ConfigMap/x/one", "prune      ConfigMap/x/two", f"{'a' * 12} Succeeded: 2 pruned"]


def test_a_person_is_asked_first(on_terminal: Callable[..., Any], apps: Apps) -> None:
    apps.make()
    apps.say(HELD)
    declined = on_terminal("approve", "shop", "-n", apps.namespace, "--no-wait", answer="n")
    assert declined.code == 3
    assert "Prune these 2 objects?" in declined.err
    assert apps.annotations() == {}
    assert on_terminal("approve", "shop", "-n", apps.namespace, "--no-wait", answer="y").code == 0
    assert set(apps.annotations()) == {APPROVED_ANNOTATION, SYNC_ANNOTATION}


def test_where_nothing_is_held_nothing_is_approved(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    apps.say(said())
    result = trimtab("approve", "shop", "-n", apps.namespace)
    assert (result.code, "holds nothing" in result.err) == (2, True)
    assert apps.annotations() == {}


def test_the_held_deletion_of_an_app_is_approved_too(trimtab: Trimtab, apps: Apps) -> None:
    apps.make(finalizers=("trimtab.dev/finalizer",))
    apps.plane.kubectl("delete", "app", "shop", "-n", apps.namespace, "--wait=false")
    apps.say(HELD)
    with apps.meanwhile(lambda: APPROVED_ANNOTATION in apps.annotations(), apps.free):
        result = trimtab("approve", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    assert f"App {apps.namespace}/shop is deleted" in result.out
