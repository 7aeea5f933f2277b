"""The words of a plan: actions and changes. Data only; who decides is `decide.py`, who acts is the room `apply`."""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from renderers.manifest import ObjectId


class Action(enum.StrEnum):
    """One object's outcome."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    PRUNED = "pruned"
    RELEASED = "released"
    REFUSED = "refused"
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one object, or, in a plan, what would. `message` is for people: why, and what to do.

    `temporary`: it failed in a way that may pass.
    """

    id: ObjectId
    action: Action
    message: str = ""
    temporary: bool = False


class Behind(NamedTuple):
    """Apps that may want what another one is to prune, and have not been planned at the present commit yet.

    `overdue`: that has lasted so long that a person has to decide.
    """

    apps: tuple[str, ...] = ()
    overdue: bool = False


NOBODY = Behind()
