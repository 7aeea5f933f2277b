"""What an App waits for: the Apps that it depends on, and circles among them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pipeline.app.status import status_of
from pipeline.control.answers import Answer
from pipeline.control.memory import Memories
from pipeline.control.resource import AppKey
from pipeline.control.wanted import wanted_commit
from pipeline.location import short


class Apps(Protocol):
    """Where the App resources are looked up: the watch's store."""

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The resource; None where there is none."""
        ...

    def keys(self) -> list[AppKey]:
        """All Apps."""
        ...


class Dependencies:
    """Who waits for whom. For any number of threads."""

    def __init__(self, apps: Apps, memories: Memories, answer: Callable[[AppKey], Answer | None]) -> None:
        self._apps = apps
        self._memories = memories
        self._answer = answer
        self._lock = threading.Lock()
        self._needed: dict[AppKey, tuple[AppKey, ...]] = {}
        self._dependents: dict[AppKey, set[AppKey]] = {}

    def learn(self, key: AppKey) -> None:
        """Look at what the App says now that it depends on."""
        resource = self._apps.get(*key) or {}
        items = (resource.get("spec") or {}).get("dependsOn") or ()
        needed = tuple((item.get("namespace") or key[0], item["name"]) for item in items)
        with self._lock:
            for other in self._needed.pop(key, ()):
                self._dependents[other].discard(key)
            if needed:
                self._needed[key] = needed
            for other in needed:
                self._dependents.setdefault(other, set()).add(key)

    def dependents(self, key: AppKey) -> tuple[AppKey, ...]:
        """Who depends on this App directly."""
        with self._lock:
            return tuple(self._dependents.get(key, ()))

    def blocked(self, key: AppKey) -> tuple[str, str] | None:
        """Reason and message where the App has to wait; None where the way is free."""
        with self._lock:
            needed = dict(self._needed)
        cycle = cycle_through(key, needed)
        if cycle:
            names = " → ".join("/".join(each) for each in (*cycle, key))
            return "DependencyCycle", f"these Apps wait for each other: {names}; take one dependsOn out"
        waiting = [text for other in needed.get(key, ()) if (text := self._not_ready(other))]
        return ("DependencyNotReady", "; ".join(waiting)) if waiting else None

    def _not_ready(self, key: AppKey) -> str:
        """Why the App is not ready for those that depend on it; empty where it is.

        Ready means: as its resource is now, and at the commit where its source is now. So Apps of one repository
        move in step.
        """
        name = "/".join(key)
        resource = self._apps.get(*key)
        if resource is None:
            return f"App {name} does not exist, or is not watched by this controller"
        if (resource.get("spec") or {}).get("suspend"):
            ready = status_of(resource).condition("Ready")
            return "" if ready is not None and ready.status == "True" else f"App {name} is suspended and not ready"
        memory = self._memories.get(key)
        commit, _ = wanted_commit(self._answer(key), resource["metadata"].get("annotations") or {})
        if memory is not None and commit and memory.ready == (resource["metadata"]["generation"], commit):
            return ""
        return f"App {name} is not ready" + (f" at {short(commit)}" if commit else "")


def cycle_through(start: AppKey, needed: Mapping[AppKey, Sequence[AppKey]]) -> tuple[AppKey, ...]:
    """The shortest circle of dependencies from this App back to it, without its end; empty where there is none."""
    came_from: dict[AppKey, AppKey] = {}
    ring = [start]
    while ring:
        following: list[AppKey] = []
        for key in ring:
            for other in needed.get(key, ()):
                if other == start:
                    return _path(came_from, key, start)
                if other not in came_from:
                    came_from[other] = key
                    following.append(other)
        ring = following
    return ()


def _path(came_from: Mapping[AppKey, AppKey], end: AppKey, start: AppKey) -> tuple[AppKey, ...]:
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(reversed(path))
