"""The pure decision: what to send, leave, prune, release or hold, and why. Reads nothing, does nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.app import Prune
from pipeline.cluster.discovery import Discovery, Resource
from pipeline.cluster.fields import lost_fields
from pipeline.inventory.live import Live, LiveObject
from pipeline.inventory.record import Entry, Record, Standing
from pipeline.plan.model import Change
from pipeline.plan.prepare import Desired, stage_of
from pipeline.plan.vetoes import VETOES, Candidate, Verdict
from pipeline.plan.vetoes.guard import held


@dataclass(frozen=True, slots=True)
class Send:
    """One PATCH to come. `uid` is empty for a first touch: an object that is not surely ours yet.

    `entry` is what the inventory says of it, None for a new one; `live` what the LIST showed; `reason` is for people.
    `force`: it was seen to be ours, so a field that somebody else took may be taken back at once.
    """

    desired: Desired
    uid: str
    entry: Entry | None
    live: LiveObject | None
    reason: str
    force: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """What becomes of one object that left the set. `resource` is None where its kind is served no more."""

    entry: Entry
    live: LiveObject | None
    resource: Resource | None
    verdict: Verdict
    reason: str

    @property
    def first(self) -> bool:
        """Whether it goes before the apply, because it blocks its successor (`trimtab.dev/prune: "first"`)."""
        return self.verdict is Verdict.PRUNE and self.live is not None and self.live.prune == "first"


@dataclass(frozen=True, slots=True)
class Plan:
    """One sync, decided. `held_digest` is what an approval must name when anything is held.

    `survivors` are entries of objects that are not touched now and stay in the inventory.
    """

    sends: tuple[Send, ...]
    leaves: tuple[Leave, ...]
    unchanged: tuple[Entry, ...]
    survivors: tuple[Entry, ...]
    failed: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()
    held_digest: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing is to be sent, deleted, released or forgotten."""
        acts = (Verdict.PRUNE, Verdict.RELEASE, Verdict.FORGET)
        return not self.sends and not any(leave.verdict in acts for leave in self.leaves)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the App says about deciding. `approved`: the digest a person approved; `approve_all`: `--yes`.

    `deletion`: the App itself goes. `release`: its objects stay, so nothing is deleted.
    """

    prune: Prune
    deletion: bool = False
    release: bool = False
    approved: str = ""
    approve_all: bool = False


def decide(
    desired: Sequence[Desired],
    record: Record,
    live: Live,
    discovery: Discovery,
    rules: Rules,
    *,
    failed: Iterable[Change] = (),
    warnings: Iterable[str] = (),
) -> Plan:
    """Compare what should be with what was recorded and what was seen.

    The same arguments give the same plan. `failed` are objects of the set that cannot be sent: what the inventory
    knows of them survives.
    """
    failed = tuple(failed)
    sends: list[Send] = []
    unchanged: list[Entry] = []
    for wanted in sorted(desired, key=lambda item: (item.stage, item.id)):
        entry = record.entries.get(wanted.id)
        reason = _why_send(wanted, entry, live, record.owner)
        if reason is None and entry is not None:
            unchanged.append(entry)
        elif reason:
            sends.append(_send(wanted, entry, live.get(wanted.id), record.owner, reason))

    in_set = {wanted.id for wanted in desired}
    # Without its namespace a manifest of an unknown kind may be any object of that name: keep all of them.
    unplaced = {(change.id.kind, change.id.group, change.id.name) for change in failed}
    leaves: list[Leave] = []
    survivors: list[Entry] = []
    for entry in record.entries.values():
        if entry.id in in_set:
            continue
        if (entry.id.kind, entry.id.group, entry.id.name) in unplaced:
            survivors.append(entry)
        else:
            leaves.append(_leave(entry, live, record.owner, discovery, rules))
    leaves.sort(key=lambda leave: (-stage_of(leave.entry.id), leave.entry.id))

    digest = ""
    if not rules.approve_all:
        prunes = [leave.live for leave in leaves if leave.verdict is Verdict.PRUNE and leave.live is not None]
        digest = held(prunes, len(record.entries), rules.prune.guard, approved=rules.approved)
    if digest:
        share = f"{sum(leave.verdict is Verdict.PRUNE for leave in leaves)} of {len(record.entries)} objects"
        leaves = [_hold(leave, share) if leave.verdict is Verdict.PRUNE else leave for leave in leaves]
    return Plan(
        sends=tuple(sends),
        leaves=tuple(leaves),
        unchanged=tuple(unchanged),
        survivors=tuple(survivors),
        failed=failed,
        warnings=tuple(warnings),
        held_digest=digest,
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


def _leave(entry: Entry, live: Live, owner: str, discovery: Discovery, rules: Rules) -> Leave:
    resource = discovery.find(entry.id.kind, entry.id.group, entry.version)
    seen = live.get(entry.id)
    if resource is None:
        if any(stale.partition("/")[0] == entry.id.group for stale in discovery.stale):
            return Leave(entry, seen, None, Verdict.KEEP, "its API group does not answer at the moment")
        return Leave(entry, seen, None, Verdict.FORGET, "its kind is gone from the cluster, and its objects with it")
    if entry.standing is Standing.PENDING and seen is None and not entry.uid and resource not in live.unlisted:
        return Leave(entry, None, resource, Verdict.FORGET, "it was never created")
    if rules.release:
        return Leave(entry, seen, resource, Verdict.RELEASE, "the App goes and its objects stay")
    candidate = Candidate(entry, seen, owner, rules.prune, unlisted=live.unlisted.get(resource, ""))
    verdict, why = judge(candidate)
    if verdict is Verdict.PRUNE and rules.deletion:
        why = "the App is deleted"
    return Leave(entry, seen, resource, verdict, why)


def _hold(leave: Leave, share: str) -> Leave:
    return Leave(leave.entry, leave.live, leave.resource, Verdict.HOLD, f"the guard holds a prune of {share}")
