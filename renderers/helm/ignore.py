"""`.helmignore`: what helm does not load of a chart's folder. The rules are those of helm's package `ignore`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

FILE_NAME = ".helmignore"
#: helm adds this to every list: dot files in templates/ are never loaded.
_ALWAYS = "templates/.?*"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One line. `whole`: it is for the path from the chart's folder, else for the last part of it."""

    pattern: re.Pattern[str]
    whole: bool
    negated: bool
    folders_only: bool

    def matches(self, path: str) -> bool:
        return self.pattern.fullmatch(path if self.whole else path.rpartition("/")[2]) is not None


@dataclass(frozen=True, slots=True)
class HelmIgnore:
    """The rules of one chart's folder."""

    rules: tuple[_Rule, ...]

    @classmethod
    def of(cls, text: str) -> "HelmIgnore":
        """The rules of that file. A line that helm refuses is left out here: helm says so itself."""
        lines = [*text.removeprefix("\ufeff").splitlines(), _ALWAYS]
        return cls(tuple(rule for line in lines if (rule := _rule(line.strip()))))

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether helm skips it, and for a folder all below it. `path` is relative to the chart's folder.

        The first rule that decides wins. A negated rule decides against all that it does *not* match, which is
        helm's way and not git's.
        """
        for rule in self.rules:
            if rule.negated:
                if (rule.folders_only and not is_folder) or not rule.matches(path):
                    return True
            elif rule.matches(path) and (is_folder or not rule.folders_only):
                return True
        return False


def _rule(line: str) -> _Rule | None:
    if not line or line.startswith("#") or "**" in line:
        return None
    negated, text = line.startswith("!"), line.removeprefix("!")
    folders_only, text = text.endswith("/"), text.removesuffix("/")
    whole, text = "/" in text, text.removeprefix("/")
    try:
        return _Rule(re.compile(_expression(text), re.DOTALL), whole, negated, folders_only)
    except (ValueError, re.error):
        return None


def _expression(glob: str) -> str:
    """A pattern of Go's `filepath.Match` as a regular expression. Raises ValueError for what is none.

    What follows a star is looked for from the left and not given back, as Go does: never slow, whatever the pattern.
    """
    first, *others = _chunks(glob)
    middle = "".join(f"(?>[^/]*?{chunk})" for chunk in others[:-1])
    return first + middle + "".join(f"[^/]*{chunk}" for chunk in others[-1:])


def _chunks(glob: str) -> list[str]:
    """What stands between the stars, each as a regular expression."""
    chunks = [""]
    characters = iter(glob)
    for char in characters:
        if char == "*":
            chunks.append("")
        elif char == "?":
            chunks[-1] += "[^/]"
        elif char == "[":
            chunks[-1] += _class(characters)
        else:
            chunks[-1] += re.escape(_taken(characters) if char == "\\" else char)
    return chunks


def _class(characters: Iterator[str]) -> str:
    """A class of characters behind its [, as a regular expression."""
    found, char = "", _taken(characters)
    negation, char = ("^", _taken(characters)) if char == "^" else ("", char)
    while char != "]" or not found:
        low = _taken(characters) if char == "\\" else char
        char = _taken(characters)
        if char == "-":
            char = _taken(characters)
            found += f"{re.escape(low)}-{re.escape(_taken(characters) if char == chr(92) else char)}"
            char = _taken(characters)
        else:
            found += re.escape(low)
    return f"[{negation}{found}]"


def _taken(characters: Iterator[str]) -> str:
    try:
        return next(characters)
    except StopIteration as e:
        raise ValueError("the pattern ends too early") from e
