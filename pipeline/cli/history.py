"""`trimtab history`: the last syncs of an App that changed something or ended otherwise."""

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.app.status import Past, Status, status_of
from pipeline.cli import options as opt
from pipeline.cli.appdata import counts_text, past_data
from pipeline.cli.apps import choose, full_name
from pipeline.cli.output import Format, emit, table, warn
from pipeline.location import short


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("history")(history)


def history(
    app: opt.AppArgument = "",
    namespace: opt.OwnNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Show the last syncs of an App that changed something or ended otherwise than the one before, newest first."""
    resource = choose(opt.connect(kubeconfig, context).connection, app, namespace)
    status = status_of(resource)
    if output is not Format.TABLE:
        emit([past_data(past) for past in status.history], output)
    elif status.history:
        show_history(status)
    else:
        warn(f"App {full_name(resource)} was not synced yet")
    return 0


def show_history(status: Status) -> None:
    """The history as a table."""
    table(("AT", "COMMIT", "RESULT", "CHANGES", "MESSAGE"), map(_row, status.history))


def _row(past: Past) -> tuple[str, ...]:
    first_line = past.message.partition("\n")[0]
    return past.at, short(past.commit) or "-", past.reason, counts_text(past.counts) or "-", first_line
