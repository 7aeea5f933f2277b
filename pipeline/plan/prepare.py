"""From the resolved manifests to what would be sent: our marks, digest, place in the order. Pure."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.cluster.discovery import Resource
from pipeline.inventory.names import APP_LABEL, OBJECT_ANNOTATION, OWNER_ANNOTATION
from pipeline.plan.options import NONE, Options
from pipeline.plan.order import Place, Stage, stage_of
from pipeline.plan.resolve import Resolved
from renderers.manifest import Manifest, ObjectId
from renderers.manifest.shape import part

#: What the API server alone writes; exported manifests carry it, and it must not be sent back.
_SERVER_FIELDS = frozenset(
    {"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
     "resourceVersion", "selfLink", "uid"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Desired:
    """One object as it would be sent.

    `data` is the manifest with namespace and our marks; `body` the same as canonical JSON. `digest` tells whether
    it is what was last applied: empty where that must not be recorded (a Secret, where no key could be had), so
    that it is sent every time. `depth` counts the objects of its wave that it waits for in a row.
    """

    id: ObjectId
    resource: Resource
    data: Mapping[str, Any]
    body: bytes
    digest: str
    stage: Stage
    origin: str
    options: Options = NONE
    depth: int = 0

    @property
    def place(self) -> Place:
        """Where it stands in the order of an apply."""
        return Place(self.options.wave, self.depth, self.stage)


@dataclass(frozen=True, slots=True)
class Marks:
    """What is written on every object of an App."""

    label: str
    owner: str


def prepare(resolved: Resolved, marks: Marks, *, secret_digest: Callable[[bytes], str]) -> tuple[Desired, ...]:
    """Write the App's marks on each manifest and take its digest; `secret_digest` takes that of a Secret."""
    prepared = []
    for manifest in resolved.manifests:
        data = _stamped(manifest, marks)
        body = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        secret = manifest.id.kind == "Secret" and not manifest.id.group
        prepared.append(
            Desired(
                id=manifest.id,
                resource=resolved.resources[manifest.id],
                data=data,
                body=body,
                digest=secret_digest(body) if secret else hashlib.blake2b(body, digest_size=16).hexdigest(),
                stage=stage_of(manifest.id),
                origin=str(manifest.origin),
                options=resolved.options[manifest.id],
                depth=resolved.depths[manifest.id],
            )
        )
    return tuple(prepared)


def _stamped(manifest: Manifest, marks: Marks) -> dict[str, Any]:
    metadata = {key: value for key, value in manifest.data["metadata"].items() if key not in _SERVER_FIELDS}
    metadata["labels"] = {**part(metadata, "labels"), APP_LABEL: marks.label}
    metadata["annotations"] = {
        **part(metadata, "annotations"),
        OWNER_ANNOTATION: marks.owner,
        OBJECT_ANNOTATION: str(manifest.id),
    }
    data = {**manifest.data, "metadata": metadata}
    if manifest.id.kind == "Secret" and not manifest.id.group and isinstance(data.get("stringData"), Mapping):
        data = _without_string_data(data)
    return data


def _without_string_data(data: dict[str, Any]) -> dict[str, Any]:
    """`stringData` is write-only: the API server moves it to `data`, and managedFields then speak of another field.

    Values that are no text are left for the API server to refuse.
    """
    texts = data["stringData"]
    if not all(isinstance(value, str) for value in texts.values()):
        return data
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in texts.items()}
    rest = {key: value for key, value in data.items() if key != "stringData"}
    return {**rest, "data": {**part(data, "data"), **encoded}}
