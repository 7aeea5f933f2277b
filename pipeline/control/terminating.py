"""Whether something is being taken away that Apps cannot do without: then they release, and delete nothing."""

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.control.resource import CRD_NAME, CRDS
from pipeline.inventory.store import NAMESPACES


def being_removed(connection: Connection, *namespaces: str) -> str:
    """Why Apps must not delete anything: the App CRD or one of these namespaces goes; empty where none does.

    What is gone, or may not be looked at, counts as going: in doubt nothing is deleted. Raises what may pass.
    """
    things = [(CRDS, CRD_NAME), *((NAMESPACES, name) for name in dict.fromkeys(namespaces))]
    for resource, name in things:
        try:
            meta = objects.get_metadata(connection, resource, "", name)
        except ApiError as error:
            if error.temporary:
                raise
            return f"whether {resource.kind} {name} is being deleted cannot be seen: {error.message}"
        if meta is None:
            return f"{resource.kind} {name} is gone"
        if "deletionTimestamp" in meta["metadata"]:
            return f"{resource.kind} {name} is being deleted"
    return ""


def terminating(connection: Connection, resource: Resource, name: str) -> bool:
    """Whether it is there and being deleted; False also where that may not be seen. Raises what may pass."""
    try:
        meta = objects.get_metadata(connection, resource, "", name)
    except ApiError as error:
        if error.temporary:
            raise
        return False
    return meta is not None and "deletionTimestamp" in meta["metadata"]
