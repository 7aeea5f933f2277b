"""Versions and ranges of versions as helm reads them, which is not npm's way: those of Masterminds/semver. Pure.

Source of the rules: github.com/Masterminds/semver/v3, version.go and constraints.go, and helm's own repo/index.go and
registry/client.go. What differs from npm: `1.2` is a range and `=1.2` too, `^*` is 0.0.0, `v1` and `01.2` are versions,
`!=` is an operator, and one prerelease in a row of conditions lets all prereleases in.
"""

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from renderers.manifest import TrimtabError

_NUMBER_LIMIT = 1 << 64
_TEXT_LIMIT = 256
_PRE = r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
_META = r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_VERSION = re.compile(rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?{_PRE}{_META}")
_STRICT = re.compile(rf"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*)){{2}}{_PRE}{_META}")
# The bar is in helm's too: `1||2 - 3` is an error to it, and `1 || 2 - 3` is none.
_NUMBERS = r"v?([0-9xX*|]+)(?:\.([0-9xX*|]+))?(?:\.([0-9xX*|]+))?"
_CONDITION = re.compile(rf"(=|!=|>|<|>=|=>|<=|=<|~|~>|\^|)\s*{_NUMBERS}{_PRE}{_META}(?=[\s,]|$)\s*", re.ASCII)
_HYPHEN = re.compile(rf"({_NUMBERS}{_PRE}{_META})\s+-\s+({_NUMBERS}{_PRE}{_META})", re.ASCII)
_ANY = {"x", "X", "*"}

_Part = tuple[int, int, str]


class RangeError(TrimtabError):
    """A text is no version and no range of versions."""

    exit_code = 2
    reason = "SourceInvalid"


@dataclass(frozen=True, slots=True)
class Version:
    """A version. `release` are major, minor and patch, `pre` ranks the prerelease and is empty for none.

    Build metadata has no rank.
    """

    release: tuple[int, int, int]
    pre: tuple[_Part, ...] = ()

    @property
    def rank(self) -> tuple[tuple[int, int, int], bool, tuple[_Part, ...]]:
        """What versions are ordered by."""
        return self.release, not self.pre, self.pre


@dataclass(frozen=True, slots=True)
class _Condition:
    """An operator and a version of which the first `given` numbers are said; the others are 0."""

    operator: str
    version: Version
    given: int

    def holds(self, version: Version) -> bool:
        return _HOLDS[self.operator](version, self)

    def same(self, version: Version, numbers: int) -> bool:
        """Whether the version has the same first numbers."""
        return version.release[:numbers] == self.version.release[:numbers]


@dataclass(frozen=True, slots=True)
class Range:
    """Versions are `in` it: in all conditions of one of its rows."""

    rows: tuple[tuple[_Condition, ...], ...]

    def __contains__(self, version: Version) -> bool:
        return any(
            # A prerelease counts only in a row that names one.
            (not version.pre or any(condition.version.pre for condition in row))
            and all(condition.holds(version) for condition in row)
            for row in self.rows
        )


def version_of(text: str) -> Version | None:
    """The version that the text is, in the loose way: `v1.2` is 1.2.0. None for anything else."""
    found = _VERSION.fullmatch(text)
    return _version(found.groups("0")[:3], found[4]) if found else None


def is_strict(text: str) -> bool:
    """Whether the text is a version in full: three numbers without `v` and leading zeros."""
    return bool(_STRICT.fullmatch(text))


def range_of(text: str) -> Range:
    """The range that the text is; empty: any release. Raises RangeError."""
    text = text or "*"
    if len(text) <= _TEXT_LIMIT:
        plain = _HYPHEN.sub(lambda found: f">= {found[1]}, <= {found[6]} ", text)
        rows = [_row(part) for part in plain.split("||")]
        if all(rows):
            return Range(tuple(map(tuple, rows)))
    raise RangeError(
        f"{text[:_TEXT_LIMIT]!r} is no version and no range of versions",
        hint="write it as helm does: 1.4.2, ~1.4, ^1, 1.x, >=1.2.0 <2.0.0 or 1.2 - 1.4",
    )


def choose(versions: Iterable[str], wanted: str) -> str | None:
    """Which of the versions helm takes: the one of exactly this text, else the highest in the range.

    Of several that rank the same, the first. None where there is none; raises as `range_of`.
    """
    allowed = range_of(wanted)
    known = {text: version for text in versions if (version := version_of(text))}
    if wanted in known:
        return wanted
    return max((text for text in known if known[text] in allowed), key=lambda text: known[text].rank, default=None)


def nearest(versions: Iterable[str], wanted: str) -> list[str]:
    """Those that are versions, for people: first what begins as the wanted does, then the highest."""
    known = {text: version for text in versions if (version := version_of(text))}
    numbers = [int(number) for number in re.findall(r"[0-9]+", wanted[:_TEXT_LIMIT])[:3]]

    def alike(version: Version) -> int:
        pairs = zip(version.release, numbers, strict=False)
        return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))

    return sorted(known, key=lambda text: (alike(known[text]), known[text].rank), reverse=True)


def prereleases(versions: Iterable[str], wanted: str) -> list[str]:
    """The versions that would be in the range if it named a prerelease."""
    rows = range_of(wanted).rows
    return [
        text
        for text in versions
        if (version := version_of(text)) and any(all(part.holds(version) for part in row) for row in rows)
    ]


def _row(text: str) -> list[_Condition]:
    """The conditions of one part between `||`; none where the text is no such part."""
    conditions: list[_Condition] = []
    position, end = len(text) - len(text.lstrip()), len(text)
    while found := _CONDITION.match(text, position):
        condition = _condition(found)
        if condition is None:
            return []
        conditions.append(condition)
        position = found.end()
        if position == end:
            return conditions
        if comma := re.compile(r",\s*").match(text, position):
            position = comma.end()
    return []


def _condition(found: re.Match[str]) -> _Condition | None:
    numbers = found.groups()[1:4]
    given = next((place for place, number in enumerate(numbers) if number is None or number in _ANY), 3)
    said = [number or "0" for number in numbers[:given]]
    if not all(number.isdecimal() for number in said):  # such as 1x
        return None
    version = _version((*said, "0", "0", "0")[:3], found[5])
    return _Condition(found[1], version, given) if version else None


def _version(numbers: tuple[str, ...], pre: str | None) -> Version | None:
    major, minor, patch = map(int, numbers)
    parts = pre.split(".") if pre else []
    if max(major, minor, patch) >= _NUMBER_LIMIT or any(re.fullmatch("0[0-9]+", part) for part in parts):
        return None
    return Version((major, minor, patch), tuple(map(_ranked, parts)))


def _ranked(part: str) -> _Part:
    """Numbers rank below words, and by their value."""
    if part.isdecimal() and int(part) < _NUMBER_LIMIT:
        return 0, int(part), ""
    return 1, 0, part


def _tilde(version: Version, condition: _Condition) -> bool:
    if version.rank < condition.version.rank:
        return False
    anything = condition.version.release == (0, 0, 0) and condition.given in {0, 3}
    return anything or condition.same(version, 1 if condition.given == 1 else 2)


def _caret(version: Version, condition: _Condition) -> bool:
    if version.rank < condition.version.rank:
        return False
    major, minor, _ = condition.version.release
    fixed = 1 if major or condition.given == 1 else 2 if minor or condition.given == 2 else 3
    return condition.same(version, fixed)


def _equal(version: Version, condition: _Condition) -> bool:
    if condition.given < 3:
        return _tilde(version, condition)
    return version.rank == condition.version.rank


def _not_equal(version: Version, condition: _Condition) -> bool:
    if condition.given == 1:
        return not condition.same(version, 1)
    if condition.given == 2:
        return not condition.same(version, 2) or version.pre != condition.version.pre
    return version.rank != condition.version.rank


def _greater(version: Version, condition: _Condition) -> bool:
    if condition.given in {1, 2}:
        return version.release[: condition.given] > condition.version.release[: condition.given]
    return version.rank > condition.version.rank


def _at_most(version: Version, condition: _Condition) -> bool:
    if condition.given < 3:
        compared = 1 if condition.given == 1 else 2
        return version.release[:compared] <= condition.version.release[:compared]
    return version.rank <= condition.version.rank


def _less(version: Version, condition: _Condition) -> bool:
    return version.rank < condition.version.rank


def _at_least(version: Version, condition: _Condition) -> bool:
    return version.rank >= condition.version.rank


_HOLDS: dict[str, Callable[[Version, _Condition], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": _less,
    ">=": _at_least,
    "=>": _at_least,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}
