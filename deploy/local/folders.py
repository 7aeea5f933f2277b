"""The folder of a control plane: where it is, who holds it, and what becomes of it.

The process that serves a control plane holds a lock in its folder, which the kernel takes off when it dies.
A folder without a holder is left over.
"""

import fcntl
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO

_LOCK = "controlplane.lock"
_DESCRIPTION = "plane.json"
_PREFIX = "trimtab-controlplane-"
_MEMORY = Path("/dev/shm")
_ROOM = 1 << 30  # bytes that must be free in memory-backed storage; some containers give it 64 MiB


class FolderError(Exception):
    """The folder cannot be used; the message says why."""


class Folder:
    """A folder that this process holds until it ends."""

    def __init__(self, path: Path, lock: TextIO) -> None:
        self.path = path
        self._lock = lock

    def describe(self, text: str) -> None:
        """Write what `description` reads."""
        unfinished = self.path / f"{_DESCRIPTION}.new"
        unfinished.touch(mode=0o600)  # it has a token
        unfinished.write_text(text)
        unfinished.replace(self.path / _DESCRIPTION)

    def remove(self) -> None:
        """Delete the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def temporary() -> Folder:
    """A new folder, in memory where there is room. What dead processes left there is deleted."""
    status = os.statvfs(_MEMORY) if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None
    roomy = status is not None and status.f_bavail * status.f_frsize >= _ROOM
    base = _MEMORY if roomy else Path(tempfile.gettempdir())
    for leftover in base.glob(f"{_PREFIX}*"):
        # A young one may belong to a process that has not locked it yet.
        if leftover.stat().st_uid == os.getuid() and time.time() - leftover.stat().st_mtime > 60:
            _remove_unheld(leftover)
    return _hold(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base)))


def kept(path: Path) -> Folder:
    """The folder at `path`, made or emptied. Raises FolderError if it is in use or not a control plane's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(path.iterdir()) and not (path / _LOCK).exists():
        raise FolderError(f"{path} has files that are not a control plane's; name another folder with --state")
    folder = _hold(path)
    path.chmod(0o700)
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()
    return folder


def holder(path: Path) -> int | None:
    """The id of the process that holds the folder at `path`; None when there is none."""
    try:
        with (path / _LOCK).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0) or None
            return None
    except FileNotFoundError:
        return None


def description(path: Path) -> dict[str, Any] | None:
    """What the holder of the folder at `path` wrote of its control plane; None before that is ready."""
    try:
        content: dict[str, Any] = json.loads((path / _DESCRIPTION).read_text())
    except FileNotFoundError:
        return None
    return content


def _hold(path: Path) -> Folder:
    lock = (path / _LOCK).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FolderError(f"another control plane is running in {path}") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return Folder(path, lock)


def _remove_unheld(path: Path) -> None:
    try:
        folder = _hold(path)
    except (OSError, FolderError):
        return
    folder.remove()
