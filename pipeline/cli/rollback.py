"""`trimtab rollback`: an App goes back to a commit that was well, and stays there until git moves on."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.app.status import Past, Status, status_of
from pipeline.cli import options as opt
from pipeline.cli.appdata import exit_code_of
from pipeline.cli.apps import choose, command_for, full_name
from pipeline.cli.follow import Patience
from pipeline.cli.outcome import ask_and_show, outcome_data
from pipeline.cli.output import Format, emit, out, warn
from pipeline.cluster.connection import Connection
from pipeline.control.resource import HEAD, REJECTED_ANNOTATION, ROLLBACK_ANNOTATION
from pipeline.errors import InputError
from pipeline.location import short

_FULL_ID = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64}|[^@\s]+@sha256:[0-9a-f]{64})\Z")


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("rollback")(rollback)


def rollback(
    app: opt.AppArgument = "",
    commit: Annotated[
        str,
        typer.Argument(
            help="Where to: a commit (of a chart: a version) of its history, or any full commit id; default: the last "
            "that was well."
        ),
    ] = "",
    cancel: Annotated[bool, typer.Option("--cancel", help="End a rollback: the App follows git again.")] = False,
    namespace: opt.OwnNamespace = DEFAULT_NAMESPACE,
    timeout: opt.FollowTimeout = "5m",
    no_wait: opt.NoFollow = False,
    controller_namespace: opt.ControllerNamespace = "",
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Go back to an older commit. It stays until git moves on past the rejected commit, or --cancel."""
    if cancel and commit:
        raise InputError("--cancel takes no commit", hint="leave one of them out")
    patience = Patience.of(timeout, controller_namespace, output)
    connection = opt.connect(kubeconfig, context).connection
    resource = choose(connection, app, namespace)
    if cancel:
        return _cancel(connection, resource, patience, output, no_wait=no_wait)
    to = way_back(resource, commit)
    if output is Format.TABLE:
        warn(
            f"App {full_name(resource)} goes back to {short(to)}; what git is at now is not taken again.\n"
            f"It stays until git moves on, or {command_for('rollback', resource)} --cancel"
        )
    annotations = {ROLLBACK_ANNOTATION: to, REJECTED_ANNOTATION: HEAD}
    return ask_and_show(connection, resource, annotations, patience, output, no_wait=no_wait, judge=_judge)


def _cancel(
    connection: Connection, resource: Mapping[str, Any], patience: Patience, output: Format, *, no_wait: bool
) -> int:
    status = status_of(resource)
    annotations = resource["metadata"].get("annotations") or {}
    if status.rollback is not None or ROLLBACK_ANNOTATION in annotations:
        gone = {ROLLBACK_ANNOTATION: None, REJECTED_ANNOTATION: None}
        return ask_and_show(connection, resource, gone, patience, output, no_wait=no_wait)
    if output is not Format.TABLE:
        emit(outcome_data(status, resource, 0), output)
    else:
        out().print(f"App {full_name(resource)} is not rolled back: it follows git", markup=False)
    return 0


def _judge(resource: Mapping[str, Any]) -> int:
    """A rollback that does not hold is no success, however well the App is; says so."""
    if status_of(resource).rollback is not None:
        return exit_code_of(resource)
    warn(
        "error: the rollback does not hold: git has moved on past the rejected commit\n"
        f"  → {command_for('history', resource)} shows what came of it; roll back again to reject that too"
    )
    return 1


def way_back(resource: Mapping[str, Any], wanted: str) -> str:
    """The commit to go back to, in full; pure.

    `wanted` is empty, a full id, or the beginning of one in the history. Raises InputError, which lists the history.
    """
    status = status_of(resource)
    present = attempted(status)
    if not present:
        raise InputError(f"App {full_name(resource)} was not synced yet: there is nothing to go back from")
    if wanted:
        to = _chosen(resource, status, wanted)
    else:
        to = _last_good(resource, status, {present, status.rollback.rejected if status.rollback else present})
    if status.rollback is not None and to == status.rollback.rejected:
        raise InputError(
            f"{short(to)} is the commit that the present rollback rejects",
            hint=f"{command_for('rollback', resource)} --cancel",
        )
    if status.rollback is None and to == present:
        raise InputError(f"{short(to)} is the commit that a rollback leaves", hint="name an older one")
    return to


def attempted(status: Status) -> str:
    """The commit that was tried last: of a sync that failed as a whole only the history knows it."""
    ready = status.condition("Ready")
    last = status.history[0] if status.history else None
    if last is None or ready is None or ready.status == "True":
        return status.commit
    failed_whole = last.reason == ready.reason and not last.counts
    return last.commit if failed_whole and last.commit else status.commit


def _last_good(resource: Mapping[str, Any], status: Status, left: set[str]) -> str:
    for past in status.history:
        if past.healthy and past.commit and past.commit not in left:
            return past.commit
    raise InputError(
        f"App {full_name(resource)} has no earlier commit that was well to go back to; {_listed(status)}",
        hint="name one of these, or a full commit id",
    )


def _chosen(resource: Mapping[str, Any], status: Status, wanted: str) -> str:
    if re.fullmatch(r"[0-9a-fA-F]+", wanted):
        wanted = wanted.lower()
    if _FULL_ID.match(wanted):
        return wanted
    commits = {past.commit for past in status.history}
    # A chart's version in full, before those that only begin with it.
    found = sorted({each for each in commits if short(each) == wanted} or {c for c in commits if c.startswith(wanted)})
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} commits begin with {wanted}" if found else f"no commit begins with {wanted}"
    raise InputError(
        f"in the history of App {full_name(resource)} {what}; {_listed(status)}", hint="or give the full commit id"
    )


def _listed(status: Status) -> str:
    return "its history is\n" + "\n".join(map(_line, status.history)) if status.history else "its history is empty"


def _line(past: Past) -> str:
    return f"  {past.at}  {short(past.commit) or '-':<12}  {'ok ' if past.healthy else 'bad'}  {past.reason}"
