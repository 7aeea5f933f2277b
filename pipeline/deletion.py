"""Deleting an App: its inventory is pruned (or released) whole, and then goes itself."""

from dataclasses import replace

import msgspec

from pipeline.app import App
from pipeline.apply.remove import Remover
from pipeline.errors import InputError
from pipeline.inventory.record import Outcome
from pipeline.plan.model import Action
from pipeline.planning import make_plan
from pipeline.result import SyncResult
from pipeline.sync import Target
from renderers.api import Rendered


def delete(app: App, target: Target, *, release: bool) -> SyncResult:
    """Prune everything that the App created and release the rest; `release`: delete nothing.

    The guard looks at the whole inventory: what it holds stays until it is approved, and so does the App. Raises
    InputError for an App that has no inventory.
    """
    stored = target.store.load(app)
    if stored.record is None and not stored.damage:
        raise InputError(
            f"there is no App {app}: namespace {target.store.namespace} has no inventory of it",
            hint="trimtab status lists the Apps; --inventory-namespace looks elsewhere",
        )
    if stored.record is not None:
        app = _with_target(app, stored.record.target)
    target.progress.step("plan")
    planned = make_plan(
        app, Rendered(()), target.session, target.store, approve_all=target.approve_all or release, release=release
    )
    target.progress.step("prune", len(planned.plan.leaves))
    record = planned.opened.record
    remover = Remover(
        connection=target.session.connection,
        manager=planned.manager,
        owner=record.owner,
        prune=app.spec.prune,
        on_removed=lambda removed: target.progress.done(removed.change) if removed.change else None,
    )
    removed = list(remover.run(planned.plan.leaves))
    result = SyncResult.of_turn(app, record.commit, planned.plan, (), removed, {}, stopped=False)
    survivors = [item.survivor for item in removed if item.survivor is not None]
    if not survivors:
        target.store.delete(app, planned.opened.stored)
        return result
    left = replace(
        record.with_entries(survivors),
        outcome=Outcome(ok=False, message=f"being deleted: {result.summary}"),
        held=tuple(str(change.id) for change in result.of(Action.HELD)),
        held_digest=planned.plan.held_digest,
    )
    target.store.save(app, planned.opened.stored, left)
    return result


def _with_target(app: App, namespace: str) -> App:
    """The inventory knows where the App went; an empty set is what deleting means."""
    spec = app.spec
    changed = msgspec.structs.replace(
        spec,
        target=msgspec.structs.replace(spec.target, namespace=namespace or spec.target.namespace),
        prune=msgspec.structs.replace(spec.prune, allow_empty=True),
    )
    return msgspec.structs.replace(app, spec=changed)
