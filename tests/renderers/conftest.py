"""A checkout made of texts, requests for its units, and a look at what is on the disk."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from renderers.api import RenderRequest

NGINX_CHART = {
    "Chart.yaml": "apiVersion: v2\nname: nginx\nversion: 0.1.0\n",
    "values.yaml": "replicas: 3\nimage: nginx:1.13.12\n",
    "templates/deployment.yaml": """
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: {{ .Release.Name }}
          namespace: {{ .Release.Namespace }}
        spec:
          replicas: {{ .Values.replicas }}
          selector: {matchLabels: {app: nginx}}
          template:
            metadata: {labels: {app: nginx}}
            spec:
              containers: [{name: nginx, image: {{ .Values.image | quote }}}]
        """,
    "templates/service.yaml": """
        apiVersion: v1
        kind: Service
        metadata: {name: {{ .Release.Name }}}
        spec: {type: NodePort, selector: {app: nginx}, ports: [{port: 80}]}
        """,
}

NGINX_KUSTOMIZATION = {
    "base/kustomization.yaml": "resources: [deployment.yaml, service.yaml]\n",
    "base/deployment.yaml": """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: nginx}
        spec:
          replicas: 3
          selector: {matchLabels: {app: nginx}}
          template:
            metadata: {labels: {app: nginx}}
            spec: {containers: [{name: nginx, image: "nginx:1.13.12"}]}
        """,
    "base/service.yaml": """
        apiVersion: v1
        kind: Service
        metadata: {name: nginx}
        spec: {type: NodePort, selector: {app: nginx}, ports: [{port: 80}]}
        """,
    "overlay/kustomization.yaml": """
        resources: [../base]
        images: [{name: nginx, newTag: 1.14.2}]
        replicas: [{name: nginx, count: 5}]
        """,
}


@dataclass(frozen=True)
class Repository:
    """A folder that stands for a checkout."""

    root: Path

    def write(self, files: Mapping[str, str], folder: str = ".") -> "Repository":
        """Write dedented texts, by path."""
        for name, text in files.items():
            file = self.root / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return self

    def request(self, folder: str = ".", **changes: Any) -> RenderRequest:
        """A request for the unit in that folder."""
        request = RenderRequest(self.root, (self.root / folder).resolve(), name="demo", namespace="shop")
        return replace(request, **changes)

    def seen(self) -> dict[str, tuple[int, bytes]]:
        """All that is below the root: times and contents."""
        return {
            str(path.relative_to(self.root)): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in [self.root, *self.root.rglob("*")]
        }


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty checkout."""
    root = tmp_path.resolve() / "repository"
    root.mkdir()
    return Repository(root)


@pytest.fixture
def nginx_chart(repository: Repository) -> Repository:
    """The classic nginx as a chart, in `chart`."""
    return repository.write(NGINX_CHART, "chart")


@pytest.fixture
def nginx_kustomization(repository: Repository) -> Repository:
    """The classic nginx as `base` and `overlay`."""
    return repository.write(NGINX_KUSTOMIZATION)


@pytest.fixture
def without_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leave on PATH what the system has but for the named tools."""

    def leave_out(*names: str) -> None:
        folder = tmp_path / "path"
        folder.mkdir()
        for name in sorted({"prlimit", "unshare", "helm", "kustomize"} - set(names)):
            found = shutil.which(name)
            assert found, f"{name} is needed by the tests"
            (folder / name).symlink_to(found)
        monkeypatch.setenv("PATH", str(folder))

    return leave_out


@pytest.fixture(params=["helm", "helm4"])
def each_helm(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs twice: `helm` on PATH is Helm 3, and Helm 4. The value is the tests' name for it."""
    name: str = request.param
    found = shutil.which(name)
    assert found, f"{name} is needed by the tests"
    folder = tmp_path / "helm-bin"
    folder.mkdir()
    (folder / "helm").symlink_to(found)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return name
