"""Applies one object: what its answer means, what is taken over first, what is created anew.

Decides nothing that the plan decides.
"""

import json
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pipeline.apply.conflicts import without_fields
from pipeline.apply.model import Policy, Sent
from pipeline.apply.outcome import Applied, RefusedError, done, failed, refused, unsent
from pipeline.apply.recreate import RecreationError, immutable_fields, make_way
from pipeline.apply.takeover import takeover
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.cluster.fields import deployer_managers, known_deployer
from pipeline.errors import ClusterUnreachableError
from pipeline.inventory.moves import Offer
from pipeline.inventory.record import Standing
from pipeline.plan.decide import Send
from pipeline.plan.model import Action

__all__ = ["Policy", "Sent", "send", "unsent"]

#: How often fields are taken over after an apply: entries of several API versions go one after the other.
_TAKEOVERS = 3
#: How often an object may change between the read and the patch that takes over its fields.
_TRIES = 5


def send(connection: Connection, item: Send, policy: Policy, stop: threading.Event | None = None) -> Sent:
    """Apply one object. Never raises for what concerns this object only: the change says it.

    `stop` ends any waiting. A later PATCH carries the UID, so that it can never create: if the object was deleted, or
    deleted and created again by somebody, the API server says so, and it becomes a first touch.
    """
    stop = stop or threading.Event()
    try:
        return policy.patience.of(lambda: _touch(connection, item, policy), stop)
    except RefusedError as refusal:
        return refused(item, refusal.deployer)
    except ClusterUnreachableError as error:
        return replace(failed(item, error), unreachable=True)
    except ApiError as error:
        try:
            return _recreate(connection, item, policy, error, stop)
        except (ApiError, RecreationError, ClusterUnreachableError) as second:
            return replace(failed(item, second), unreachable=isinstance(second, ClusterUnreachableError))


def _touch(connection: Connection, item: Send, policy: Policy) -> Sent:
    try:
        if item.takes is not None:
            return _taken(connection, item, item.takes, policy)
        if item.uid:
            return _later(connection, item, policy)
    except ApiError as error:
        if not error.uid_mismatch:
            raise
    return _first_touch(connection, item, policy)


def _later(connection: Connection, item: Send, policy: Policy) -> Sent:
    force = item.force and policy.conflicts_of(item) == "take"
    applied = _apply(connection, item, policy, _bound(item, item.uid), force=force)
    return done(item, policy, item.entry.standing if item.entry is not None else Standing.ADOPTED, applied)


def _taken(connection: Connection, item: Send, offer: Offer, policy: Policy) -> Sent:
    """Promise 7: another App leaves it to this one, which takes it by force as it is, and owns it as that one did."""
    data = _bound(item, offer.entry.uid)
    applied = _apply(connection, item, policy, data, force=True, whole=frozenset({offer.manager}))
    message = "taken over from another App, which left it to this one"
    return done(item, policy, offer.entry.standing, applied, message)


def _first_touch(connection: Connection, item: Send, policy: Policy) -> Sent:
    """Promise 2: without force; 201 is created, 200 adopted unless a known deployer's marks are on it."""
    applied = _apply(connection, item, policy, item.desired.data, force=False)
    return done(item, policy, Standing.CREATED if applied.status == 201 else Standing.ADOPTED, applied)


def _recreate(connection: Connection, item: Send, policy: Policy, error: ApiError, stop: threading.Event) -> Sent:
    """Create the object anew where `error` is about an immutable field, and where that may be; else raise `error`."""
    fields = immutable_fields(connection, item, error, policy.manager)
    if not fields:
        raise error
    make_way(connection, item, policy, fields, stop)
    anew = replace(item, live=None)
    try:
        sent = policy.patience.of(lambda: _first_touch(connection, anew, policy), stop)
    except ApiError as second:
        raise RecreationError(
            f"{fields} is immutable, so it was deleted, and could not be created: {second.message}",
            hint=second.hint, temporary=second.temporary,
        ) from second  # fmt: skip
    if sent.change.action is not Action.CREATED:
        return sent
    change = replace(sent.change, action=Action.CONFIGURED, message=f"recreated: {fields} is immutable")
    return replace(sent, change=change)


def _apply(
    connection: Connection,
    item: Send,
    policy: Policy,
    data: Mapping[str, Any],
    *,
    force: bool,
    whole: Collection[str] = (),
) -> Applied:
    """PATCH, usually once. What is to be taken over is seen in what the plan's LIST showed, or else in the answer.

    `whole` are more managers to take over from than the policy names. Raises RefusedError.
    """
    if force and item.live is not None and item.live.metadata is not None:
        _take_over(connection, item, policy, item.live.metadata, whole)
    applied = _forced(connection, item, policy, data, force=force, whole=whole)
    if "uid" not in data["metadata"] and applied.status == 200 and not applied.forced:
        deployer = known_deployer(applied.answer["metadata"], policy.manager)
        if deployer is not None and not policy.may_adopt(deployer):
            _undo(connection, item, policy)
            raise RefusedError(deployer)
    for _ in range(_TAKEOVERS):
        if not _take_over(connection, item, policy, applied.answer["metadata"], whole, exact=True):
            break
        applied = _forced(connection, item, policy, data, force=force, whole=whole)
    return applied


def _forced(
    connection: Connection,
    item: Send,
    policy: Policy,
    data: Mapping[str, Any],
    *,
    force: bool,
    whole: Collection[str],
) -> Applied:
    """PATCH, and on a conflict look whose fields these are before anything is forced. Raises RefusedError.

    What others own of a list may also stand in the way of ours as a duplicate: a Service's port of the same name.
    """
    take = policy.conflicts_of(item) == "take"
    given_up: tuple[str, ...] = ()
    while True:
        try:
            status, answer = _patch(connection, item, policy, data, force=force)
        except ApiError as error:
            if not (error.conflict and not force) and not (error.duplicate and take):
                raise
            metadata = _metadata(connection, item)
            deployer = known_deployer(metadata, policy.manager)
            if deployer is not None and not policy.may_adopt(deployer) and not force:
                raise RefusedError(deployer) from error
            if take:
                if not _take_over(connection, item, policy, metadata, whole) and error.duplicate:
                    raise
                force = True
                continue
            paths = tuple(path for _, path in error.conflicting_managers() if path not in given_up)
            if policy.conflicts_of(item) == "fail" or not paths:
                raise
            data = without_fields(data, paths)
            given_up += paths
        else:
            return Applied(status, answer, given_up, forced=force)


def _take_over(
    connection: Connection,
    item: Send,
    policy: Policy,
    metadata: Mapping[str, Any],
    whole: Collection[str],
    *,
    exact: bool = False,
) -> bool:
    """Make fields of others ours, where `takeover` finds some: the next PATCH then removes what git does not have."""
    if policy.conflicts_of(item) != "take" and not whole:
        return False
    uid = metadata.get("uid")
    desired = item.desired
    for _ in range(_TRIES):
        managers = deployer_managers(metadata, policy.adopt_from).union(whole)
        patch = takeover(metadata, desired.data, policy.manager, managers, exact=exact)
        if not patch:
            return False
        try:
            objects.json_patch(
                connection, desired.resource, desired.id.namespace, desired.id.name, patch, manager=policy.manager
            )
        except ApiError as error:
            if error.status != 409:
                raise
        else:
            return True
        metadata, exact = _metadata(connection, item), False
        if metadata.get("uid") != uid:
            return False  # Another object: the PATCH to come says so.
    return False


def _patch(
    connection: Connection, item: Send, policy: Policy, data: Mapping[str, Any], *, force: bool
) -> tuple[int, dict[str, Any]]:
    desired = item.desired
    body = desired.body if data is desired.data else json.dumps(data, separators=(",", ":")).encode()
    return objects.apply(
        connection, desired.resource, desired.id.namespace, desired.id.name, body,
        manager=policy.manager, force=force,
    )  # fmt: skip


def _metadata(connection: Connection, item: Send) -> Mapping[str, Any]:
    """The live object's metadata; empty where it is gone."""
    desired = item.desired
    meta = objects.get_metadata(connection, desired.resource, desired.id.namespace, desired.id.name)
    found: Mapping[str, Any] = meta["metadata"] if meta is not None else {}
    return found


def _bound(item: Send, uid: str) -> dict[str, Any]:
    """What is sent to exactly that object."""
    return {**item.desired.data, "metadata": {**item.desired.data["metadata"], "uid": uid}}


def _undo(connection: Connection, item: Send, policy: Policy) -> None:
    """Apply the bare id: the API server then drops what only we own, and nothing that the deployer owns."""
    desired = item.desired
    metadata = {key: desired.data["metadata"][key] for key in ("name", "namespace") if key in desired.data["metadata"]}
    bare = {"apiVersion": desired.data["apiVersion"], "kind": desired.data["kind"], "metadata": metadata}
    _patch(connection, item, policy, bare, force=False)
