"""Whose turn is next: fair between keys, one turn a key at a time, and one alarm a key for later."""

import heapq
import threading
import time
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """Keys that want a turn, first come, first served. For any number of threads.

    A key stands in the queue once, however often it is added. Added while its turn runs, it comes again, at the end,
    when that turn is done: so no key can starve another, and no change is missed. All times are in seconds.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready: deque[K] = deque()
        self._since: dict[K, float] = {}
        self._running: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._alarms: list[tuple[float, int, K]] = []
        self._count = 0
        self._closed = False

    def add(self, key: K) -> None:
        """Ask for a turn as soon as may be."""
        with self._changed:
            self._add(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for a turn later; this takes the place of an earlier such wish."""
        with self._changed:
            due = time.monotonic() + seconds
            self._due[key] = due
            self._count += 1
            heapq.heappush(self._alarms, (due, self._count, key))
            self._changed.notify()

    def take(self) -> tuple[K, float] | None:
        """The next key and how long it has waited; waits for one. None once the queue is closed.

        Who takes a key must call `done` with it.
        """
        with self._changed:
            while not self._closed:
                self._ring()
                if self._ready:
                    key = self._ready.popleft()
                    self._running.add(key)
                    return key, time.monotonic() - self._since.pop(key)
                self._changed.wait(self._alarms[0][0] - time.monotonic() if self._alarms else None)
            return None

    def done(self, key: K) -> None:
        """The turn of the key is over."""
        with self._changed:
            self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._add(key)

    def drop(self, key: K) -> None:
        """Forget a key and what it wished; a turn that runs goes on."""
        with self._changed:
            self._due.pop(key, None)
            self._again.discard(key)
            if self._since.pop(key, None) is not None:
                self._ready.remove(key)

    def close(self) -> None:
        """No more turns: every `take` answers None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        """How many keys wait for a turn now."""
        return len(self._ready)

    def _add(self, key: K) -> None:
        if key in self._running:
            self._again.add(key)
        elif key not in self._since:
            self._since[key] = time.monotonic()
            self._ready.append(key)
            self._changed.notify()

    def _ring(self) -> None:
        """Let those in whose time has come; an alarm that was replaced says nothing."""
        now = time.monotonic()
        while self._alarms and self._alarms[0][0] <= now:
            due, _, key = heapq.heappop(self._alarms)
            if self._due.get(key) == due:
                del self._due[key]
                self._add(key)
