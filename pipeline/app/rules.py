"""Rules that an App must keep beyond the types of its fields. Pure; names the field, asks nobody."""

import re

from pipeline.app.model import App, GitSource
from pipeline.errors import InputError
from pipeline.location import check_commit, check_range, check_ref, normal_path, transport_of

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 366 * 24 * 3600.0
_SHORTEST_INTERVAL = 0.1
_REFS = ("branch", "tag", "semver", "commit")


def parse_duration(text: str, *, what: str) -> float:
    """Seconds of a Go duration such as `5m`, `1m30s` or `500ms`, at most a year; a bare number is refused, as by Go.

    Raises InputError that names `what`.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        raise InputError(f"{what} is {text!r}, which is no duration", hint="write a number with a unit: 30s, 5m, 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise InputError(f"{what} is {text!r}, which is more than a year", hint="give less")
    return seconds


def check_spec(app: App) -> None:
    """Raise InputError, with the field's name, for values that no type forbids."""
    spec = app.spec
    if parse_duration(spec.interval, what="spec.interval") < _SHORTEST_INTERVAL:
        raise InputError(f"spec.interval is {spec.interval!r}, which is too short", hint="give at least 100ms")
    parse_duration(spec.wait.timeout, what="spec.wait.timeout")
    if spec.source is not None:
        check_source(spec.source.git)
    for dependency in spec.depends_on:
        if (dependency.namespace or app.metadata.namespace, dependency.name) == (app.metadata.namespace, app.name):
            raise InputError(f"spec.dependsOn of App {app} names the App itself", hint="take it out")


def check_source(git: GitSource) -> None:
    """Raise InputError for several refs, or a URL, ref, commit or path of a form that is not allowed. Asks nobody."""
    given = [kind for kind in _REFS if getattr(git, kind)]
    if len(given) > 1:
        raise InputError(
            f"spec.source.git names {' and '.join(given)}", hint="choose one of branch, tag, semver and commit"
        )
    transport_of(git.url)
    normal_path(git.path)
    if git.commit:
        check_commit(git.commit)
    elif git.branch or git.tag:
        check_ref(given[0], git.branch or git.tag)
    elif git.semver:
        check_range(git.semver)
