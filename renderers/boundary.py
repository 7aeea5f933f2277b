"""The boundary of a render: what lies inside the checkout and what leads out of it. Nothing is read here but links."""

import os
from pathlib import Path

from renderers.api import RenderError

#: What to do about anything that leads out; used wherever it is found.
KEEP_INSIDE = "a render reads nothing outside the checkout: copy what is needed into the repository"


def shown(path: Path, root: Path) -> str:
    """The path for people and for `Origin`: POSIX, relative to the checkout, `.` for the checkout itself."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def real(path: Path) -> Path:
    """The path with `..` taken away by its text, as Go's filepath does, and then every link followed."""
    return Path(os.path.realpath(os.path.normpath(path)))


def refuse_links_out(folder: Path, root: Path) -> None:
    """Raise RenderError for the first link, in the folder or in what its links lead to, that leaves the root.

    helm follows every link of a chart, so each one counts, used or not. `root` is resolved.
    """
    todo, seen = [folder], set[Path]()
    while todo:
        current = todo.pop()
        target = real(current)
        if not target.is_relative_to(root):
            raise RenderError(
                f"{shown(current, root)} is a link that leads out of the checkout, to {target}", hint=KEEP_INSIDE
            )
        if target in seen or not target.is_dir():
            continue
        seen.add(target)
        with os.scandir(target) as entries:
            todo += sorted(Path(e.path) for e in entries if e.is_symlink() or e.is_dir(follow_symlinks=False))
