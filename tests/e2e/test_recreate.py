"""Immutable fields by the command line: recreated where that is allowed, and finished after a crash."""

import json
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


@pytest.mark.parametrize("after", [False, True], ids=["before the request", "after the answer"])
@pytest.mark.slow
def test_a_crash_between_delete_and_create_is_healed(
    app: Any, control_plane: Any, proxy: ApiProxy, tmp_path: Path, *, after: bool
) -> None:
    allowed = {"trimtab.dev/recreate": "allowed"}
    app.folder.put({**HEADLESS, "metadata": {"name": "web", "annotations": allowed}})
    environment = {**control_plane.env, "KUBECONFIG": str(proxy.kubeconfig(tmp_path / "kc", control_plane.token))}
    arguments = [
        "apply", str(app.folder.path), "--name", app.name, "--namespace", app.namespace,
        "--inventory-namespace", app.namespace, "--timeout", "30s",
    ]  # fmt: skip

    def run(kill_at: int) -> tuple[int, int]:
        process = Forked(arguments, environment, tmp_path / "log")
        blow = proxy.strike = Blow(process.kill, kill_at, after=after)
        process.start()
        return process.code(), blow.count

    def begin() -> None:
        app.kubectl("delete", "service,configmap", "--all", "-n", app.namespace, "--wait")
        mutable = {**_service(), "metadata": {"name": "web", "annotations": allowed}}
        text = (app.folder.path / "service-web.json").read_text()
        app.folder.put(mutable)
        app.apply()
        (app.folder.path / "service-web.json").write_text(text)

    begin()
    code, requests = run(0)
    assert code == 0, (tmp_path / "log").read_text()
    for number in range(1, requests + 1):
        begin()
        run(number)
        proxy.strike = None
        app.apply()
        assert app.get("service", "web")["spec"]["clusterIP"] == "None", f"request {number}"
        assert json.loads(app.apply().out)["changes"][0]["action"] == "unchanged"
