"""Shows what came of something that the controller was asked for, and turns it into an exit code."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pipeline.app.status import Past, Status, status_of
from pipeline.cli.appdata import counts_text, exit_code_of, past_data, ready_of, state_of
from pipeline.cli.apps import command_for, full_name
from pipeline.cli.follow import Patience, ask, until_answered
from pipeline.cli.output import Format, emit, out, warn, warnings
from pipeline.cluster.connection import Connection
from pipeline.location import short


def ask_and_show(
    connection: Connection,
    resource: Mapping[str, Any],
    annotations: Mapping[str, str | None],
    patience: Patience,
    output: Format,
    *,
    no_wait: bool,
    judge: Callable[[Mapping[str, Any]], int] = exit_code_of,
) -> int:
    """Ask for a sync with these annotations beside, follow it and show what came of it. Returns the exit code.

    `judge` gives it, from the App that has answered. With `no_wait` the sync is only asked for. Raises what `ask` and
    `until_answered` raise.
    """
    asked = ask(connection, resource, annotations)
    if not no_wait:
        answered = until_answered(connection, asked, patience)
        return show_outcome(status_of(asked), answered, output, judge(answered))
    if output is Format.TABLE:
        out().print(f"App {full_name(asked)}: asked for a sync", markup=False)
    else:
        emit(outcome_data(status_of(asked), asked, 0), output)
    return 0


def show_outcome(before: Status, resource: Mapping[str, Any], output: Format, code: int) -> int:
    """What the App's status says since `before`. Returns the exit code that is given."""
    if output is not Format.TABLE:
        emit(outcome_data(before, resource, code), output)
        return code
    status, ready = status_of(resource), ready_of(resource)
    warnings(status.warnings)
    console = out()
    show_problems(status)
    for past in _new(before, status):
        console.print(f"{short(past.commit) or '-':<12} {past.reason}: {_came_to(past)}", markup=False)
    at = f" at {status.short_commit}" if status.commit else ""
    console.print(f"App {full_name(resource)}{at}: {state_of(resource)}: {ready.message}", markup=False)
    show_held(resource)
    return code


def outcome_data(before: Status, resource: Mapping[str, Any], code: int) -> dict[str, Any]:
    """What came of a request as data. The keys are a promise.

    app, state, ok, exitCode, commit, ref, reason and message (of the condition Ready), syncs (the entries of the
    history since the request, newest first; empty where nothing changed), problems, warnings, heldDigest, held,
    rollback (to, rejected; null where none holds).
    """
    status, ready = status_of(resource), ready_of(resource)
    return {
        "app": full_name(resource),
        "state": state_of(resource),
        "ok": code == 0,
        "exitCode": code,
        "commit": status.commit,
        "ref": status.ref,
        "reason": ready.reason,
        "message": ready.message,
        "syncs": [past_data(past) for past in _new(before, status)],
        "problems": [msgspec.to_builtins(problem) for problem in status.problems],
        "warnings": list(status.warnings),
        "heldDigest": status.held.digest if status.held else "",
        "held": list(status.held.objects) if status.held else [],
        "rollback": msgspec.to_builtins(status.rollback) if status.rollback else None,
    }


def show_problems(status: Status) -> None:
    """The objects in trouble: failures with the data, as `apply` has them, and what is not ready beside it."""
    for problem in status.problems:
        if problem.reason == "NotReady":
            warn(f"not ready: {problem.object}: {problem.message}")
        else:
            out().print(f"{problem.reason.lower():<10} {problem.object}: {problem.message}", markup=False)


def show_held(resource: Mapping[str, Any]) -> None:
    """What waits for a person, if anything does, and how to let it go on."""
    held = status_of(resource).held
    if held is None:
        return
    for text in held.objects:
        warn(f"{'held':<10} {text}")
    if held.count > len(held.objects):
        warn(f"… and {held.count - len(held.objects)} more")
    warn(f"held: this prune needs approval\n  → {command_for('approve', resource)}")


def _new(before: Status, after: Status) -> list[Past]:
    return [past for past in after.history if past not in before.history]


def _came_to(past: Past) -> str:
    return counts_text(past.counts) or past.message
