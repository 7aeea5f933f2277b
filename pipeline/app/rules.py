"""Rules that an App must keep beyond the types of its fields. Pure; names the field, asks nobody."""

import re

from pipeline.allowed import location
from pipeline.app.jsonpath import check as check_json_path
from pipeline.app.model import App, ChartSource, GitSource, Place, Source, Spec
from pipeline.errors import InputError
from pipeline.location import (
    chart_transport_of,
    check_chart_name,
    check_commit,
    check_range,
    check_ref,
    normal_path,
    transport_of,
)  # fmt: skip

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
    _check_sources(spec)
    _check_steps(spec)
    _check_health(spec)
    for dependency in spec.depends_on:
        if (dependency.namespace or app.metadata.namespace, dependency.name) == (app.metadata.namespace, app.name):
            raise InputError(f"spec.dependsOn of App {app} names the App itself", hint="take it out")


def _check_sources(spec: Spec) -> None:
    if spec.source is not None:
        _check(spec.source, "spec.source")
    for number, source in enumerate(spec.sources):
        _check(source, f"spec.sources[{number}]")
    names = [source.name for source in spec.sources]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two of spec.sources have the name {name}", hint="give each a name of its own")


def _check_steps(spec: Spec) -> None:
    for number, step in enumerate(spec.render):
        for name, part in (("helm", step.helm), ("kustomize", step.kustomize)):
            for url in part.allow_remote if part is not None else ():
                _check_allowed(url, f"spec.render[{number}].{name}.allowRemote")


def _check_health(spec: Spec) -> None:
    for number, rule in enumerate(spec.health_checks):
        for name, match in (("ready", rule.ready), ("failed", rule.failed)):
            if match is not None:
                try:
                    check_json_path(match.json_path)
                except InputError as e:
                    field = f"spec.healthChecks[{number}].{name}.jsonPath"
                    raise InputError(f"{field}: {e.message}", hint=e.hint) from e


def _check(source: Source, field: str) -> None:
    if (source.git is None) == (source.chart is None):
        how = "neither git nor chart" if source.git is None else "both git and chart"
        raise InputError(
            f"{field} names {how}", hint="name one of them: git: {url: ...} or chart: {repo: ..., name: ...}"
        )
    check_place(source.place)


def _check_allowed(url: str, field: str) -> None:
    try:
        location(url)
    except InputError as e:
        raise InputError(f"{field}: {e.message}", hint=e.hint) from e


def check_place(place: Place) -> None:
    """Raise InputError for what a source may not say, such as a URL with a password. Asks nobody."""
    if isinstance(place, ChartSource):
        _check_chart(place)
    else:
        check_source(place)


def _check_chart(chart: ChartSource) -> None:
    if bool(chart.oci) == bool(chart.repo or chart.name) or bool(chart.repo) != bool(chart.name):
        raise InputError(
            "a chart is named in one of two ways",
            hint="write repo: https://host/path and name: NAME, or oci: oci://host/path/NAME",
        )
    transport = chart_transport_of(chart.url)
    if (transport == "oci") != bool(chart.oci):
        raise InputError(
            f"the URL {chart.url!r} stands in the wrong field", hint="repo is for https, oci is for oci://"
        )
    if chart.name:
        check_chart_name(chart.name)


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
