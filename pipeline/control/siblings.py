"""Apps that follow the same source: an object may move between them, so none prunes before all have been planned."""

import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from pipeline.control.answers import Answer
from pipeline.control.depends import Apps
from pipeline.control.memory import Memories, Memory
from pipeline.control.resource import AppKey
from pipeline.control.wanted import wanted_commit
from pipeline.inventory.names import label_of
from pipeline.plan.model import Behind

#: What of a source says where it is; an App's own folder in it does not.
_WHERE = ("url", "branch", "tag", "semver", "commit", "repo", "name", "oci", "version")


class Siblings:
    """Who follows what, and who has been planned where it is now. For any number of threads.

    `wake` asks for a turn of an App.
    """

    def __init__(
        self, apps: Apps, memories: Memories, answer: Callable[[AppKey], Answer | None], wake: Callable[[AppKey], None]
    ) -> None:
        self._apps = apps
        self._memories = memories
        self._answer = answer
        self._wake = wake
        self._lock = threading.Lock()
        #: Whose prune waits for others.
        self._waiting: set[AppKey] = set()

    def behind(self, key: AppKey, memory: Memory, patience: float) -> Behind:
        """Which Apps of the same source have not been planned where it is now.

        One that is suspended or goes wants nothing new. `patience` are the seconds after which a person has to decide.
        """
        where = _where(self._apps.get(*key))
        with self._lock:
            self._waiting.add(key)  # before it is looked: who is planned meanwhile wakes this one
        late = [other for other in self._apps.keys() if other != key and self._late(other, where)]  # noqa: SIM118
        if not late:
            memory.behind_since = None
            with self._lock:
                self._waiting.discard(key)
            return Behind()
        now = time.monotonic()
        memory.behind_since = memory.behind_since or now
        return Behind(tuple("/".join(other) for other in sorted(late)), overdue=now - memory.behind_since > patience)

    def planned(self, memory: Memory, commit: str, claimed: Collection[str]) -> None:
        """An App has said what it wants at a commit: those who wait for that look again, and those it claims from."""
        now = (memory.generation, commit)
        news, memory.planned = memory.planned != now, now
        with self._lock:
            waiting = tuple(self._waiting) if news else ()
        for key in waiting:
            if self._memories.get(key) is not memory:
                self._wake(key)
        self.concern(claimed)

    def concern(self, labels: Collection[str]) -> None:
        """The Apps with these labels look again."""
        for key in self._apps.keys() if labels else ():
            if label_of(*key) in labels:
                self._wake(key)

    def _late(self, key: AppKey, where: object) -> bool:
        resource = self._apps.get(*key)
        if resource is None or _where(resource) != where:
            return False
        if (resource.get("spec") or {}).get("suspend") or "deletionTimestamp" in resource["metadata"]:
            return False
        memory, metadata = self._memories.get(key), resource["metadata"]
        commit, _ = wanted_commit(self._answer(key), metadata.get("annotations") or {})
        if memory is None or memory.uid != metadata["uid"] or not commit:
            return True
        return memory.planned != (metadata["generation"], commit)


def _where(resource: dict[str, Any] | None) -> object:
    """What the App follows, as its resource says it, which need not be right."""
    source = ((resource or {}).get("spec") or {}).get("source") or {}
    place = source.get("git") or source.get("chart") or {}
    return [place.get(name) for name in _WHERE] if isinstance(place, dict) else None
