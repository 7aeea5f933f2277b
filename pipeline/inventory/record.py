"""The inventory as a value: what an App owns and what was last applied to it. Pure: no cluster, no clock."""

import enum
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from renderers.manifest import ObjectId, TrimtabError

#: Raised when a newer Trimtab changes what the record means; an unknown format is never guessed at. The first one
#: knew no claims, offers and waves.
FORMAT = 2
_WITHOUT_CLAIMS = 1
#: A ConfigMap may hold 1 MiB (Kubernetes, ConfigMaps); the rest is for the head, names and metadata.
PART_BYTES = 768 << 10
#: What unpacking may come to: an inventory of a million objects, and no decompression bomb.
_UNPACKED_MAX = 256 << 20


class InventoryError(TrimtabError):
    """The inventory cannot be used as it is. Never a reason to delete anything."""

    reason = "InventoryUnusable"


class InventoryDamagedError(InventoryError):
    """The inventory is there and cannot be read whole; it has to be rebuilt from what lives."""


class Standing(enum.StrEnum):
    """How sure we are that we created an object; only `CREATED` may be pruned without the App's say-so."""

    CREATED = "created"
    ADOPTED = "adopted"
    #: Recorded before a first touch and not confirmed since: after a crash it counts as adopted.
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the inventory.

    `version` is the API version it was applied with (`v1`, without the group). `uid` is the live object's; `applied`
    the digest of what was sent, `fingerprint` what the API server's answer came to. All three are empty while the
    object was never touched. `wave` and `depth` are where it stood in the order of the apply.
    """

    id: ObjectId
    version: str
    standing: Standing
    uid: str = ""
    applied: str = ""
    fingerprint: str = ""
    wave: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the last sync that changed something ended: for `status`, and for what the next sync must wait for.

    `message` is for people; `at` is RFC 3339 in UTC. `counts` is by action, such as `{"created": 2}`.
    """

    ok: bool = False
    healthy: bool = False
    message: str = ""
    at: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """The whole inventory of one App.

    `cluster` is the UID of the namespace kube-system: another UID means another cluster. `epoch` grows with each
    write. `held` are the object ids whose prune waits for approval, with `held_digest` of exactly these objects;
    `approved` is the digest that a person approved. `claims` are objects that this App wants and another one owns,
    `offers` those that it owns, wants no more, and leaves to the one that claims them: each with the other App's label.
    """

    app: str
    owner: str
    cluster: str
    epoch: int = 0
    target: str = ""
    url: str = ""
    ref: str = ""
    path: str = ""
    commit: str = ""
    outcome: Outcome = Outcome()
    held: tuple[str, ...] = ()
    held_digest: str = ""
    approved: str = ""
    entries: Mapping[ObjectId, Entry] = field(default_factory=dict)
    claims: Mapping[ObjectId, str] = field(default_factory=dict)
    offers: Mapping[ObjectId, str] = field(default_factory=dict)

    def with_entries(self, entries: Iterable[Entry]) -> "Record":
        """The same record with these entries instead."""
        return replace(self, entries={entry.id: entry for entry in entries})

    def doubted(self, *, cluster: str) -> "Record":
        """The same record for another cluster: nothing in it may be believed, so everything counts as adopted."""
        entries = {
            object_id: Entry(object_id, entry.version, Standing.PENDING) for object_id, entry in self.entries.items()
        }
        return replace(self, cluster=cluster, entries=entries)


def digest_of(objects: Iterable[tuple[ObjectId, str]]) -> str:
    """What an approval is bound to: exactly these objects, by id and UID."""
    text = "\n".join(sorted(f"{object_id} {uid}" for object_id, uid in objects))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def encode(record: Record) -> tuple[dict[str, Any], tuple[bytes, ...]]:
    """The head as JSON data, and the entries packed in parts of at most `PART_BYTES` (at least one part)."""
    rows = [
        [e.id.kind, e.id.group, e.version, e.id.namespace, e.id.name, e.standing, e.uid, e.applied,
         e.fingerprint, e.wave, e.depth]
        for e in sorted(record.entries.values(), key=lambda entry: entry.id)
    ]  # fmt: skip
    content = {"entries": rows, "claims": _moves(record.claims), "offers": _moves(record.offers)}
    packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 6)
    parts = tuple(packed[start : start + PART_BYTES] for start in range(0, len(packed), PART_BYTES))
    outcome = record.outcome
    head: dict[str, Any] = {
        "format": FORMAT,
        "app": record.app,
        "owner": record.owner,
        "cluster": record.cluster,
        "epoch": record.epoch,
        "target": record.target,
        "source": {"url": record.url, "ref": record.ref, "path": record.path, "commit": record.commit},
        "outcome": {
            "ok": outcome.ok,
            "healthy": outcome.healthy,
            "message": outcome.message,
            "at": outcome.at,
            "counts": dict(outcome.counts),
        },
        "held": list(record.held),
        "heldDigest": record.held_digest,
        "approved": record.approved,
        "objects": len(rows),
        "parts": len(parts),
        "checksum": hashlib.sha256(packed).hexdigest(),
    }
    return head, parts


def decode(head: Mapping[str, Any], parts: Iterable[bytes]) -> Record:
    """Read what `encode` wrote. Raises InventoryDamagedError when a byte is not as it was written."""
    try:
        if head["format"] not in (FORMAT, _WITHOUT_CLAIMS):
            raise InventoryError(
                f"the inventory of {head.get('app')} has format {head['format']!r}, and this Trimtab reads {FORMAT}",
                hint="use the Trimtab that wrote it, or a newer one",
            )
        packed = b"".join(parts)
        if hashlib.sha256(packed).hexdigest() != head["checksum"]:
            raise InventoryDamagedError("the inventory's checksum does not fit its content")
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, _UNPACKED_MAX)
        if not unpacker.eof:
            raise InventoryDamagedError("the inventory unpacks to more than it may")
        content = json.loads(text)
        if head["format"] == _WITHOUT_CLAIMS:
            content = {"entries": content, "claims": [], "offers": []}
        source, outcome = head["source"], head["outcome"]
        return Record(
            app=head["app"],
            owner=head["owner"],
            cluster=head["cluster"],
            epoch=int(head["epoch"]),
            target=head["target"],
            url=source["url"],
            ref=source["ref"],
            path=source["path"],
            commit=source["commit"],
            outcome=Outcome(**outcome),
            held=tuple(head["held"]),
            held_digest=head["heldDigest"],
            approved=head["approved"],
            entries={entry.id: entry for entry in map(_entry, content["entries"])},
            claims=dict(map(_move, content["claims"])),
            offers=dict(map(_move, content["offers"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error) as error:
        raise InventoryDamagedError(f"the inventory cannot be read: {type(error).__name__}") from error


def _moves(moves: Mapping[ObjectId, str]) -> list[list[str]]:
    return [[each.kind, each.group, each.namespace, each.name, moves[each]] for each in sorted(moves)]


def _move(row: list[str]) -> tuple[ObjectId, str]:
    kind, group, namespace, name, label = row
    return ObjectId(kind=kind, group=group, namespace=namespace, name=name), label


def _entry(row: list[Any]) -> Entry:
    kind, group, version, namespace, name, standing, uid, applied, fingerprint, *place = row
    object_id = ObjectId(kind=kind, group=group, namespace=namespace, name=name)
    wave, depth = place or (0, 0)
    return Entry(object_id, version, Standing(standing), uid, applied, fingerprint, int(wave), int(depth))
