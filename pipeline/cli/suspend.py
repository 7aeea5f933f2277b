"""`trimtab suspend`: an App is left as it is until it is resumed."""

from typing import Any

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.apps import choose, command_for, full_name
from pipeline.cli.follow import new_request
from pipeline.cli.output import Format, emit, out
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.control.resource import APPS, CLI_MANAGER, SYNC_ANNOTATION


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("suspend")(suspend)


def suspend(
    app: opt.AppArgument = "",
    namespace: opt.OwnNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Leave an App as it is, whatever git says and whoever changes its objects, until it is resumed."""
    connection = opt.connect(kubeconfig, context).connection
    resource = choose(connection, app, namespace)
    how = f"nothing is applied, put back or pruned until {command_for('resume', resource)}"
    switch(connection, resource, output, suspended=True, meaning=how)
    return 0


def switch(connection: Connection, resource: dict[str, Any], output: Format, *, suspended: bool, meaning: str) -> None:
    """Suspend or resume an App, and say what it means; resuming asks for a sync.

    As data: app, suspended, changed (false: it was so already). The keys are a promise.
    """
    meta, word = resource["metadata"], "suspended" if suspended else "resumed"
    changed = bool((resource.get("spec") or {}).get("suspend")) != suspended
    if changed:
        patch: dict[str, Any] = {"spec": {"suspend": suspended}}
        if not suspended:
            patch["metadata"] = {"annotations": {SYNC_ANNOTATION: new_request()}}
        objects.merge_patch(connection, APPS, meta["namespace"], meta["name"], patch, manager=CLI_MANAGER)
    name = full_name(resource)
    if output is not Format.TABLE:
        emit({"app": name, "suspended": suspended, "changed": changed}, output)
    elif changed:
        out().print(f"App {name} is {word}: {meaning}", markup=False)
    else:
        out().print(f"App {name} is {'suspended already' if suspended else 'not suspended'}", markup=False)
