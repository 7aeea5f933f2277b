"""What Trimtab reads is older than what is there, or an event never comes: nothing is deleted on such grounds."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy, Instead
from control import Apps, Controller, Repository
from crash import Moment, Mortal
from faults import Stale, Unseen
from model import Promises
from things import Key
from waiting import until
from world import World

_A, _B, _C = (Key("ConfigMap", name) for name in "abc")


class Behind:
    """A world whose Trimtab may be shown an older state."""

    def __init__(self, world: World, proxy: ApiProxy) -> None:
        self.world, self.proxy = world, proxy
        self.promises = Promises(world)

    def remember(self, matter: Callable[[str], bool]) -> Stale:
        """Sync once and remember what was read; from now on that is what is read."""
        stale = Stale(matter)
        self.proxy.edit = stale
        self.promises.sync("shop")
        stale.old = True
        return stale


@pytest.fixture
def behind(worlds: Mortal, control_plane: Any, tmp_path: Path) -> Iterator[Behind]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)
        with Mortal.open(kubeconfig=kubeconfig) as through:
            world = World(worlds, tmp_path / "git", ("shop", "other"), through=through)
            world.put("shop", {_A: 1, _B: 1})
            case = Behind(world, proxy)
            case.promises.sync("shop")
            yield case
            world.end()


def _lists(path: str) -> bool:
    return "labelSelector" in path


def _objects(path: str) -> bool:
    """Lists, and each object; not the inventory."""
    return _lists(path) or "/configmaps/a" in path or "/configmaps/b" in path


def _writes(method: str, path: str) -> bool:
    return method not in ("GET", "WATCH")


def _everything(path: str) -> bool:
    return True


@pytest.mark.parametrize("matter", [_lists, _objects], ids=["lists", "all reads of objects"])
@pytest.mark.parametrize("act", ["replace", "restore", "keep"])
def test_what_became_somebody_elses_since_the_read_lives(
    behind: Behind, act: str, matter: Callable[[str], bool]
) -> None:
    stale = behind.remember(matter)
    with behind.promises.during():
        if act == "keep":
            behind.world.edit(_B, "keep")
        else:
            getattr(behind.world, act)(_B)
    uid = _uid(behind, _B)
    behind.world.drop("shop", {_B})
    behind.promises.sync("shop")
    assert stale.served
    assert _uid(behind, _B) == uid
    behind.proxy.edit = None
    behind.promises.settle()
    assert _uid(behind, _B) == uid


def test_what_was_deleted_since_the_read_is_made_again(behind: Behind) -> None:
    """The list shows it as it should be, so nothing is sent; the next sync that sees the truth heals it."""
    behind.remember(_objects)
    behind.world.remove(_A)
    behind.promises.sync("shop")
    behind.proxy.edit = None
    behind.promises.settle()
    assert behind.world.see().get(_A)


def test_an_old_inventory_is_not_acted_on(behind: Behind) -> None:
    """By it, b is the App's and has left git; in truth it was handed to another App."""
    stale = behind.remember(_everything)
    behind.proxy.edit = None
    behind.world.put("other", {_B: 2})
    behind.promises.settle()
    uid, record = _uid(behind, _B), behind.world.record("shop")
    behind.proxy.edit = stale
    behind.world.put("shop", {_A: 2})
    behind.promises.sync("shop")
    assert stale.served
    assert behind.world.record("shop") == record
    assert _uid(behind, _B) == uid
    behind.proxy.edit = None
    behind.promises.settle()
    assert _uid(behind, _B) == uid


def test_an_inventory_that_is_not_seen_yet_is_not_made_again(behind: Behind) -> None:
    world = behind.world
    behind.proxy.edit = stale = Stale()
    world.put("other", {_C: 1})
    world.sync("other", Moment(1, matter=_writes))
    stale.old = True
    behind.promises.sync("other")
    first = world.record("other")
    assert first is not None
    world.put("other", {_C: 2})
    behind.promises.sync("other")
    assert world.record("other") == first
    behind.proxy.edit = None
    behind.promises.settle()


def _uid(behind: Behind, key: Key) -> str:
    live = behind.world.see().get(key)
    assert live is not None
    return str(live["metadata"]["uid"])


class Old:
    """A proxy's hooks: the App is listed as it was once, and nothing that became of it since is told."""

    def __init__(self, proxy: ApiProxy, resource: dict[str, Any]) -> None:
        self._proxy, self._old = proxy, resource
        proxy.edit = self._edit
        proxy.events = Unseen(lambda _, item: item["kind"] == "App")

    def _edit(self, method: str, path: str, answer: Instead) -> Instead:
        if not path.partition("?")[0].endswith("/apps"):
            return answer
        data = json.loads(answer.body)
        data["items"] = [self._old]
        data["metadata"]["resourceVersion"] = self._old["metadata"]["resourceVersion"]
        return Instead(answer.status, json.dumps(data).encode())

    def was_looked_through(self) -> bool:
        """Whether the App itself was asked for."""
        return any(
            method == "GET" and path.partition("?")[0].endswith("/apps/shop") for method, path in self._proxy.requests
        )


@pytest.fixture
def proxied(control_plane: Any, tmp_path: Path) -> Iterator[tuple[ApiProxy, Path]]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        yield proxy, proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)


def _map_uid(apps: Apps, name: str) -> str:
    return apps.kubectl(
        "get", "configmap", name, "-n", apps.namespace, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}"
    )


def _delete_and_free(apps: Apps) -> dict[str, Any]:
    """A person deletes the App, and takes its finalizer off. Returns it as it was while it was being deleted."""
    apps.kubectl("delete", "app", "shop", "-n", apps.namespace, "--wait=false")
    deleted = apps.get("shop")
    apps.free()
    apps.kubectl("wait", "--for=delete", "app/shop", "-n", apps.namespace, "--timeout=60s")
    return deleted or {}


def test_the_deletion_of_an_app_that_was_made_again_since_deletes_nothing(
    start: Callable[..., Controller], apps: Apps, repository: Repository, make_map: Any, proxied: Any
) -> None:
    proxy, kubeconfig = proxied
    repository.commit(make_map("a"))
    source = {"url": repository.url, "branch": "main"}
    target = {"namespace": apps.namespace}
    apps.put("shop", source, target=target)
    first = start()
    apps.until_ready("shop")
    first.kill()
    deleted = _delete_and_free(apps)
    assert deleted["metadata"]["deletionTimestamp"]
    apps.put("shop", source, target=target)
    second = start(name="second")
    apps.until_ready("shop")
    second.kill()
    uid = _map_uid(apps, "a")
    old = Old(proxy, deleted)
    third = start(name="third", kubeconfig=kubeconfig)
    third.until("a look at the App", lambda: old.was_looked_through() or _map_uid(apps, "a") != uid)
    third.kill()
    start(name="fourth")
    apps.until_ready("shop", repository.commit(make_map("b")))
    assert _map_uid(apps, "a") == uid


def test_what_an_app_wants_since_its_spec_was_changed_is_not_pruned_by_the_old_one(
    start: Callable[..., Controller], apps: Apps, repository: Repository, make_map: Any, proxied: Any
) -> None:
    proxy, kubeconfig = proxied
    repository.commit(make_map("a"), folder="one")
    repository.commit(make_map("a"), make_map("b"), folder="two")
    source = {"url": repository.url, "branch": "main"}
    target = {"namespace": apps.namespace}
    apps.put("shop", {**source, "path": "one"}, target=target)
    first = start()
    apps.until_ready("shop")
    before = apps.get("shop")
    assert before is not None
    apps.put("shop", {**source, "path": "two"}, target=target)
    first.until("b", lambda: _map_uid(apps, "b"))
    apps.until_condition("shop", lambda found: found.get("observedGeneration") == before["metadata"]["generation"] + 1)
    first.kill()
    uid = _map_uid(apps, "b")
    old = Old(proxy, before)
    second = start(name="second", kubeconfig=kubeconfig)
    second.until("a look at the App", lambda: old.was_looked_through() or _map_uid(apps, "b") != uid)
    second.kill()
    start(name="third")
    apps.until_ready("shop", repository.commit(make_map("c"), folder="two"))
    assert _map_uid(apps, "b") == uid


def test_an_app_that_went_and_came_unseen_keeps_its_objects(
    start: Callable[..., Controller], apps: Apps, repository: Repository, make_map: Any, proxied: Any
) -> None:
    proxy, kubeconfig = proxied
    repository.commit(make_map("a"))
    source = {"url": repository.url, "branch": "main"}
    apps.put("shop", source, target={"namespace": apps.namespace})
    start(kubeconfig=kubeconfig)
    apps.until_ready("shop")
    uid = _map_uid(apps, "a")
    proxy.events = unseen = Unseen(lambda _, item: item["kind"] == "App")
    _delete_and_free(apps)
    apps.put("shop", source, target={"namespace": apps.namespace})
    until(lambda: any(event.startswith("ADDED") for event in unseen.dropped))
    proxy.events = None
    apps.kubectl("annotate", "app", "shop", "-n", apps.namespace, "trimtab.dev/sync-requested=now")
    apps.until_ready("shop", repository.commit(make_map("b")))
    assert _map_uid(apps, "a") == uid
