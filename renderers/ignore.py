"""`.trimtabignore`: which files and folders of an App's path are no input of it. The syntax is gitignore's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pathspec import GitIgnoreSpec

from renderers.api import RenderError
from renderers.boundary import shown
from renderers.files import read_inside

FILE_NAME = ".trimtabignore"
_MAX_SIZE = 64 << 10
_MAX_PATTERNS = 500
#: Patterns become regular expressions, and many stars in one name would take one forever.
_MAX_STARS = 3


@dataclass(frozen=True, slots=True)
class _Level:
    """The rules of one folder; `base` is that folder as the walk got there."""

    base: Path
    spec: GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules that hold in one folder: its own and those of the folders above, up to the App's path."""

    root: Path
    levels: tuple[_Level, ...] = ()

    def entering(self, folder: Path) -> Self:
        """The rules below a folder, which may bring a file of its own.

        Raises RenderError for a file that cannot be read or holds what is no pattern.
        """
        path = folder / FILE_NAME
        if not path.exists() and not path.is_symlink():
            return self
        name = shown(path, self.root)
        text = read_inside(path, self.root, limit=_MAX_SIZE).decode(errors="replace")
        lines = text.splitlines()
        if len(lines) > _MAX_PATTERNS:
            raise RenderError(f"there are {len(lines)} patterns, and at most {_MAX_PATTERNS} are read", where=name)
        for number, line in enumerate(lines, 1):
            _check(line, f"{name}:{number}")
        return type(self)(self.root, (*self.levels, _Level(folder, GitIgnoreSpec.from_lines(lines))))

    def ignores(self, path: Path, *, is_folder: bool) -> bool:
        """Whether the last pattern that fits says so; a file nearer to the path wins, as in git."""
        for level in reversed(self.levels):
            text = path.relative_to(level.base).as_posix()
            decided = level.spec.check_file(f"{text}/" if is_folder else text).include
            if decided is not None:
                return decided
        return False


def _check(line: str, where: str) -> None:
    """Raise RenderError for a pattern that is none, or that could take very long."""
    parts = line.split("/")
    stars = [part.count("*") for part in parts if part != "**"]
    if max(stars, default=0) > _MAX_STARS or parts.count("**") > _MAX_STARS:
        raise RenderError(
            f"the pattern has more than {_MAX_STARS} stars between two slashes, or ** more than {_MAX_STARS} times",
            where=where,
            hint="write several simpler patterns",
        )
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError as e:
        raise RenderError(f"this is no gitignore pattern: {e}", where=where, hint="see `git help ignore`") from e
