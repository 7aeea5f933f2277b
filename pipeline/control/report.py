"""Says what a turn came to: the status (only when it says anything new), an Event with it, metrics and logs."""

import time

from pipeline.app.status import Status
from pipeline.cluster import objects
from pipeline.cluster.errors import ApiError
from pipeline.control import status as said
from pipeline.control.memory import Turn
from pipeline.control.resource import APPS, CONTROLLER_MANAGER
from pipeline.control.shared import Shared
from pipeline.observe.logs import Logger
from pipeline.plan.model import Action
from pipeline.result import SyncResult

#: What is no failure, though the App may not be ready.
_CALM = frozenset({"Succeeded", "RolledBack", "Suspended", "DependencyNotReady"})


def write(shared: Shared, turn: Turn, status: Status) -> None:
    """Write the status of the App where it says anything new, and an Event of it. Raises ApiError."""
    old = turn.memory.status
    ready = status.condition("Ready")
    if ready is not None:
        shared.metrics.app_ready(*turn.key, ready=ready.status == "True")
    if not said.worth_writing(old, status):
        return
    try:
        objects.merge_patch(
            shared.connection, APPS, *turn.key, said.patch_of(old, status),
            manager=CONTROLLER_MANAGER, subresource="status",
        )  # fmt: skip
    except ApiError as error:
        if not error.not_found:
            raise
        return  # the App is gone, and with it whoever would read this
    turn.memory.status = status
    for reason, message in said.news(old, status):
        shared.events.emit(turn.resource, "Normal" if reason in _CALM else "Warning", reason, message)


def tell(shared: Shared, turn: Turn, result: SyncResult, status: Status, committed: float, log: Logger) -> None:
    """Metrics and log lines of a sync. `committed` is the commit's time in Unix seconds, 0 where it is not known."""
    ready = status.condition("Ready")
    reason = ready.reason if ready is not None else ""
    acted = [change for change in result.changes if change.action is not Action.UNCHANGED]
    shared.metrics.synced(*turn.key, result=reason, objects=result.owned, held=status.held.count if status.held else 0)
    if acted and result.ok and committed:
        shared.metrics.lagged(time.time() - committed)
    for change in acted:
        log.debug(str(change.action), object=str(change.id), message=change.message)
    if acted or said.worth_writing(turn.memory.status, status):
        for problem in status.problems:
            log.warning(problem.reason, object=problem.object, message=problem.message)
        (log.info if result.ok else log.warning)("synced", reason=reason, changes=result.summary)
