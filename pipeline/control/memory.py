"""What the controller remembers of each App between two turns, and what one turn goes by."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipeline.app.status import Status, status_of
from pipeline.control.resource import SYNC_ANNOTATION, AppKey
from pipeline.control.status import Moment
from pipeline.fetching import Pins
from renderers.api import Rendered


@dataclass(frozen=True, slots=True)
class Render:
    """A render, with what it was made of and the ids of what it fetched, by what was asked for."""

    made_of: tuple[object, ...]
    used: Mapping[tuple[str, ...], str]
    rendered: Rendered


@dataclass(slots=True)
class Memory:
    """One App. Only its own turn writes here. All of it may be lost: a restart finds it again.

    `status` is what was last written, which the watch may not have shown yet; `uid` whose status that is. `failures`
    counts turns in a row that failed in a way that may pass. `ready` is generation and commit of the last turn that
    ended well, `rendered` the last render, `pins` where what it fetched was last. `asked` is the request for a sync
    that was seen last, and the monotonic time at which it was. `planned` is generation and commit of the last turn
    in which the inventory came to say what this App wants; `behind_since` the monotonic time since when its prune
    waits for other Apps. `stop` ends the turn that runs now, which is of `generation` and, once it is known, of
    `commit`, and of `others`, the commits of the further sources.
    """

    uid: str
    status: Status
    failures: int = 0
    ready: tuple[int, str] | None = None
    rendered: Render | None = None
    pins: Pins = field(default_factory=Pins)
    asked: tuple[str, float] = ("", 0.0)
    planned: tuple[int, str] | None = None
    behind_since: float | None = None
    stop: threading.Event | None = None
    generation: int = 0
    commit: str = ""
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def waits_for_answer(self) -> bool:
        """Whether a person asked for a sync that was not answered yet."""
        return self.asked[0] not in ("", self.status.last_handled_sync)

    def heard(self, request: str) -> bool:
        """Note a request for a sync; tells whether it is a new one."""
        if not request or request == self.asked[0]:
            return False
        self.asked = (request, time.monotonic())
        return True


class Memories:
    """The memories of all Apps, by their keys."""

    def __init__(self) -> None:
        self._known: dict[AppKey, Memory] = {}

    def get(self, key: AppKey) -> Memory | None:
        """What is remembered; None for an App that had no turn yet."""
        return self._known.get(key)

    def of(self, key: AppKey, resource: dict[str, Any]) -> Memory:
        """What is remembered of this very resource: one that was made anew under the same name begins anew."""
        memory = self._known.get(key)
        if memory is None or memory.uid != resource["metadata"]["uid"]:
            memory = self._known[key] = Memory(resource["metadata"]["uid"], status_of(resource))
        return memory

    def forget(self, key: AppKey) -> None:
        """The App is gone."""
        self._known.pop(key, None)

    def stop_all(self) -> None:
        """End every turn that runs."""
        for memory in tuple(self._known.values()):
            if memory.stop is not None:
                memory.stop.set()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn goes by: the resource as it was read, what is remembered, and what ends it."""

    key: AppKey
    resource: dict[str, Any]
    memory: Memory
    stop: threading.Event
    moment: Moment = field(init=False)

    def __post_init__(self) -> None:
        request = self.annotations.get(SYNC_ANNOTATION, "")
        pending = request if request != self.memory.status.last_handled_sync else ""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        object.__setattr__(self, "moment", Moment(now, self.resource["metadata"]["generation"], pending))

    @property
    def annotations(self) -> dict[str, str]:
        """The App's annotations."""
        return self.resource["metadata"].get("annotations") or {}

    @property
    def name(self) -> str:
        """`namespace/name`, for logs."""
        return "/".join(self.key)
