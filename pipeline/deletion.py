"""Deleting an App: its inventory is pruned (or released) whole, and then goes itself."""

from dataclasses import replace

import msgspec

from pipeline.app import App
from pipeline.inventory.record import Outcome
from pipeline.planning import Wishes, make_plan
from pipeline.result import SyncResult
from pipeline.sync import Target, remove
from pipeline.turn import concerned, differs
from renderers.api import Rendered


def delete(app: App, target: Target, *, release: bool) -> SyncResult:
    """Prune what the App created and release the rest; `release`, and an App that never prunes: delete nothing.

    The guard looks at the whole inventory: what it holds stays until it is approved, and so does the App. An App
    without an inventory owns what carries its label: that is released. Raises InventoryError when it cannot be told
    what the App owns.
    """
    stored = target.store.load(app)
    if stored.record is not None:
        app = _with_target(app, stored.record.target)
    app = _empty(app)
    release = release or not app.spec.prune.enabled
    target.progress.step("plan")
    wishes = Wishes(
        approve_all=target.approve_all or release, approved=target.approved, deletion=True, release=release,
        behind=target.behind,
    )  # fmt: skip
    planned = make_plan(app, Rendered(()), target.session, target.store, wishes)
    removed = remove(app, planned, target, planned.plan.leaves)
    record = planned.opened.record
    result = SyncResult.of_turn(app, record.commit, planned.plan, (), removed, {}, stopped=False)
    survivors = [item.survivor for item in removed if item.survivor is not None]
    if not survivors:
        target.store.delete(app, planned.opened.stored)
        return result
    left = replace(
        record.with_entries(survivors),
        outcome=Outcome(ok=False, message=f"being deleted: {result.summary}"),
        held=tuple(map(str, planned.plan.held)),
        held_digest=planned.plan.held_digest,
        claims={},
        offers=planned.plan.offers,
    )
    if differs(planned.opened.stored.record, left):
        target.store.save(app, planned.opened.stored, left)
    return replace(result, owned=len(survivors), concerned=concerned(planned, [], left))


def _with_target(app: App, namespace: str) -> App:
    """The inventory knows where the App went."""
    target = msgspec.structs.replace(app.spec.target, namespace=namespace or app.spec.target.namespace)
    return msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, target=target))


def _empty(app: App) -> App:
    """An empty set is what deleting means."""
    prune = msgspec.structs.replace(app.spec.prune, allow_empty=True)
    return msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, prune=prune))
