"""From what happened to one object to what is said and recorded of it: the change, and the inventory's entry. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.apply.model import Policy, Sent
from pipeline.cluster.errors import ApiError
from pipeline.cluster.fields import Deployer, fingerprint
from pipeline.errors import TrimtabError
from pipeline.inventory.record import Entry, Standing
from pipeline.plan.decide import Send
from pipeline.plan.model import Action, Change


@dataclass(frozen=True, slots=True)
class Applied:
    """The API server's answer to an apply.

    `given_up` are fields that were left to others (conflicts `yield`); `forced`: others may have lost some.
    """

    status: int
    answer: Mapping[str, Any]
    given_up: tuple[str, ...] = ()
    forced: bool = False


class RefusedError(Exception):
    """The object is a known deployer's, and the App may not take it."""

    def __init__(self, deployer: Deployer) -> None:
        super().__init__(deployer.name)
        self.deployer = deployer


def done(item: Send, policy: Policy, standing: Standing, applied: Applied, message: str = "") -> Sent:
    """It was applied. `message` instead of the plan's reason."""
    metadata = applied.answer["metadata"]
    action = _action(item, policy, applied)
    entry = Entry(
        id=item.desired.id,
        version=item.desired.resource.version,
        standing=standing,
        uid=metadata["uid"],
        applied=item.desired.digest,
        fingerprint=fingerprint(metadata, policy.manager),
        wave=item.desired.options.wave,
        depth=item.desired.depth,
    )
    if not message and standing is Standing.ADOPTED and (item.entry is None or item.entry.standing is Standing.PENDING):
        message = "adopted: it existed before; it will be released, never deleted"
    elif not message and action is Action.CONFIGURED:
        message = item.reason
    if applied.given_up:
        message = f"{message}; " if message else ""
        message += f"left to others: {', '.join(applied.given_up)}"
    return Sent(Change(item.desired.id, action, message), entry, applied.answer)


def _action(item: Send, policy: Policy, applied: Applied) -> Action:
    """What the apply did. Controllers write a status between the LIST and the apply: that was not the apply's doing."""
    if applied.status == 201:
        return Action.CREATED
    if item.live is None:
        return Action.CONFIGURED
    metadata = applied.answer["metadata"]
    repair = item.entry is not None and item.entry.applied == item.desired.digest
    same = repair and item.live.fingerprint == fingerprint(metadata, policy.manager)
    unchanged = same or item.live.resource_version == metadata["resourceVersion"]
    return Action.UNCHANGED if unchanged else Action.CONFIGURED


def refused(item: Send, deployer: Deployer) -> Sent:
    """It is somebody else's."""
    if deployer.name == "trimtab":
        hint = "take it out of one of the two Apps: out of that one, and it is handed over to this one"
    else:
        hint = f"remove it there, or allow the take-over: --adopt-from {deployer.name} (adopt.from in the App)"
    message = f"{item.desired.origin}: it belongs to {deployer.detail}\n  → {hint}"
    return Sent(Change(item.desired.id, Action.REFUSED, message), _survivor(item, touched=False), owned_by=deployer.app)


def failed(item: Send, error: TrimtabError) -> Sent:
    """It could not be applied. A definite refusal created nothing; after anything else nobody knows: keep the doubt."""
    message = f"{item.desired.origin}: {error.message}"
    hint = error.hint
    if isinstance(error, ApiError) and error.namespace_missing:
        hint = "add a Namespace to the folder, or use --create-namespace for the target namespace"
    if hint:
        message += f"\n  → {hint}"
    if not isinstance(error, ApiError):
        change = Change(item.desired.id, Action.FAILED, message, temporary=error.temporary)
        return Sent(change, _survivor(item, touched=error.temporary))
    change = Change(item.desired.id, Action.FAILED, message, temporary=error.temporary or error.overtaken)
    lags = error.kind_missing or error.schema_lag
    return Sent(change, _survivor(item, touched=error.temporary), kind_lags=lags)


def unsent(item: Send, why: str) -> Sent:
    """It is not sent any more."""
    change = Change(item.desired.id, Action.FAILED, f"not sent: {why}", temporary=True)
    return Sent(change, _survivor(item, touched=False))


def _survivor(item: Send, *, touched: bool) -> Entry | None:
    """What the inventory keeps of an object whose PATCH did not succeed."""
    if item.entry is not None:
        return item.entry if item.uid else replace(item.entry, standing=Standing.PENDING)
    return Entry(item.desired.id, item.desired.resource.version, Standing.PENDING) if touched else None
