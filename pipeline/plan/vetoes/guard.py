"""The guard: a prune of much of an App waits until a person approves exactly these objects."""

from collections.abc import Iterable

from pipeline.app import Guard
from pipeline.inventory.live import LiveObject
from pipeline.inventory.record import digest_of


def held(prunes: Iterable[LiveObject], total: int, guard: Guard, *, approved: str) -> str:
    """The digest that an approval must name, or empty where the prune may go on.

    `total` counts the inventory before the sync. `approved` is the digest that a person approved: it is bound to
    ids and UIDs, so that an approval of yesterday's prune does not cover today's.
    """
    objects = [(live.id, live.uid) for live in prunes]
    if not objects or len(objects) < guard.at_least or len(objects) * 100 <= guard.percent * total:
        return ""
    digest = digest_of(objects)
    return "" if digest == approved else digest
