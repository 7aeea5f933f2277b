"""Immutable fields by the command line: recreated where that is allowed, and finished after a crash."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from crash import Blow, Forked


def _service(**spec: Any) -> dict[str, Any]:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


HEADLESS = _service(clusterIP="None")


def test_the_error_says_what_to_do_and_the_app_may_allow_it(app: Any, make_map: Any, tmp_path: Path) -> None:
    app.folder.put(_service(), make_map("a"))
    app.apply()
    app.folder.put(HEADLESS, make_map("a", a="2"))
    changes = app.changes(code=4)
    assert changes["ConfigMap/a"]["action"] == "configured"
    message = changes["Service/web"]["message"]
    assert "spec.clusterIPs[0] is immutable" in message
    assert 'trimtab.dev/recreate: "allowed"' in message
    app_file = tmp_path / "app.yaml"
    app_file.write_text(
        "apiVersion: trimtab.dev/v1alpha1\nkind: App\n"
        f"metadata: {{name: shop, namespace: {app.namespace}}}\nspec: {{recreate: allowed}}\n"
    )
    app.flags = ("-f", str(app_file))
    changes = app.changes()
    assert changes["Service/web"]["action"] == "configured"
    assert changes["Service/web"]["message"] == "recreated: spec.clusterIPs[0] is immutable"
    assert app.actions() == {"ConfigMap/a": "unchanged", "Service/web": "unchanged"}
    app.folder.drop("service", "web")
    assert app.actions()["Service/web"] == "pruned"


@pytest.fixture
def proxy(control_plane: Any) -> Iterator[ApiProxy]:
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("method", "at", "after"),
    [("DELETE", 1, True), ("PATCH", 2, False), ("PATCH", 2, True)],
    ids=["after the delete", "before the create", "after the create"],
)
def test_a_crash_on_the_way_is_healed(
    app: Any, control_plane: Any, proxy: ApiProxy, tmp_path: Path, method: str, at: int, *, after: bool
) -> None:
    allowed = {"name": "web", "annotations": {"trimtab.dev/recreate": "allowed"}}
    app.folder.put({**_service(), "metadata": allowed})
    app.apply()
    app.folder.put({**HEADLESS, "metadata": allowed})
    arguments = [
        "apply", str(app.folder.path), "--name", app.name, "--namespace", app.namespace,
        "--inventory-namespace", app.namespace, "--timeout", "30s",
    ]  # fmt: skip
    environment = {**control_plane.env, "KUBECONFIG": str(proxy.kubeconfig(tmp_path / "kc", control_plane.token))}
    process = Forked(arguments, environment, tmp_path / "log")
    blow = proxy.strike = Blow(
        process.kill, at, after=after, matter=lambda verb, path: verb == method and "/services/web" in path
    )
    process.start()
    assert process.code() < 0, process.text()
    assert blow.fallen
    app.apply()
    assert app.get("service", "web")["spec"]["clusterIP"] == "None"
    assert app.actions() == {"Service/web": "unchanged"}
