"""What of one sync is ready, as far as it was looked: waits between the parts of an apply, and at its end."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from pipeline.app import HealthCheck
from pipeline.apply.masking import masker
from pipeline.apply.send import Sent
from pipeline.cluster.connection import Connection
from pipeline.health.rules import Health, State, settled
from pipeline.health.wait import wait
from pipeline.plan.prepare import Desired
from renderers.manifest import ObjectId

#: How often it is looked whether something happened, or `stop` was set, in seconds.
_GLANCE = 0.1
_SETTLED = (State.CURRENT, State.FAILED)


@dataclass(slots=True)
class Ready:
    """Waits for objects of one sync; none is waited for twice.

    `timeout` are seconds, for each waiting. `unsure` are objects that are not touched now, and were not ready when
    somebody last looked. `patient`: the App waits for all of them. `waiting` is entered around each waiting, told how
    many objects it is for; `on_change` is told of each change of health, from any thread.
    """

    connection: Connection
    selector: str
    timeout: float
    stop: threading.Event
    desired: Mapping[ObjectId, Desired]
    unsure: frozenset[ObjectId]
    checks: Sequence[HealthCheck]
    patient: bool
    waiting: Callable[[int], AbstractContextManager[None]]
    on_change: Callable[[ObjectId, Health], None]
    _known: dict[ObjectId, Health] = field(default_factory=dict)

    def unready(self, sent: Iterable[Sent], among: Collection[ObjectId] | None = None) -> dict[ObjectId, Health]:
        """Wait until what was sent, or is unsure, is ready; only `among` these where they are given.

        Returns what is not.
        """
        due = self._due(sent, among)
        if due and not self.stop.is_set():
            with self.waiting(len(due)):
                self._wait(due, lambda: False)
        return self.known_unready(among)

    def until(self, happened: Callable[[], bool], sent: Iterable[Sent]) -> bool:
        """Wait until something else happened, and meanwhile for health, if the App is patient: both have the same time.

        `happened` is asked ten times a second. Returns what it says at the end.
        """
        deadline = time.monotonic() + self.timeout
        due = self._due(sent, None) if self.patient else ()
        with self.waiting(len(due)):
            if due:
                self._wait(due, happened)
            while not happened() and time.monotonic() < deadline:
                if self.stop.wait(_GLANCE):
                    break
        return happened()

    def known_unready(self, among: Collection[ObjectId] | None = None) -> dict[ObjectId, Health]:
        """What was looked at and was not ready."""
        return {
            object_id: health
            for object_id, health in sorted(self._known.items())
            if health.state is not State.CURRENT and (among is None or object_id in among)
        }

    def _due(self, sent: Iterable[Sent], among: Collection[ObjectId] | None) -> set[ObjectId]:
        """What has to be looked at yet: whose answer did not say that it is ready."""
        asked = [each for each in sent if each.answer is not None]
        open_ = {each.change.id for each in asked if not settled(each.answer or {}, self.checks)}
        due = (open_ | self.unsure) - {each for each, health in self._known.items() if health.state in _SETTLED}
        return due if among is None else due.intersection(among)

    def _wait(self, due: Iterable[ObjectId], until: Callable[[], bool]) -> None:
        self._known |= wait(
            self.connection,
            {object_id: self.desired[object_id].resource for object_id in due},
            selector=self.selector,
            timeout=self.timeout,
            timeouts=self._timeouts,
            checks=self.checks,
            stop=self.stop,
            until=until,
            masked=masker(self.desired.values()),
            on_change=self.on_change,
        )

    @property
    def _timeouts(self) -> dict[ObjectId, float]:
        asked = ((each.id, each.options.timeout) for each in self.desired.values())
        return {object_id: seconds for object_id, seconds in asked if seconds is not None}
