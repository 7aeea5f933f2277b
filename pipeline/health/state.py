"""How far an object is, and how the parts of one that is of any shape are read. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from renderers.manifest.shape import part, parts

Object = Mapping[str, Any]


class State(enum.Enum):
    """How far an object is towards what its manifest asks for. FAILED: it will not get there by waiting."""

    CURRENT = "current"
    IN_PROGRESS = "in progress"
    FAILED = "failed"
    TERMINATING = "terminating"


@dataclass(frozen=True, slots=True)
class Health:
    """A state, and why, in words for people; empty where there is nothing to say."""

    state: State
    message: str = ""


CURRENT = Health(State.CURRENT)


def waiting(message: str) -> Health:
    """In progress, and what is missing."""
    return Health(State.IN_PROGRESS, message)


def failed(message: str) -> Health:
    """Failed, and why."""
    return Health(State.FAILED, message)


def status_of(obj: Object) -> Object:
    """Its status, as `part`."""
    return part(obj, "status")


def number(of: Object, key: str, default: int = 0) -> int:
    """A whole number in a part of an object; `default` where there is none."""
    value = of.get(key)
    return value if isinstance(value, int) else default


def condition(obj: Object, kind: str) -> Object:
    """The condition of this type; an empty one where it was not set."""
    return next((item for item in parts(status_of(obj), "conditions") if item.get("type") == kind), {})


def holds(obj: Object, kind: str) -> bool:
    """Whether the condition of this type is True."""
    return bool(condition(obj, kind).get("status") == "True")


def told(of: Object) -> str:
    """Reason and message of a condition or a status."""
    return ": ".join(str(of[key]) for key in ("reason", "message") if of.get(key))
