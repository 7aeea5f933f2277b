"""A file as a lock, against every other thread and process that uses the same cache."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import SourceUnreachableError

#: Seconds between two tries.
_PAUSE = 0.01


@contextmanager
def held(path: Path, *, timeout: float, busy: str, hint: str) -> Iterator[int]:
    """Hold the lock; the value is its file descriptor. The file is made where it is missing, and stays.

    Raises SourceUnreachableError after `timeout` seconds: `busy` says what is in use, and `hint` what to do. OSError.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(lock):
            if time.monotonic() > deadline:
                raise SourceUnreachableError(f"{busy} for {timeout:g} seconds", hint=hint)
            time.sleep(_PAUSE)
        yield lock
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
