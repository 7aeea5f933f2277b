"""On the real API server: objects move from one App to another, and are never deleted on the way."""

from collections.abc import Callable
from typing import Any

import pytest

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def other(app: Any, other_app: Callable[[str], Any]) -> Any:
    return other_app("other")


def _uid(app: Any, name: str) -> str:
    return str(app.get("configmap", name)["metadata"]["uid"])


def _owner(app: Any, name: str) -> str:
    return str(app.get("configmap", name)["metadata"]["labels"]["trimtab.dev/app"])


def test_the_second_app_that_wants_an_object_is_refused_and_claims_it(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"))
    app.apply()
    other.folder.put(make_map("a", x="2"), make_map("b"))
    change = other.changes(code=4)["ConfigMap/a"]
    assert change["action"] == "refused"
    assert f"{app.namespace}.shop" in change["message"]
    assert _owner(app, "a") == f"{app.namespace}.shop"
    assert app.actions() == {"ConfigMap/a": "unchanged"}


@pytest.mark.parametrize("first", ["loses", "claims"])
def test_an_object_moves_without_a_delete(app: Any, other: Any, make_map: Make, first: str) -> None:
    app.folder.put(make_map("a", only="first"), make_map("stays"))
    app.apply()
    uid = _uid(app, "a")
    app.folder.drop("configmap", "a")
    other.folder.put(make_map("a", x="2"))
    if first == "claims":
        assert other.actions(code=1) == {"ConfigMap/a": "refused"}
    else:
        app.folder.put(make_map("a", only="first"))
        assert other.actions(code=1) == {"ConfigMap/a": "refused"}
        app.folder.drop("configmap", "a")
    left = app.changes()["ConfigMap/a"]
    assert left["action"] == "held"
    assert f"{app.namespace}.other" in left["message"]
    assert other.actions() == {"ConfigMap/a": "configured"}
    assert app.actions()["ConfigMap/a"] == "released"
    live = app.get("configmap", "a")
    assert live["metadata"]["uid"] == uid
    assert live["data"] == {"x": "2"}
    assert _owner(app, "a") == f"{app.namespace}.other"
    assert [e["manager"].rpartition("-")[0] for e in live["metadata"]["managedFields"]] == ["trimtab-other"]
    assert app.actions() == {"ConfigMap/stays": "unchanged"}
    assert other.actions() == {"ConfigMap/a": "unchanged"}


def test_what_was_created_by_the_first_is_pruned_by_the_second(app: Any, other: Any, make_map: Make) -> None:
    """It is the second App's as it was the first one's: created, and so its to delete."""
    app.folder.put(make_map("a"), make_map("stays"))
    app.apply()
    app.folder.drop("configmap", "a")
    other.folder.put(make_map("a"), make_map("more"))
    other.apply(code=4)
    app.apply()
    other.apply()
    app.apply()
    other.folder.drop("configmap", "a")
    assert other.actions() == {"ConfigMap/a": "pruned", "ConfigMap/more": "unchanged"}


def test_what_the_first_had_adopted_is_not_pruned_by_the_second(app: Any, other: Any, make_map: Make) -> None:
    app.kubectl("create", "configmap", "a", "-n", app.namespace, "--from-literal=x=1")
    app.folder.put(make_map("a"), make_map("stays"))
    app.apply()
    app.folder.drop("configmap", "a")
    other.folder.put(make_map("a"), make_map("more"))
    other.apply(code=4)
    app.apply()
    other.apply()
    app.apply()
    other.folder.drop("configmap", "a")
    assert other.actions()["ConfigMap/a"] == "released"


def test_a_claim_that_was_given_up_holds_nothing_back(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("stays"))
    app.apply()
    other.folder.put(make_map("a"), make_map("b"))
    other.actions(code=None)
    other.folder.drop("configmap", "a")
    other.apply()
    app.folder.drop("configmap", "a")
    assert app.actions() == {"ConfigMap/a": "pruned", "ConfigMap/stays": "unchanged"}


def test_an_object_that_is_wanted_again_is_not_handed_over(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("stays"))
    app.apply()
    uid = _uid(app, "a")
    other.folder.put(make_map("a"))
    other.actions(code=None)
    app.folder.drop("configmap", "a")
    app.apply()
    app.folder.put(make_map("a"))
    assert app.actions() == {"ConfigMap/a": "unchanged", "ConfigMap/stays": "unchanged"}
    assert other.actions(code=1) == {"ConfigMap/a": "refused"}
    assert _uid(app, "a") == uid


def test_a_deleted_app_leaves_what_another_claims(app: Any, other: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    uid = _uid(app, "a")
    other.folder.put(make_map("a"))
    other.actions(code=None)
    app.delete(code=3)
    assert other.actions() == {"ConfigMap/a": "configured"}
    app.delete()
    assert app.names() == {"a"}
    assert _uid(app, "a") == uid
