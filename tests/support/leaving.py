"""What tests of pruning share: manifests, and whether an object is there."""

from typing import Any


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec},
    }  # fmt: skip


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "web", "image": "nginx:1"}]}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": pod}},
    }  # fmt: skip


def noted(manifest: dict[str, Any], **annotations: str) -> dict[str, Any]:
    marks = {f"trimtab.dev/{key}": text for key, text in annotations.items()}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": marks}}


def thing(app: Any, name: str, *finalizers: str) -> dict[str, Any]:
    metadata = {"name": name, "finalizers": list(finalizers)} if finalizers else {"name": name}
    return {"apiVersion": f"{app.namespace}.example.com/v1", "kind": "Thing", "metadata": metadata}


def exists(app: Any, kind: str, name: str, *where: str) -> bool:
    return bool(app.kubectl("get", kind, name, *where, "--ignore-not-found", "-o", "name").strip())
