"""Why an object is not ready, told from below: its Pods, Events, the end of a log. Asked only where something failed.

Everything is bounded: how many objects are explained, how many requests each takes and how long they may take, and how
much is said. A request that fails is not reported: what is explained has failed already, and that is.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError
from pipeline.health.rules import assess
from pipeline.health.state import Health, Object, State, told
from pipeline.health.workloads import containers, pod_trouble
from renderers.manifest import ObjectId
from renderers.manifest.shape import part

_PODS, _EVENTS = (
    Resource(group="", version="v1", kind=kind, plural=plural, namespaced=True, verbs=frozenset({"list"}))
    for kind, plural in (("Pod", "pods"), ("Event", "events"))
)
_WORKLOADS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"), ("batch", "Job")}
)
#: How many objects are explained, and in how many seconds; the rest is told without.
_OBJECTS, _SECONDS = 5, 10.0
#: How long one request may take, in seconds.
_REQUEST_SECONDS = 3.0
#: How many objects one request reads, and how many Events and lines of a log are told.
_PAGE, _TOLD_EVENTS, _LOG_LINES = 100, 2, 10
#: How many bytes of a log are read, and how many characters of one line are told.
_LOG_BYTES, _LINE = 8192, 300
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")

Masked = Callable[[str], str]


def explain_all(
    connection: Connection, health: Mapping[ObjectId, Health], seen: Mapping[ObjectId, Object | None], *, masked: Masked
) -> dict[ObjectId, Health]:
    """The same, with the story of the first few that are not current. `seen` is what they looked like last."""
    result = dict(health)
    below = _Below(connection.once(timeout=_REQUEST_SECONDS), masked)
    unready = [object_id for object_id, each in sorted(health.items()) if each.state is not State.CURRENT]
    # What has Pods has more to tell.
    unready.sort(key=lambda object_id: (object_id.group, object_id.kind) not in _WORKLOADS)
    end = time.monotonic() + _SECONDS
    for object_id in unready[:_OBJECTS]:
        obj = seen.get(object_id)
        if obj is not None and time.monotonic() < end and (story := below.story(obj)):
            result[object_id] = replace(health[object_id], message=f"{health[object_id].message}{story}")
    return result


class _Below:
    """Reads and tells what lies below an object."""

    def __init__(self, connection: Connection, masked: Masked) -> None:
        self._connection = connection
        self._masked = masked

    def story(self, obj: Object) -> str:
        """What follows the message of an object: a half-sentence about its Pods, and lines below it."""
        group, kind = obj["apiVersion"].rpartition("/")[0], obj["kind"]
        if (group, kind) == ("", "Pod"):
            return _lines(self._events(obj) + self._log(obj))
        pods, sentence = self._pods(obj) if (group, kind) in _WORKLOADS else ([], "")
        lines = self._events(obj)
        if pods:
            lines += self._events(pods[0])
            lines += self._log(next((pod for pod in pods if _crashed(pod)), pods[0]))
        return (f"; {_clean(self._masked(sentence))}" if sentence else "") + _lines(lines)

    def _pods(self, obj: Object) -> tuple[list[Object], str]:
        """The Pods of a workload that are not ready, newest first and those that say why before the others.

        And what the first of them says.
        """
        selector = _selector(part(part(obj, "spec"), "selector"))
        if not selector:
            return [], ""
        pods = self._list(_PODS, obj["metadata"]["namespace"], [("labelSelector", selector)])
        pods = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        unready = [pod for pod in pods if assess(pod).state is not State.CURRENT]
        unready.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)
        unready.sort(key=lambda pod: not pod_trouble(pod))
        if not unready:
            return [], ""
        more = f" ({len(unready)} of {len(pods)} Pods are not ready)" if 1 < len(pods) < _PAGE else ""
        return unready, f"Pod {unready[0]['metadata']['name']}: {pod_trouble(unready[0]) or 'is not ready'}{more}"

    def _events(self, obj: Object) -> list[str]:
        """The last warnings about an object. Those about one without a namespace are in `default`."""
        metadata = obj["metadata"]
        wanted = f"type=Warning,involvedObject.uid={metadata.get('uid', '')}"
        found = self._list(_EVENTS, metadata.get("namespace") or "default", [("fieldSelector", wanted)])
        found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
        texts = dict.fromkeys(f"{obj['kind']} {metadata['name']}: {told(event)}" for event in found)
        return [f"event: {self._masked(text)}" for text in list(texts)[-_TOLD_EVENTS:]]

    def _log(self, pod: Object) -> list[str]:
        """The last lines of the container of a Pod that ended badly; none where none did."""
        crashed = _crashed(pod)
        if crashed is None:
            return []
        name, previous = crashed
        metadata = pod["metadata"]
        query = [
            ("container", name),
            ("previous", "true" if previous else "false"),
            ("tailLines", str(_LOG_LINES)),
            ("limitBytes", str(_LOG_BYTES)),
        ]
        path = f"{_PODS.path(metadata['namespace'], metadata['name'])}/log"
        try:
            answer = self._connection.request("GET", path, query=query, accept="*/*", timeout=_REQUEST_SECONDS)
        except ClusterUnreachableError:
            return []
        if answer.status >= 300:
            return []
        text = self._masked(answer.body.decode(errors="replace"))
        lines = text.splitlines()
        if len(answer.body) >= _LOG_BYTES:  # its last line is cut off, and what is secret in it could not be masked
            del lines[-1:]
        return [f"log: {line}" for line in lines[-_LOG_LINES:] if line.strip()]

    def _list(self, resource: Resource, namespace: str, query: Sequence[tuple[str, str]]) -> list[Object]:
        """The first page of a list; nothing where it cannot be read."""
        query = [*query, ("limit", str(_PAGE))]
        try:
            page = self._connection.call("GET", resource.path(namespace), query=query, verb="LIST")
        except (ApiError, ClusterUnreachableError):
            return []
        named = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**named, **item} for item in page.get("items") or ()]


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"\n  {_clean(line)}" for line in lines)


def _crashed(pod: Object) -> tuple[str, bool] | None:
    """The first container of a Pod that ended badly, and whether that was the one before the present one."""
    for container in containers(pod):
        for previous, state in ((False, "state"), (True, "lastState")):
            if part(part(container, state), "terminated").get("exitCode"):
                return str(container.get("name")), previous
    return None


def _clean(text: str) -> str:
    """One line of at most so many characters, without anything that a terminal would obey."""
    line = "".join(c if c.isprintable() else " " for c in _ESCAPE.sub("", text))
    return line if len(line) <= _LINE else f"{line[: _LINE - 1]}…"


def _selector(selector: Object) -> str:
    """A LabelSelector as the API's query writes it; empty for one that selects nothing in particular."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for term in selector.get("matchExpressions") or ():
        key, values = term["key"], ",".join(term.get("values") or ())
        word = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        terms.append(word.get(term["operator"], f"!{key}"))
    return ",".join(terms)
