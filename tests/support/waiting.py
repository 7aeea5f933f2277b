"""Waiting for what other threads and the cluster do."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], *, patience: float = 60, pause: float = 0.02) -> None:
    """Wait until it holds, looking again after `pause` seconds; fails the test after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(pause)
