"""`trimtab resume`: a suspended App goes on."""

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.apps import choose
from pipeline.cli.output import Format
from pipeline.cli.suspend import switch


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("resume")(resume)


def resume(
    app: opt.AppArgument = "",
    namespace: opt.OwnNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Let a suspended App go on; it is synced at once."""
    connection = opt.connect(kubeconfig, context).connection
    switch(connection, choose(connection, app, namespace), output, suspended=False, meaning="it is synced now")
    return 0
