"""Each question that is asked of an ApiError, put to the real API server."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from harness import ControlPlane

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource
from pipeline.cluster.errors import ApiError, Cause

Apply = Callable[..., tuple[int, dict[str, Any]]]
OTHER_UID = "11111111-1111-1111-1111-111111111111"


def config_map(name: str = "one", *, uid: str = "", **data: str) -> dict[str, Any]:
    metadata = {"name": name, **({"uid": uid} if uid else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data or {"a": "1"}}


def error_of(call: Callable[..., Any], *args: Any, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*args, **options)
    return caught.value


def test_a_conflict_names_managers_and_fields(apply: Apply) -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "web", "image": "one"}]},
            },
        },
    }
    apply(deployment, manager="first")
    deployment["spec"]["replicas"] = 1  # type: ignore[index]
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = "two"  # type: ignore[index]
    error = error_of(apply, deployment, manager="second")
    assert error.conflict
    assert error.status == 409
    assert not error.uid_mismatch
    assert not error.temporary
    assert set(error.conflicting_managers()) == {
        ("first", ".spec.replicas"),
        ("first", '.spec.template.spec.containers[name="web"].image'),
    }


def test_an_uid_that_is_gone_is_a_mismatch(apply: Apply) -> None:
    error = error_of(apply, config_map(uid=OTHER_UID))
    assert error.status == 409
    assert error.uid_mismatch
    assert not error.conflict


def test_an_uid_of_another_object_is_a_mismatch(apply: Apply) -> None:
    apply(config_map())
    error = error_of(apply, config_map(uid=OTHER_UID))
    assert error.status == 422
    assert error.uid_mismatch


def test_a_delete_of_another_uid_is_a_mismatch(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    apply(config_map())
    error = error_of(objects.delete, connection, config_maps, namespace, "one", uid=OTHER_UID)
    assert error.status == 409
    assert error.uid_mismatch


def test_a_delete_of_another_version_is_no_uid_mismatch(
    apply: Apply, connection: Connection, config_maps: Resource, namespace: str
) -> None:
    _, live = apply(config_map())
    uid = live["metadata"]["uid"]
    error = error_of(objects.delete, connection, config_maps, namespace, "one", uid=uid, resource_version="1")
    assert error.status == 409
    assert not error.uid_mismatch


def test_a_missing_namespace(apply: Apply) -> None:
    error = error_of(apply, config_map(), to="no-such-namespace")
    assert error.namespace_missing
    assert error.not_found
    assert not error.kind_missing


def test_a_missing_object_is_neither_a_missing_namespace_nor_a_missing_kind(
    connection: Connection, config_maps: Resource, namespace: str
) -> None:
    error = error_of(connection.call, "GET", config_maps.path(namespace, "none"))
    assert error.not_found
    assert not error.namespace_missing
    assert not error.kind_missing


@pytest.mark.parametrize("path", ["/apis/no.such/v1/things", "/apis/apps/v1/things"])
def test_a_missing_kind(connection: Connection, path: str) -> None:
    error = error_of(connection.call, "GET", path)
    assert error.kind_missing
    assert error.not_found
    assert error.message


@pytest.mark.parametrize("spec", [{"bogus": 1}, {"replicas": "many"}])
def test_a_schema_error_of_an_apply_is_permanent(apply: Apply, spec: dict[str, Any]) -> None:
    error = error_of(apply, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    assert error.status == 500
    assert not error.temporary
    assert error.schema_lag == ("bogus" in spec)
    assert next(iter(spec)) in error.message


@pytest.mark.parametrize(
    "content",
    [
        {"stringData": {"pin": 987654}},
        {"data": {"pin": {"a": "987654"}}},
        {"data": "987654\n  .x: y 987654"},
        {"stringData": {"pin": ["987654"]}},
    ],
)
def test_a_schema_error_of_a_secret_does_not_show_the_secret(apply: Apply, content: dict[str, Any]) -> None:
    error = error_of(apply, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **content})
    assert "987654" not in str(error)
    assert next(iter(content)) in error.message


def test_the_value_that_does_not_fit_is_shown_as_it_is(apply: Apply) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": 7}}
    assert error_of(apply, body).message.endswith(".data.a: expected string, got 7")


def test_forbidden_says_which_right_is_missing(
    connection: Connection, control_plane: ControlPlane, config_maps: Resource, kubeconfig: Callable[..., Any]
) -> None:
    user = {"token": control_plane.token, "as": "guest"}
    with Connection.open(kubeconfig=kubeconfig(user=user)) as guest:
        error = error_of(guest.call, "GET", config_maps.path("default"))
        everywhere = error_of(guest.call, "GET", "/apis/apps/v1/deployments")
    assert error.forbidden
    assert "give guest the verb list on configmaps in namespace default" in error.hint
    assert "verb list on deployments.apps in the whole cluster" in everywhere.hint


def test_a_terminating_namespace_says_so(
    control_plane: ControlPlane, connection: Connection, apply: Apply, discovery: Discovery
) -> None:
    name = f"ending-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    held = {**config_map("held"), "metadata": {"name": "held", "finalizers": ["trimtab.dev/test"]}}
    apply(held, to=name)
    control_plane.kubectl("delete", "namespace", name, "--wait=false")
    error = error_of(apply, config_map("late"), to=name)
    assert error.forbidden
    assert "wait until the namespace is gone" in error.hint
    patch = json.dumps({"metadata": {"finalizers": None}})
    control_plane.kubectl("patch", "configmap", "held", "-n", name, "--type=merge", "-p", patch)


def test_a_text_body_is_taken_as_it_is() -> None:
    error = ApiError.of(502, b"Bad\n Gateway")
    assert error.message == "Bad Gateway"
    assert error.temporary


def test_an_empty_body_still_says_something() -> None:
    assert ApiError.of(413, b"").message == "the API server answered HTTP 413"


def test_retry_after_may_stand_in_the_status() -> None:
    status = {"kind": "Status", "message": "slow down", "details": {"retryAfterSeconds": 3}}
    error = ApiError.of(429, json.dumps(status).encode())
    assert error.retry_after == 3.0
    assert error.temporary


def test_the_verb_and_the_causes_are_kept(apply: Apply) -> None:
    apply(config_map())
    error = error_of(apply, config_map(uid=OTHER_UID))
    assert error.verb == "APPLY"
    assert error.reason == "Invalid"
    assert (error.kind, error.name) == ("ConfigMap", "one")
    assert error.causes[0] == Cause("FieldValueInvalid", "metadata.uid", error.causes[0].message)
