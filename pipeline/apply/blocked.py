"""What cannot be applied, or become ready, before something has left that leaves last: who waits for whom.

Prune comes last, so two objects that cannot live beside each other (one nodePort, one volume) wait for one another.
Asked only where something is in trouble and a prune waits. Finds and tells; a person decides.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError
from pipeline.inventory.names import PRUNE_ANNOTATION
from pipeline.plan.decide import Leave
from pipeline.plan.vetoes import Verdict
from pipeline.plan.vetoes.protected import is_container
from renderers.manifest import ObjectId
from renderers.manifest.shape import part, parts

#: How many leaving objects are named for one that waits.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """An object of the set that could not be sent, or is not ready: its manifest, and what was said about it."""

    id: ObjectId
    data: Mapping[str, Any]
    message: str


@dataclass(frozen=True, slots=True)
class Blocked:
    """`troubled` waits for `leaving`, and that for everything to be ready. `sentence` says why, and what to do."""

    troubled: ObjectId
    leaving: ObjectId
    sentence: str


def blockers(
    connection: Connection, troubled: Iterable[Trouble], leaves: Sequence[Leave], *, selector: str
) -> list[Blocked]:
    """Whom the objects in trouble wait for, at most three for each.

    `leaves` are the prunes that wait. No request where no message is of the kind; else one LIST for each kind and
    namespace of those leaves, by the App's `selector`. A failure of it is not reported: what is explained has failed
    already, and that is.
    """
    candidates = [leave for leave in leaves if _can_go_first(leave)]
    read = _Reader(connection, selector)
    found = []
    for trouble in troubled:
        causes = ((leave, _cause(trouble, leave, read)) for leave in candidates)
        blocked = [_blocked(trouble.id, leave, cause) for leave, cause in causes if cause]
        found += blocked[:_NAMED]
    return found


def _can_go_first(leave: Leave) -> bool:
    """A claim needs another word on it to be deleted, and a container goes when it is empty."""
    object_id = leave.entry.id
    held = object_id.kind == "PersistentVolumeClaim" or is_container(object_id)
    return leave.verdict is Verdict.PRUNE and not leave.first and not held


def _blocked(troubled: ObjectId, leave: Leave, cause: str) -> Blocked:
    leaving = leave.entry.id
    kind = f"{leaving.kind}.{leaving.group}" if leaving.group else leaving.kind
    place = f" -n {leaving.namespace}" if leaving.namespace else ""
    command = f"kubectl annotate {kind.lower()} {leaving.name}{place} --overwrite {PRUNE_ANNOTATION}=first"
    return Blocked(
        troubled, leaving, f"it waits for {leaving}, which left git and is pruned last: {cause}\n  → {command}"
    )


class _Reader:
    """The leaving objects as they live, read at first need."""

    def __init__(self, connection: Connection, selector: str) -> None:
        self._connection = connection
        self._selector = selector
        self._lists: dict[tuple[str, str, str], Mapping[str, Mapping[str, Any]]] = {}

    def __call__(self, leave: Leave) -> Mapping[str, Any]:
        """The whole object; empty where it cannot be read."""
        object_id = leave.entry.id
        key = (object_id.group, object_id.kind, object_id.namespace)
        if key not in self._lists:
            self._lists[key] = {item["metadata"]["name"]: item for item in self._list(leave)}
        return self._lists[key].get(object_id.name, {})

    def _list(self, leave: Leave) -> Sequence[Mapping[str, Any]]:
        if leave.resource is None:
            return ()
        namespace = leave.entry.id.namespace or None
        try:
            return objects.list_objects(self._connection, leave.resource, namespace, selector=self._selector)[0]
        except (ApiError, ClusterUnreachableError):
            return ()


_Read = Callable[[Leave], Mapping[str, Any]]


def _cause(trouble: Trouble, leave: Leave, read: _Read) -> str:
    """Why the first cannot be while the second lives, as a clause; empty where nothing says so."""
    return next((cause for rule in _RULES if (cause := rule(trouble, leave, read))), "")


_PORT = re.compile(r"Invalid value: (\d+): provided port is already allocated")
_ADDRESS = re.compile(r"failed to allocate IP ([0-9a-fA-F.:]+): provided IP is already allocated")


def _service(trouble: Trouble, leave: Leave, read: _Read) -> str:
    """A nodePort and a clusterIP belong to one Service in the cluster."""
    ports, addresses = _PORT.findall(trouble.message), _ADDRESS.findall(trouble.message)
    if (leave.entry.id.group, leave.entry.id.kind) != ("", "Service") or not (ports or addresses):
        return ""
    spec = part(read(leave), "spec")
    taken = {str(port.get("nodePort")) for port in parts(spec, "ports")} | {str(spec.get("healthCheckNodePort"))}
    port = next((port for port in ports if port in taken), "")
    address = next((address for address in addresses if address in (spec.get("clusterIPs") or ())), "")
    return f"it has the nodePort {port}" if port else f"it has the clusterIP {address}" if address else ""


_QUOTA = re.compile(r"exceeded quota: ([^,\s]+), requested: (.*?), used: ")


def _quota(trouble: Trouble, leave: Leave, _: _Read) -> str:
    """A quota counts the objects of a namespace, and what their Pods ask for."""
    found = _QUOTA.search(trouble.message)
    if found is None or leave.resource is None or leave.entry.id.namespace != trouble.id.namespace:
        return ""
    full = [item.partition("=")[0] for item in found[2].split(",")]
    return f"it counts in the quota {found[1]}" if any(_counts(name, leave) for name in full) else ""


#: What workloads use by what they make.
_OF_PODS = frozenset({"pods", "replicasets.apps", "jobs.batch", "cpu", "memory"})


def _counts(quota: str, leave: Leave) -> bool:
    """Whether the object uses that resource of a quota (Kubernetes, Resource Quotas)."""
    name = quota.removeprefix("count/")
    object_id, resource = leave.entry.id, leave.resource
    plural = resource.plural if resource is not None else ""
    if name == (f"{plural}.{object_id.group}" if object_id.group else plural):
        return True
    if name.startswith("services."):
        return not object_id.group and plural == "services"
    pods = name in _OF_PODS or name.startswith(("requests.", "limits."))
    return pods and (object_id.group in ("apps", "batch") or object_id.kind in ("Pod", "ReplicationController"))


#: What the attach controller, the kubelet and the scheduler (ReadWriteOncePod) say.
_VOLUME = re.compile(r"Multi-Attach error|exclusively attached|already used by pod|ReadWriteOncePod")


def _volume(trouble: Trouble, leave: Leave, read: _Read) -> str:
    """A volume that one Node, or one Pod, has to itself."""
    if leave.entry.id.namespace != trouble.id.namespace or not _VOLUME.search(trouble.message):
        return ""
    here, there = trouble.data, read(leave)
    shared = {name for name in _claims(here) if _has_claim(there, name)}
    shared |= {name for name in _claims(there) if _has_claim(here, name)}
    return f"it uses the PersistentVolumeClaim {min(shared)}" if shared else ""


def _host_port(trouble: Trouble, leave: Leave, read: _Read) -> str:
    """A port of a Node."""
    if "have free ports for the requested pod ports" not in trouble.message:
        return ""
    shared = _host_ports(trouble.data) & _host_ports(read(leave))
    return f"it has the port {min(shared)} of its Nodes" if shared else ""


_DENIED = re.compile(r"denied (?:the )?request")


def _denied(trouble: Trouble, leave: Leave, _: _Read) -> str:
    """An admission webhook or policy that names it: the host of an Ingress, a name that is taken."""
    object_id = leave.entry.id
    if not _DENIED.search(trouble.message):
        return ""
    quoted = re.search(rf"""["'`]{re.escape(object_id.name)}["'`]""", trouble.message)
    named = quoted and re.search(rf"\b{object_id.kind}\b", trouble.message, re.IGNORECASE)
    if object_id.namespace and not named:
        place = re.escape(f"{object_id.namespace}/{object_id.name}")
        named = re.search(rf"(?<![\w.-]){place}(?![\w-]|\.\w)", trouble.message)
    return "the refusal names it" if named else ""


_RULES = (_service, _quota, _volume, _host_port, _denied)


def _pod(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec of the Pods of one of Kubernetes' own workloads, or of the Pod itself; else nothing."""
    if obj.get("apiVersion") not in ("v1", "apps/v1", "batch/v1"):
        return {}
    spec = part(obj, "spec")
    if obj["kind"] == "Pod":
        return spec
    spec = part(part(spec, "jobTemplate"), "spec") or spec
    return part(part(spec, "template"), "spec")


def _claims(obj: Mapping[str, Any]) -> set[str]:
    """The claims that its Pods name."""
    volumes = (part(volume, "persistentVolumeClaim") for volume in parts(_pod(obj), "volumes"))
    return {str(claim["claimName"]) for claim in volumes if "claimName" in claim}


def _has_claim(obj: Mapping[str, Any], claim: str) -> bool:
    """Whether its Pods name the claim, or have it as a StatefulSet's own: template, set, number (Kubernetes)."""
    templates = parts(part(obj, "spec"), "volumeClaimTemplates") if _pod(obj) else ()
    prefix, _, number = claim.rpartition("-")
    own = {f"{part(template, 'metadata').get('name')}-{obj['metadata']['name']}" for template in templates}
    return claim in _claims(obj) or (number.isdigit() and prefix in own)


def _host_ports(obj: Mapping[str, Any]) -> set[str]:
    """The ports of a Node that its Pods take; on the Node's network, all of theirs."""
    pod = _pod(obj)
    containers = (*parts(pod, "containers"), *parts(pod, "initContainers"))
    ports = [port for container in containers for port in parts(container, "ports")]
    taken = [port.get("hostPort") or (pod.get("hostNetwork") and port.get("containerPort")) for port in ports]
    return {str(port) for port in taken if port}
