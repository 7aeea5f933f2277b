"""The boundary of a render: what lies inside the checkout and what leads out of it. Nothing is read here but links."""

import os
from collections.abc import Iterator
from pathlib import Path

from renderers.api import RenderError

#: What to do about anything that leads out; used wherever it is found.
KEEP_INSIDE = "a render reads nothing outside the checkout: copy what is needed into the repository"


def shown(path: Path, root: Path) -> str:
    """The path for people and for `Origin`: POSIX, relative to the checkout, `.` for the checkout itself."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def real(path: Path) -> Path:
    """The path with `..` taken away by its text, as Go's filepath does, and then every link followed.

    Raises RenderError for what can be no path.
    """
    if "\0" in str(path):
        raise RenderError(f"{str(path)!r} is no path", hint="take the NUL character out")
    return Path(os.path.realpath(os.path.normpath(path)))


def follow(path: Path, root: Path) -> tuple[Path, tuple[Path, ...]]:
    """Where a path below the root leads, and the links on the way, each with all links above it followed.

    `root` is resolved. It ends at the first link that leads out of the root: then where that leads is the answer.
    """
    current, links = root, []
    for part in path.relative_to(root).parts:
        current /= part
        if os.path.islink(current):  # noqa: PTH114 - raises nothing, whatever the text
            links.append(current)
            current = real(current)
            if not current.is_relative_to(root):
                break
    return current, tuple(links)


def files_inside(folder: Path, root: Path) -> Iterator[Path]:
    """Every file below the folder, links followed, each folder once. `root` is resolved.

    Raises RenderError for the first link that leaves the root (helm follows every link of a chart, used or not), and
    for a folder that cannot be read.
    """
    todo, seen = [folder], set[Path]()
    while todo:
        current = todo.pop()
        target = real(current)
        if not target.is_relative_to(root):
            raise RenderError(
                f"{shown(current, root)} is a link that leads out of the checkout, to {target}", hint=KEEP_INSIDE
            )
        if not target.is_dir():
            yield current
        elif target not in seen:
            seen.add(target)
            try:
                todo += sorted(current / path.name for path in target.iterdir())
            except OSError as e:
                raise RenderError(f"the folder {shown(current, root)} cannot be read: {e.strerror}") from e
