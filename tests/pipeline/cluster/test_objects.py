"""What is done to objects, on the real API server."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError

Apply = Callable[..., tuple[int, dict[str, Any]]]
MANAGER = "trimtab-test"


def config_map(name: str = "one", labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels or {"a": "b"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"a": "1"}}


def test_apply_creates_then_changes(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    assert apply(config_map())[0] == 201
    status, live = apply(config_map(a="2"))
    assert (status, live["data"]) == (200, {"a": "2"})
    assert objects.get(connection, config_maps, namespace, "one") == live
    assert connection.requests["APPLY"] == 2


def test_a_dry_run_changes_nothing(connection: Connection, config_maps: Resource, namespace: str) -> None:
    body = json.dumps(config_map()).encode()
    status, live = objects.apply(
        connection, config_maps, namespace, "one", body, manager=MANAGER, force=False, dry_run=True
    )
    assert (status, live["data"]) == (201, {"a": "1"})
    objects.create(connection, config_maps, namespace, config_map(), manager=MANAGER, dry_run=True)
    assert objects.get(connection, config_maps, namespace, "one") is None


@pytest.mark.parametrize(
    "text",
    [
        chr(0x7F), chr(0x80), f"x {chr(0x85)} y", chr(0x9F), "x \u2028 y", "\u2029", "\ufeff", "\ufffe", "\uffff",
        "😀", 'é\x00\t\r\n\\"',
    ],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize("escaped", [True, False])
def test_every_character_arrives_as_it_was(
    connection: Connection, config_maps: Resource, namespace: str, text: str, *, escaped: bool
) -> None:
    body = json.dumps(config_map(a=text), ensure_ascii=escaped).encode()
    _, live = objects.apply(connection, config_maps, namespace, "one", body, manager=MANAGER, force=True)
    assert live["data"]["a"] == text


def test_reading_what_is_not_there_gives_none(connection: Connection, config_maps: Resource, namespace: str) -> None:
    assert objects.get(connection, config_maps, namespace, "none") is None
    assert objects.get_metadata(connection, config_maps, namespace, "none") is None
    assert objects.get(connection, config_maps, "no-such-namespace", "none") is None


def test_metadata_comes_without_content(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    _, live = apply(config_map())
    meta = objects.get_metadata(connection, config_maps, namespace, "one")
    assert meta is not None
    assert meta["metadata"] == live["metadata"]
    assert "data" not in meta


def test_a_list_of_metadata_is_read_page_by_page(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        apply(config_map(f"c{number}"))
    apply(config_map("other", {"a": "c"}))
    monkeypatch.setattr(objects, "_PAGE", 2)
    found = list(objects.list_metadata(connection, config_maps, namespace, selector="a=b"))
    assert [meta["metadata"]["name"] for meta in found] == ["c0", "c1", "c2", "c3", "c4"]
    assert connection.requests["LIST"] == 3
    everywhere = objects.list_metadata(connection, config_maps, None, selector="a=b")
    assert {"c0", "c4"} <= {m["metadata"]["name"] for m in everywhere if m["metadata"]["namespace"] == namespace}


def test_an_empty_list_is_empty(connection: Connection, config_maps: Resource, namespace: str) -> None:
    assert list(objects.list_metadata(connection, config_maps, namespace, selector="none=none")) == []


def test_listed_objects_say_what_they_are(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    _, live = apply(config_map())
    found, version = objects.list_objects(connection, config_maps, namespace, selector="a=b")
    assert found == [live]
    assert int(version) >= int(live["metadata"]["resourceVersion"])


def test_a_json_patch_with_an_old_version_changes_nothing(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    _, old = apply(config_map())
    apply(config_map(a="2"))
    operations = [
        {"op": "remove", "path": "/metadata/labels/a"},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": old["metadata"]["resourceVersion"]},
    ]
    with pytest.raises(ApiError) as caught:
        objects.json_patch(connection, config_maps, namespace, "one", operations, manager=MANAGER)
    assert caught.value.status == 409
    changed = objects.json_patch(connection, config_maps, namespace, "one", operations[:1], manager=MANAGER)
    assert "labels" not in changed["metadata"]


def test_create_refuses_what_exists(connection: Connection, config_maps: Resource, namespace: str) -> None:
    objects.create(connection, config_maps, namespace, config_map(), manager=MANAGER)
    with pytest.raises(ApiError) as caught:
        objects.create(connection, config_maps, namespace, config_map(a="2"), manager=MANAGER)
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")


def test_replace_only_over_the_version_that_was_read(
    connection: Connection, config_maps: Resource, namespace: str
) -> None:
    first = objects.create(connection, config_maps, namespace, config_map(), manager=MANAGER)
    second = objects.replace(connection, config_maps, namespace, {**first, "data": {"a": "2"}}, manager=MANAGER)
    assert second["data"] == {"a": "2"}
    with pytest.raises(ApiError) as caught:
        objects.replace(connection, config_maps, namespace, {**first, "data": {"a": "3"}}, manager=MANAGER)
    assert caught.value.status == 409


def test_delete_takes_exactly_the_object_that_was_read(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    _, old = apply(config_map())
    _, new = apply(config_map(a="2"))
    uid = new["metadata"]["uid"]
    with pytest.raises(ApiError):
        objects.delete(
            connection, config_maps, namespace, "one", uid=uid, resource_version=old["metadata"]["resourceVersion"]
        )
    objects.delete(
        connection, config_maps, namespace, "one", uid=uid, resource_version=new["metadata"]["resourceVersion"]
    )
    assert objects.get(connection, config_maps, namespace, "one") is None


def test_a_watch_gives_what_happens_after_the_version(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    _, first = apply(config_map(), force=True)
    apply(config_map(a="2"))
    apply(config_map("two"))
    objects.delete(connection, config_maps, namespace, "one", uid=first["metadata"]["uid"])
    stop = threading.Event()
    watch = objects.watch(
        connection, config_maps, namespace, selector="a=b",
        resource_version=first["metadata"]["resourceVersion"], stop=stop,
    )  # fmt: skip
    seen = [next(watch) for _ in range(3)]
    assert [(kind, item["metadata"]["name"]) for kind, item in seen] == [
        ("MODIFIED", "one"),
        ("ADDED", "two"),
        ("DELETED", "one"),
    ]
    assert connection.requests["WATCH"] == 1
    stop.set()
    assert all(kind == "BOOKMARK" for kind, _ in watch)


def test_a_watch_from_a_version_that_is_too_old_is_410(
    control_plane: ControlPlane, config_maps: Resource, namespace: str, tmp_path: Path
) -> None:
    stop = threading.Event()
    # The API server forgets versions only after minutes. This is what it says then, word for word.
    status = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version: 1 (229)", "reason": "Expired", "code": 410,
    }  # fmt: skip
    expired = json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda number, method, path, **_: (200, expired) if "watch=true" in path else None
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection, pytest.raises(ApiError) as caught:
            next(objects.watch(connection, config_maps, namespace, selector="", resource_version="1", stop=stop))
    assert caught.value.status == 410
    assert caught.value.verb == "WATCH"


def test_a_list_of_whole_objects_is_read_page_by_page(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        apply(config_map(f"c{number}"))
    monkeypatch.setattr(objects, "_WHOLE_PAGE", 2)
    found, version = objects.list_objects(connection, config_maps, namespace, selector="a=b")
    assert [item["metadata"]["name"] for item in found] == ["c0", "c1", "c2", "c3", "c4"]
    assert int(version) >= max(int(item["metadata"]["resourceVersion"]) for item in found)
    assert connection.requests["LIST"] == 3


def test_a_long_list_that_expires_in_the_middle_begins_again_and_has_nothing_twice(
    apply: Apply, control_plane: ControlPlane, config_maps: Resource, namespace: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    for number in range(3):
        apply(config_map(f"c{number}"))
    monkeypatch.setattr(objects, "_WHOLE_PAGE", 2)
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda number, *_, **__: (410, b"expired") if number == 2 else None
        with Connection.open(kubeconfig=proxy.kubeconfig(tmp_path / "config", control_plane.token)) as connection:
            found, _ = objects.list_objects(connection, config_maps, namespace, selector="a=b")
    assert [item["metadata"]["name"] for item in found] == ["c0", "c1", "c2"]


def test_a_field_selector_means_one_object(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    _, first = apply(config_map("one"))
    apply(config_map("two"))
    found, version = objects.list_objects(connection, config_maps, namespace, fields="metadata.name=one")
    assert found == [first]
    stop = threading.Event()
    watch = objects.watch(
        connection, config_maps, namespace, fields="metadata.name=one", resource_version=version, stop=stop
    )
    apply(config_map("two", a="2"))
    _, changed = apply(config_map("one", a="2"))
    assert next(watch) == ("MODIFIED", changed)
    stop.set()
    list(watch)
