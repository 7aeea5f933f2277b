"""Where the record is kept: compressed ConfigMaps in the target cluster, written so that a crash at any byte is safe.

The head (a ConfigMap of the App's own name) carries the first part; a record too large for one ConfigMap has
further parts under names of their epoch. Parts are written first, the head last, compare-and-swap by its
resourceVersion; only then the parts of the old epoch go.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pipeline.app import App
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.inventory.names import CLAIMS_LABEL, INVENTORY_LABEL, app_label
from pipeline.inventory.record import InventoryDamagedError, InventoryError, Record, decode, encode

_VERBS = frozenset({"get", "list", "watch", "create", "update", "patch", "delete"})
CONFIG_MAPS = Resource(group="", version="v1", kind="ConfigMap", plural="configmaps", namespaced=True, verbs=_VERBS)
SECRETS = Resource(group="", version="v1", kind="Secret", plural="secrets", namespaced=True, verbs=_VERBS)
NAMESPACES = Resource(group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False, verbs=_VERBS)

_MANAGER = "trimtab-inventory"
_HASH_KEY_NAME = "trimtab-hash-key"
_HASH_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it was read or written, with what the next write must be compared against.

    `resource_version` is empty for a record that was never written. `record` is None where the inventory is lost or
    was never made; `damage` then says what is wrong with it, empty where there is none at all. `parts` counts the
    ConfigMaps it is in.
    """

    namespace: str
    record: Record | None
    resource_version: str = ""
    damage: str = ""
    parts: int = 1


class Store:
    """The inventories in one namespace of one cluster.

    `fallback` is a namespace to use instead, as it is, where the account may not read or write the first one.
    """

    def __init__(self, connection: Connection, namespace: str, fallback: str = "") -> None:
        self._connection = connection
        self._namespace = namespace
        self._fallback = fallback if fallback != namespace else ""

    @property
    def namespace(self) -> str:
        """Where the inventories are."""
        return self._namespace

    def place_of(self, app: App) -> str:
        """Where the App's inventory is: namespace/name of a ConfigMap."""
        return f"{self._namespace}/{_head_name(app)}"

    def load(self, app: App) -> Stored:
        """Read the App's record. Raises ApiError when the cluster refuses; damage is told, not raised."""
        try:
            head = objects.get(self._connection, CONFIG_MAPS, self._namespace, _head_name(app))
        except ApiError as error:
            if not (error.forbidden and self._fallback):
                raise
            self._fall_back()
            return self.load(app)
        if head is None and self._fallback:
            # An earlier run may have been refused the right to write here, and have gone to the other namespace.
            elsewhere = objects.get(self._connection, CONFIG_MAPS, self._fallback, _head_name(app))
            if elsewhere is not None:
                self._fall_back()
                head = elsewhere
        return Stored(self._namespace, None) if head is None else self._read(head)

    def records(self, selector: str) -> Iterator[tuple[str, Record]]:
        """Each inventory here that the label selector means and that can be read, with the label of its App."""
        heads, _ = objects.list_objects(self._connection, CONFIG_MAPS, self._namespace, selector=selector)
        for head in heads:
            record = self._read(head).record if "head" in (head.get("data") or {}) else None
            if record is not None:
                yield head["metadata"]["labels"][INVENTORY_LABEL], record

    def _fall_back(self) -> None:
        self._namespace, self._fallback = self._fallback, ""

    def list(self) -> Iterator[Stored]:
        """All inventories in the namespace. A namespace that does not exist has none."""
        heads, _ = objects.list_objects(self._connection, CONFIG_MAPS, self._namespace, selector=INVENTORY_LABEL)
        for head in heads:
            if "head" in (head.get("data") or {}):
                yield self._read(head)

    def save(self, app: App, stored: Stored, record: Record) -> Stored:
        """Write the record over what was read as `stored`; its epoch grows by one.

        Raises InventoryError when somebody else wrote in between: then nothing here may act on the old one.
        """
        record = replace(record, epoch=record.epoch + 1)
        head, parts = encode(record)
        for number, part in enumerate(parts[1:], start=1):
            self._write_part(app, f"{_head_name(app)}.{record.epoch}.{number}", part)
        body = self._head_object(app, head, parts[0], claims=bool(record.claims))
        try:
            written = self._write_head(stored, body)
        except ApiError as error:
            if error.status != 409:
                raise
            # An answer that was lost is asked for again, and then our own write is in the way.
            ours = objects.get(self._connection, CONFIG_MAPS, self._namespace, _head_name(app))
            if ours is None or self._read(ours).record != record:
                raise InventoryError(
                    f"the inventory of App {app} was written by somebody else in the meantime",
                    hint="two processes sync one App: stop one of them; this one changed nothing since",
                ) from error
            written = ours
        if stored.parts > 1 or len(parts) > 1:
            self._drop_parts(app, before=record.epoch)
        return Stored(self._namespace, record, written["metadata"]["resourceVersion"], parts=len(parts))

    def _write_head(self, stored: Stored, body: dict[str, Any]) -> dict[str, Any]:
        if not stored.resource_version:
            return self._in_namespace(CONFIG_MAPS, body)
        body["metadata"]["resourceVersion"] = stored.resource_version
        return objects.replace(self._connection, CONFIG_MAPS, self._namespace, body, manager=_MANAGER)

    def delete(self, app: App, stored: Stored) -> None:
        """Remove the record of an App that owns nothing any more."""
        meta = objects.get_metadata(self._connection, CONFIG_MAPS, self._namespace, _head_name(app))
        if meta is not None and meta["metadata"]["resourceVersion"] == stored.resource_version:
            objects.delete(
                self._connection, CONFIG_MAPS, self._namespace, _head_name(app),
                uid=meta["metadata"]["uid"], resource_version=stored.resource_version,
            )  # fmt: skip
        if stored.parts > 1 and stored.record is not None:
            self._drop_parts(app, before=stored.record.epoch + 1)

    def hash_key(self, *, create: bool) -> bytes:
        """The key of this installation for digests of Secrets: 32 random bytes in a Secret, made at first need.

        Empty where there is none and `create` is off.

        A plain digest of a Secret's content would let whoever reads the inventory try out passwords.
        """
        found = objects.get(self._connection, SECRETS, self._namespace, _HASH_KEY_NAME)
        if found is None and not create:
            return b""
        if found is None:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": _HASH_KEY_NAME},
                "data": {"key": base64.b64encode(secrets.token_bytes(_HASH_KEY_BYTES)).decode()},
            }
            try:
                found = self._in_namespace(SECRETS, body)
            except ApiError as error:
                if error.status != 409:
                    raise
                found = objects.get(self._connection, SECRETS, self._namespace, _HASH_KEY_NAME) or {}
        try:
            key = base64.b64decode((found.get("data") or {})["key"], validate=True)
        except (KeyError, ValueError):
            key = b""
        if len(key) < _HASH_KEY_BYTES:
            raise InventoryError(
                f"Secret {self._namespace}/{_HASH_KEY_NAME} has no usable data.key",
                hint="delete it: a new one is made, and every Secret is sent once more",
            )
        return key

    def _read(self, head: dict[str, Any]) -> Stored:
        version = head["metadata"]["resourceVersion"]
        try:
            data = json.loads((head.get("data") or {})["head"])
            parts = [base64.b64decode((head.get("binaryData") or {})["entries"], validate=True)]
            name = head["metadata"]["name"]
            parts += [self._read_part(f"{name}.{data['epoch']}.{n}") for n in range(1, int(data["parts"]))]
            return Stored(self._namespace, decode(data, parts), version, parts=len(parts))
        except (KeyError, TypeError, ValueError, InventoryDamagedError) as error:
            damage = error.message if isinstance(error, InventoryDamagedError) else "the inventory is not whole"
            return Stored(self._namespace, None, version, damage=damage)

    def _read_part(self, name: str) -> bytes:
        part = objects.get(self._connection, CONFIG_MAPS, self._namespace, name)
        if part is None:
            raise InventoryDamagedError(f"a part of the inventory is missing (ConfigMap {name})")
        return base64.b64decode((part.get("binaryData") or {})["entries"], validate=True)

    def _write_part(self, app: App, name: str, part: bytes) -> None:
        body = self._part_object(app, name, part)
        try:
            self._in_namespace(CONFIG_MAPS, body)
        except ApiError as error:
            if error.status != 409:
                raise
            # Left by a crash between a part and its head: nobody refers to it, so it may be written over.
            objects.replace(self._connection, CONFIG_MAPS, self._namespace, body, manager=_MANAGER)

    def _in_namespace(self, resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
        """Create the object, and first the inventory's namespace where it is missing."""
        try:
            try:
                return self._create(resource, body)
            except ApiError as error:
                if not error.namespace_missing:
                    raise
            ensure_namespace(self._connection, self._namespace)
            return self._create(resource, body)
        except ApiError as error:
            if not (error.forbidden and self._fallback):
                raise
            self._fall_back()
            return self._create(resource, body)

    def _create(self, resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
        placed = {**body, "metadata": {**body["metadata"], "namespace": self._namespace}}
        return objects.create(self._connection, resource, self._namespace, placed, manager=_MANAGER)

    def _drop_parts(self, app: App, *, before: int) -> None:
        """Parts of old epochs. One that stays after a crash does no harm, so it is looked for at each write."""
        prefix = f"{_head_name(app)}."
        part_of = f"{INVENTORY_LABEL}={app_label(app)},{INVENTORY_LABEL}-part"
        for meta in objects.list_metadata(self._connection, CONFIG_MAPS, self._namespace, selector=part_of):
            name = meta["metadata"]["name"]
            epoch = name.removeprefix(prefix).partition(".")[0]
            if name.startswith(prefix) and epoch.isdigit() and int(epoch) < before:
                objects.delete(self._connection, CONFIG_MAPS, self._namespace, name, uid=meta["metadata"]["uid"])

    def _head_object(self, app: App, head: dict[str, Any], part: bytes, *, claims: bool) -> dict[str, Any]:
        body = self._part_object(app, _head_name(app), part)
        del body["metadata"]["labels"][f"{INVENTORY_LABEL}-part"]
        if claims:
            body["metadata"]["labels"][CLAIMS_LABEL] = "true"
        return {**body, "data": {"head": json.dumps(head, indent=1, ensure_ascii=False)}}

    def _part_object(self, app: App, name: str, part: bytes) -> dict[str, Any]:
        labels = {INVENTORY_LABEL: app_label(app), f"{INVENTORY_LABEL}-part": "true"}
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self._namespace, "labels": labels},
            "binaryData": {"entries": base64.b64encode(part).decode()},
        }


def ensure_namespace(connection: Connection, name: str) -> bool:
    """Create a namespace where it is missing; tells whether it was. It stays nobody's: no App owns it."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    try:
        objects.create(connection, NAMESPACES, "", body, manager="trimtab")
    except ApiError as error:
        # Who may not create namespaces is refused before it is looked whether there is one already.
        exists = error.status == 409 or (error.forbidden and _may_exist(connection, name))
        if not exists:
            raise
        return False
    return True


def _may_exist(connection: Connection, name: str) -> bool:
    """Whether the namespace exists; also true where that may not be read: what goes into it will tell."""
    try:
        return objects.get_metadata(connection, NAMESPACES, "", name) is not None
    except ApiError as error:
        return error.forbidden


def keyed_digest(key: bytes, text: bytes) -> str:
    """The digest of what a Secret's manifest says, useless without the installation's key."""
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:32]


def _head_name(app: App) -> str:
    """A namespace and a name are DNS labels of at most 63 characters, so this is a valid name of a ConfigMap."""
    return f"trimtab.{app.metadata.namespace}.{app.metadata.name}"
