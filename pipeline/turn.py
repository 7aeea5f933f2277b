"""What the inventory says before and after a turn of the road. Pure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from pipeline.app import App
from pipeline.apply.remove import Removed
from pipeline.apply.send import Sent
from pipeline.inventory.names import app_label
from pipeline.inventory.record import Entry, Outcome, Record, Standing
from pipeline.plan.model import Action
from pipeline.planning import Planned
from pipeline.result import SyncResult
from pipeline.source.checkout import Checkout
from renderers.manifest import ObjectId


def before(app: App, checkout: Checkout, planned: Planned) -> Record:
    """old ∪ new: whatever will be created is recorded first, so that a crash at any instant leaks nothing.

    An object whose first touch is to come is pending until its answer was seen.
    """
    record = _located(app, checkout, planned.opened.record)
    pending = [
        Entry(
            item.desired.id, item.desired.resource.version, Standing.PENDING, uid=item.entry.uid if item.entry else ""
        )
        for item in planned.plan.sends
        if not item.uid
    ]
    entries = {**record.entries, **{entry.id: entry for entry in pending}}
    # Until the turn is closed, nobody knows: a crash must make the next sync look again.
    return replace(
        record,
        entries=entries,
        outcome=replace(record.outcome, ok=False, healthy=False, message="a sync was cut short"),
    )


def after(
    app: App, checkout: Checkout, planned: Planned, sent: list[Sent], removed: list[Removed], result: SyncResult
) -> Record:
    """applied ∪ survivors: what is owned now, and how the turn ended."""
    plan = planned.plan
    reached = {item.change.id for item in sent}
    entries = [
        *plan.unchanged,
        *plan.survivors,
        *(item.entry for item in sent if item.entry is not None),
        *(item.entry for item in plan.sends if item.entry is not None and item.desired.id not in reached),
        *(item.survivor for item in removed if item.survivor is not None),
    ]
    counts = Counter(str(change.action) for change in result.changes)
    outcome = Outcome(
        ok=result.ok,
        healthy=not result.unhealthy and not result.stopped,
        message=result.summary,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        counts=dict(counts),
    )
    record = replace(
        _located(app, checkout, planned.opened.record),
        outcome=outcome,
        held=tuple(map(str, plan.held)),
        held_digest=plan.held_digest,
        # An approval covers one prune: it ends with it, or when something else is to be pruned.
        approved=planned.opened.record.approved if result.of(Action.HELD) and not plan.held_digest else "",
        claims=claims(app, planned, sent),
        offers=plan.offers,
    )
    return record.with_entries(entries)


def claims(app: App, planned: Planned, sent: list[Sent]) -> Mapping[ObjectId, str]:
    """What this App wants and others own, with their labels: as was seen now, or before where nothing was sent now."""
    reached = {item.change.id for item in sent}
    wanted = {item.desired.id for item in planned.plan.sends}
    before = planned.opened.record.claims
    kept = {object_id: before[object_id] for object_id in before.keys() & (wanted - reached)}
    own = app_label(app)
    return kept | {item.change.id: item.owned_by for item in sent if item.owned_by not in ("", own)}


def concerned(planned: Planned, sent: list[Sent], record: Record) -> frozenset[str]:
    """The labels of the Apps that should look again now: claims or offers are new, or what they offered is taken."""
    old = planned.opened.record
    new = {*(record.claims.items() - old.claims.items()), *(record.offers.items() - old.offers.items())}
    taken = {item.change.id for item in sent if item.entry is not None} & old.claims.keys() - record.claims.keys()
    return frozenset({label for _, label in new} | {old.claims[object_id] for object_id in taken})


def differs(old: Record | None, new: Record) -> bool:
    """Whether a write would say anything new; the time alone is nothing new."""
    if old is None:
        return True
    same_time = replace(new, epoch=old.epoch, outcome=replace(new.outcome, at=old.outcome.at))
    return old != same_time


def _located(app: App, checkout: Checkout, record: Record) -> Record:
    git = app.spec.source.git if app.spec.source is not None else None
    path = git.path if git is not None else str(checkout.folder.relative_to(checkout.root))
    return replace(
        record, target=app.spec.target.namespace, url=checkout.url, ref=checkout.ref, path=path, commit=checkout.commit
    )
