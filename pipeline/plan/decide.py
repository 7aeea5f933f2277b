"""The pure decision: what to send, leave, prune, release or hold, and why. Reads nothing, does nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.app import Prune
from pipeline.cluster.discovery import Discovery, Resource
from pipeline.cluster.fields import lost_fields
from pipeline.inventory.live import Live, LiveObject
from pipeline.inventory.moves import Offer
from pipeline.inventory.record import Entry, Record, Standing, digest_of
from pipeline.plan.model import NOBODY, Action, Behind, Change
from pipeline.plan.order import Place, stage_of
from pipeline.plan.prepare import Desired
from pipeline.plan.resolve import Awaited
from pipeline.plan.vetoes import VETOES, Candidate, Verdict
from pipeline.plan.vetoes.going import held_by
from pipeline.plan.vetoes.guard import held
from renderers.manifest import ObjectId


@dataclass(frozen=True, slots=True)
class Send:
    """One PATCH to come. `uid` is empty for a first touch: an object that is not surely ours yet.

    `entry` is what the inventory says of it, None for a new one; `live` what the LIST showed; `reason` is for people.
    `force`: it was seen to be ours, so a field that somebody else took may be taken back at once. `takes`: another App
    leaves it to this one.
    """

    desired: Desired
    uid: str
    entry: Entry | None
    live: LiveObject | None
    reason: str
    force: bool
    takes: Offer | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """What becomes of one object that left the set. `resource` is None where its kind is served no more.

    `claimant` is the label of the App that it is left to.
    """

    entry: Entry
    live: LiveObject | None
    resource: Resource | None
    verdict: Verdict
    reason: str
    claimant: str = ""

    @property
    def place(self) -> Place:
        """Where it stood in the order of the apply; a prune goes the other way."""
        return Place(self.entry.wave, self.entry.depth, stage_of(self.entry.id))

    @property
    def first(self) -> bool:
        """Whether it goes before the apply, because it blocks its successor (`trimtab.dev/prune: "first"`)."""
        return self.verdict is Verdict.PRUNE and self.live is not None and self.live.prune == "first"


@dataclass(frozen=True, slots=True)
class Plan:
    """One sync, decided. `held_digest` is what an approval must name when anything is held.

    `survivors` are entries of objects that are not touched now and stay in the inventory. `awaited` are objects of a
    kind that comes with the App. `waits`: prunes wait for other Apps to be planned.
    """

    sends: tuple[Send, ...]
    leaves: tuple[Leave, ...]
    unchanged: tuple[Entry, ...]
    survivors: tuple[Entry, ...]
    failed: tuple[Change, ...] = ()
    awaited: tuple[Awaited, ...] = ()
    warnings: tuple[str, ...] = ()
    held_digest: str = ""
    waits: bool = False

    @property
    def delayed(self) -> bool:
        """Whether something that left the set lives on for now, which people are told at each sync."""
        return any(leave.verdict is Verdict.WAIT for leave in self.leaves)

    @property
    def empty(self) -> bool:
        """Whether nothing is to be sent, deleted, released or forgotten."""
        acts = (Verdict.PRUNE, Verdict.RELEASE, Verdict.FORGET)
        return not self.sends and not any(leave.verdict in acts for leave in self.leaves)

    @property
    def offers(self) -> Mapping[ObjectId, str]:
        """What is left to other Apps, each with the label of the App."""
        return {leave.entry.id: leave.claimant for leave in self.leaves if leave.verdict is Verdict.OFFER}

    @property
    def held(self) -> tuple[ObjectId, ...]:
        """What an approval would let go, in the order of ids."""
        return tuple(sorted(leave.entry.id for leave in self.leaves if leave.verdict is Verdict.HOLD))


@dataclass(frozen=True, slots=True)
class Rules:
    """What the App says about deciding. `approved`: the digest a person approved; `approve_all`: `--yes`.

    `deletion`: the App itself goes. `release`: its objects stay, so nothing is deleted. `claims` are what other Apps
    want of this one (with their labels), `offers` what others leave to it; nothing is pruned as long as Apps are
    `behind`. `unserved` are groups and kinds that are defined, and served in no version.
    """

    prune: Prune
    deletion: bool = False
    release: bool = False
    approved: str = ""
    approve_all: bool = False
    claims: Mapping[ObjectId, str] = field(default_factory=dict)
    offers: Mapping[ObjectId, Offer] = field(default_factory=dict)
    behind: Behind = NOBODY
    unserved: frozenset[tuple[str, str]] = frozenset()


def decide(  # noqa: PLR0913 - what is wanted, recorded, seen and known, and what cannot be sent
    desired: Sequence[Desired],
    record: Record,
    live: Live,
    discovery: Discovery,
    rules: Rules,
    *,
    failed: Iterable[Change] = (),
    awaited: Iterable[Awaited] = (),
    warnings: Iterable[str] = (),
) -> Plan:
    """Compare what should be with what was recorded and what was seen.

    The same arguments give the same plan. `failed` and `awaited` are objects of the set that cannot be sent (now):
    what the inventory knows of them survives.
    """
    failed, awaited = list(failed), tuple(awaited)
    # Without its namespace a manifest of an unknown kind may be any object of that name: keep all of them.
    absent = [*(each.id for each in failed), *(each.id for each in awaited)]
    unplaced = {(each.kind, each.group, each.name) for each in absent}
    sends: list[Send] = []
    unchanged: list[Entry] = []
    in_set = {wanted.id for wanted in desired}
    by_uid = {entry.uid: entry for entry in record.entries.values() if entry.uid and entry.id not in in_set}
    kept_uids = frozenset(seen.uid for wanted in desired if (seen := live.get(wanted.id)) is not None)
    survivors: list[Entry] = []
    for wanted in sorted(desired, key=lambda item: (item.place, item.id)):
        entry = record.entries.get(wanted.id) or _moved(wanted, live, by_uid)
        seen = live.get(wanted.id)
        if seen is not None and seen.terminating:
            # An apply would succeed, and be lost with the object.
            message = f"{wanted.origin}: {held_by(seen.finalizers)}\n  → once it is gone, a sync creates it anew"
            failed.append(Change(wanted.id, Action.FAILED, message, temporary=True))
            survivors += [entry] if entry is not None else []
            continue
        reason = _why_send(wanted, entry, live, record.owner)
        if reason is None and entry is not None:
            unchanged.append(entry)
        elif reason:
            offer = rules.offers.get(wanted.id)
            sends.append(replace(_send(wanted, entry, seen, record.owner, reason), takes=offer))

    leaves: list[Leave] = []
    for entry in record.entries.values():
        if entry.id in in_set:
            continue
        if (entry.id.kind, entry.id.group, entry.id.name) in unplaced:
            survivors.append(entry)
        else:
            leaves.append(_leave(entry, live, record, discovery, rules, kept_uids))
    leaves.sort(key=lambda leave: (tuple(-part for part in leave.place), leave.entry.id))

    leaves, digest = _guarded(leaves, len(record.entries), rules)
    return Plan(
        sends=tuple(sends),
        leaves=tuple(leaves),
        unchanged=tuple(unchanged),
        survivors=tuple(survivors),
        failed=tuple(failed),
        awaited=awaited,
        warnings=(*warnings, *_unseen(leaves)),
        held_digest=digest,
        waits=bool(rules.behind.apps) and any(leave.verdict is Verdict.WAIT for leave in leaves),
    )


def judge(candidate: Candidate) -> tuple[Verdict, str]:
    """What becomes of an object that left the set: the first veto's answer, else it is pruned."""
    for veto in VETOES:
        answer = veto.ask(candidate)
        if answer is not None:
            return answer
    return Verdict.PRUNE, "it left the set"


def _why_send(wanted: Desired, entry: Entry | None, live: Live, owner: str) -> str | None:
    """The reason to send it; empty: it shall not be touched; None: it is as it should be."""
    seen = live.get(wanted.id)
    policy = (seen.apply if seen else "") or wanted.options.apply
    if policy == "ignore" or (policy == "once" and entry is not None and seen is not None):
        return None if entry is not None else ""
    if entry is None:
        return "new"
    if entry.standing is Standing.PENDING or not entry.uid:
        return "its creation was not confirmed"
    if seen is None:
        return "it is gone, or lost this App's label"
    if seen.uid != entry.uid:
        return "it was deleted and created again"
    if entry.applied != wanted.digest or not wanted.digest:
        return "changed in git"
    if seen.fingerprint == entry.fingerprint and seen.is_ours(owner):
        return None
    lost = lost_fields(wanted.data, seen.metadata, live.manager) if seen.metadata else ()
    return f"changed in the cluster: {', '.join(lost[:3])}" if lost else "changed in the cluster"


def _send(wanted: Desired, entry: Entry | None, seen: LiveObject | None, owner: str, reason: str) -> Send:
    known = entry is not None and entry.standing is not Standing.PENDING and (seen is None or seen.uid == entry.uid)
    uid = entry.uid if entry is not None and known else ""
    return Send(wanted, uid, entry, seen, reason, force=bool(uid) and seen is not None and seen.is_ours(owner))


def _leave(
    entry: Entry, live: Live, record: Record, discovery: Discovery, rules: Rules, kept_uids: frozenset[str]
) -> Leave:
    resource = discovery.find(entry.id.kind, entry.id.group, entry.version)
    seen = live.get(entry.id)
    if resource is None:
        if any(stale.partition("/")[0] == entry.id.group for stale in discovery.stale):
            return Leave(entry, seen, None, Verdict.KEEP, "its API group does not answer at the moment")
        if (entry.id.group, entry.id.kind) in rules.unserved:
            return Leave(entry, seen, None, Verdict.KEEP, "its kind is defined and served in no version")
        return Leave(entry, seen, None, Verdict.FORGET, "its kind is gone from the cluster, and its objects with it")
    if entry.standing is Standing.PENDING and seen is None and not entry.uid and resource not in live.unlisted:
        return Leave(entry, None, resource, Verdict.FORGET, "it was never created")
    if entry.id in record.offers and seen is None and resource not in live.unlisted:
        why = f"it was handed over to App {record.offers[entry.id]}"
        return Leave(entry, None, resource, Verdict.RELEASE, why)
    claimant = rules.claims.get(entry.id, "")
    candidate = Candidate(
        entry, seen, record.owner, rules.prune, unlisted=live.unlisted.get(resource, ""), claimed_by=claimant,
        kept_uids=kept_uids,
    )  # fmt: skip
    verdict, why = judge(candidate)
    if rules.release and verdict is not Verdict.OFFER:
        return Leave(entry, seen, resource, Verdict.RELEASE, "the App goes and its objects stay")
    if verdict is Verdict.PRUNE and rules.deletion:
        why = "the App is deleted"
    return Leave(entry, seen, resource, verdict, why, claimant)


def _moved(wanted: Desired, live: Live, by_uid: Mapping[str, Entry]) -> Entry | None:
    """What the inventory knows of the object under the id that it had in another API group."""
    seen = live.get(wanted.id)
    entry = by_uid.get(seen.uid) if seen is not None else None
    return replace(entry, id=wanted.id) if entry is not None else None


def _unseen(leaves: Iterable[Leave]) -> list[str]:
    """What left the set and cannot be looked at, because its API group or its kind is not served."""
    hidden = [leave for leave in leaves if leave.verdict is Verdict.KEEP and leave.resource is None]
    return [f"{leave.entry.id} left git and is kept: {leave.reason}" for leave in hidden]


def _guarded(leaves: list[Leave], total: int, rules: Rules) -> tuple[list[Leave], str]:
    """Put off the prunes that others have to speak about first, or hold those that a person has to approve.

    Returns also the digest that an approval must name, empty where nothing is held.
    """
    prunes = [leave for leave in leaves if leave.verdict is Verdict.PRUNE and leave.live is not None]
    if rules.approve_all or not prunes:
        return leaves, ""
    seen = [leave.live for leave in prunes if leave.live is not None]
    if rules.behind.apps:
        word, has = ("App", "has") if len(rules.behind.apps) == 1 else ("Apps", "have")
        of = f"{word} {', '.join(rules.behind.apps)}, of the same repository and branch, may want it and"
        if not rules.behind.overdue:
            return _instead(leaves, Verdict.WAIT, f"{of} {has} not been planned at this commit yet"), ""
        digest = digest_of((live.id, live.uid) for live in seen)
        if digest != rules.approved:
            return _instead(leaves, Verdict.HOLD, f"{of} could not be planned at this commit"), digest
        return leaves, ""
    digest = held(seen, total, rules.prune.guard, approved=rules.approved)
    if not digest:
        return leaves, ""
    count = sum(leave.verdict is Verdict.PRUNE for leave in leaves)
    return _instead(leaves, Verdict.HOLD, f"the guard holds a prune of {count} of {total} objects"), digest


def _instead(leaves: Iterable[Leave], verdict: Verdict, reason: str) -> list[Leave]:
    return [
        replace(leave, verdict=verdict, reason=reason) if leave.verdict is Verdict.PRUNE else leave for leave in leaves
    ]
