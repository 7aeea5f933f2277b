"""Who waits for whom, told from what the API server and the scheduler themselves say."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from harness import ControlPlane
from waiting import until

from pipeline.apply.blocked import Blocked, Trouble, blockers
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery
from pipeline.cluster.errors import ApiError
from pipeline.inventory.record import Entry, Standing
from pipeline.plan.decide import Leave
from pipeline.plan.vetoes import Verdict
from renderers.manifest import ObjectId


@dataclass
class Place:
    """A namespace in which something leaves, and something comes."""

    connection: Connection
    discovery: Discovery
    namespace: str

    def make(self, body: dict[str, Any]) -> str:
        """Create it; the API server's refusal, or nothing."""
        group, _, version = body["apiVersion"].rpartition("/")
        resource = self.discovery.find(body["kind"], group, version)
        assert resource is not None
        try:
            objects.create(self.connection, resource, self.namespace, body, manager="test")
        except ApiError as error:
            return error.message
        return ""

    def blocked(self, comes: dict[str, Any], message: str, *leaves: dict[str, Any]) -> list[Blocked]:
        trouble = Trouble(self._id(comes), comes, message)
        before = sum(self.connection.requests.values())
        found = blockers(self.connection, [trouble], [self._leave(body) for body in leaves], selector="part=old")
        self.asked = sum(self.connection.requests.values()) - before
        return found

    def _id(self, body: dict[str, Any]) -> ObjectId:
        group = body["apiVersion"].rpartition("/")[0]
        return ObjectId(body["kind"], group, self.namespace, body["metadata"]["name"])

    def _leave(self, body: dict[str, Any]) -> Leave:
        object_id = self._id(body)
        resource = self.discovery.find(object_id.kind, object_id.group)
        return Leave(Entry(object_id, "v1", Standing.CREATED, uid="u"), None, resource, Verdict.PRUNE, "it left")


@pytest.fixture
def place(control_plane: ControlPlane, namespace: str) -> Iterator[Place]:
    with Connection.open(kubeconfig=control_plane.kubeconfig) as connection:
        yield Place(connection, Discovery.load(connection), namespace)


def _service(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _old(name), "spec": spec}


def _pod(name: str, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i", **spec.pop("container", {})}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _old(name), "spec": {"containers": containers, **spec}}


def _old(name: str) -> dict[str, Any]:
    return {"name": name, "labels": {"part": "old"}}


def _free_port(control_plane: ControlPlane) -> int:
    taken = control_plane.kubectl("get", "services", "-A", "-o", "jsonpath={.items[*].spec.ports[*].nodePort}").split()
    return next(port for port in range(31000, 32000) if str(port) not in taken)


def test_a_node_port_is_named_with_the_service_that_has_it(place: Place, control_plane: ControlPlane) -> None:
    ports = [{"port": 80, "nodePort": _free_port(control_plane)}]
    old, new = (_service(name, type="NodePort", ports=ports) for name in ("old", "new"))
    place.make(old)
    place.make(_service("other"))
    (blocked,) = place.blocked(new, place.make(new), old, _service("other"))
    assert blocked.leaving.name == "old"
    assert f"nodePort {ports[0]['nodePort']}" in blocked.sentence
    command = f"kubectl annotate service old -n {place.namespace} --overwrite trimtab.dev/prune=first"
    assert blocked.sentence.endswith(command)
    assert place.asked == 1


def test_an_address_is_named_with_the_service_that_has_it(place: Place) -> None:
    old = _service("old")
    place.make(old)
    services = place.discovery.find("Service", "")
    assert services is not None
    address = (objects.get(place.connection, services, place.namespace, "old") or {})["spec"]["clusterIP"]
    new = _service("new", clusterIP=address)
    (blocked,) = place.blocked(new, place.make(new), old)
    assert f"clusterIP {address}" in blocked.sentence


def test_a_quota_is_named_with_what_counts_in_it_and_asks_nothing(place: Place) -> None:
    hard = {"hard": {"count/configmaps": "2"}}
    place.make({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": hard})
    old, new = ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": _old(name)} for name in ("old", "new"))
    place.make(old)
    until(lambda: "exceeded quota" in place.make({**old, "metadata": {"generateName": "more-"}}))
    (blocked,) = place.blocked(new, place.make(new), old, _service("other"))
    assert (blocked.leaving.name, "quota few" in blocked.sentence) == ("old", True)
    assert place.asked == 0


@pytest.mark.parametrize(
    ("requested", "leaving", "counts"),
    [
        ("pods=1", _pod("old"), True),
        ("requests.cpu=1", _pod("old"), True),
        ("count/replicasets.apps=1", {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _old("old")}, True),
        ("services.nodeports=1", _service("old"), True),
        ("services=1", _pod("old"), False),
        ("pods=1", _service("old"), False),
    ],
)
def test_what_a_quota_counts(place: Place, requested: str, leaving: dict[str, Any], *, counts: bool) -> None:
    said = (
        f'pods "x" is forbidden: exceeded quota: few, requested: {requested}, used: {requested}, limited: {requested}'
    )
    assert bool(place.blocked(_service("new"), said, leaving)) is counts


def _pending(place: Place, name: str) -> Callable[[], str]:
    pods = place.discovery.find("Pod", "")
    assert pods is not None

    def message() -> str:
        pod = objects.get(place.connection, pods, place.namespace, name) or {}
        conditions = pod.get("status", {}).get("conditions") or ()
        return next((each.get("message", "") for each in conditions if each["reason"] == "Unschedulable"), "")

    return message


def test_a_port_of_the_nodes_is_named_with_who_has_it(place: Place) -> None:
    ports = {"container": {"ports": [{"containerPort": 80, "hostPort": 28080}]}}
    nodes = place.discovery.find("Node", "")
    assert nodes is not None
    count = len(objects.list_objects(place.connection, nodes, None)[0])
    old = [_pod(f"old{number}", **ports) for number in range(count)]
    for pod in old:
        place.make(pod)
    new = _pod("new", container={"ports": [{"containerPort": 80, "hostPort": 28080}]})
    place.make(new)
    message = _pending(place, "new")
    until(message)
    found = place.blocked(new, message(), *old, _pod("harmless"))
    assert {blocked.leaving.name for blocked in found} == {f"old{number}" for number in range(count)}
    assert "port 28080" in found[0].sentence


def test_a_volume_is_named_with_who_has_it(place: Place, control_plane: ControlPlane) -> None:
    size, mode = {"storage": "1Gi"}, ["ReadWriteOncePod"]
    volume = {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": place.namespace},
        "spec": {"capacity": size, "accessModes": mode, "storageClassName": "", "hostPath": {"path": "/tmp/x"},
                 "claimRef": {"namespace": place.namespace, "name": "data"}},
    }  # fmt: skip
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": mode, "storageClassName": "", "resources": {"requests": size}},
    }  # fmt: skip
    control_plane.kubectl("create", "-f", "-", input=json.dumps(volume))
    try:
        place.make(claim)
        mount = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
        old, new = _pod("old", volumes=mount), _pod("new", volumes=mount)
        place.make(old)
        running = ("get", "pod", "old", "-n", place.namespace, "-o", "jsonpath={.spec.nodeName}")
        until(lambda: control_plane.kubectl(*running))
        place.make(new)
        message = _pending(place, "new")
        until(message)
        (blocked,) = place.blocked(new, message(), old, _pod("harmless"))
        assert (blocked.leaving.name, "PersistentVolumeClaim data" in blocked.sentence) == ("old", True)
    finally:
        control_plane.kubectl("delete", "pv", place.namespace, "--wait=false")


def _stateful(name: str) -> dict[str, Any]:
    spec = {"template": {"spec": {"containers": []}}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": _old(name), "spec": spec}


def test_the_claims_of_a_stateful_set_are_its_own(place: Place) -> None:
    said = 'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node'
    old = _pod("old", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data-db-1"}}])
    place.make(old)
    assert [blocked.leaving.name for blocked in place.blocked(_stateful("db"), said, old)] == ["old"]
    assert place.blocked(_stateful("other"), said, old) == []


def test_claims_and_quotas_of_another_namespace_are_others(place: Place, control_plane: ControlPlane) -> None:
    elsewhere = Place(place.connection, place.discovery, "default")
    mount = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    old, new = _pod("old", volumes=mount), _pod("new", volumes=mount)
    place.make(old)
    for said in ("Multi-Attach error", "exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"):
        assert place.blocked(new, said, old)
        trouble = Trouble(elsewhere._id(new), new, said)
        assert blockers(place.connection, [trouble], [place._leave(old)], selector="part=old") == []


@pytest.mark.parametrize(
    ("says", "names"),
    [
        ('admission webhook "x" denied the request: host a is already defined in ingress {ns}/old', True),
        ("ingresses \"new\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: ConfigMap 'old' has it", True),
        ('admission webhook "x" denied the request: host a is already defined in ingress {ns}/old-one', False),
        ('admission webhook "x" denied the request: the old way is "old"', False),
        ("host a is already defined in ingress {ns}/old", False),
    ],
)
def test_a_refusal_that_names_what_leaves(place: Place, says: str, *, names: bool) -> None:
    old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _old("old")}
    assert bool(place.blocked(_service("new"), says.format(ns=place.namespace), old)) is names


def test_nothing_is_asked_where_nothing_says_that_it_waits(place: Place) -> None:
    assert place.blocked(_service("new"), "Deployment does not progress", _service("old"), _pod("old")) == []
    assert place.asked == 0


def test_what_stands_in_a_manifest_may_be_anything(place: Place) -> None:
    said = "Multi-Attach error; node(s) didn't have free ports for the requested pod ports"
    for spec in ("text", ["list"], {"template": {"spec": {"volumes": "v", "containers": [1, {"ports": 2}]}}}):
        odd = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "odd"}, "spec": spec}
        assert place.blocked(odd, said, _pod("old")) == []
