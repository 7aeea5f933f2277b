"""What the end-to-end tests share: a folder of manifests, an App on the control plane, and looking at both."""

import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy
from control import Apps, Controller, Repository
from crash import Mortal
from things import WIDGET_CRD


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"a": "1"}}


@dataclass
class Folder:
    """A folder of manifests, one file an object; `put` and `drop` are what a commit would do."""

    path: Path

    def put(self, *manifests: Mapping[str, Any]) -> "Folder":
        for manifest in manifests:
            name = f"{manifest['kind'].lower()}-{manifest['metadata']['name']}.json"
            (self.path / name).write_text(json.dumps(manifest))
        return self

    def text(self, name: str, text: str) -> "Folder":
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return self

    def drop(self, kind: str, *names: str) -> "Folder":
        for name in names:
            (self.path / f"{kind.lower()}-{name}.json").unlink()
        return self


@dataclass
class Deployed:
    """One App, applied from a folder by the command line, into a namespace of its own."""

    trimtab: Callable[..., Any]
    kubectl: Callable[..., str]
    folder: Folder
    name: str
    namespace: str
    flags: tuple[str, ...] = ()
    inventory: str = field(default="")

    def apply(self, *flags: str, code: int | None = 0) -> Any:
        result = self.trimtab(
            "apply", str(self.folder.path), "--name", self.name, "--namespace", self.namespace,
            "--inventory-namespace", self.inventory or self.namespace, "--timeout", "60s", "-o", "json",
            *self.flags, *flags,
        )  # fmt: skip
        if code is not None:
            assert result.code == code, result.out + result.err
        return result

    def actions(self, *flags: str, code: int | None = 0) -> dict[str, str]:
        """Apply, and give `Kind/name` → action."""
        data = json.loads(self.apply(*flags, code=code).out)
        return {f"{change['kind']}/{change['name']}": change["action"] for change in data["changes"]}

    def changes(self, *flags: str, code: int | None = 0) -> dict[str, dict[str, Any]]:
        data = json.loads(self.apply(*flags, code=code).out)
        return {f"{change['kind']}/{change['name']}": change for change in data["changes"]}

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        text = self.kubectl(
            "get", kind, name, "-n", self.namespace, "-o", "json", "--ignore-not-found", "--show-managed-fields"
        )
        return json.loads(text) if text.strip() else None

    def names(self, kind: str = "configmap") -> set[str]:
        """The names of all objects of a kind that are no part of an inventory or of Kubernetes itself."""
        items = json.loads(self.kubectl("get", kind, "-n", self.namespace, "-o", "json"))["items"]
        return {
            item["metadata"]["name"]
            for item in items
            if item["metadata"]["name"] != "kube-root-ca.crt"
            and "trimtab.dev/inventory" not in item["metadata"].get("labels", {})
        }

    def delete(self, *flags: str, code: int = 0) -> Any:
        inventory = self.inventory or self.namespace
        result = self.trimtab("delete", self.name, "--inventory-namespace", inventory, "--yes", "-o", "json", *flags)
        assert result.code == code, result.out + result.err
        return json.loads(result.out)

    def record(self) -> dict[str, Any]:
        """The head of the inventory and its objects, as `status` tells them."""
        result = self.trimtab(
            "status", self.name, "--inventory-namespace", self.inventory or self.namespace, "-o", "json"
        )
        assert result.code == 0, result.err
        return dict(json.loads(result.out))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "manifests"
    path.mkdir()
    return Folder(path)


@pytest.fixture
def app(trimtab: Callable[..., Any], control_plane: Any, namespace: str, folder: Folder) -> Deployed:
    """An App named `shop`, with its inventory in the test's own namespace."""
    return Deployed(trimtab, control_plane.kubectl, folder, "shop", namespace)


@pytest.fixture
def other_app(app: Deployed, tmp_path: Path) -> Callable[[str], Deployed]:
    """Another App beside `app`, in the same namespaces, with a folder of its own."""

    def make(name: str) -> Deployed:
        path = tmp_path / f"manifests-{name}"
        path.mkdir()
        return Deployed(app.trimtab, app.kubectl, Folder(path), name, app.namespace)

    return make


@pytest.fixture
def proxied(app: Any, control_plane: Any, tmp_path: Path) -> Iterator[ApiProxy]:
    """The App goes through a proxy."""
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        app.flags = ("--kubeconfig", str(proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)))
        yield proxy


@pytest.fixture
def things(app: Any) -> Iterator[dict[str, Any]]:
    """The definition of a kind Thing, in a group of the test's own."""
    group = f"{app.namespace}.example.com"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    yield {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
                 "versions": [version]},
    }  # fmt: skip
    app.kubectl("delete", "crd", f"things.{group}", "--ignore-not-found", "--wait=false")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "git")


@pytest.fixture
def apps(control_plane: Any, apps_are_known: None, namespace: str) -> Iterator[Apps]:
    """The App resources of the test's own namespace."""
    made = Apps(control_plane, namespace)
    yield made
    made.free()


@pytest.fixture
def start(control_plane: Any, apps: Apps, tmp_path: Path) -> Iterator[Callable[..., Controller]]:
    """Starts controllers of the test's own namespace; they end with the test, and before its Apps are freed."""
    started: list[Controller] = []

    def begin(*flags: str, **rest: Any) -> Controller:
        started.append(Controller(control_plane, apps.namespace, tmp_path, "--allow-file-urls", *flags, **rest))
        return started[-1]

    yield begin
    for controller in started:
        controller.kill()


@pytest.fixture
def make_map() -> Callable[..., dict[str, Any]]:
    return config_map


@pytest.fixture(scope="session")
def worlds(control_plane: Any) -> Iterator[Mortal]:
    """The connection of those who look at worlds; what is in a world is defined."""
    control_plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(WIDGET_CRD))
    control_plane.until_established(WIDGET_CRD["metadata"]["name"])
    with Mortal.open(kubeconfig=control_plane.kubeconfig, threads=32) as connection:
        yield connection
