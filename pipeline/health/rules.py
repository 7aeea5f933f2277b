"""What ready means, for each kind: from one object, as the API server gives it, to a state. Pure.

The rules are those of kstatus (sigs.k8s.io/cli-utils), but where it would call ready what is not, or failed what may
still come: a Job is current once it is complete, not once it has started; a Service of type LoadBalancer waits for its
address, an APIService for its server; a Pod that ended badly has failed, and one that finds no Node is waited for; a
claim on a volume that its class makes late, or nobody makes by himself, is current.
"""

from collections.abc import Callable, Mapping, Sequence

from pipeline.app import HealthCheck
from pipeline.health import workloads
from pipeline.health.checks import check_of, judge
from pipeline.health.state import (
    CURRENT,
    Health,
    Object,
    State,
    condition,
    failed,
    holds,
    status_of,
    told,
    waiting,
)  # fmt: skip
from pipeline.plan.order import builtin
from renderers.manifest import ObjectId
from renderers.manifest.shape import part

__all__ = ["Health", "State", "assess", "may_be_unready", "settled"]


def assess(obj: Object, checks: Sequence[HealthCheck] = ()) -> Health:
    """The health of an object by what it says of itself. Shapes that its kind does not have count as absent.

    `checks` are the App's own rules, which win over those here.
    """
    metadata = obj["metadata"]
    if metadata.get("deletionTimestamp"):
        held = ", ".join(metadata.get("finalizers") or ())
        return Health(State.TERMINATING, f"is being deleted, held by {held}" if held else "is being deleted")
    if _older(status_of(obj), obj):
        return waiting("its controller has not seen the change yet")
    group, kind = obj["apiVersion"].rpartition("/")[0], obj["kind"]
    own = check_of(checks, group, kind)
    return judge(own, obj) if own is not None else _RULES.get((group, kind), _by_conditions)(obj)


def settled(obj: Object, checks: Sequence[HealthCheck] = ()) -> bool:
    """Whether an object needs no waiting, judged by the API server's answer to its apply."""
    return assess(obj, checks).state is State.CURRENT


def may_be_unready(object_id: ObjectId, checks: Sequence[HealthCheck] = ()) -> bool:
    """Whether an object of this kind can exist and not be ready: it has a rule, or is a custom resource."""
    if check_of(checks, object_id.group, object_id.kind) is not None:
        return True
    rule = _RULES.get((object_id.group, object_id.kind))
    if rule is not None:
        return rule is not _exists
    return not builtin(object_id.group)


def _claim(obj: Object) -> Health:
    """A PersistentVolumeClaim. Whether its class waits for a first consumer, who waits finds out (`storage`)."""
    phase = status_of(obj).get("phase")
    if phase == "Lost":
        return failed("lost its volume")
    if phase == "Bound":
        return CURRENT
    if not part(obj, "spec").get("storageClassName"):
        return Health(State.CURRENT, "is not bound yet: it has no class, and takes a volume that somebody makes")
    return waiting("is not bound yet")


def _service(obj: Object) -> Health:
    spec = part(obj, "spec")
    if spec.get("type") != "LoadBalancer" or spec.get("externalIPs"):
        return CURRENT
    return CURRENT if part(status_of(obj), "loadBalancer").get("ingress") else waiting("has no address yet")


def _definition(obj: Object) -> Health:
    """A CustomResourceDefinition. One that is being installed says so in Established."""
    names, established = condition(obj, "NamesAccepted"), condition(obj, "Established")
    if names.get("status") == "False":
        return failed(told(names))
    if established.get("status") == "False" and established.get("reason") != "Installing":
        return failed(told(established))
    return CURRENT if holds(obj, "Established") else waiting("is not established yet")


def _namespace(obj: Object) -> Health:
    return CURRENT if status_of(obj).get("phase") == "Active" else waiting("is not active")


def _api_service(obj: Object) -> Health:
    return CURRENT if holds(obj, "Available") else waiting(told(condition(obj, "Available")) or "is not available")


def _exists(_: Object) -> Health:
    return CURRENT


def _by_conditions(obj: Object) -> Health:
    """Any other kind: the conditions that kstatus asks controllers for, and Ready."""
    stalled, ready = condition(obj, "Stalled"), condition(obj, "Ready")
    if stalled.get("status") == "True":
        return failed(told(stalled) or "is stalled")
    if holds(obj, "Reconciling"):
        return waiting(told(condition(obj, "Reconciling")) or "is reconciling")
    if ready and (_older(ready, obj) or ready.get("status") != "True"):
        return waiting(told(ready) or "is not ready")
    return CURRENT


def _older(said: Object, obj: Object) -> bool:
    """Whether a status, or a condition, speaks of a generation that was changed since."""
    observed, generation = said.get("observedGeneration"), obj["metadata"].get("generation")
    return isinstance(observed, int) and isinstance(generation, int) and observed < generation


_RULES: Mapping[tuple[str, str], Callable[[Object], Health]] = {
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("batch", "Job"): workloads.job,
    ("", "Pod"): workloads.pod,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Service"): _service,
    ("", "Namespace"): _namespace,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    # What it says speaks of the Jobs that it makes.
    ("batch", "CronJob"): _exists,
    # Not every ingress controller writes an address.
    ("networking.k8s.io", "Ingress"): _exists,
    # Their conditions speak of the cluster around them (metrics, targets), not of whether they are in place.
    ("autoscaling", "HorizontalPodAutoscaler"): _exists,
    ("policy", "PodDisruptionBudget"): _exists,
}
