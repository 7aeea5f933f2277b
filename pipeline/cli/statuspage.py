"""One App in full, as a person reads it; everything that `trimtab status APP` prints."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.app.status import status_of
from pipeline.cli.appdata import counts_text, ready_of
from pipeline.cli.apps import command_for
from pipeline.cli.output import age, out
from pipeline.location import short

_WIDTH = 13


def show(data: Mapping[str, Any], resource: Mapping[str, Any] | None) -> None:
    """Print it. `data` is what `app_data` gives; `resource` is None for an App that only an inventory knows."""
    for key, value in _facts(data, resource):
        out().print(f"{key and key + ':':<{_WIDTH}}{value}", markup=False)
    if resource is not None:
        _show_status(data, resource)
    elif data["held"]:
        _section("Held", data["held"])
    _section(f"Objects ({data['objectCount']})", (f"{item['standing']:<9}{item['id']}" for item in data["objects"]))


def _facts(data: Mapping[str, Any], resource: Mapping[str, Any] | None) -> Iterable[tuple[str, str]]:
    yield "App", data["app"]
    yield "State", data["state"] + (", and being deleted" if data.get("deleting") else "")
    if resource is not None and (message := ready_of(resource).message):
        yield "", message
    yield "Source", data["url"] or "(a local folder)"
    yield "Ref", data["ref"] or "(the default branch)"
    yield "Path", data["path"]
    yield "Commit", data["commit"] or "-"
    yield "Target", data["targetNamespace"]
    if resource is None:
        yield "Last sync", f"{data['at']} {data['message']}".strip()
        return
    if needed := [f"{item['namespace']}/{item['name']}" if item.get("namespace") else item["name"]
                  for item in data["dependsOn"]]:  # fmt: skip
        yield "Depends on", ", ".join(needed)
    if data["suspended"]:
        yield "Suspended", f"yes; {command_for('resume', resource)} lets it go on"
    if rollback := data["rollback"]:
        to, rejected = short(rollback["to"]), short(rollback["rejected"])
        yield (
            "Rollback",
            f"stays at {to} until git moves on past {rejected}, or {command_for('rollback', resource)} --cancel",
        )


def _show_status(data: Mapping[str, Any], resource: Mapping[str, Any]) -> None:
    status = status_of(resource)
    _section("Conditions", (
        f"{item.type:<12} {item.status:<8} {age(item.last_transition_time):<5} {item.reason}"
        + (f": {item.message}" if item.message else "")
        for item in status.conditions
    ))  # fmt: skip
    _section("Also read", (f"{item.name:<12} {item.version:<12} {item.id:<12}  {item.url}" for item in status.sources))
    _section("Last syncs", (
        f"{past.at}  {short(past.commit) or '-':<12}  {past.reason}: {counts_text(past.counts) or past.message}"
        for past in status.history
    ))  # fmt: skip
    _section("Problems", (f"{item.reason:<9}{item.object}: {item.message}" for item in status.problems))
    _section("Warnings", status.warnings)
    if status.held is not None:
        left = status.held.count - len(data["held"])
        _section(
            f"Held ({status.held.count}); {command_for('approve', resource)} lets exactly these go",
            [*data["held"], *([f"… and {left} more"] if left > 0 else [])],
        )


def _section(title: str, lines: Iterable[str]) -> None:
    """A heading and its lines; nothing where there are none."""
    lines = list(lines)
    if lines:
        out().print(f"{title}:", markup=False)
    for line in lines:
        out().print("  " + line.replace("\n", "\n    "), markup=False)
