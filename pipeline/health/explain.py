"""Why a workload is not ready, told from below: what its Pods say. Asked only where something failed."""

from collections.abc import Mapping
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError
from pipeline.health.rules import State, assess, pod_trouble

_PODS = Resource(group="", version="v1", kind="Pod", plural="pods", namespaced=True, verbs=frozenset({"list"}))
_WORKLOADS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"), ("batch", "Job")}
)


def explain(connection: Connection, obj: Mapping[str, Any]) -> str:
    """One sentence about the Pods of a workload that are not ready; empty for other kinds, or where none is to say.

    One request. A failure of it is not reported: what is explained has failed already, and that is.
    """
    selector = _selector((obj.get("spec") or {}).get("selector") or {})
    if (obj["apiVersion"].rpartition("/")[0], obj["kind"]) not in _WORKLOADS or not selector:
        return ""
    try:
        pods, _ = objects.list_objects(connection, _PODS, obj["metadata"]["namespace"], selector=selector)
    except (ApiError, ClusterUnreachableError):
        return ""
    unready = [pod for pod in pods if assess(pod).state is not State.CURRENT]
    if not unready:
        return ""
    told = next(((pod, trouble) for pod in unready if (trouble := pod_trouble(pod))), None)
    pod, trouble = told or (unready[0], "is not ready")
    more = f" ({len(unready)} of {len(pods)} Pods are not ready)" if len(pods) > 1 else ""
    return f"Pod {pod['metadata']['name']}: {trouble}{more}"


def _selector(selector: Mapping[str, Any]) -> str:
    """A LabelSelector as the API's query writes it; empty for one that selects nothing in particular."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for term in selector.get("matchExpressions") or ():
        key, values = term["key"], ",".join(term.get("values") or ())
        word = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        terms.append(word.get(term["operator"], f"!{key}"))
    return ",".join(terms)
