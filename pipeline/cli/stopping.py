"""Ctrl-C and SIGTERM end a command cleanly: what is under way is finished and recorded, nothing new begins."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; a second SIGINT interrupts at once.

    A thread sets it. Python runs handlers in the main thread alone: while that waits for the event the handler may not
    come to its turn, or comes while `wait` has the event's lock, and to set it there would wait for ever.
    """
    stop = threading.Event()
    asked = False

    def again(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        asked = True

    reader, writer = socket.socketpair()
    writer.settimeout(0)  # as `set_wakeup_fd` wants it

    def obey() -> None:
        while number := reader.recv(1):
            if number[0] in _SIGNALS:
                stop.set()

    obeying = threading.Thread(target=obey, name="signals", daemon=True)
    obeying.start()
    woken = signal.set_wakeup_fd(writer.fileno())
    before = {number: signal.signal(number, again) for number in _SIGNALS}
    try:
        yield stop
    finally:
        signal.set_wakeup_fd(woken)
        writer.close()
        obeying.join()
        reader.close()
        for number, handler in before.items():
            # Who was asked is at its end already: to be asked once more must not kill it there.
            ends = stop.is_set() and number == signal.SIGTERM
            signal.signal(number, signal.SIG_IGN if ends else handler)
