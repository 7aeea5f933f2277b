"""Applies an installation object by object. Not the road of an App: nothing here is pruned, and nobody is refused."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.cluster import objects
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.cluster.session import Session
from pipeline.control.resource import CRD_NAME, CRDS
from pipeline.errors import TrimtabError
from renderers.manifest import ObjectId

#: Who writes the objects. No name that begins with `trimtab-`: those are Apps, and what an App holds no other may take
#: over, so that Trimtab could not be moved into a repository that it follows.
MANAGER: Final = "install.trimtab.dev"
_ESTABLISHED_SECONDS = 30.0
_LOOK_SECONDS = 0.05


class InstallError(TrimtabError):
    """One object of the installation could not be applied; the others are tried all the same."""

    reason = "InstallFailed"


@dataclass(frozen=True, slots=True)
class Applied:
    """One object, and what became of it."""

    id: ObjectId
    outcome: Literal["created", "configured", "unchanged"]


def apply_objects(session: Session, manifests: Iterable[Mapping[str, Any]]) -> Iterator[Applied | InstallError]:
    """Apply one after the other, and tell how each went. The App's definition is waited for.

    With force: an installation that came from `kubectl apply` or Helm is taken over.

    Raises ClusterUnreachableError.
    """
    for manifest in manifests:
        group, _, version = manifest["apiVersion"].rpartition("/")
        meta = manifest["metadata"]
        object_id = ObjectId(manifest["kind"], group, meta.get("namespace", ""), meta["name"])
        resource = session.discovery.find(object_id.kind, group, version)
        if resource is None:
            yield InstallError(f"{object_id} was not applied: the cluster does not know this kind")
            continue
        try:
            yield _apply(session, resource, object_id, manifest)
        except ApiError as error:
            yield InstallError(f"{object_id} was not applied: {error.message}", hint=error.hint)
        except InstallError as error:
            yield error


def _apply(session: Session, resource: Resource, object_id: ObjectId, manifest: Mapping[str, Any]) -> Applied:
    before = objects.get_metadata(session.connection, resource, object_id.namespace, object_id.name)
    status, live = objects.apply(
        session.connection, resource, object_id.namespace, object_id.name, json.dumps(manifest).encode(),
        manager=MANAGER, force=True,
    )  # fmt: skip
    if object_id.name == CRD_NAME:
        _await_established(session)
    if status == 201:
        return Applied(object_id, "created")
    same = before is not None and before["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
    return Applied(object_id, "unchanged" if same else "configured")


def _await_established(session: Session) -> None:
    """Return when Apps can be made. Raises InstallError after half a minute: a name is then taken, or etcd is slow."""
    end = time.monotonic() + _ESTABLISHED_SECONDS
    while time.monotonic() < end:
        live = objects.get(session.connection, CRDS, "", CRD_NAME) or {}
        conditions = (live.get("status") or {}).get("conditions") or ()
        if any((item["type"], item["status"]) == ("Established", "True") for item in conditions):
            return
        time.sleep(_LOOK_SECONDS)
    raise InstallError(
        f"the definition {CRD_NAME} was applied, and is not served",
        hint=f"kubectl describe crd {CRD_NAME} says why",
    )
