"""`trimtab events`: what Kubernetes' Events say of an App."""

import threading
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.apps import choose, full_name
from pipeline.cli.output import Format, emit, out, table, warn
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import InputError

_EVENTS = Resource("", "v1", "Event", "events", namespaced=True, verbs=frozenset({"list", "watch"}))

#: Seconds before a watch that ended is opened again.
_PAUSE = 1.0


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("events")(events)


def events(
    app: opt.AppArgument = "",
    namespace: opt.OwnNamespace = DEFAULT_NAMESPACE,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on with what happens from now on.")] = False,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Show the Events of an App, the newest last; Kubernetes keeps them for an hour."""
    if watch and output is not Format.TABLE:
        raise InputError(f"--watch does not go with -o {output}", hint="leave one of them out")
    connection = opt.connect(kubeconfig, context).connection
    resource = choose(connection, app, namespace)
    found, version = _list(connection, resource)
    if output is not Format.TABLE:
        emit([event_data(event) for event in found], output)
    elif found:
        table(("AT", "TYPE", "REASON", "COUNT", "MESSAGE"), [_row(event) for event in found])
    else:
        warn(f"there are no Events of App {full_name(resource)}")
    if watch:
        _follow(connection, resource, version)
    return 0


def event_data(event: Mapping[str, Any]) -> dict[str, Any]:
    """One Event as data: at (when it was last seen, RFC 3339), type, reason, count, message. The keys are a promise."""
    return {
        "at": _at(event),
        "type": event.get("type") or "",
        "reason": event.get("reason") or "",
        "count": event.get("count") or 1,
        "message": event.get("message") or "",
    }


def _list(connection: Connection, resource: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    namespace = resource["metadata"]["namespace"]
    found, version = objects.list_objects(connection, _EVENTS, namespace, fields=_about(resource))
    return sorted(found, key=_at), version


def _follow(connection: Connection, resource: Mapping[str, Any], version: str) -> None:
    """Print what comes, until the command is interrupted."""
    namespace, stop = resource["metadata"]["namespace"], threading.Event()
    while True:
        try:
            for kind, event in objects.watch(
                connection, _EVENTS, namespace, fields=_about(resource), resource_version=version, stop=stop
            ):
                version = event["metadata"]["resourceVersion"]
                if kind in ("ADDED", "MODIFIED"):
                    at, type_, reason, count, message = _row(event)
                    out().print(f"{at}  {type_:<7}  {reason}  {count}  {message}", markup=False)
        except ApiError as error:
            if error.status != 410:
                raise
            # What came between is passed over: the API server does not know it any more in its order.
            version = _list(connection, resource)[1]
        stop.wait(_PAUSE)


def _about(resource: Mapping[str, Any]) -> str:
    meta = resource["metadata"]
    about = {"kind": "App", "name": meta["name"], "uid": meta["uid"]}
    return ",".join(f"involvedObject.{key}={value}" for key, value in about.items())


def _at(event: Mapping[str, Any]) -> str:
    meta = event["metadata"]
    return str(event.get("lastTimestamp") or event.get("eventTime") or meta.get("creationTimestamp") or "")


def _row(event: Mapping[str, Any]) -> tuple[str, ...]:
    data = event_data(event)
    return data["at"], data["type"], data["reason"], str(data["count"]), data["message"].replace("\n", " ")
