"""What is known of each object that is waited for, and how long each is waited for. No requests."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from pipeline.health.state import Health, Object, State, failed, waiting
from renderers.manifest import ObjectId

_SETTLED = (State.CURRENT, State.FAILED)
#: How often it is looked at deadlines, and whether somebody ended the waiting, in seconds.
_GLANCE = 0.1


class Board:
    """The health of each object. All methods may be called from any thread.

    `patience` are the seconds that each may take, from now on. `on_change` is told of each change, one at a time.
    """

    def __init__(
        self, patience: Mapping[ObjectId, float], on_change: Callable[[ObjectId, Health], None] | None
    ) -> None:
        start = time.monotonic()
        self.health = dict.fromkeys(patience, waiting("has not been seen yet"))
        self.seen: dict[ObjectId, Object | None] = {}
        self._patience = patience
        self._deadlines = {object_id: start + seconds for object_id, seconds in patience.items()}
        self._pending = set(patience)
        self._on_change = on_change
        self._done = threading.Condition()

    def tell(self, object_id: ObjectId, health: Health, seen: Object | None = None) -> None:
        """Take note of the health of an object, and of what it looked like; None where that is not known."""
        with self._done:
            self.seen[object_id] = seen
            if health.state in _SETTLED:
                self._pending.discard(object_id)
            elif time.monotonic() < self._deadlines[object_id]:
                self._pending.add(object_id)
            if self.health[object_id] != health:
                self.health[object_id] = health
                if self._on_change is not None:
                    self._on_change(object_id, health)
            if not self._pending:
                self._done.notify_all()

    def settled(self, ids: Iterable[ObjectId]) -> bool:
        """Whether none of these is waited for any more: each is current, has failed, or has had its time."""
        with self._done:
            return self._pending.isdisjoint(ids)

    def wait(self, stop: threading.Event, until: Callable[[], bool]) -> bool:
        """Until all is settled: True; False where `stop` or `until` ended it before."""
        while not stop.is_set() and not until():
            with self._done:
                now = time.monotonic()
                self._pending = {object_id for object_id in self._pending if now < self._deadlines[object_id]}
                if not self._pending:
                    return True
                self._done.wait(_GLANCE)
        return False

    def give_up(self) -> None:
        """What is not there yet has failed: it has had its time."""
        for object_id, health in self.health.items():
            if health.state not in _SETTLED:
                after = f"given up after {self._patience[object_id]:g} s"
                self.health[object_id] = failed(f"{health.message} ({after})")
