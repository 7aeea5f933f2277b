"""The checkouts of this process: each commit once for all who use it, and the newest of each mirror kept."""

import threading
from dataclasses import dataclass
from pathlib import Path

from pipeline.source.folders import Folders
from renderers.keys import Index


@dataclass(frozen=True, slots=True)
class Written:
    """A commit as files below `root`; `committed` and `index` as in Checkout."""

    root: Path
    committed: float
    index: Index


@dataclass(slots=True)
class _Shared:
    written: Written
    users: int


class Shelf:
    """Counts who uses which checkout, and removes those that nobody uses but the newest of each mirror."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._lock = threading.Lock()
        self._shared: dict[tuple[str, str], _Shared] = {}
        self._newest: dict[str, str] = {}

    def take(self, mirror: str, commit: str) -> Written | None:
        """The checkout, which stays until it is given back; None when there is none."""
        with self._lock:
            shared = self._shared.get((mirror, commit))
            if shared is None or not shared.written.root.is_dir():
                return None
            shared.users += 1
            self._newest[mirror] = commit
            return shared.written

    def put(self, mirror: str, commit: str, written: Written) -> Written:
        """Add a new checkout, taken already."""
        with self._lock:
            self._shared[mirror, commit] = _Shared(written, users=1)
            self._newest[mirror] = commit
        self._clear(mirror)
        return written

    def knows(self, mirror: str) -> bool:
        """Whether there is a checkout of this mirror."""
        with self._lock:
            return mirror in self._newest

    def give_back(self, mirror: str, commit: str) -> None:
        """End a use; each `take` and `put` needs one."""
        with self._lock:
            self._shared[mirror, commit].users -= 1
        self._clear(mirror)

    def _clear(self, mirror: str) -> None:
        with self._lock:
            keep = (mirror, self._newest[mirror])
            unused = [key for key, shared in self._shared.items() if key[0] == mirror and not shared.users]
            roots = [self._shared.pop(key).written.root for key in unused if key != keep]
        for root in roots:
            self._folders.remove(root)
