"""The record as a value: what it packs it unpacks, and a changed byte is noticed."""

import hashlib
import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inventory import record as rec
from pipeline.inventory.record import Entry, InventoryDamagedError, InventoryError, Outcome, Record, Standing
from renderers.manifest import ObjectId

_WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.:", min_size=1, max_size=30)
_ENTRIES = st.builds(
    Entry,
    id=st.builds(ObjectId, kind=_WORD, group=st.just("") | _WORD, namespace=st.just("") | _WORD, name=_WORD),
    version=_WORD,
    standing=st.sampled_from(Standing),
    uid=st.just("") | st.uuids().map(str) | _WORD,
    applied=_WORD,
    fingerprint=_WORD,
    wave=st.integers(-100, 100),
    depth=st.integers(0, 9),
)


def _record(*entries: Entry) -> Record:
    base = Record(
        app="a/b", owner="o", cluster="c", epoch=3, target="t", url="u", ref="branch main", path=".", commit="f" * 40,
        outcome=Outcome(ok=True, healthy=True, message="1 created", at="2026-01-01T00:00:00Z", counts={"created": 1}),
        held=("ConfigMap/a/b",), held_digest="d", approved="e",
        claims={ObjectId("ConfigMap", "", "ns", "theirs"): "ns.other"},
        offers={ObjectId("ConfigMap", "", "ns", "left"): "ns.third"},
    )  # fmt: skip
    return base.with_entries(entries)


def _entry(number: int, standing: Standing = Standing.CREATED) -> Entry:
    object_id = ObjectId("ConfigMap", "", "ns", f"c{number}")
    return Entry(object_id, "v1", standing, uid=f"u{number}", applied=f"{number:032x}", fingerprint=f"{number:032d}")


@settings(deadline=None, max_examples=50)
@given(st.lists(_ENTRIES, max_size=20))
def test_decode_reads_what_encode_wrote(entries: list[Entry]) -> None:
    record = _record(*entries)
    head, parts = rec.encode(record)
    assert rec.decode(json.loads(json.dumps(head)), parts) == record


def test_a_large_record_comes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rec, "PART_BYTES", 1000)
    record = _record(*(_entry(number) for number in range(500)))
    head, parts = rec.encode(record)
    assert head["parts"] == len(parts) > 3
    assert rec.decode(head, parts) == record


@pytest.mark.parametrize("position", [0, 5, -1])
def test_a_changed_byte_is_damage(position: int) -> None:
    head, (part,) = rec.encode(_record(_entry(1)))
    changed = bytearray(part)
    changed[position] ^= 1
    with pytest.raises(InventoryDamagedError, match="checksum"):
        rec.decode(head, [bytes(changed)])


def test_a_missing_part_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rec, "PART_BYTES", 1000)
    head, parts = rec.encode(_record(*(_entry(number) for number in range(500))))
    with pytest.raises(InventoryDamagedError):
        rec.decode(head, parts[:-1])


@pytest.mark.parametrize("key", ["owner", "checksum", "source", "outcome", "epoch"])
def test_a_head_without_a_key_is_damage(key: str) -> None:
    head, parts = rec.encode(_record(_entry(1)))
    del head[key]
    with pytest.raises(InventoryDamagedError):
        rec.decode(head, parts)


def test_an_unknown_format_is_not_guessed_at() -> None:
    head, parts = rec.encode(_record(_entry(1)))
    head["format"] = 99
    with pytest.raises(InventoryError, match="format 99") as caught:
        rec.decode(head, parts)
    assert not isinstance(caught.value, InventoryDamagedError)


def test_another_cluster_leaves_nothing_to_believe() -> None:
    doubted = _record(_entry(1), _entry(2, Standing.ADOPTED)).doubted(cluster="other")
    assert doubted.cluster == "other"
    assert {entry.standing for entry in doubted.entries.values()} == {Standing.PENDING}
    assert not any(entry.uid or entry.applied or entry.fingerprint for entry in doubted.entries.values())


def test_an_approval_is_bound_to_ids_and_uids() -> None:
    one, two = _entry(1).id, _entry(2).id
    digest = rec.digest_of([(one, "x"), (two, "y")])
    assert digest == rec.digest_of([(two, "y"), (one, "x")])
    assert digest != rec.digest_of([(one, "x")])
    assert digest != rec.digest_of([(one, "x"), (two, "z")])


def test_the_first_format_is_read_too() -> None:
    """It had a list of entries alone, without their places in the order."""
    head, _ = rec.encode(_record())
    row = ["ConfigMap", "", "v1", "ns", "c1", "created", "u1", f"{1:032x}", f"{1:032d}"]
    packed = zlib.compress(json.dumps([row]).encode())
    head |= {"format": 1, "checksum": hashlib.sha256(packed).hexdigest()}
    record = rec.decode(head, [packed])
    assert record.entries == _record(_entry(1)).entries
    assert not record.claims
    assert not record.offers
