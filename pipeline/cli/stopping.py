"""Ctrl-C and SIGTERM end a command cleanly: what is under way is finished and recorded, nothing new begins."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second SIGINT interrupts at once."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # Who was asked is at its end already: to be asked once more must not kill it there.
            ends = stop.is_set() and number == signal.SIGTERM
            signal.signal(number, signal.SIG_IGN if ends else handler)
