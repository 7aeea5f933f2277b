"""`trimtab uninstall`: takes Trimtab out of a cluster; everything that Apps have applied lives on."""

import os
import sys
from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.controller import Leadership
from pipeline.cli.output import out, warn
from pipeline.cluster.connection import Connection
from pipeline.errors import InputError, TrimtabError


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("uninstall")(uninstall)


def uninstall(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where Trimtab runs.")] = DEFAULT_NAMESPACE,
    force: Annotated[bool, typer.Option("--force", help="Without the controller: release all Apps from here.")] = False,
    keep_namespace: Annotated[
        bool, typer.Option("--keep-namespace", help="Leave the namespace, with the deploy key in it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    inventory_namespace: Annotated[
        str, typer.Option(help="Where inventories are kept; default: the controller's own namespace.")
    ] = "",
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
) -> int:
    """Take Trimtab out of the cluster: Apps release all that they own, and what they have applied lives on."""
    if os.environ.get("POD_NAMESPACE") == namespace and os.environ.get("POD_NAME"):
        raise InputError(
            "this is a Pod of the installation, and would end in the middle of it",
            hint="run trimtab uninstall on your own machine, or kubectl delete -f deploy",
        )
    # Imported late: what the controller needs takes 100 ms, which no other command owes.
    from pipeline.control.leave.uninstall import Uninstall  # noqa: PLC0415

    session = opt.connect(kubeconfig, context)
    work = Uninstall(
        session.connection,
        namespace,
        lambda text: out().print(text, markup=False),
        lambda text: warn(f"warning: {text}"),
    )
    work.check()
    asks = not yes and sys.stdin.isatty() and sys.stderr.isatty()
    if asks and not typer.confirm(
        f"Take Trimtab out of namespace {namespace} at {session.connection.server}?", err=True
    ):
        return 130
    if force:
        work.release_from_here(inventory_namespace or namespace)
    else:
        _check_controller(session.connection, namespace)
        work.let_controller_release()
    work.remove(keep_namespace=keep_namespace)
    return 0


def _check_controller(connection: Connection, namespace: str) -> None:
    leadership = Leadership(connection, namespace, namespace)
    said = leadership.look()
    if leadership.absent:
        error = TrimtabError(said, hint="trimtab uninstall --force releases all Apps from here")
        error.exit_code = 5
        raise error
