"""The words of this room: what one sync says of all its PATCHes (Policy), and what one of them came to (Sent)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.app import Prune, Spec
from pipeline.apply.patience import Patience
from pipeline.cluster.fields import Deployer
from pipeline.inventory.record import Entry
from pipeline.plan.decide import Send
from pipeline.plan.model import Change


@dataclass(frozen=True, slots=True)
class Policy:
    """What the App says about others' objects and fields, and about its own that cannot be changed.

    `conflicts`: take, yield or fail. `recreate`: never or allowed; `prune` is asked before anything is deleted for
    that. `patience` is shared by all objects of one sync.
    """

    manager: str
    conflicts: str = "take"
    adopt_from: frozenset[str] = frozenset()
    recreate: str = "never"
    prune: Prune = field(default_factory=Prune)
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def of(cls, spec: Spec, manager: str) -> "Policy":
        """What the App's spec says; `manager` is its field manager."""
        return cls(manager, spec.conflicts, frozenset(spec.adopt.from_), spec.recreate, spec.prune)

    def conflicts_of(self, item: Send) -> str:
        """What to do about fields of others on this object, whose annotation wins."""
        return item.desired.options.conflicts or self.conflicts

    def may_adopt(self, deployer: Deployer) -> bool:
        """Another Trimtab App's objects are never taken by force; they move by a claim."""
        return deployer.name != "trimtab" and deployer.name in self.adopt_from


@dataclass(frozen=True, slots=True)
class Sent:
    """What one object came to.

    `entry` is what the inventory shall say from now on, None where the object is not ours. `answer` is the API
    server's object, None where there is none. `kind_lags`: the kind or its schema is not served, perhaps not yet.
    `unreachable`: the cluster gave no answer at all. `owned_by` is the label of the App that owns it instead of ours.
    """

    change: Change
    entry: Entry | None
    answer: Mapping[str, Any] | None = None
    kind_lags: bool = False
    unreachable: bool = False
    owned_by: str = ""
