"""The App as an object of the API server: where it is, what is written on it, and the few requests for that."""

from collections.abc import Mapping
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import InputError

#: Namespace and name of an App.
AppKey = tuple[str, str]

_VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete"})
APPS = Resource("trimtab.dev", "v1alpha1", "App", "apps", namespaced=True, verbs=_VERBS)
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
    namespaced=False, verbs=_VERBS,
)  # fmt: skip
CRD_NAME = "apps.trimtab.dev"
#: Who writes the status and the finalizer.
CONTROLLER_MANAGER = "trimtab-controller"
#: Who writes what a person asks for on the command line.
CLI_MANAGER = "trimtab-cli"
#: Who writes the App of `trimtab run --git-url`.
FLAGS_MANAGER = "trimtab-flags"

#: On every App that is served: it goes when its objects are pruned or released.
FINALIZER = "trimtab.dev/finalizer"
#: Any new value asks for a sync at once; the status answers with the same value.
SYNC_ANNOTATION = "trimtab.dev/sync-requested"
#: The digest of the held prune that a person approved.
APPROVED_ANNOTATION = "trimtab.dev/approved"
#: A rollback: the commit to keep, and the one that is not taken again. Both, or none. Who asks for it rejects `HEAD`,
#: what the source is at when the controller asks it next; the controller writes that commit in its place.
ROLLBACK_ANNOTATION = "trimtab.dev/rollback-to"
REJECTED_ANNOTATION = "trimtab.dev/rollback-rejected"
HEAD = "HEAD"


def get_app(connection: Connection, namespace: str, name: str) -> dict[str, Any] | None:
    """The App resource; None where there is none of that name, or the cluster knows no Apps."""
    return objects.get(connection, APPS, namespace, name)


def outdated(connection: Connection, resource: Mapping[str, Any]) -> str:
    """Why an App is not what was read of it; empty: it is. One request, which no cache answers.

    A watch that begins at an API server whose own cache is behind shows Apps as they were (kubernetes#59848). Nothing
    may be deleted on such grounds. Raises ApiError.
    """
    read = resource["metadata"]
    live = objects.get_metadata(connection, APPS, read["namespace"], read["name"])
    now = live["metadata"] if live is not None else {}
    parts = ("uid", "generation", "deletionTimestamp")
    if [now.get(part) for part in parts] == [read.get(part) for part in parts]:
        return ""
    return f"App {read['namespace']}/{read['name']} is not what it was when this turn began"


def list_apps(connection: Connection, namespace: str | None) -> list[dict[str, Any]]:
    """All App resources of a namespace, or of all for None. Raises InputError where there is no such kind."""
    try:
        return objects.list_objects(connection, APPS, namespace)[0]
    except ApiError as error:
        if error.kind_missing:
            raise crd_missing() from error
        raise


def annotate(
    connection: Connection, namespace: str, name: str, annotations: Mapping[str, str | None]
) -> dict[str, Any]:
    """Set annotations (None takes one off) and return the App."""
    patch = {"metadata": {"annotations": dict(annotations)}}
    return objects.merge_patch(connection, APPS, namespace, name, patch, manager=CLI_MANAGER)


def crd_missing() -> InputError:
    """The error where the cluster does not know Apps."""
    return InputError(
        f"the cluster knows no Apps: the CustomResourceDefinition {CRD_NAME} is missing",
        hint="install Trimtab: kubectl apply -f deploy, or trimtab install --apply",
    )
