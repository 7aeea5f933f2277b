"""How many syncs may be in the same step at once: one gate a step, left at once by who is told to stop."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

#: How often somebody who waits at a gate looks whether he is to stop, in seconds.
_GLANCE = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """How many syncs may render, talk to the API server, and wait for health at the same time."""

    renders: int = 2
    applies: int = 4
    waits: int = 50

    @property
    def workers(self) -> int:
        """As many threads as can be in some step."""
        return self.renders + self.applies + self.waits


class Gates:
    """The gates of one controller."""

    def __init__(self, limits: Limits) -> None:
        self._gates = {
            "render": threading.BoundedSemaphore(limits.renders),
            "apply": threading.BoundedSemaphore(limits.applies),
            "wait": threading.BoundedSemaphore(limits.waits),
        }

    @contextmanager
    def through(self, step: str, stop: threading.Event) -> Iterator[None]:
        """Be in a step; waits for a place. Who is to stop goes on without one: it has only to find its end."""
        gate = self._gates[step]
        placed = gate.acquire(blocking=False)
        while not placed and not stop.is_set():
            placed = gate.acquire(timeout=_GLANCE)
        try:
            yield
        finally:
            if placed:
                gate.release()
