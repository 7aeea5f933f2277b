"""An App that brings a definition and objects of it: the controller knows the new kind from then on."""

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from control import Apps, Controller, Repository
from waiting import until


@pytest.fixture
def kind(control_plane: Any) -> Iterator[str]:
    """The plural of a kind that no other test knows."""
    name = f"widgets{secrets.token_hex(3)}"
    yield name
    control_plane.kubectl("delete", "crd", f"{name}.example.com", "--ignore-not-found")


def _definition(kind: str) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"kind": kind.capitalize(), "plural": kind, "singular": kind.removesuffix("s")}
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind}.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]},
    }  # fmt: skip


def _object(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": kind.capitalize(), "metadata": {"name": name}, "spec": {"size": 1}}


def test_objects_of_a_new_kind_are_left_alone_and_pruned_as_any_other(
    apps: Apps, repository: Repository, kind: str, start: Callable[..., Controller]
) -> None:
    def names() -> set[str]:
        items = json.loads(apps.kubectl("get", f"{kind}.example.com", "-n", apps.namespace, "-o", "json"))["items"]
        return {item["metadata"]["name"] for item in items}

    controller = start("--log-level=debug")
    controller.until("that it leads", lambda: controller.lines("leading"))
    commit = repository.commit(_definition(kind), _object(kind, "one"), _object(kind, "two"))
    target = {"namespace": apps.namespace}
    apps.put("shop", {"url": repository.url}, target=target, interval="200ms", prune={"guard": {"percent": 100}})
    apps.until_ready("shop", commit)
    commit = repository.commit(drop=("one",))
    apps.until_ready("shop", commit)
    until(lambda: names() == {"two"})
    commit = repository.commit(_object(kind, "three"))
    apps.until_ready("shop", commit)
    assert names() == {"two", "three"}
    again = [line for line in controller.lines("configured") if kind.capitalize() in line["object"]]
    assert again == []
