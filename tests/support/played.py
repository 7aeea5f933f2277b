"""The controller's part, played by tests: App resources, their statuses, and a thread that answers requests."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from harness import ControlPlane
from waiting import until

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.control.resource import APPS, SYNC_ANNOTATION, get_app

COMMIT = {letter: letter * 40 for letter in "abcdef"}
NOW = "2030-01-02T03:04:05Z"


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW,
        "observedGeneration": 1,
    }  # fmt: skip


def past(commit: str, reason: str = "Succeeded", *, at: str = NOW, **counts: int) -> dict[str, Any]:
    message = ", ".join(f"{number} {action}" for action, number in counts.items()) or "nothing to do"
    return {
        "at": at, "reason": reason, "message": message, "commit": COMMIT[commit], "healthy": reason == "Succeeded",
        "counts": counts,
    }  # fmt: skip


def said(ready: str = "True", reason: str = "Succeeded", message: str = "all is well", **more: Any) -> dict[str, Any]:
    """A status; `commit` is one letter."""
    commit = COMMIT[more.pop("commit", "a")]
    return {
        "observedGeneration": 99, "conditions": [condition("Ready", ready, reason, message)],
        "commit": commit, "shortCommit": commit[:12], "ref": "branch main", "objects": 2, **more,
    }  # fmt: skip


def held(digest: str, *objects: str, count: int = 0) -> dict[str, Any]:
    return {"digest": digest, "count": count or len(objects), "objects": list(objects)}


@dataclass
class Apps:
    """The App resources of one namespace, and the controller that these tests play."""

    connection: Connection
    namespace: str
    plane: ControlPlane

    def make(self, name: str = "shop", *, finalizers: tuple[str, ...] = (), **spec: Any) -> dict[str, Any]:
        git = {"url": "https://example.com/shop.git", "branch": "main", "path": "deploy"}
        return objects.create(
            self.connection, APPS, self.namespace,
            {
                "apiVersion": APPS.api_version, "kind": "App",
                "metadata": {"name": name, "namespace": self.namespace, "finalizers": list(finalizers)},
                "spec": {"source": {"git": git}, **spec},
            },
            manager="test",
        )  # fmt: skip

    def get(self, name: str = "shop") -> dict[str, Any]:
        found = get_app(self.connection, self.namespace, name)
        assert found is not None
        return found

    def annotations(self, name: str = "shop") -> dict[str, str]:
        return self.get(name)["metadata"].get("annotations") or {}

    def say(self, status: Mapping[str, Any], name: str = "shop") -> dict[str, Any]:
        """Write the status, as the controller does."""
        patch = {"status": dict(status)}
        return objects.merge_patch(
            self.connection, APPS, self.namespace, name, patch, manager="test", subresource="status"
        )

    def free(self, name: str = "shop") -> None:
        """Take the finalizer off."""
        patch = {"metadata": {"finalizers": None}}
        objects.merge_patch(self.connection, APPS, self.namespace, name, patch, manager="test")

    @contextmanager
    def controller(self, act: Callable[[str], Any], *, name: str = "shop") -> Iterator[None]:
        """In a thread: wait for the next request for a sync, then `act` with it."""
        before = self.annotations(name).get(SYNC_ANNOTATION, "")

        def asked() -> str:
            return self.annotations(name).get(SYNC_ANNOTATION, before).removeprefix(before)

        with self.meanwhile(asked, lambda: act(self.annotations(name)[SYNC_ANNOTATION])):
            yield

    def answering(self, status: Mapping[str, Any], *, name: str = "shop") -> Any:
        """A controller that answers the next request with this status."""
        return self.controller(lambda request: self.say({**status, "lastHandledSync": request}, name), name=name)

    @contextmanager
    def meanwhile(self, when: Callable[[], object], act: Callable[[], Any]) -> Iterator[None]:
        """In a thread: `act` as soon as `when` holds. A failure there fails the test."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                until(when)
                act()
            except BaseException as failure:  # noqa: BLE001 - told below, in the test's own thread
                failures.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        assert not failures, failures


def lease(holder: str = "trimtab-0_abcd", *, renewed: str = "", seconds: int = 15) -> dict[str, Any]:
    """A controller's Lease, renewed now unless said otherwise."""
    renewed = renewed or datetime.now(UTC).isoformat().replace("+00:00", "Z")
    spec = {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": seconds}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "trimtab"}, "spec": spec}
