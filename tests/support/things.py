"""The objects of the worlds: as git has them in each version, as they live, and as somebody else changes them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.cluster.discovery import Resource
from pipeline.inventory.names import APP_LABEL
from pipeline.inventory.store import CONFIG_MAPS, SECRETS

_VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete"})
SERVICES = Resource("", "v1", "Service", "services", namespaced=True, verbs=_VERBS)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True, verbs=_VERBS)
WIDGETS = Resource("model.example.com", "v1", "Widget", "widgets", namespaced=True, verbs=_VERBS)
KINDS = {kind.kind: kind for kind in (CONFIG_MAPS, SECRETS, SERVICES, DEPLOYMENTS, WIDGETS)}
#: Controllers write into these.
_ALIVE = {"Service", "Deployment"}

WIDGET_CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.model.example.com"},
    "spec": {
        "group": "model.example.com", "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
        "versions": [{
            "name": "v1", "served": True, "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {
                "type": "object", "additionalProperties": {"type": "string"},
            }}}},
        }],
    },
}  # fmt: skip


class Key(NamedTuple):
    """An object of the world, by Kind/name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    __repr__ = __str__


def manifest(key: Key, version: int) -> dict[str, Any]:
    """The object as git has it in that version. Odd versions have a field that even ones have not."""
    data = {"v": str(version), **({"odd": "1"} if version % 2 else {})}
    head = {"metadata": {"name": key.name}}
    match key.kind:
        case "ConfigMap":
            return {"apiVersion": "v1", "kind": "ConfigMap", **head, "data": data}
        case "Secret":
            return {"apiVersion": "v1", "kind": "Secret", **head, "stringData": data}
        case "Widget":
            return {"apiVersion": "model.example.com/v1", "kind": "Widget", **head, "spec": data}
        case "Service":
            spec: dict[str, Any] = {"selector": data, "ports": [{"name": "p", "port": 80, "targetPort": 80 + version}]}
            return {"apiVersion": "v1", "kind": "Service", **head, "spec": spec}
    env = [{"name": name, "value": value} for name, value in data.items()]
    spec = {
        "replicas": 0, "selector": {"matchLabels": {"d": key.name}},
        "template": {
            "metadata": {"labels": {"d": key.name}}, "spec": {"containers": [{"name": "c", "image": "i", "env": env}]},
        },
    }  # fmt: skip
    return {"apiVersion": "apps/v1", "kind": "Deployment", **head, "spec": spec}


def values(live: Mapping[str, Any]) -> dict[str, str]:
    """What `manifest` writes into an object of any kind, as it lives."""
    match live["kind"]:
        case "ConfigMap":
            return dict(live.get("data") or {})
        case "Secret":
            return {name: base64.b64decode(text).decode() for name, text in (live.get("data") or {}).items()}
        case "Widget":
            return dict(live.get("spec") or {})
        case "Service":
            assert len(live["spec"]["ports"]) == 1, live["spec"]["ports"]
            return {**(live["spec"].get("selector") or {}), "port": live["spec"]["ports"][0]["targetPort"]}
    (container,) = live["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item["value"] for item in container.get("env") or ()}


def expected(key: Key, version: int) -> dict[str, Any]:
    """What `values` says of an object that is as git has it in that version."""
    port = {"port": 80 + version} if key.kind == "Service" else {}
    return {"v": str(version), **({"odd": "1"} if version % 2 else {}), **port}


#: How somebody else changes a field that `manifest` declares.
HIS_VALUES: Mapping[str, dict[str, Any]] = {
    "ConfigMap": {"data": {"v": "his"}},
    "Secret": {"data": {"v": base64.b64encode(b"his").decode()}},
    "Widget": {"spec": {"v": "his"}},
    "Service": {"spec": {"selector": {"v": "his"}}},
    "Deployment": {"spec": {"replicas": 1}},
}


@dataclass(frozen=True)
class Seen:
    """All objects of the world's kinds at one moment, whole, by UID."""

    objects: dict[str, dict[str, Any]]

    def key(self, uid: str) -> Key:
        return Key(self.objects[uid]["kind"], self.objects[uid]["metadata"]["name"])

    def get(self, key: Key) -> dict[str, Any] | None:
        return next((live for uid, live in self.objects.items() if self.key(uid) == key), None)

    def labelled(self, label: str) -> set[str]:
        """The UIDs of what carries the label of an App."""
        return {uid for uid, live in self.objects.items() if live["metadata"].get("labels", {}).get(APP_LABEL) == label}

    def versions(self) -> dict[str, str]:
        """What shows whether anything was written, but by controllers."""
        return {
            uid: live["metadata"]["resourceVersion"]
            for uid, live in self.objects.items() if live["kind"] not in _ALIVE
        }  # fmt: skip
