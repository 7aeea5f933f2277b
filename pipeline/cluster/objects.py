"""One function for each thing that is done to objects. Knows the API's requests, decides nothing.

All raise ApiError for a failure that the API server reports, ClusterUnreachableError when it does not answer.
"""

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError

_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#: In UTF-8: DEL and C1 controls, line and paragraph separators, the byte order mark, noncharacters.
_NOT_YAML = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]|\xef\xbb\xbf|\xef\xbf[\xbe\xbf]")
#: Objects a page, of metadata and whole: some megabytes.
_PAGE = 2000
_WHOLE_PAGE = 500
#: How long the API server keeps a watch open, and how much longer we wait for its end, in seconds.
_WATCH = 300
_WATCH_GRACE = 15


def apply(  # noqa: PLR0913 - object, body and Kubernetes' options of a server-side apply
    connection: Connection,
    resource: Resource,
    namespace: str,
    name: str,
    body: bytes,
    *,
    manager: str,
    force: bool,
    dry_run: bool = False,
) -> tuple[int, dict[str, Any]]:
    """Server-side apply of `body` (JSON in UTF-8). Returns 201 (created) or 200, and the whole object."""
    query = [("fieldManager", manager), ("force", "true" if force else "false"), *_dry(dry_run)]
    path = resource.path(namespace, name)
    response = connection.request("PATCH", path, query=query, body=_as_yaml(body), content_type=_APPLY, verb="APPLY")
    return response.status, connection.decoded(response, "APPLY")


def get(connection: Connection, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
    """The object, or None where it does not exist."""
    return _get(connection, resource.path(namespace, name), "application/json")


def get_metadata(connection: Connection, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
    """The object's metadata (a PartialObjectMetadata), or None where it does not exist."""
    return _get(connection, resource.path(namespace, name), _METADATA)


def list_metadata(
    connection: Connection, resource: Resource, namespace: str | None, *, selector: str
) -> Iterator[dict[str, Any]]:
    """The metadata of all that the label selector means, in one namespace, or everywhere for None.

    Page by page. When a long list expires in the middle, it begins again, and objects come twice.
    """
    query = [("labelSelector", selector)]
    for _, page in _pages(connection, resource, namespace, query, size=_PAGE, accept=_METADATA_LIST):
        yield from page.get("items") or ()


def list_objects(
    connection: Connection, resource: Resource, namespace: str | None, *, selector: str = "", fields: str = ""
) -> tuple[list[dict[str, Any]], str]:
    """All objects that the label selector and the field selector mean, whole, in one namespace, or in all for None.

    Also the resourceVersion that a watch goes on from.
    """
    # The API server leaves out what the list says already.
    named = {"apiVersion": resource.api_version, "kind": resource.kind}
    items: list[dict[str, Any]] = []
    version = ""
    query = _selected(selector, fields)
    for first, page in _pages(connection, resource, namespace, query, size=_WHOLE_PAGE, accept="application/json"):
        if first:
            items, version = [], page["metadata"]["resourceVersion"]
        items += ({**named, **item} for item in page.get("items") or ())
    return items, version


def json_patch(
    connection: Connection,
    resource: Resource,
    namespace: str,
    name: str,
    operations: Sequence[Mapping[str, Any]],
    *,
    manager: str,
) -> dict[str, Any]:
    """A JSON patch (RFC 6902). Returns the whole object."""
    path, body = resource.path(namespace, name), json.dumps(list(operations)).encode()
    return connection.call("PATCH", path, query=[("fieldManager", manager)], body=body, content_type=_JSON_PATCH)


def merge_patch(
    connection: Connection,
    resource: Resource,
    namespace: str,
    name: str,
    patch: Mapping[str, Any],
    *,
    manager: str,
    subresource: str = "",
) -> dict[str, Any]:
    """A JSON merge patch (RFC 7386): null takes a field off, a list is replaced whole. Returns the whole object.

    With `metadata.resourceVersion` in it, only over that version (409 otherwise).
    """
    path = resource.path(namespace, name) + (f"/{subresource}" if subresource else "")
    body = json.dumps(patch).encode()
    return connection.call("PATCH", path, query=[("fieldManager", manager)], body=body, content_type=_MERGE_PATCH)


def create(
    connection: Connection,
    resource: Resource,
    namespace: str,
    body: Mapping[str, Any],
    *,
    manager: str,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Create an object that must not exist yet (409 otherwise). Returns it."""
    query = [("fieldManager", manager), *_dry(dry_run)]
    return connection.call("POST", resource.path(namespace), query=query, body=json.dumps(body).encode())


def replace(
    connection: Connection,
    resource: Resource,
    namespace: str,
    body: Mapping[str, Any],
    *,
    manager: str,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Write an object as a whole; one with a resourceVersion only over that version (409 otherwise). Returns it."""
    path = resource.path(namespace, body["metadata"]["name"])
    query = [("fieldManager", manager), *_dry(dry_run)]
    return connection.call("PUT", path, query=query, body=json.dumps(body).encode())


def delete(
    connection: Connection,
    resource: Resource,
    namespace: str,
    name: str,
    *,
    uid: str,
    resource_version: str = "",
    propagation: str = "Background",
) -> dict[str, Any]:
    """Delete exactly that object, and only as it was read: another UID or resourceVersion is a 409.

    Returns the object where something still holds it (finalizers, a grace period), else a Status.
    """
    preconditions = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
    options = {"preconditions": preconditions, "propagationPolicy": propagation}
    return connection.call("DELETE", resource.path(namespace, name), body=json.dumps(options).encode())


def watch(
    connection: Connection,
    resource: Resource,
    namespace: str | None,
    *,
    selector: str = "",
    fields: str = "",
    resource_version: str,
    stop: threading.Event,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Open a watch. Gives what happens after `resource_version`: ADDED, MODIFIED, DELETED, or BOOKMARK with the object.

    Of all that the label selector and the field selector mean, in one namespace, or in all for None. Ends when `stop`
    is set, and when the API server ends it, as it does every few minutes: then go on from the last object's
    resourceVersion. Raises ApiError with status 410 when that version is too old: then list again.
    """
    query = [
        ("watch", "true"),
        *_selected(selector, fields),
        ("resourceVersion", resource_version),
        ("allowWatchBookmarks", "true"),
        ("timeoutSeconds", str(_WATCH)),
    ]
    return _events(
        connection.stream(resource.path(namespace or ""), query=query, timeout=_WATCH + _WATCH_GRACE, stop=stop)
    )


def _as_yaml(body: bytes) -> bytes:
    """The API server reads the body of an apply as YAML, and JSON is almost YAML.

    Its reader refuses control characters that JSON leaves as they are, makes a space of NEL, and knows no
    pairs of surrogates: what lies beyond the 16-bit plane must stand as it is.
    """
    if b"\\ud" in body:
        body = json.dumps(json.loads(body), ensure_ascii=False).encode()
    if body.isascii() and b"\x7f" not in body:
        return body
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0].decode()):04x}".encode(), body)


def _events(lines: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    for line in lines:
        try:
            event = msgspec.json.decode(line)
        except msgspec.DecodeError:
            return  # Cut off in the middle.
        if event["type"] == "ERROR":
            raise ApiError.of_status(event["object"], verb="WATCH")
        yield event["type"], event["object"]


def _pages(
    connection: Connection,
    resource: Resource,
    namespace: str | None,
    selected: Sequence[tuple[str, str]],
    *,
    size: int,
    accept: str,
) -> Iterator[tuple[bool, dict[str, Any]]]:
    """A list page by page; True with a first page. A long list that expires in the middle begins again."""
    path = resource.path(namespace or "")
    token = ""
    while True:
        query = [*selected, ("limit", str(size)), *([("continue", token)] if token else [])]
        try:
            page = connection.call("GET", path, query=query, accept=accept, verb="LIST")
        except ApiError as error:
            if error.status != 410 or not token:
                raise
            token = ""
            continue
        yield not token, page
        token = page["metadata"].get("continue", "")
        if not token:
            return


def _selected(selector: str, fields: str) -> list[tuple[str, str]]:
    return [(key, text) for key, text in (("labelSelector", selector), ("fieldSelector", fields)) if text]


def _get(connection: Connection, path: str, accept: str) -> dict[str, Any] | None:
    try:
        return connection.call("GET", path, accept=accept)
    except ApiError as error:
        if error.not_found:
            return None
        raise


def _dry(dry_run: bool) -> list[tuple[str, str]]:  # noqa: FBT001 - one word in this file only
    return [("dryRun", "All")] if dry_run else []
