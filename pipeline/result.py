"""What a sync came to, and how it is watched while it runs. Data and one protocol; nothing acts here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from pipeline.app import App
from pipeline.apply.remove import Removed
from pipeline.apply.send import Sent
from pipeline.health.rules import Health
from pipeline.plan.decide import Plan
from pipeline.plan.model import Action, Change
from renderers.manifest import ObjectId

#: The exit code of a sync that waits for approval.
HELD = 3


class Progress(Protocol):
    """Who is told how a sync goes on; called from several threads."""

    def step(self, name: str, total: int = 0) -> None:
        """A step of the road begins; `total` counts what it has to do, 0 where that is not known."""
        ...

    def done(self, change: Change) -> None:
        """One object of the step is done."""
        ...

    def note(self, message: str) -> None:
        """Something worth a line: what is waited for, why it is not ready yet."""
        ...


class Silent:
    """Progress for those who only want the result."""

    def step(self, name: str, total: int = 0) -> None:
        """Nothing."""

    def done(self, change: Change) -> None:
        """Nothing."""

    def note(self, message: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """One turn of the road.

    `changes` in the order of object ids. `unhealthy` are sentences about objects that are not ready. `stopped`:
    the sync was ended before it was done (a newer commit, SIGTERM); what is missing is done by the next one. `owned`
    counts the inventory after the turn. `recorded` is the commit that the inventory named before it. `held` are the
    objects whose prune waits for approval, `waits` says that some wait for other Apps; `concerned` are the labels of
    Apps that should look again because of this turn. `blocked` are sentences about objects in trouble that wait for
    one which is pruned last.
    """

    app: str
    commit: str
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
    unhealthy: tuple[str, ...] = ()
    stopped: bool = False
    held_digest: str = ""
    held: tuple[ObjectId, ...] = ()
    waits: bool = False
    blocked: tuple[str, ...] = ()
    concerned: frozenset[str] = frozenset()
    owned: int = 0
    recorded: str = ""

    def of(self, *actions: Action) -> tuple[Change, ...]:
        """The changes with one of these actions."""
        return tuple(change for change in self.changes if change.action in actions)

    @classmethod
    def of_plan(cls, app: App, commit: str, plan: Plan) -> Self:
        """The result of a turn in which there was nothing to do."""
        changes = tuple(Change(entry.id, Action.UNCHANGED) for entry in plan.unchanged)
        return cls(str(app), commit, changes, plan.warnings, owned=len(plan.unchanged) + len(plan.leaves))

    @classmethod
    def of_turn(
        cls,
        app: App,
        commit: str,
        plan: Plan,
        sent: Sequence[Sent],
        removed: Sequence[Removed],
        unhealthy: Mapping[ObjectId, Health],
        *,
        stopped: bool,
    ) -> Self:
        """The result of a turn, from what its steps gave."""
        changes = [
            *(Change(entry.id, Action.UNCHANGED) for entry in plan.unchanged),
            *plan.failed,
            *(item.change for item in sent),
            *(item.change for item in removed if item.change is not None),
        ]
        # What was not sent yet, because something it needs is not ready, is not ready either.
        unready = {item.change.id: item.change.message for item in sent if item.change.action is Action.HELD}
        unready |= {object_id: health.message for object_id, health in unhealthy.items()}
        return cls(
            app=str(app),
            commit=commit,
            changes=tuple(sorted(changes, key=lambda change: change.id)),
            warnings=plan.warnings,
            unhealthy=tuple(f"{object_id}: {message}" for object_id, message in sorted(unready.items())),
            stopped=stopped,
            held_digest=plan.held_digest,
            held=plan.held,
            waits=plan.waits,
        )

    def then(self, again: Self) -> Self:
        """The result of this turn and the next one of the same sync: what both did, and how it stands after that."""
        acted = self.of(Action.CREATED, Action.CONFIGURED, Action.PRUNED, Action.RELEASED)
        changes = {change.id: change for change in again.changes}
        for change in acted:
            if changes.get(change.id, change).action in (change.action, Action.UNCHANGED):
                changes[change.id] = change
        return replace(
            again,
            changes=tuple(changes[object_id] for object_id in sorted(changes)),
            warnings=tuple(dict.fromkeys((*self.warnings, *again.warnings))),
            concerned=self.concerned | again.concerned,
            recorded=self.recorded,
        )

    @property
    def ok(self) -> bool:
        """Success is never said of a sync with a failed object (or one that is not ready, or was cut short)."""
        return not (self.of(Action.FAILED, Action.REFUSED) or self.unhealthy or self.stopped)

    @property
    def exit_code(self) -> int:
        """0 done, 1 failed, 3 held, 4 some objects failed and others were applied, 130 interrupted."""
        if self.stopped:
            return 130
        if self.of(Action.FAILED, Action.REFUSED):
            good = self.of(Action.CREATED, Action.CONFIGURED, Action.UNCHANGED, Action.PRUNED, Action.RELEASED)
            return 4 if good else 1
        if self.unhealthy:
            return 1
        return HELD if self.held_digest else 0

    @property
    def summary(self) -> str:
        """One line: `2 created, 1 unchanged`, and what is wrong."""
        return summary(self.changes) + (f"; {len(self.unhealthy)} not ready" if self.unhealthy else "")


def summary(changes: Sequence[Change]) -> str:
    """Counts by action, in the order of `Action`, such as `2 created, 1 unchanged`."""
    counts = Counter(change.action for change in changes)
    return ", ".join(f"{counts[action]} {action}" for action in Action if counts[action]) or "nothing to do"
