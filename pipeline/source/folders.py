"""Where checkouts, and credentials in use, lie: this process's own folders, in memory where they fit, gone with it."""

import fcntl
import os
import shutil
import tempfile
import threading
import weakref
from contextlib import suppress
from pathlib import Path

#: A larger checkout goes to disk: memory-backed files count as memory of the container.
_MEMORY_LIMIT = 128 << 20
_MEMORY = Path("/dev/shm")  # noqa: S108 - only as the parent of a folder with a random name and mode 0700
_PREFIX = "trimtab-checkout-"


class Folders:
    """Makes and removes folders, each for this user alone; for any number of threads.

    What processes that died have left is removed at the start. `disk` is the folder for what does not fit into memory.
    """

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._homes: dict[Path, Path] = {}
        for parent in (_MEMORY, disk):
            _sweep(parent)

    def new(self, size: int) -> Path:
        """An empty folder, absolute and resolved, for about `size` bytes. Raises OSError."""
        with self._lock:
            home = self._home(_MEMORY if _fits(size) else self._disk)
        return Path(tempfile.mkdtemp(dir=home))

    def freeze(self, folder: Path) -> None:
        """Take the right to write away from all files and folders: the checkout is shared."""
        for path, _, files in os.walk(folder):
            for name in files:
                file = Path(path, name)
                if not file.is_symlink():
                    file.chmod(file.stat().st_mode & ~0o222)
            Path(path).chmod(0o500)

    def remove(self, folder: Path) -> None:
        """Remove a folder of `new`, frozen or not."""
        _remove(folder)

    def _home(self, parent: Path) -> Path:
        """This process's folder in there; the lock on it says to others that the process lives."""
        while parent not in self._homes:
            home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)).resolve()
            # Until it is locked, another process that starts takes it for a dead one's, and removes it.
            with suppress(FileNotFoundError):
                lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(lock, fcntl.LOCK_EX)
                if home.exists():
                    self._homes[parent] = home
                    weakref.finalize(self, _close, home, lock)
                else:
                    os.close(lock)
        return self._homes[parent]


def _fits(size: int) -> bool:
    if size > _MEMORY_LIMIT or not os.access(_MEMORY, os.W_OK | os.X_OK):
        return False
    room = os.statvfs(_MEMORY)
    # Half of what is free, in bytes and in files: others live there too.
    return size * 2 < room.f_bavail * room.f_frsize


def _sweep(parent: Path) -> None:
    """Remove what dead processes of this user have left."""
    for home in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # another user's, or gone
            continue
        try:
            if os.fstat(lock).st_uid == os.geteuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(home)
        except BlockingIOError:  # its process lives
            pass
        finally:
            os.close(lock)


def _close(home: Path, lock: int) -> None:
    _remove(home)
    os.close(lock)


def _remove(folder: Path) -> None:
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
