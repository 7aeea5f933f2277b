"""One time of leadership: the queue of Apps with its workers, from the first turn to the last."""

import threading
import time

from pipeline.control.memory import Memories
from pipeline.control.queue import WorkQueue
from pipeline.control.reconcile import Reconciler
from pipeline.control.removal import Removal
from pipeline.control.resource import AppKey
from pipeline.control.shared import Shared
from pipeline.control.siblings import Siblings
from pipeline.errors import LeaseLostError
from pipeline.source.command import kill_running as kill_git
from renderers.tool import kill_running as kill_tools

#: How long turns may take to find their end, in seconds; what is left then is fenced off by the lease.
_PATIENCE = 10.0


class Term:
    """Begun by `start`, ended by `end`; not to be used again."""

    def __init__(self, shared: Shared, *, workers: int) -> None:
        self._shared = shared
        self._queue: WorkQueue[AppKey] = WorkQueue()
        memories = Memories()
        siblings = Siblings(shared.apps, memories, shared.polls.answer, self._queue.add)
        self._reconciler = Reconciler(shared, Removal(shared, siblings), siblings, memories, self._queue.add)
        self._threads = [
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True) for number in range(workers)
        ]

    def start(self) -> None:
        """Give every App a turn, and from then on each App that changed."""
        shared = self._shared
        shared.metrics.queue(lambda: len(self._queue))
        for key in shared.apps.keys():  # noqa: SIM118 - no mapping
            self.changed(key)
        shared.polls.start(self._answered)
        for thread in self._threads:
            thread.start()

    def changed(self, key: AppKey) -> None:
        """An App's resource is new, differs, or is gone."""
        self._reconciler.changed(key)
        self._queue.add(key)

    def end(self) -> None:
        """End all turns; returns when the last one has ended, or when it takes too long. May be called twice."""
        shared = self._shared
        shared.stop.set()
        self._queue.close()
        shared.polls.close()
        self._reconciler.stop_all()
        # What is on its way to a slow server or through an endless chart is not waited for.
        kill_git()
        kill_tools()
        deadline = time.monotonic() + _PATIENCE
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _answered(self, key: AppKey, other: bool) -> None:  # noqa: FBT001 - a callback
        if self._reconciler.answered(key) or other:
            self._queue.add(key)

    def _work(self) -> None:
        shared = self._shared
        while (taken := self._queue.take()) is not None:
            key, waited = taken
            shared.metrics.waited(waited)
            pause: float | None = None
            try:
                with shared.metrics.working():
                    pause = self._reconciler.turn(key)
            except LeaseLostError as error:
                shared.log.warning("turn ended: the lease is lost", app="/".join(key), error=str(error))
            finally:
                self._queue.done(key)
            if pause is not None and not shared.stop.is_set():
                self._queue.add_after(key, pause)
