"""What the tests of waiting share: workloads, applied to the control plane with the label that is waited by."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import ControlPlane

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource
from pipeline.health.state import Health
from pipeline.health.wait import wait
from renderers.manifest import ObjectId

Applied = tuple[ObjectId, Resource]


@pytest.fixture
def connection(control_plane: ControlPlane) -> Iterator[Connection]:
    """A connection of the administrator."""
    with Connection.open(kubeconfig=control_plane.kubeconfig) as opened:
        yield opened


@pytest.fixture
def apply(connection: Connection, namespace: str) -> Callable[..., Applied]:
    """Applies an object with the label `test=<namespace>`; returns its id and its resource."""
    discovery = Discovery.load(connection)

    def send(body: dict[str, Any], *, to: str = namespace) -> Applied:
        group, _, version = body["apiVersion"].rpartition("/")
        resource = discovery.find(body["kind"], group, version)
        assert resource is not None
        name = body["metadata"]["name"]
        labelled = {**body, "metadata": {**body["metadata"], "labels": {"test": namespace}}}
        data = json.dumps(labelled).encode()
        objects.apply(connection, resource, to, name, data, manager="trimtab-test", force=True)
        return ObjectId(body["kind"], group, to if resource.namespaced else "", name), resource

    return send


@pytest.fixture
def follow(connection: Connection, namespace: str) -> Callable[..., dict[ObjectId, Health]]:
    """Waits for objects that were applied so; by `through`, if not by the administrator's own connection."""

    def run(*applied: Applied, through: Connection | None = None, **how: Any) -> dict[ObjectId, Health]:
        return wait(
            through or connection, dict(applied), selector=f"test={namespace}",
            **{"timeout": 60, "stop": threading.Event()} | how,
        )  # fmt: skip

    return run


@pytest.fixture
def never() -> threading.Event:
    """A stop that does not come."""
    return threading.Event()
