"""Waiting within one sync for what may pass in a moment: a webhook that is not up yet, a write that was overtaken.

The connection waits by itself for a server that is busy or away; what it gives back is an answer for one object.
"""

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from pipeline.cluster.errors import ApiError

#: How long one object is tried, and how long all objects of a sync may wait together, in seconds.
_EACH = 10.0
_ALL = 120.0
#: Between two tries the pause (seconds) doubles from the first to the last, with chance in it.
_FIRST_PAUSE = 0.1
_LAST_PAUSE = 2.0

_Done = TypeVar("_Done")


class Patience:
    """What one sync has of it, for all its threads. A thousand objects behind a dead webhook do not wait one by one."""

    def __init__(self) -> None:
        self._left = _ALL
        self._lock = threading.Lock()

    def of(self, act: Callable[[], _Done], stop: threading.Event) -> _Done:
        """What `act` gives, tried again while its ApiError may pass; `stop` ends the waiting. Raises the last error."""
        until = time.monotonic() + _EACH
        pause = _FIRST_PAUSE
        while True:
            try:
                return act()
            except ApiError as error:
                wait = pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                if not _may_pass(error) or time.monotonic() + wait > until or not self._spend(wait) or stop.wait(wait):
                    raise
            pause = min(2 * pause, _LAST_PAUSE)

    def _spend(self, seconds: float) -> bool:
        with self._lock:
            self._left -= seconds
            return self._left >= 0


def _may_pass(error: ApiError) -> bool:
    """What the API server itself failed at (a webhook's answer, its store), and who wrote in between."""
    return (error.status == 500 and error.temporary) or error.overtaken
