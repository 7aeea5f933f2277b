"""Takes an installation out of a cluster, from outside, in the order in which no workload is lost."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.app import App, Metadata
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.control.leave.farewell import drop_inventories, release_all
from pipeline.control.leave.own import ACCOUNTS, DEPLOYMENTS, KINDS, OWN_SELECTOR, find_own, let_go
from pipeline.control.removal import drop_finalizer
from pipeline.control.resource import APPS, CRD_NAME, CRDS
from pipeline.errors import InputError, TrimtabError
from pipeline.inventory.store import NAMESPACES

_SERVICES = Resource("", "v1", "Service", "services", namespaced=True, verbs=frozenset({"list", "delete"}))
_PAUSE = 0.2
_PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Uninstall:
    """One installation, in `namespace`. `say` is told each thing that was done, `warn` what could not be."""

    connection: Connection
    namespace: str
    say: Callable[[str], None]
    warn: Callable[[str], None]

    def check(self) -> None:
        """Raise InputError where nothing is installed, or where another installation needs the same CRD."""
        found = self._labelled(DEPLOYMENTS, None)
        elsewhere = sorted({item["metadata"]["namespace"] for item in found} - {self.namespace})
        if elsewhere:
            raise InputError(
                f"Trimtab also runs in namespace {', '.join(elsewhere)}, and all its Apps would go with {CRD_NAME}",
                hint="take one installation after the other out by kubectl, the CustomResourceDefinition last",
            )
        if not found and not self._meta(CRDS, CRD_NAME) and not self._labelled(ACCOUNTS, self.namespace):
            raise InputError(f"Trimtab is not installed in namespace {self.namespace}", hint="-n chooses another one")

    def let_controller_release(self) -> None:
        """Delete the CRD, which makes the controller release all Apps. Raises TrimtabError where it does not."""
        meta = self._meta(CRDS, CRD_NAME)
        if meta is None:
            return
        apps, _ = objects.list_objects(self.connection, APPS, None)
        self._delete(CRDS, meta)
        deadline = time.monotonic() + _PATIENCE
        while self._meta(CRDS, CRD_NAME) is not None:
            if time.monotonic() > deadline:
                raise TrimtabError(
                    f"the controller has not released all Apps within {_PATIENCE:.0f} seconds",
                    hint="look at its log; trimtab uninstall --force does it from here",
                )
            time.sleep(_PAUSE)
        self.say(f"released {len(apps)} Apps with all that they own")

    def release_from_here(self, inventory_namespace: str) -> None:
        """The same without a controller. From the moment the CRD goes, one that runs all the same applies nothing."""
        self._delete_all(DEPLOYMENTS, self.namespace)
        meta = self._meta(CRDS, CRD_NAME)
        if meta is None:
            return
        resources, _ = objects.list_objects(self.connection, APPS, None)
        keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in resources]
        apps = [App(Metadata(name, namespace)) for namespace, name in keys]
        self._delete(CRDS, meta)
        count = release_all(self.connection, apps, self.warn)
        drop_inventories(self.connection, inventory_namespace, apps)
        for key in keys:
            drop_finalizer(self.connection, key)
        self.say(f"released {len(apps)} Apps with {count} objects")

    def remove(self, *, keep_namespace: bool) -> None:
        """Delete the installation's own objects; Apps are released by now."""
        accounts = [(self.namespace, item["metadata"]["name"]) for item in self._labelled(ACCOUNTS, self.namespace)]
        own = [item for account in accounts for item in find_own(self.connection, account, self.warn)]
        for kind in (DEPLOYMENTS, _SERVICES, ACCOUNTS):
            self._delete_all(kind, self.namespace)
        # Also those in the namespaces whose Apps it served.
        for kind in (kind for kind in KINDS if kind is not ACCOUNTS):
            self._delete_all(kind, None)
        # The controller lets its own go as well, if it is still there.
        for text in let_go(self.connection, own):
            self.warn(text)
        meta = self._meta(NAMESPACES, self.namespace)
        if meta is None or keep_namespace:
            return
        if "trimtab" in (meta["metadata"].get("labels") or {}).get("app.kubernetes.io/name", ""):
            self._delete(NAMESPACES, meta)
        else:
            self.say(f"Namespace {self.namespace} stays: it was not made by an installation")

    def _meta(self, kind: Resource, name: str) -> dict[str, Any] | None:
        return objects.get_metadata(self.connection, kind, "", name)

    def _labelled(self, kind: Resource, namespace: str | None) -> Sequence[dict[str, Any]]:
        return objects.list_objects(self.connection, kind, namespace, selector=OWN_SELECTOR)[0]

    def _delete_all(self, kind: Resource, namespace: str | None) -> None:
        for item in self._labelled(kind, namespace):
            self._delete(kind, item)

    def _delete(self, kind: Resource, meta: dict[str, Any]) -> None:
        metadata = meta["metadata"]
        if "deletionTimestamp" in metadata:
            return
        try:
            objects.delete(self.connection, kind, metadata.get("namespace", ""), metadata["name"], uid=metadata["uid"])
        except ApiError as error:
            if not error.not_found:
                raise
        else:
            self.say(f"deleted {kind.kind} {metadata['name']}")
