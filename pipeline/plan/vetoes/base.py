"""What a veto is asked about, and what it may answer."""

import enum
from dataclasses import dataclass
from typing import Protocol

from pipeline.app import Prune
from pipeline.inventory.live import LiveObject
from pipeline.inventory.record import Entry


class Verdict(enum.Enum):
    """What becomes of an object that left the set."""

    PRUNE = "prune"
    #: Let it live, and take our marks off.
    RELEASE = "release"
    #: Nothing is done now, and the inventory keeps it.
    KEEP = "keep"
    #: Waits for approval (the guard).
    HOLD = "hold"
    #: It is gone, or somebody else's by now: the inventory forgets it.
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object of the inventory that left the set. `live` is None where the LIST did not show it.

    `unlisted` says why its kind could not be listed, empty where it was.
    """

    entry: Entry
    live: LiveObject | None
    owner: str
    prune: Prune
    unlisted: str = ""


class Veto(Protocol):
    """One rule. `ask` answers None where the rule has nothing against a delete."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """The verdict and the reason for people, or None."""
        ...
