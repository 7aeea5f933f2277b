"""Discovery against the real API server, and what CRDs of a set would add."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane

from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource, server_version
from pipeline.cluster.errors import ApiError


def crd(*versions: tuple[str, bool], kind: str = "Boat", scope: str = "Namespaced") -> dict[str, Any]:
    return {
        "spec": {
            "group": "sea.example",
            "scope": scope,
            "names": {"kind": kind, "plural": f"{kind.lower()}s"},
            "versions": [{"name": name, "served": served} for name, served in versions],
        }
    }


def test_two_requests_know_every_kind(connection: Connection) -> None:
    discovery = Discovery.load(connection)
    assert connection.requests == {"GET": 2}
    deployment = discovery.find("Deployment", "apps")
    assert deployment is not None
    assert deployment.path("here", "web") == "/apis/apps/v1/namespaces/here/deployments/web"
    assert deployment.path("here") == "/apis/apps/v1/namespaces/here/deployments"
    assert deployment.path() == "/apis/apps/v1/deployments"
    assert {"list", "watch", "patch"} <= deployment.verbs
    namespace = discovery.find("Namespace", "")
    assert namespace is not None
    assert namespace.path("ignored", "here") == "/api/v1/namespaces/here"
    assert discovery.find("Boat", "sea.example") is None


def test_the_form_of_older_servers_gives_the_same(connection: Connection) -> None:
    new, old = Discovery.load(connection), Discovery.load(connection, aggregated=False)
    builtin = {item for item in new.resources() if "example" not in item.group}  # other tests make kinds
    assert builtin <= set(old.resources())
    assert {item for item in old.resources() if "example" not in item.group} == builtin


def test_the_asked_version_comes_first_then_the_preferred_one(discovery: Discovery) -> None:
    kind = ("HorizontalPodAutoscaler", "autoscaling")
    assert [getattr(discovery.find(*kind, version), "version", "") for version in ("v1", "v2", "v9", "")] == [
        "v1", "v2", "v2", "v2",
    ]  # fmt: skip
    assert discovery.served("autoscaling", "v1")
    assert not discovery.served("autoscaling", "v9")


def test_each_kind_comes_once_and_no_subresource(discovery: Discovery) -> None:
    resources = discovery.resources()
    assert len({(item.group, item.kind) for item in resources}) == len(resources)
    assert all("/" not in item.plural for item in resources)


def test_api_versions_are_helms(discovery: Discovery) -> None:
    versions = discovery.api_versions()
    assert {"v1", "v1/ConfigMap", "apps/v1", "apps/v1/Deployment", "autoscaling/v1"} <= set(versions)
    assert list(versions) == sorted(versions)


def test_a_broken_api_service_is_stale_and_the_rest_is_known(
    control_plane: ControlPlane, connection: Connection
) -> None:
    group = f"t{secrets.token_hex(4)}.example"
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"v1.{group}"},
        "spec": {
            "group": group, "version": "v1", "groupPriorityMinimum": 10, "versionPriority": 10,
            "insecureSkipTLSVerify": True, "service": {"name": "none", "namespace": "default"},
        },
    }  # fmt: skip
    control_plane.kubectl("create", "-f", "-", input=json.dumps(service))
    try:
        condition = "--for=condition=Available=false"
        control_plane.kubectl("wait", condition, f"apiservice/v1.{group}", "--timeout=30s")
        discovery = Discovery.load(connection)
    finally:
        control_plane.kubectl("delete", "apiservice", f"v1.{group}")
    assert f"{group}/v1" in discovery.stale
    assert discovery.find("ConfigMap", "") is not None


def test_in_the_old_form_a_group_that_does_not_answer_is_stale(control_plane: ControlPlane, tmp_path: Path) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda number, method, path, **_: (500, b"broken") if path == "/apis/apps/v1" else None
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection:
            discovery = Discovery.load(connection, aggregated=False)
    assert "apps/v1" in discovery.stale
    assert discovery.find("Deployment", "apps") is None
    assert discovery.find("ConfigMap", "") is not None


def test_server_version(connection: Connection) -> None:
    assert server_version(connection).startswith("v1.")


def test_an_error_is_not_taken_for_a_cluster_without_kinds(control_plane: ControlPlane, tmp_path: Path) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda number, method, path, **_: (500, b"broken") if path.startswith("/apis") else None
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection, pytest.raises(ApiError, match="broken"):
            Discovery.load(connection)


@pytest.mark.parametrize("name", [".", "..", "a/b", "../secrets/x"])
def test_a_name_cannot_lead_to_another_path(name: str) -> None:
    resource = Resource("", "v1", "ConfigMap", "configmaps", True, frozenset())
    with pytest.raises(ApiError):
        resource.path("here", name)
    with pytest.raises(ApiError):
        resource.path(name, "here")


def test_names_are_escaped() -> None:
    roles = Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False, frozenset())
    assert roles.path("", "system:a b?c#d%e\r\n").endswith("/clusterroles/system:a%20b%3Fc%23d%25e%0D%0A")


def test_crds_of_the_set_add_their_served_versions(discovery: Discovery) -> None:
    more = discovery.with_crds([crd(("v1", True), ("v1alpha1", False))])
    boat = more.find("Boat", "sea.example", "v1")
    assert boat is not None
    assert boat.path("here", "titanic") == "/apis/sea.example/v1/namespaces/here/boats/titanic"
    assert not more.served("sea.example", "v1alpha1")
    assert more.find("ConfigMap", "") == discovery.find("ConfigMap", "")
    assert discovery.find("Boat", "sea.example") is None


def test_a_crd_of_the_set_adds_a_version_to_a_known_kind(discovery: Discovery) -> None:
    first = discovery.with_crds([crd(("v1", True), scope="Cluster")])
    second = first.with_crds([crd(("v1", True), ("v2", True), scope="Cluster")])
    boat = second.find("Boat", "sea.example", "v2")
    assert boat is not None
    assert boat.version == "v2"
    assert not boat.namespaced


@pytest.mark.parametrize("broken", [{}, {"spec": None}, {"spec": {"group": 1}}, crd((7, True)), {"spec": []}])  # type: ignore[arg-type]
def test_a_manifest_that_is_no_whole_crd_adds_nothing(discovery: Discovery, broken: dict[str, Any]) -> None:
    assert discovery.with_crds([broken]).api_versions() == discovery.api_versions()


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_resources_of_one_kind_the_one_that_can_be_listed_is_meant(order: int) -> None:
    """As OpenShift's Template: `processedtemplates` only answers, `templates` are what is stored."""
    stored, answers = (
        Resource("example.com", "v1", "Template", plural, True, frozenset(verbs))
        for plural, verbs in (("templates", ("create", "list")), ("processedtemplates", ("create",)))
    )
    assert Discovery([stored, answers][::order]).find("Template", "example.com") == stored
