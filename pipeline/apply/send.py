"""One PATCH and what its answer means: created, adopted, refused, a conflict. Decides nothing that the plan decides."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.apply.conflicts import without_fields
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.cluster.fields import Deployer, fingerprint, known_deployer
from pipeline.errors import ClusterUnreachableError
from pipeline.inventory.record import Entry, Standing
from pipeline.plan.decide import Send
from pipeline.plan.model import Action, Change


@dataclass(frozen=True, slots=True)
class Policy:
    """What the App says about others' objects and fields. `conflicts`: take, yield or fail."""

    manager: str
    conflicts: str = "take"
    adopt_from: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sent:
    """What one object came to.

    `entry` is what the inventory shall say from now on, None where the object is not ours. `answer` is the API
    server's object, None where there is none. `kind_lags`: the kind or its schema is not served, perhaps not yet.
    `unreachable`: the cluster gave no answer at all.
    """

    change: Change
    entry: Entry | None
    answer: Mapping[str, Any] | None = None
    kind_lags: bool = False
    unreachable: bool = False


def send(connection: Connection, item: Send, policy: Policy) -> Sent:
    """Apply one object. Never raises for what concerns this object only: the change says it.

    A later PATCH carries the UID, so that it can never create: if the object was deleted, or deleted and created
    again by somebody, the API server says so, and it becomes a first touch.
    """
    try:
        if item.uid:
            try:
                return _later(connection, item, policy)
            except ApiError as error:
                if not error.uid_mismatch:
                    raise
        return _first_touch(connection, item, policy)
    except (ApiError, ClusterUnreachableError) as error:
        return _failed(item, error)


def unsent(item: Send, why: str) -> Sent:
    """What becomes of an object that is not sent any more."""
    change = Change(item.desired.id, Action.FAILED, f"not sent: {why}", temporary=True)
    return Sent(change, _survivor(item, touched=False))


def _later(connection: Connection, item: Send, policy: Policy) -> Sent:
    data = {**item.desired.data, "metadata": {**item.desired.data["metadata"], "uid": item.uid}}
    force = item.force and policy.conflicts == "take"
    try:
        _, answer, given_up = _apply(connection, item, policy, data, force=force)
    except _RefusedError as refused:
        return _refused(item, refused)
    same = item.live is not None and item.live.resource_version == answer["metadata"]["resourceVersion"]
    action = Action.UNCHANGED if same else Action.CONFIGURED
    standing = item.entry.standing if item.entry is not None else Standing.ADOPTED
    return _sent(item, policy, action, standing, answer, given_up)


def _first_touch(connection: Connection, item: Send, policy: Policy) -> Sent:
    """Promise 2: without force; 201 is created, 200 adopted unless a known deployer's marks are on it."""
    seen = item.live
    try:
        status, answer, given_up = _apply(connection, item, policy, item.desired.data, force=False)
    except _RefusedError as refused:
        return _refused(item, refused)
    if status == 201:
        return _sent(item, policy, Action.CREATED, Standing.CREATED, answer, given_up)
    deployer = known_deployer(answer["metadata"], policy.manager)
    if deployer is not None and not _may_adopt(deployer, policy):
        _undo(connection, item, policy)
        return _refused(item, _RefusedError(deployer))
    same = seen is not None and seen.resource_version == answer["metadata"]["resourceVersion"]
    return _sent(item, policy, Action.UNCHANGED if same else Action.CONFIGURED, Standing.ADOPTED, answer, given_up)


class _RefusedError(Exception):
    """The object is a known deployer's, and the App may not take it."""

    def __init__(self, deployer: Deployer) -> None:
        super().__init__(deployer.name)
        self.deployer = deployer


def _apply(
    connection: Connection, item: Send, policy: Policy, data: Mapping[str, Any], *, force: bool
) -> tuple[int, dict[str, Any], tuple[str, ...]]:
    """PATCH, and on a conflict look whose fields these are before anything is forced.

    Returns status, answer and the fields that were left to others (`yield`).
    """
    given_up: tuple[str, ...] = ()
    while True:
        try:
            status, answer = _patch(connection, item, policy, data, force=force)
        except ApiError as error:
            if not error.conflict or force:
                raise
            deployer = _deployer(connection, item, policy)
            if deployer is not None and not _may_adopt(deployer, policy):
                raise _RefusedError(deployer) from error
            if policy.conflicts == "take":
                force = True
                continue
            paths = tuple(path for _, path in error.conflicting_managers() if path not in given_up)
            if policy.conflicts == "fail" or not paths:
                raise
            data = without_fields(data, paths)
            given_up += paths
        else:
            return status, answer, given_up


def _patch(
    connection: Connection, item: Send, policy: Policy, data: Mapping[str, Any], *, force: bool
) -> tuple[int, dict[str, Any]]:
    desired = item.desired
    body = desired.body if data is desired.data else json.dumps(data, separators=(",", ":")).encode()
    return objects.apply(
        connection, desired.resource, desired.id.namespace, desired.id.name, body,
        manager=policy.manager, force=force,
    )  # fmt: skip


def _deployer(connection: Connection, item: Send, policy: Policy) -> Deployer | None:
    desired = item.desired
    meta = objects.get_metadata(connection, desired.resource, desired.id.namespace, desired.id.name)
    return None if meta is None else known_deployer(meta["metadata"], policy.manager)


def _may_adopt(deployer: Deployer, policy: Policy) -> bool:
    """Another Trimtab App's objects are never taken by force; they move by a claim."""
    return deployer.name != "trimtab" and deployer.name in policy.adopt_from


def _undo(connection: Connection, item: Send, policy: Policy) -> None:
    """Apply the bare id: the API server then drops what only we own, and nothing that the deployer owns."""
    desired = item.desired
    metadata = {key: desired.data["metadata"][key] for key in ("name", "namespace") if key in desired.data["metadata"]}
    bare = {"apiVersion": desired.data["apiVersion"], "kind": desired.data["kind"], "metadata": metadata}
    _patch(connection, item, policy, bare, force=False)


def _sent(
    item: Send,
    policy: Policy,
    action: Action,
    standing: Standing,
    answer: Mapping[str, Any],
    given_up: tuple[str, ...],
) -> Sent:
    metadata = answer["metadata"]
    entry = Entry(
        id=item.desired.id,
        version=item.desired.resource.version,
        standing=standing,
        uid=metadata["uid"],
        applied=item.desired.digest,
        fingerprint=fingerprint(metadata, policy.manager),
    )
    message = item.reason if action is Action.CONFIGURED else ""
    if standing is Standing.ADOPTED and (item.entry is None or item.entry.standing is Standing.PENDING):
        message = "adopted: it existed before; it will be released, never deleted"
    if given_up:
        message = f"{message}; " if message else ""
        message += f"left to others: {', '.join(given_up)}"
    return Sent(Change(item.desired.id, action, message), entry, answer)


def _refused(item: Send, refused: _RefusedError) -> Sent:
    deployer = refused.deployer
    if deployer.name == "trimtab":
        hint = "take it out of one of the two Apps; this one leaves it as it is"
    else:
        hint = f"remove it there, or allow the take-over: --adopt-from {deployer.name} (adopt.from in the App)"
    message = f"{item.desired.origin}: it belongs to {deployer.detail}\n  → {hint}"
    return Sent(Change(item.desired.id, Action.REFUSED, message), _survivor(item, touched=False))


def _failed(item: Send, error: ApiError | ClusterUnreachableError) -> Sent:
    message = f"{item.desired.origin}: {error.message}"
    hint = error.hint
    if isinstance(error, ApiError) and error.namespace_missing:
        hint = "add a Namespace to the folder, or use --create-namespace for the target namespace"
    if hint:
        message += f"\n  → {hint}"
    # A definite refusal created nothing. After a timeout or a server's failure nobody knows: keep the doubt.
    change = Change(item.desired.id, Action.FAILED, message, temporary=error.temporary)
    survivor = _survivor(item, touched=error.temporary)
    if isinstance(error, ClusterUnreachableError):
        return Sent(change, survivor, unreachable=True)
    return Sent(change, survivor, kind_lags=error.kind_missing or error.schema_lag)


def _survivor(item: Send, *, touched: bool) -> Entry | None:
    """What the inventory keeps of an object whose PATCH did not succeed."""
    if item.entry is not None:
        return item.entry if item.uid else replace(item.entry, standing=Standing.PENDING)
    return Entry(item.desired.id, item.desired.resource.version, Standing.PENDING) if touched else None
