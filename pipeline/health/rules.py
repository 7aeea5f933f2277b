"""What ready means, for each kind: from one object, as the API server gives it, to a state. Pure.

The rules are those of kstatus (sigs.k8s.io/cli-utils), but for three. A Job is current once it is complete, not once it
has started. A Service of type LoadBalancer waits for its address. A PersistentVolumeClaim that is not bound is
current: its class may wait for a first consumer, and a Pod that needs it is not ready without it.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from renderers.manifest import ObjectId

Object = Mapping[str, Any]


class State(enum.Enum):
    """How far an object is towards what its manifest asks for. FAILED: it will not get there by waiting."""

    CURRENT = "current"
    IN_PROGRESS = "in progress"
    FAILED = "failed"
    TERMINATING = "terminating"


@dataclass(frozen=True, slots=True)
class Health:
    """A state, and why, in words for people; empty where there is nothing to say."""

    state: State
    message: str = ""


_CURRENT = Health(State.CURRENT)


def assess(obj: Object) -> Health:
    """The health of an object by what it says of itself. Shapes that its kind does not have count as absent."""
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp"):
        held = ", ".join(metadata.get("finalizers") or ())
        return Health(State.TERMINATING, f"is being deleted, held by {held}" if held else "is being deleted")
    generation, observed = metadata.get("generation"), _status(obj).get("observedGeneration")
    if isinstance(observed, int) and isinstance(generation, int) and observed < generation:
        return _waiting("its controller has not seen the change yet")
    group = obj["apiVersion"].rpartition("/")[0]
    rule = _RULES.get((group, obj["kind"]), _by_conditions)
    return rule(obj)


def settled(obj: Object) -> bool:
    """Whether an object needs no waiting, judged by the API server's answer to its apply."""
    return assess(obj).state is State.CURRENT


def may_be_unready(object_id: ObjectId) -> bool:
    """Whether an object of this kind can exist and not be ready: it has a rule, or is a custom resource."""
    rule = _RULES.get((object_id.group, object_id.kind))
    if rule is not None:
        return rule is not _exists
    # Kubernetes' own groups have no dot, or end in k8s.io.
    return "." in object_id.group and not object_id.group.endswith(".k8s.io")


def _deployment(obj: Object) -> Health:
    spec, status = _part(obj, "spec"), _status(obj)
    progressing = _condition(obj, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Health(State.FAILED, _text(progressing))
    wanted = _number(spec, "replicas", 1)
    updated, total = _number(status, "updatedReplicas"), _number(status, "replicas")
    available = _number(status, "availableReplicas")
    if "observedGeneration" not in status:
        return _waiting("its controller has not seen it yet")
    if updated < wanted:
        failure = _text(_condition(obj, "ReplicaFailure"))
        paused = "; its rollout is paused" if spec.get("paused") else ""
        return _waiting(failure or f"{updated} of {wanted} replicas updated{paused}")
    if total > updated:
        return _waiting(f"{total - updated} old replicas are still there")
    if available < wanted:
        return _waiting(f"{available} of {wanted} replicas available")
    return _CURRENT


def _stateful_set(obj: Object) -> Health:
    spec, status = _part(obj, "spec"), _status(obj)
    strategy = _part(spec, "updateStrategy")
    wanted, total = _number(spec, "replicas", 1), _number(status, "replicas")
    ready = _number(status, "readyReplicas")
    if "observedGeneration" not in status:
        return _waiting("its controller has not seen it yet")
    if total > wanted:
        return _waiting(f"{total - wanted} old replicas are still there")
    if ready < wanted:
        return _waiting(f"{ready} of {wanted} replicas ready")
    if strategy.get("type") == "OnDelete":
        return _CURRENT
    due = max(0, wanted - _number(_part(strategy, "rollingUpdate"), "partition"))
    updated = _number(status, "updatedReplicas")
    same = status.get("currentRevision") == status.get("updateRevision")
    if updated < due and not same:
        return _waiting(f"{updated} of {due} replicas updated")
    return _CURRENT


def _daemon_set(obj: Object) -> Health:
    status = _status(obj)
    if "observedGeneration" not in status:
        return _waiting("its controller has not seen it yet")
    wanted = _number(status, "desiredNumberScheduled")
    on_delete = _part(_part(obj, "spec"), "updateStrategy").get("type") == "OnDelete"
    updated = wanted if on_delete else _number(status, "updatedNumberScheduled")
    available = _number(status, "numberAvailable")
    if updated < wanted:
        return _waiting(f"{updated} of {wanted} Pods updated")
    if available < wanted:
        return _waiting(f"{available} of {wanted} Pods available")
    return _CURRENT


def _replica_set(obj: Object) -> Health:
    wanted, status = _number(_part(obj, "spec"), "replicas", 1), _status(obj)
    if "observedGeneration" not in status:
        return _waiting("its controller has not seen it yet")
    available, total = _number(status, "availableReplicas"), _number(status, "replicas")
    if available < wanted:
        return _waiting(_text(_condition(obj, "ReplicaFailure")) or f"{available} of {wanted} replicas available")
    return _waiting(f"{total - wanted} old replicas are still there") if total > wanted else _CURRENT


def _pod(obj: Object) -> Health:
    phase = _status(obj).get("phase")
    if phase == "Succeeded" or (phase == "Running" and _is(obj, "Ready")):
        return _CURRENT
    trouble = pod_trouble(obj)
    if phase == "Failed" or trouble.startswith("CrashLoopBackOff"):
        return Health(State.FAILED, trouble or _text(_status(obj)) or "failed")
    return _waiting(trouble or "is not ready")


def pod_trouble(pod: Object) -> str:
    """What keeps a Pod from being ready, in its own words (`ImagePullBackOff: …`); empty where it says nothing."""
    status = _status(pod)
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        state = _part(container, "state")
        waiting, ended = _part(state, "waiting"), _part(state, "terminated")
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            last = _part(_part(container, "lastState"), "terminated")
            code = f"; it last exited with {last['exitCode']}" if "exitCode" in last else ""
            return f"{_text(waiting)} (container {container.get('name')}{code})"
        if ended.get("exitCode"):
            return f"{_text(ended)} (container {container.get('name')} exited with {ended['exitCode']})"
    scheduled = _condition(pod, "PodScheduled")
    return _text(scheduled) if scheduled.get("status") == "False" else ""


def _job(obj: Object) -> Health:
    if _is(obj, "Complete"):
        return _CURRENT
    if _is(obj, "Failed"):
        return Health(State.FAILED, _text(_condition(obj, "Failed")))
    if _part(obj, "spec").get("suspend"):
        return Health(State.CURRENT, "is suspended")
    return _waiting("is not complete")


def _claim(obj: Object) -> Health:
    phase = _status(obj).get("phase")
    if phase == "Lost":
        return Health(State.FAILED, "lost its volume")
    return _CURRENT if phase == "Bound" else Health(State.CURRENT, "is not bound yet: waits for a consumer or a volume")


def _service(obj: Object) -> Health:
    spec = _part(obj, "spec")
    if spec.get("type") != "LoadBalancer" or spec.get("externalIPs"):
        return _CURRENT
    return _CURRENT if _part(_status(obj), "loadBalancer").get("ingress") else _waiting("has no address yet")


def _crd(obj: Object) -> Health:
    names = _condition(obj, "NamesAccepted")
    if names.get("status") == "False":
        return Health(State.FAILED, _text(names))
    return _CURRENT if _is(obj, "Established") else _waiting("is not established yet")


def _namespace(obj: Object) -> Health:
    return _CURRENT if _status(obj).get("phase") == "Active" else _waiting("is not active")


def _api_service(obj: Object) -> Health:
    return _CURRENT if _is(obj, "Available") else _waiting(_text(_condition(obj, "Available")) or "is not available")


def _exists(_: Object) -> Health:
    return _CURRENT


def _by_conditions(obj: Object) -> Health:
    """Any other kind: the conditions that kstatus asks controllers for, and Ready."""
    stalled, ready = _condition(obj, "Stalled"), _condition(obj, "Ready")
    if stalled.get("status") == "True":
        return Health(State.FAILED, _text(stalled))
    if _is(obj, "Reconciling"):
        return _waiting(_text(_condition(obj, "Reconciling")) or "is reconciling")
    generation, observed = obj["metadata"].get("generation"), ready.get("observedGeneration")
    old = isinstance(observed, int) and isinstance(generation, int) and observed < generation
    if ready and (old or ready.get("status") != "True"):
        return _waiting(_text(ready) or "is not ready")
    return _CURRENT


_RULES: Mapping[tuple[str, str], Callable[[Object], Health]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("", "Namespace"): _namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    # Their conditions speak of the cluster around them (metrics, targets), not of whether they are in place.
    ("autoscaling", "HorizontalPodAutoscaler"): _exists,
    ("policy", "PodDisruptionBudget"): _exists,
}


def _waiting(message: str) -> Health:
    return Health(State.IN_PROGRESS, message)


def _part(obj: Object, key: str) -> Object:
    value = obj.get(key)
    return value if isinstance(value, Mapping) else {}


def _status(obj: Object) -> Object:
    return _part(obj, "status")


def _number(part: Object, key: str, default: int = 0) -> int:
    value = part.get(key)
    return value if isinstance(value, int) else default


def _condition(obj: Object, kind: str) -> Object:
    conditions = _status(obj).get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, Mapping) and condition.get("type") == kind:
            return condition
    return {}


def _is(obj: Object, kind: str) -> bool:
    return bool(_condition(obj, kind).get("status") == "True")


def _text(part: Object) -> str:
    """Reason and message of a condition or a status."""
    return ": ".join(str(part[key]) for key in ("reason", "message") if part.get(key))
