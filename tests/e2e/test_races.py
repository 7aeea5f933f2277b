"""What somebody does between our read and our request: the request must notice."""

from collections.abc import Callable
from typing import Any

from apiproxy import ApiProxy

Make = Callable[..., dict[str, Any]]


def _before(proxy: ApiProxy, verb: str, name: str, act: Callable[[], object]) -> None:
    """Do `act` once, just before the first request of that kind for that object."""
    done: list[str] = []

    def strike(_number: int, method: str, path: str, *, after: bool = False) -> None:
        if not after and not done and method == verb and f"/{name}" in path.partition("?")[0]:
            done.append(path)
            act()

    proxy.strike = strike


def test_a_wish_to_keep_it_that_comes_before_the_delete_is_heard(app: Any, make_map: Make, proxied: ApiProxy) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.folder.drop("configmap", "a")
    annotate = ("annotate", "configmap", "a", "-n", app.namespace, "trimtab.dev/prune=never")
    _before(proxied, "DELETE", "a", lambda: app.kubectl(*annotate))
    assert app.actions()["ConfigMap/a"] == "released"
    assert app.names() == {"a", "b"}


def test_what_is_created_again_before_the_delete_lives(app: Any, make_map: Make, proxied: ApiProxy) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.folder.drop("configmap", "a")

    def again() -> None:
        app.kubectl("delete", "configmap", "a", "-n", app.namespace)
        app.kubectl("create", "configmap", "a", "-n", app.namespace, "--from-literal=theirs=1")

    _before(proxied, "DELETE", "a", again)
    app.apply()
    assert app.get("configmap", "a")["data"] == {"theirs": "1"}


def test_what_is_deleted_before_our_patch_is_created_and_ours(app: Any, make_map: Make, proxied: ApiProxy) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.folder.put(make_map("a", a="2"))
    _before(proxied, "PATCH", "a", lambda: app.kubectl("delete", "configmap", "a", "-n", app.namespace))
    assert app.actions()["ConfigMap/a"] == "created"
    app.folder.drop("configmap", "a")
    assert app.actions()["ConfigMap/a"] == "pruned"


def test_what_is_created_again_before_our_patch_counts_as_adopted(app: Any, make_map: Make, proxied: ApiProxy) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.folder.put(make_map("a", a="2"))

    def again() -> None:
        app.kubectl("delete", "configmap", "a", "-n", app.namespace)
        app.kubectl("create", "configmap", "a", "-n", app.namespace, "--from-literal=theirs=1", "--field-manager=me")

    _before(proxied, "PATCH", "a", again)
    app.apply()
    app.folder.drop("configmap", "a")
    assert app.actions()["ConfigMap/a"] == "released"
    assert app.get("configmap", "a")["data"]["theirs"] == "1"


def test_an_inventory_written_by_somebody_else_stops_the_sync(app: Any, make_map: Make, proxied: ApiProxy) -> None:
    app.folder.put(make_map("a"))
    app.apply()
    app.folder.put(make_map("a", a="2"))
    head = f"trimtab.{app.namespace}.shop"
    touch = ("annotate", "configmap", head, "-n", app.namespace, "somebody=was-here")
    _before(proxied, "PUT", head, lambda: app.kubectl(*touch))
    result = app.apply(code=1)
    assert "written by somebody else" in result.err
    assert app.get("configmap", "a")["data"] == {"a": "1"}
