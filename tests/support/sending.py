"""One App in memory: decides and sends as a sync does, on the real API server, without git, inventory and waiting."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.app import Prune
from pipeline.apply.send import Policy, Sent, send
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource
from pipeline.inventory.live import read_live
from pipeline.inventory.names import APP_LABEL
from pipeline.inventory.record import Entry, Record
from pipeline.plan.decide import Plan, Rules, decide
from pipeline.plan.prepare import Marks, prepare
from pipeline.plan.resolve import resolve
from renderers.manifest import Manifest, ObjectId
from renderers.manifest.manifest import Origin

OWNER = "0123456789abcdef0123"


@dataclass
class OneApp:
    """`entries` is the inventory. `policy` is what the App says; `requests` are those of the last `sync`, by verb."""

    connection: Connection
    discovery: Discovery
    namespace: str
    kubectl: Callable[..., str]
    manager: str = "trimtab-shop-01234567"
    policy: dict[str, Any] = field(default_factory=dict)
    entries: dict[ObjectId, Entry] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)

    def plan(self, *manifests: Mapping[str, Any]) -> Plan:
        """What a sync of exactly these objects would do."""
        made = [Manifest.of(data, Origin("", "web.yaml")) for data in manifests]
        resolved = resolve(made, self.discovery, self.namespace)
        label = f"{self.namespace}.shop"
        desired = prepare(resolved, Marks(label, OWNER), secret_digest=lambda body: str(hash(body)))
        record = Record(app="shop", owner=OWNER, cluster="", entries=self.entries)
        live = read_live(
            self.connection, {item.resource: {item.id.namespace} for item in desired},
            selector=f"{APP_LABEL}={label}", manager=self.manager,
            expected={each: entry.fingerprint for each, entry in self.entries.items()},
        )  # fmt: skip
        return decide(desired, record, live, self.discovery, Rules(prune=Prune()), failed=resolved.failed)

    def sync(self, *manifests: Mapping[str, Any], stop: threading.Event | None = None) -> list[Sent]:
        """Send what differs, and remember what was applied."""
        return self.send(self.plan(*manifests), stop)

    def send(self, plan: Plan, stop: threading.Event | None = None) -> list[Sent]:
        """Carry out a plan."""
        policy = Policy(self.manager, **self.policy)
        before = self.connection.requests.copy()
        sent = [send(self.connection, item, policy, stop) for item in plan.sends]
        self.requests = dict(self.connection.requests - before)
        self.entries |= {item.change.id: item.entry for item in sent if item.entry is not None}
        return sent

    def one(self, manifest: Mapping[str, Any]) -> Sent:
        """The same for one object that must be sent."""
        (sent,) = self.sync(manifest)
        return sent

    def resource(self, manifest: Mapping[str, Any]) -> Resource:
        """The resource of an object."""
        group, _, version = manifest["apiVersion"].rpartition("/")
        found = self.discovery.find(manifest["kind"], group, version)
        assert found is not None
        return found

    def live(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """The object as it is."""
        namespace = manifest["metadata"].get("namespace") or self.namespace
        found = objects.get(self.connection, self.resource(manifest), namespace, manifest["metadata"]["name"])
        assert found is not None
        return found

    def managers(self, manifest: Mapping[str, Any]) -> set[str]:
        """Who owns fields of the object itself."""
        fields = self.live(manifest)["metadata"]["managedFields"]
        return {entry["manager"] for entry in fields if not entry.get("subresource")}

    def ctl(self, *arguments: str, body: Mapping[str, Any] | None = None) -> str:
        """kubectl in the App's namespace."""
        return self.kubectl(*arguments, "-n", self.namespace, input=json.dumps(body) if body is not None else None)

    def patch(
        self, manifest: Mapping[str, Any], *operations: Mapping[str, Any], manager: str = "kubectl-patch"
    ) -> None:
        """A JSON patch by somebody's hand."""
        objects.json_patch(
            self.connection, self.resource(manifest), self.namespace, manifest["metadata"]["name"],
            operations, manager=manager,
        )  # fmt: skip
