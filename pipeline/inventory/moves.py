"""Objects that move from one App to another: who claims what, and what its owner leaves to whom. Reads, never writes.

The one that wants an object claims it in its own inventory; its owner, once it wants it no more, offers it there to
the one that claims it; that one takes it over; and the owner forgets it. At no time is the object deleted, or in no
inventory, and each step stands in the cluster, so that a crash between two of them only delays the next one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.inventory.names import CLAIMS_LABEL, INVENTORY_LABEL, field_manager
from pipeline.inventory.record import Entry
from pipeline.inventory.store import Store
from renderers.manifest import ObjectId


@dataclass(frozen=True, slots=True)
class Offer:
    """An object that its App leaves to another one: what its inventory says of it, and the App's field manager."""

    entry: Entry
    manager: str


def claims_on(store: Store, label: str) -> Mapping[ObjectId, str]:
    """What other Apps claim of the App with this label: each object with the label of the App that claims it.

    One request, which finds nothing as long as nobody claims anything. Raises ApiError.
    """
    claims: dict[ObjectId, str] = {}
    for claimant, record in store.records(CLAIMS_LABEL):
        claims |= {object_id: claimant for object_id, owner in record.claims.items() if owner == label}
    return claims


def offers_to(store: Store, label: str, owners: Iterable[str]) -> Mapping[ObjectId, Offer]:
    """What these Apps (their labels) leave to the App with this label. One request an App. Raises ApiError."""
    offers: dict[ObjectId, Offer] = {}
    for owner in sorted(set(owners)):
        for _, record in store.records(f"{INVENTORY_LABEL}={owner}"):
            manager = field_manager(record.app.rpartition("/")[2], record.owner)
            offers |= {
                object_id: Offer(record.entries[object_id], manager)
                for object_id, claimant in record.offers.items()
                if claimant == label and object_id in record.entries
            }
    return offers
