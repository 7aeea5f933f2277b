"""Releases everything that Apps own, all Apps at once: what is done when Trimtab goes, and workloads stay.

Goes by labels and annotations on what lives, one LIST a kind: the inventories may be gone already.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.app import App
from pipeline.apply.remove import patched_another, release_operations
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError
from pipeline.inventory.names import APP_LABEL, INVENTORY_LABEL, OWNER_ANNOTATION, app_label, field_manager
from pipeline.inventory.store import CONFIG_MAPS

_THREADS = 16
_TRIES = 5
_MANAGER = "trimtab-release"
_NEEDED = {"list", "patch"}


def release_all(
    connection: Connection, apps: Iterable[App], on_trouble: Callable[[str], None], namespaces: Iterable[str] = ()
) -> int:
    """Take the marks of these Apps off everything that carries them; the number of objects that were released.

    Deletes nothing. What cannot be listed in the whole cluster is looked for in `namespaces`. `on_trouble` is told
    of what could not be released: it lives on with our labels, which do no harm. Raises ApiError and
    ClusterUnreachableError only where not even the kinds can be asked for.
    """
    by_label = {app_label(app): app for app in apps}
    if not by_label:
        return 0
    kinds = [kind for kind in Discovery.load(connection).resources() if kind.verbs >= _NEEDED]
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        found = pool.map(lambda kind: _marked(connection, kind, namespaces, on_trouble), kinds)
        marked = [
            (kind, meta, app)
            for kind, metas in zip(kinds, found, strict=True)
            for meta in metas
            if (app := by_label.get(meta["metadata"]["labels"][APP_LABEL])) is not None
        ]
        return sum(pool.map(lambda item: _released(connection, *item, on_trouble=on_trouble), marked))


def drop_inventories(connection: Connection, namespace: str, apps: Iterable[App]) -> None:
    """Delete the records of Apps that own nothing any more. What cannot be deleted harms nobody."""
    labels = {app_label(app) for app in apps}
    try:
        found = list(objects.list_metadata(connection, CONFIG_MAPS, namespace, selector=INVENTORY_LABEL))
        for meta in found:
            metadata = meta["metadata"]
            if metadata["labels"][INVENTORY_LABEL] in labels:
                objects.delete(connection, CONFIG_MAPS, namespace, metadata["name"], uid=metadata["uid"])
    except (ApiError, ClusterUnreachableError):
        return


def _marked(
    connection: Connection, kind: Resource, namespaces: Iterable[str], on_trouble: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The metadata of all objects of a kind that carry the label of some App."""
    try:
        return list(objects.list_metadata(connection, kind, None, selector=APP_LABEL))
    except ClusterUnreachableError as error:
        on_trouble(f"{kind.kind}: {error.message}")
        return []
    except ApiError as error:
        if error.not_found:
            return []
        if not (error.forbidden and kind.namespaced):
            on_trouble(f"{kind.kind}: {error.message}")
            return []
    found: list[dict[str, Any]] = []
    for namespace in dict.fromkeys(namespaces):
        try:
            found += objects.list_metadata(connection, kind, namespace, selector=APP_LABEL)
        except (ApiError, ClusterUnreachableError) as error:
            on_trouble(f"{kind.kind} in namespace {namespace}: {error.message}")
    return found


def _released(
    connection: Connection, kind: Resource, meta: Mapping[str, Any], app: App, *, on_trouble: Callable[[str], None]
) -> int:
    """Release one object, 1, or leave what is gone or not ours, 0."""
    metadata = meta["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    trouble = ""
    try:
        for _ in range(_TRIES):
            owner = (metadata.get("annotations") or {}).get(OWNER_ANNOTATION, "")
            manager = field_manager(app.name, owner)
            operations = release_operations(metadata, manager=manager, owner=owner) if owner else []
            if not operations:
                return 0
            try:
                objects.json_patch(connection, kind, namespace, name, operations, manager=_MANAGER)
            except ApiError as error:
                if not patched_another(error):
                    raise
                trouble = error.message
            else:
                return 1
            again = objects.get_metadata(connection, kind, namespace, name)
            if again is None:
                return 0
            metadata = again["metadata"]
    except (ApiError, ClusterUnreachableError) as error:
        if isinstance(error, ApiError) and error.not_found:
            return 0
        trouble = error.message
    on_trouble(f"{kind.kind} {namespace}/{name}: {trouble}")
    return 0
