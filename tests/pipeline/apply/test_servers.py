"""Which Services have a ready endpoint, on the real API server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from waiting import until

from pipeline.apply.servers import Servers, answers_by_endpoints
from pipeline.cluster.connection import Connection
from renderers.manifest import ObjectId


@pytest.fixture
def connection(control_plane: Any) -> Iterator[Connection]:
    with Connection.open(kubeconfig=control_plane.kubeconfig) as opened:
        yield opened


def service(namespace: str, name: str = "hook") -> ObjectId:
    return ObjectId(kind="Service", group="", namespace=namespace, name=name)


def put_slice(control_plane: Any, namespace: str, conditions: dict[str, bool], of: str = "hook") -> None:
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": of, "namespace": namespace, "labels": {"kubernetes.io/service-name": of}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": conditions}],
        "ports": [{"port": 443}],
    }
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(body))


@pytest.mark.parametrize("conditions", [{"ready": True}, {}])
def test_an_endpoint_that_becomes_ready_is_seen(
    connection: Connection, control_plane: Any, namespace: str, conditions: dict[str, bool]
) -> None:
    put_slice(control_plane, namespace, {"ready": False})
    put_slice(control_plane, namespace, {"ready": True}, of="another")
    with Servers(connection, [service(namespace), service(namespace, "another")]) as servers:
        until(lambda: servers.unserved() == {service(namespace)})
        put_slice(control_plane, namespace, conditions)
        until(lambda: not servers.unserved())


def test_a_service_that_is_there_is_waited_for_and_no_other(
    connection: Connection, control_plane: Any, namespace: str
) -> None:
    control_plane.kubectl("create", "service", "clusterip", "hook", "--tcp=443", "-n", namespace)
    control_plane.kubectl("create", "service", "externalname", "dns", "--external-name=example.com", "-n", namespace)
    answers = [answers_by_endpoints(connection, service(namespace, name)) for name in ("hook", "dns", "unknown")]
    assert answers == [True, False, False]
