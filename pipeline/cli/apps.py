"""Which App a command means, and how it is named in messages."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.app import DEFAULT_NAMESPACE, App, Metadata, check
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.control.resource import get_app, list_apps
from pipeline.errors import InputError
from pipeline.inventory.store import NAMESPACES

#: The App that `trimtab run --git-url` writes, and that is meant where none is named.
DEFAULT_APP = "default"
_NAMES_MAX = 10


def choose(connection: Connection, name: str, namespace: str) -> dict[str, Any]:
    """The App resource of that name; without a name `default`, else the only one of the namespace.

    Raises InputError, which lists the Apps that there are, and where the cluster knows no Apps at all.
    """
    app = app_named(name or DEFAULT_APP, namespace)
    found = get_app(connection, namespace, app.name)
    if found is not None:
        return found
    if name:
        raise missing(connection, app)
    apps = list_apps(connection, namespace)
    if len(apps) == 1:
        return apps[0]
    if apps:
        raise InputError(f"namespace {namespace} has several Apps: {_names(apps)}", hint="name one of them")
    if not _exists(connection, namespace):
        raise InputError(f"there is no namespace {namespace}", hint="-n chooses the App's own namespace")
    raise InputError(f"there is no App in namespace {namespace}", hint="trimtab status -A lists all")


def find(connection: Connection, app: App) -> dict[str, Any] | None:
    """The App's resource; None where there is none, where the cluster knows no Apps, or where they may not be read.

    Who may not read Apps may still have some that only an inventory knows.
    """
    try:
        return get_app(connection, app.metadata.namespace, app.name)
    except ApiError as error:
        if not error.forbidden:
            raise
        return None


def app_named(name: str, namespace: str) -> App:
    """The App that a command names; its spec is elsewhere. Raises InputError for a path, and for what is no name."""
    if "/" in name or name == ".":
        raise InputError(f"{name} is a folder, and here an App's name is needed", hint="trimtab apply takes folders")
    app = App(Metadata(name=name, namespace=namespace))
    check(app)
    return app


def missing(connection: Connection, app: App, *, inventory: str = "") -> InputError:
    """The error for an App that is not there: names those that are, and the namespaces that have one of that name.

    `inventory` is the namespace of the inventories where an App may be known by its inventory alone; else a cluster
    that knows no Apps is an InputError that is raised.
    """
    namespace = app.metadata.namespace
    here = _listed(connection, namespace, needed=not inventory)
    message = f"there is no App {app}"
    if inventory:
        message += f", neither a resource nor an inventory in namespace {inventory}"
    if here:
        message += f"; namespace {namespace} has {_names(here)}"
    elif not _exists(connection, namespace):
        message += f": there is no namespace {namespace}"
    everywhere = (item["metadata"] for item in _listed(connection, None, needed=False))
    places = ", ".join(sorted(meta["namespace"] for meta in everywhere if meta["name"] == app.name)[:_NAMES_MAX])
    hint = f"an App {app.name} is in namespace {places}: choose with -n" if places else "trimtab status -A lists all"
    if inventory and not places:
        hint += "; --inventory-namespace looks elsewhere"
    return InputError(message, hint=hint)


def full_name(resource: Mapping[str, Any]) -> str:
    """`namespace/name`."""
    return f"{resource['metadata']['namespace']}/{resource['metadata']['name']}"


def command_for(verb: str, resource: Mapping[str, Any]) -> str:
    """The command line that does `verb` to the App, for hints."""
    meta = resource["metadata"]
    place = f" -n {meta['namespace']}" if meta["namespace"] != DEFAULT_NAMESPACE else ""
    return f"trimtab {verb} {meta['name']}{place}"


def _exists(connection: Connection, namespace: str) -> bool:
    """Whether there is such a namespace; whoever may not look is told yes."""
    try:
        return objects.get_metadata(connection, NAMESPACES, "", namespace) is not None
    except ApiError as error:
        if not error.forbidden:
            raise
        return True


def _listed(connection: Connection, namespace: str | None, *, needed: bool) -> list[dict[str, Any]]:
    """The Apps, for a message: none where they may not be listed. `needed`: raise where the cluster knows no Apps."""
    try:
        return list_apps(connection, namespace)
    except ApiError:
        return []
    except InputError:
        if needed:
            raise
        return []


def _names(apps: Sequence[Mapping[str, Any]]) -> str:
    names = sorted(item["metadata"]["name"] for item in apps)
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    return ", ".join(names[:_NAMES_MAX]) + more
