"""One object sent: whose fields win, and what is tried again within a sync."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import ControlPlane
from sending import OneApp

from pipeline.apply.patience import Patience
from pipeline.apply.send import Policy
from pipeline.cluster import objects
from pipeline.cluster.errors import ApiError
from pipeline.plan.model import Action

Make = Callable[..., dict[str, Any]]


def _annotated(manifest: dict[str, Any], **annotations: str) -> dict[str, Any]:
    names = {f"trimtab.dev/{name}": value for name, value in annotations.items()}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": names}}


def _change_x(app: OneApp, make_map: Make) -> None:
    app.patch(make_map("a"), {"op": "replace", "path": "/data/x", "value": "theirs"}, manager="somebody")


def test_a_yielded_field_is_left_and_named_and_then_all_is_quiet(app: OneApp, make_map: Make) -> None:
    app.policy["conflicts"] = "yield"
    app.one(make_map("a", x="1", y="1"))
    _change_x(app, make_map)
    sent = app.one(make_map("a", x="1", y="1"))
    assert "left to others: .data.x" in sent.change.message
    assert app.live(make_map("a"))["data"] == {"x": "theirs", "y": "1"}
    assert app.plan(make_map("a", x="1", y="1")).empty
    # A change of another field leaves it alone as well, and so does one of git that only concerns this field.
    app.one(make_map("a", x="2", y="2"))
    assert app.live(make_map("a"))["data"] == {"x": "theirs", "y": "2"}
    assert app.plan(make_map("a", x="2", y="2")).empty


def test_replicas_that_somebody_scales_are_left_to_him(app: OneApp, deployment: Any) -> None:
    """The classic: a HorizontalPodAutoscaler beside a manifest that says replicas."""
    app.policy["conflicts"] = "yield"
    app.one(deployment)
    app.ctl("scale", "deployment/web", "--replicas=1")
    assert "left to others: .spec.replicas" in app.one(deployment).change.message
    app.ctl("scale", "deployment/web", "--replicas=2")
    plan = app.plan(deployment)
    # Controllers write a status while the object is sent: that is no change of ours.
    status = {"status": {"observedGeneration": 0}}
    objects.merge_patch(
        app.connection, app.resource(deployment), app.namespace, "web", status, manager="x", subresource="status"
    )
    assert [sent.change.action for sent in app.send(plan)] == [Action.UNCHANGED]
    assert app.live(deployment)["spec"]["replicas"] == 2


def test_the_annotation_of_the_object_wins(app: OneApp, make_map: Make) -> None:
    for says, asks, value in (("take", "yield", "theirs"), ("fail", "take", "2"), ("yield", "fail", "theirs")):
        app.policy["conflicts"] = says
        app.one(_annotated(make_map("a", x="1"), conflicts="take"))
        _change_x(app, make_map)
        sent = app.one(_annotated(make_map("a", x="2"), conflicts=asks))
        assert app.live(make_map("a"))["data"]["x"] == value
        assert (sent.change.action is Action.FAILED) is (asks == "fail")


class _Meanwhile(threading.Event):
    """A `stop` that nobody sets: while it is waited for, something happens once."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self._act: Callable[[], object] | None = act

    def wait(self, timeout: float | None = None) -> bool:
        if self._act is not None:
            self._act()
            self._act = None
        return super().wait(timeout)


@pytest.fixture
def webhook(control_plane: ControlPlane, namespace: str) -> Iterator[Callable[[], object]]:
    """ConfigMaps of the namespace must pass a webhook that is not there. Gives what takes it away."""
    name = f"{namespace}.example.com"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{
            "name": name, "clientConfig": {"url": "https://127.0.0.1:1/"}, "rules": [rule], "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        }],
    }  # fmt: skip
    control_plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(configuration))
    gone = ("delete", "validatingwebhookconfiguration", name, "--ignore-not-found")
    yield lambda: control_plane.kubectl(*gone)
    control_plane.kubectl(*gone)


def _is_called(app: OneApp, make_map: Make) -> bool:
    with pytest.raises(AssertionError) as failure:
        app.ctl("create", "--dry-run=server", "-f", "-", body=make_map("probe"))
    return "failed calling webhook" in str(failure.value)


def test_a_webhook_that_is_not_up_yet_is_waited_for(app: OneApp, make_map: Make, webhook: Callable[[], object]) -> None:
    assert _is_called(app, make_map)
    (sent,) = app.sync(make_map("a"), stop=_Meanwhile(webhook))
    assert sent.change.action is Action.CREATED


def test_a_webhook_that_stays_down_is_a_failure_that_may_pass(
    app: OneApp, make_map: Make, webhook: Callable[[], object]
) -> None:
    assert _is_called(app, make_map)
    stop = threading.Event()
    stop.set()
    (sent,) = app.sync(make_map("a"), stop=stop)
    assert "failed calling webhook" in sent.change.message
    assert sent.change.temporary
    assert app.requests == {"APPLY": 1}


_WEBHOOK = ApiError(500, 'Internal error occurred: failed calling webhook "x": connection refused')
_OVERTAKEN = ApiError(
    409, "the object has been modified; please apply your changes to the latest version", reason="Conflict"
)
_RACE = ApiError(409, 'configmaps "a" already exists', reason="AlreadyExists")


class _Failing:
    def __init__(self, *errors: ApiError) -> None:
        self.errors = list(errors)

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.mark.parametrize("error", [_WEBHOOK, _OVERTAKEN, _RACE], ids=["webhook", "overtaken", "race"])
def test_what_may_pass_is_tried_again(error: ApiError) -> None:
    assert Patience().of(_Failing(error, error), threading.Event()) == "done"


@pytest.mark.parametrize(
    "error",
    [
        ApiError(500, "failed to create typed patch object (x; v1, Kind=ConfigMap): field not declared in schema"),
        ApiError(422, "spec.replicas: Invalid value", reason="Invalid"),
        ApiError(409, "Apply failed with 1 conflict", reason="Conflict"),
        ApiError(403, "forbidden", reason="Forbidden"),
        ApiError(503, "the connection has tried that for long enough"),
    ],
    ids=["schema", "invalid", "conflict", "forbidden", "busy"],
)
def test_what_does_not_pass_is_not(error: ApiError) -> None:
    act = _Failing(error, error)
    with pytest.raises(ApiError):
        Patience().of(act, threading.Event())
    assert len(act.errors) == 1


@pytest.mark.parametrize("limit", ["_EACH", "_ALL"])
def test_patience_ends(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(f"pipeline.apply.patience.{limit}", 0.0)
    act = _Failing(_WEBHOOK, _WEBHOOK)
    with pytest.raises(ApiError):
        Patience().of(act, threading.Event())
    assert len(act.errors) == 1


def test_all_objects_of_a_sync_share_their_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.apply.patience._ALL", 0.2)
    patience = Policy("me").patience
    with pytest.raises(ApiError):
        patience.of(_Failing(*[_WEBHOOK] * 9), threading.Event())
    act = _Failing(_WEBHOOK, _WEBHOOK)
    with pytest.raises(ApiError):
        patience.of(act, threading.Event())
    assert len(act.errors) == 1


def test_a_write_that_was_overtaken_for_too_long_may_pass(
    app: OneApp, make_map: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(*_: object, **__: object) -> None:
        raise _OVERTAKEN

    monkeypatch.setattr("pipeline.apply.patience._EACH", 0.0)
    monkeypatch.setattr("pipeline.apply.send.objects.apply", overtaken)
    assert app.one(make_map("a")).change.temporary
