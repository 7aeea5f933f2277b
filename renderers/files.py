"""Reading one file inside the boundary: nothing outside is opened, also not by a link put in place meanwhile."""

import os
import stat
from pathlib import Path, PurePath, PurePosixPath
from typing import Self

from renderers.api import RenderError
from renderers.boundary import KEEP_INSIDE, real, shown

_CHUNK = 64 << 10


def read_inside(path: Path, root: Path, *, limit: int) -> bytes:
    """The bytes of a regular file that lies, with every link followed, inside `root` (absolute, resolved).

    Raises RenderError for one that leads out, is missing, is no regular file, or has more than `limit` bytes.
    """
    name, target = shown(path, root), real(path)
    if not target.is_relative_to(root):
        raise RenderError(f"the file {name} is a link that leads out of the checkout, to {target}", hint=KEEP_INSIDE)
    try:
        descriptor = _open_beneath(root, target.relative_to(root))
    except OSError as e:
        raise RenderError(f"the file {name} cannot be read: {e.strerror}", hint="is it committed?") from e
    return _content(descriptor, name, limit)


class InsideReader:
    """Reads many files of a checkout as `read_inside` does, each folder opened once where they come in order.

    Only for paths that are resolved: a link on the way is an error. Use it as a context manager.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = ""
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def read(self, name: str, *, limit: int) -> bytes:
        """The bytes of a regular file by its path in the checkout. Raises RenderError as `read_inside` does."""
        folder, _, base = name.rpartition("/")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            if self._descriptor < 0 or folder != self._folder:
                self._close()
                self._descriptor = _open_beneath(self._root, PurePosixPath(folder), os.O_DIRECTORY)
                self._folder = folder
            descriptor = os.open(base, flags, dir_fd=self._descriptor)
        except OSError as e:
            raise RenderError(f"the file {name} cannot be read: {e.strerror}", hint="is it committed?") from e
        return _content(descriptor, name, limit)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _content(descriptor: int, name: str, limit: int) -> bytes:
    """The bytes of an open regular file; closes it."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RenderError(f"{name} is no regular file", hint="exclude it with .trimtabignore")
        data = os.read(descriptor, min(status.st_size, limit) + 1)
        # Nothing more comes, but from a file that grows; memory is taken for as much as is asked for.
        while len(data) <= limit and (more := os.read(descriptor, min(limit + 1 - len(data), _CHUNK))):
            data += more
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise RenderError(f"the file {name} has more than {limit} bytes", hint="split it into several files")
    return data


def _open_beneath(root: Path, path: PurePath, last: int = 0) -> int:
    """Open folder by folder without following a link: the path is resolved, so one that is there now is too new.

    `last` are flags for the last part. An empty path is the root itself.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    current = os.open(root, flags | os.O_DIRECTORY)
    for number, part in enumerate(path.parts, 1):
        try:
            inner = os.open(part, flags | (last if number == len(path.parts) else os.O_DIRECTORY), dir_fd=current)
        finally:
            os.close(current)
        current = inner
    return current
