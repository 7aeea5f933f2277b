"""Reading one file inside the boundary: nothing outside is opened, also not by a link put in place meanwhile."""

import os
import stat
from pathlib import Path

from renderers.api import RenderError
from renderers.boundary import KEEP_INSIDE, real, shown


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
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RenderError(f"{name} is no regular file", hint="exclude it with .trimtabignore")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise RenderError(f"the file {name} has more than {limit} bytes", hint="split it into several files")
    return data


def _open_beneath(root: Path, path: Path) -> int:
    """Open folder by folder without following a link: the path is resolved, so one that is there now is too new."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    current = os.open(root, flags | os.O_DIRECTORY)
    for part in path.parts[:-1]:
        try:
            inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=current)
        finally:
            os.close(current)
        current = inner
    try:
        return os.open(path.name, flags, dir_fd=current)
    finally:
        os.close(current)
