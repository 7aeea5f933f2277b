"""What ready means for what runs Pods, and for Pods. Pure."""

from pipeline.health.state import (
    CURRENT,
    Health,
    Object,
    State,
    condition,
    failed,
    holds,
    number,
    status_of,
    told,
    waiting,
)  # fmt: skip
from renderers.manifest.shape import part, parts

_UNSEEN = waiting("its controller has not seen it yet")
#: What a container waits for while nothing is wrong.
_STARTING = (None, "ContainerCreating", "PodInitializing")


def deployment(obj: Object) -> Health:
    """All replicas updated and available, no old one left. Failed once it exceeded its progressDeadlineSeconds."""
    spec, status = part(obj, "spec"), status_of(obj)
    progressing = condition(obj, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return failed(told(progressing))
    if "observedGeneration" not in status:
        return _UNSEEN
    wanted = number(spec, "replicas", 1)
    updated, total = number(status, "updatedReplicas"), number(status, "replicas")
    available = number(status, "availableReplicas")
    if updated < wanted:
        paused = "; its rollout is paused" if spec.get("paused") else ""
        return waiting(_refusal(obj) or f"{updated} of {wanted} replicas updated{paused}")
    if total > updated:
        return waiting(f"{total - updated} old replicas are still there")
    if available < wanted:
        return waiting(f"{available} of {wanted} replicas available")
    return CURRENT


def stateful_set(obj: Object) -> Health:
    """All replicas ready, and those that its updateStrategy lets be updated are."""
    spec, status = part(obj, "spec"), status_of(obj)
    if "observedGeneration" not in status:
        return _UNSEEN
    strategy = part(spec, "updateStrategy")
    wanted, total = number(spec, "replicas", 1), number(status, "replicas")
    ready = number(status, "readyReplicas")
    if total > wanted:
        return waiting(f"{total - wanted} old replicas are still there")
    if ready < wanted:
        return waiting(f"{ready} of {wanted} replicas ready")
    if strategy.get("type") == "OnDelete":
        return CURRENT
    due = max(0, wanted - number(part(strategy, "rollingUpdate"), "partition"))
    updated = number(status, "updatedReplicas")
    same = status.get("currentRevision") == status.get("updateRevision")
    return waiting(f"{updated} of {due} replicas updated") if updated < due and not same else CURRENT


def daemon_set(obj: Object) -> Health:
    """A Pod on each Node that it is meant for, updated (unless its strategy is OnDelete) and available."""
    status = status_of(obj)
    if "observedGeneration" not in status:
        return _UNSEEN
    wanted = number(status, "desiredNumberScheduled")
    on_delete = part(part(obj, "spec"), "updateStrategy").get("type") == "OnDelete"
    updated = wanted if on_delete else number(status, "updatedNumberScheduled")
    available = number(status, "numberAvailable")
    if updated < wanted:
        return waiting(f"{updated} of {wanted} Pods updated")
    return waiting(f"{available} of {wanted} Pods available") if available < wanted else CURRENT


def replica_set(obj: Object) -> Health:
    """All replicas available, none too many."""
    wanted, status = number(part(obj, "spec"), "replicas", 1), status_of(obj)
    if "observedGeneration" not in status:
        return _UNSEEN
    available, total = number(status, "availableReplicas"), number(status, "replicas")
    if available < wanted:
        return waiting(_refusal(obj) or f"{available} of {wanted} replicas available")
    return waiting(f"{total - wanted} old replicas are still there") if total > wanted else CURRENT


def job(obj: Object) -> Health:
    """Complete; a suspended one is as it should be."""
    if holds(obj, "Complete"):
        return CURRENT
    if holds(obj, "Failed"):
        return failed(told(condition(obj, "Failed")))
    if part(obj, "spec").get("suspend"):
        return Health(State.CURRENT, "is suspended")
    return waiting("is not complete")


def pod(obj: Object) -> Health:
    """Ready, or succeeded. Failed where it ended otherwise, or crashes again and again."""
    phase = status_of(obj).get("phase")
    if phase == "Succeeded" or (phase == "Running" and holds(obj, "Ready")):
        return CURRENT
    trouble = pod_trouble(obj)
    if phase == "Failed" or trouble.startswith("CrashLoopBackOff"):
        return failed(trouble or told(status_of(obj)) or "failed")
    return waiting(trouble or "is not ready")


def pod_trouble(obj: Object) -> str:
    """What keeps a Pod from being ready, in its own words (`ImagePullBackOff: …`); empty where it says nothing."""
    for container in containers(obj):
        state = part(container, "state")
        idle, ended = part(state, "waiting"), part(state, "terminated")
        if idle.get("reason") not in _STARTING:
            last = part(part(container, "lastState"), "terminated")
            code = f"; it last exited with {last['exitCode']}" if "exitCode" in last else ""
            return f"{told(idle)} (container {container.get('name')}{code})"
        if ended.get("exitCode"):
            return f"{told(ended)} (container {container.get('name')} exited with {ended['exitCode']})"
    scheduled = condition(obj, "PodScheduled")
    return told(scheduled) if scheduled.get("status") == "False" else ""


def containers(obj: Object) -> list[Object]:
    """The states of a Pod's containers, in the order in which they start."""
    status = status_of(obj)
    return parts(status, "initContainerStatuses") + parts(status, "containerStatuses")


def _refusal(obj: Object) -> str:
    """Why the API server refuses its Pods (a quota, admission); empty where it does not."""
    return told(condition(obj, "ReplicaFailure"))
