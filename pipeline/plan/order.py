"""The order of an apply: stages by kind, waves and depths by annotation. Pure.

Who waits for what between them is `apply/run.py`.
"""

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from pipeline.plan.options import DEPENDS_ON_ANNOTATION, Options
from renderers.manifest import ObjectId
from renderers.manifest.shape import part, parts


class Stage(enum.IntEnum):
    """The order of an apply inside one wave; a prune goes the other way.

    The first two are waited for before the next begins, the last one waits for its servers.
    """

    CRDS = 0
    NAMESPACES = 1
    CLASSES = 2
    CONFIGURATION = 3
    WORKLOADS = 4
    CUSTOM = 5
    LAST = 6


_STAGES: Mapping[tuple[str, str], Stage] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Stage.CRDS,
    ("", "Namespace"): Stage.NAMESPACES,
    ("scheduling.k8s.io", "PriorityClass"): Stage.CLASSES,
    ("storage.k8s.io", "StorageClass"): Stage.CLASSES,
    ("storage.k8s.io", "VolumeAttributesClass"): Stage.CLASSES,
    ("storage.k8s.io", "CSIDriver"): Stage.CLASSES,
    ("snapshot.storage.k8s.io", "VolumeSnapshotClass"): Stage.CLASSES,
    ("networking.k8s.io", "IngressClass"): Stage.CLASSES,
    ("networking.k8s.io", "ServiceCIDR"): Stage.CLASSES,
    ("gateway.networking.k8s.io", "GatewayClass"): Stage.CLASSES,
    ("node.k8s.io", "RuntimeClass"): Stage.CLASSES,
    ("resource.k8s.io", "DeviceClass"): Stage.CLASSES,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): Stage.CLASSES,
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): Stage.CLASSES,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): Stage.CLASSES,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): Stage.CLASSES,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): Stage.CLASSES,
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): Stage.CLASSES,
    ("", "ResourceQuota"): Stage.CLASSES,
    ("", "LimitRange"): Stage.CLASSES,
    ("", "ServiceAccount"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "ClusterRole"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "Role"): Stage.CONFIGURATION,
    ("rbac.authorization.k8s.io", "RoleBinding"): Stage.CONFIGURATION,
    ("", "ConfigMap"): Stage.CONFIGURATION,
    ("", "Secret"): Stage.CONFIGURATION,
    # Before the Pods that it is for, not after they were reachable for a while.
    ("networking.k8s.io", "NetworkPolicy"): Stage.CONFIGURATION,
    ("", "PersistentVolume"): Stage.CONFIGURATION,
    ("", "PersistentVolumeClaim"): Stage.CONFIGURATION,
    ("apiregistration.k8s.io", "APIService"): Stage.LAST,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): Stage.LAST,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): Stage.LAST,
}

#: So many objects of a circle are named.
_SHOWN = 5
_CORRECT = f"correct the annotation {DEPENDS_ON_ANNOTATION}"
#: A Service's name is a DNS label (RFC 1035), and so is a namespace's (RFC 1123).
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Place(NamedTuple):
    """Where one object stands in the order of an apply."""

    wave: int
    depth: int
    stage: Stage


def stage_of(object_id: ObjectId) -> Stage:
    """The stage of a kind; a kind of a group that is not Kubernetes' own is a custom resource."""
    other = Stage.WORKLOADS if builtin(object_id.group) else Stage.CUSTOM
    return _STAGES.get((object_id.group, object_id.kind), other)


def builtin(group: str) -> bool:
    """Whether a group is Kubernetes' own: it has no dot, or ends in k8s.io; those are reserved (API conventions)."""
    return "." not in group or group.endswith(".k8s.io")


def depths(
    options: Mapping[ObjectId, Options], absent: Mapping[ObjectId, int]
) -> tuple[dict[ObjectId, int], dict[ObjectId, str]]:
    """How many objects of its own wave each one waits for in a row, and, where its depends-on cannot hold, why.

    `absent` are objects of the set that cannot be sent now, with their waves: who depends on one waits. As for
    cli-utils, what is not in the set cannot be depended on.
    """
    nowhere = {(each.kind, each.group, each.name): wave for each, wave in absent.items()}
    edges: dict[ObjectId, list[ObjectId]] = {each: [] for each, asked in options.items() if asked.depends_on}
    problems: dict[ObjectId, str] = {}
    for object_id, asked in options.items():
        for named in asked.depends_on:
            there = options.get(named)
            # Nobody knows the namespace that an object of an unknown kind would be in.
            wave = there.wave if there is not None else nowhere.get((named.kind, named.group, named.name))
            if wave is None:
                problems[object_id] = f"it depends on {named}, which is not in the set\n  → {_CORRECT}"
            elif wave > asked.wave:
                problems[object_id] = (
                    f"it is in wave {asked.wave} and depends on {named} of wave {wave}, which comes later"
                    f"\n  → give it wave {wave}, or {_CORRECT}"
                )
            elif there is not None and wave == asked.wave:
                edges[object_id].append(named)
    found, left = _levels(edges)
    for circle in _circles({each: edges[each] for each in left}):
        shown = [*map(str, circle[:_SHOWN]), *(["…"] if len(circle) > _SHOWN else []), str(circle[0])]
        text = " → ".join(shown)
        problems |= dict.fromkeys(circle, f"it depends on itself: {text}\n  → {_CORRECT}")
    return dict.fromkeys(options, 0) | found, problems


def _levels(edges: Mapping[ObjectId, Sequence[ObjectId]]) -> tuple[dict[ObjectId, int], set[ObjectId]]:
    """The level of each node, and what is in a circle or behind one: that comes last."""
    sorter = TopologicalSorter(edges)
    with suppress(CycleError):  # It gives all the nodes that no circle holds up (graphlib).
        sorter.prepare()
    levels: dict[ObjectId, int] = {}
    level = 0
    while sorter.is_active():
        nodes = sorter.get_ready()
        levels |= dict.fromkeys(nodes, level)
        sorter.done(*nodes)
        level += 1
    left = edges.keys() - levels.keys()
    return levels | dict.fromkeys(left, level), left


def _circles(edges: Mapping[ObjectId, Sequence[ObjectId]]) -> Iterable[list[ObjectId]]:
    """The circles that a walk from each node leads into, where each node has a way to one."""
    seen: set[ObjectId] = set()
    for start in sorted(edges):
        way: dict[ObjectId, None] = {}
        node = start
        while node not in seen:
            seen.add(node)
            way[node] = None
            node = next(named for named in edges[node] if named in edges)
        if node in way:
            nodes = list(way)
            yield nodes[nodes.index(node) :]


def servers(data: Mapping[str, Any]) -> frozenset[ObjectId]:
    """The Services that must answer before a manifest of the last stage may be applied.

    A webhook without a server refuses every request that it asks for, an APIService without one makes a group
    unknown, and namespaces then cannot be deleted. A webhook that is passed over when it fails (`failurePolicy:
    Ignore`), or that is called by URL, needs none.
    """
    if data["kind"] == "APIService":
        return _service(part(data, "spec"))
    found = frozenset[ObjectId]()
    for webhook in parts(data, "webhooks"):
        if webhook.get("failurePolicy") != "Ignore":
            found |= _service(part(webhook, "clientConfig"))
    return found


def _service(of: Mapping[str, Any]) -> frozenset[ObjectId]:
    namespace, name = (str(part(of, "service").get(key)) for key in ("namespace", "name"))
    if not (_LABEL.fullmatch(namespace) and _LABEL.fullmatch(name)):
        return frozenset()
    return frozenset({ObjectId(kind="Service", group="", namespace=namespace, name=name)})
