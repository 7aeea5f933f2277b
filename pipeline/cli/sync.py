"""`trimtab sync`: asks the controller for a sync now, and follows it."""

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.apps import choose
from pipeline.cli.follow import Patience
from pipeline.cli.outcome import ask_and_show
from pipeline.cli.output import Format


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("sync")(sync)


def sync(
    app: opt.AppArgument = "",
    namespace: opt.OwnNamespace = DEFAULT_NAMESPACE,
    timeout: opt.FollowTimeout = "5m",
    no_wait: opt.NoFollow = False,
    controller_namespace: opt.ControllerNamespace = "",
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Ask the controller to read git and sync an App now, and show what changed. Exits as the outcome."""
    patience = Patience.of(timeout, controller_namespace, output)
    connection = opt.connect(kubeconfig, context).connection
    return ask_and_show(connection, choose(connection, app, namespace), {}, patience, output, no_wait=no_wait)
