"""What ready means for the kinds of which the App says it itself (`healthChecks`). Pure."""

from collections.abc import Sequence

from pipeline.app import HealthCheck, Match
from pipeline.app.jsonpath import find, text
from pipeline.health.state import CURRENT, Health, Object, failed, waiting

#: Characters of a field's value that a message shows.
_SHOWN = 80


def check_of(checks: Sequence[HealthCheck], group: str, kind: str) -> HealthCheck | None:
    """The rule for a kind, in whatever version; the last one of several. None where there is none."""
    return next((check for check in reversed(checks) if (_group(check), check.kind) == (group, kind)), None)


def judge(check: HealthCheck, obj: Object) -> Health:
    """Failed where any value that `failed` finds is one of its values; current where all that `ready` finds are.

    A field that is not there yet is waited for.
    """
    if check.failed is not None:
        bad = next((value for value in _found(check.failed, obj) if value in check.failed.values), None)
        if bad is not None:
            return failed(f"its {check.failed.json_path} is {bad}")
    found = _found(check.ready, obj)
    other = next((value for value in found if value not in check.ready.values), None)
    wanted = " or ".join(check.ready.values)
    if not found:
        return waiting(f"has no {check.ready.json_path} yet; it is ready when that is {wanted}")
    if other is None:
        return CURRENT
    # A Secret's fields are never shown.
    shown = f"is {_short(other)}, not" if obj["kind"] != "Secret" else "is not"
    return waiting(f"its {check.ready.json_path} {shown} {wanted}")


def _found(match: Match, obj: Object) -> list[str]:
    return [value for value in map(text, find(match.json_path, obj)) if value is not None]


def _short(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _group(check: HealthCheck) -> str:
    return check.api_version.rpartition("/")[0]
