"""On the real API server: what cannot go on before something else has happened says so, and goes on then."""

import json
import random
from typing import Any

import pytest
from control import Apps
from waiting import until


def _service(name: str, port: int) -> dict[str, Any]:
    spec = {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80, "nodePort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def port() -> int:
    return random.randint(30500, 32700)


def test_a_node_port_that_a_leaving_service_holds_is_named_with_the_way_out(app: Any, port: int) -> None:
    app.folder.put(_service("old", port))
    app.apply()
    app.folder.drop("service", "old").put(_service("new", port))
    data = json.loads(app.apply(code=1).out)
    (sentence,) = data["blocked"]
    assert sentence.startswith(f"Service/{app.namespace}/new: it waits for Service/{app.namespace}/old")
    command = sentence.partition("→ kubectl ")[2].split()
    assert {change["name"]: change["action"] for change in data["changes"]} == {"new": "failed", "old": "held"}
    app.kubectl(*command)
    assert app.actions() == {"Service/new": "created", "Service/old": "pruned"}


def test_the_status_of_an_app_says_prune_held(app: Any, apps: Apps, repository: Any, start: Any, port: int) -> None:
    repository.commit(_service("old", port))
    start()
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace})
    apps.until_ready("shop")
    repository.commit(_service("new", port), drop=("old",))
    ready = apps.until_reason("shop", "PruneHeld")
    assert "trimtab.dev/prune=first" in ready["message"]
    app.kubectl("annotate", "service", "old", "-n", app.namespace, "trimtab.dev/prune=first")
    apps.until_ready("shop")
    assert app.names("service") == {"new"}


def test_an_object_that_is_being_deleted_is_not_applied_in_vain(app: Any, make_map: Any) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    finalizer = '{"metadata":{"finalizers":["example.com/stay"]}}'
    app.kubectl("patch", "configmap", "a", "-n", app.namespace, "--type=merge", "-p", finalizer)
    app.kubectl("delete", "configmap", "a", "-n", app.namespace, "--wait=false")
    change = app.changes(code=4)["ConfigMap/a"]
    assert change["action"] == "failed"
    assert "example.com/stay" in change["message"]
    app.kubectl(
        "patch", "configmap", "a", "-n", app.namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
    )
    until(lambda: app.get("configmap", "a") is None)
    assert app.actions() == {"ConfigMap/a": "created", "ConfigMap/b": "unchanged"}


def test_a_set_that_becomes_empty_after_a_failure_is_well(app: Any, make_map: Any) -> None:
    app.folder.put({**make_map("a"), "data": {"x": 1}})
    app.apply(code=1)
    app.folder.drop("configmap", "a")
    app.apply("--allow-empty")
    assert app.record()["state"] == "Ready"
