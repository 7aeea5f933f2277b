"""An App in memory on the real API server."""

from collections.abc import Iterator
from typing import Any

import pytest
from harness import ControlPlane
from sending import OneApp

from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery


@pytest.fixture
def app(control_plane: ControlPlane, namespace: str) -> Iterator[OneApp]:
    """An App of the test's own namespace."""
    with Connection.open(kubeconfig=control_plane.kubeconfig) as connection:
        yield OneApp(connection, Discovery.load(connection), namespace, control_plane.kubectl)


@pytest.fixture
def deployment() -> dict[str, Any]:
    """Without Pods, and with every sort of list."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"team": "a"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "web",
                            "image": "nginx",
                            "args": ["one"],
                            "ports": [{"containerPort": 80}],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        },
                        {"name": "side", "image": "busybox"},
                    ],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        },
    }


@pytest.fixture
def make_map() -> Any:
    """A ConfigMap of that name and data."""

    def make(name: str, **data: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"a": "1"}}

    return make
