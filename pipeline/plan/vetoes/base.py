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
    #: Nothing is done now, and people are told what for: other Apps that may want it, a finalizer, an annotation.
    WAIT = "wait"
    #: It is left to the App that claims it; once that has taken it, it is released.
    OFFER = "offer"
    #: It is gone, or somebody else's by now: the inventory forgets it.
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object of the inventory that left the set. `live` is None where the LIST did not show it.

    `unlisted` says why its kind could not be listed, empty where it was; `claimed_by` is the label of the App that
    claims it; `kept_uids` are UIDs of objects that the set has.
    """

    entry: Entry
    live: LiveObject | None
    owner: str
    prune: Prune
    unlisted: str = ""
    claimed_by: str = ""
    kept_uids: frozenset[str] = frozenset()


class Veto(Protocol):
    """One rule. `ask` answers None where the rule has nothing against a delete."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """The verdict and the reason for people, or None."""
        ...
