"""How long each step of a sync takes, as its progress tells it."""

import time
from typing import Self

from pipeline.observe.metrics import Metrics
from pipeline.plan.model import Change


class Watching:
    """The progress of one sync; a step lasts until the next one begins."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._name = ""
        self._began = self._since = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.step("")
        self._metrics.step_took("total", time.monotonic() - self._began)

    def step(self, name: str, total: int = 0) -> None:
        """A step begins."""
        del total
        now = time.monotonic()
        if self._name:
            self._metrics.step_took(self._name, now - self._since)
        self._name, self._since = name, now

    def done(self, change: Change) -> None:
        """Nothing."""

    def note(self, message: str) -> None:
        """Nothing."""
