"""Immutable fields: tells them from a plain mistake, and deletes the object where it may be created anew.

Nothing is deleted before a dry-run has accepted its successor, and before every veto of a prune was asked.
"""

import re
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.apply.model import Policy
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError, Cause
from pipeline.errors import TrimtabError
from pipeline.inventory.live import LiveObject, observe
from pipeline.inventory.names import OWNER_ANNOTATION
from pipeline.inventory.record import Standing
from pipeline.plan.decide import Send, judge
from pipeline.plan.options import RECREATE_ANNOTATION
from pipeline.plan.vetoes import Candidate, Verdict
from pipeline.plan.vetoes.going import held_by
from pipeline.plan.vetoes.protected import is_container

#: How Kubernetes' own validation words a change that is not allowed.
_IMMUTABLE = re.compile(r"immutable|may not change|cannot change|may not be changed|for fields other than")
#: What the live object itself holds, and its deletion frees: a node port, a cluster IP.
_HELD = re.compile(r"already allocated")
#: How often an object may change under our hands, and how long it may take to be gone, in seconds.
_TRIES = 5
_GONE = 60.0
_LAST_PAUSE = 1.0


class RecreationError(TrimtabError):
    """An immutable field was changed in git, and the object may not, or cannot, be created anew."""

    reason = "Immutable"

    def __init__(self, message: str, *, hint: str = "", temporary: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.temporary = temporary


def immutable_fields(connection: Connection, item: Send, error: ApiError, manager: str) -> str:
    """The fields that may not change, `spec.selector`, for which an update was refused; empty for another mistake.

    Both are 422 with the same reasons. Where the words do not tell, a dry-run of creating the same under another name
    does: what it accepts is wrong only as a change. Raises ClusterUnreachableError.
    """
    causes = _causes(error)
    found = [cause.field for cause in causes if _IMMUTABLE.search(cause.message)]
    if not found and causes:
        try:
            _try_new(connection, item, manager)
        except ApiError:
            return ""
        found = [cause.field for cause in causes]
    return ", ".join(dict.fromkeys(found))


def make_way(connection: Connection, item: Send, policy: Policy, fields: str, stop: threading.Event) -> None:
    """Delete the object, so that it can be created anew, and wait until it is gone.

    Raises RecreationError where that may not be, or does not come about; ApiError, ClusterUnreachableError.
    """
    validated = False
    for _ in range(_TRIES):
        data = _get(connection, item)
        if data is None:
            return
        live = observe(data, item.desired.resource, manager=policy.manager)
        if not live.terminating:
            check_recreation(item, policy, fields, live, data)
            if not validated:
                _validate(connection, item, policy.manager, fields)
                validated = True
            if not _delete(connection, item, live):
                continue
        _wait_gone(connection, item, live.uid, fields, stop)
        return
    raise RecreationError(f"{fields} is immutable, and it changed each time when it was to be deleted", temporary=True)


def check_recreation(item: Send, policy: Policy, fields: str, live: LiveObject, data: Mapping[str, Any]) -> None:
    """Raise RecreationError unless it was allowed, and a prune of this object would be.

    A finished Job of ours needs no permission. Namespaces and CustomResourceDefinitions are never deleted for that,
    whatever is inside.
    """
    wish = item.desired.options.recreate
    allowed = wish == "allowed" or (policy.recreate == "allowed" and wish != "never")
    job = item.desired.id.kind == "Job" and item.desired.id.group == "batch"
    if is_container(item.desired.id):
        raise RecreationError(
            f"{fields} is immutable, and a {item.desired.id.kind} is never deleted for that",
            hint="take the change back in git, or give it another name",
        )
    if item.entry is None or live.uid != item.uid:
        veto = "this App did not create it"
    else:
        owner = item.desired.data["metadata"]["annotations"][OWNER_ANNOTATION]
        # Whether the App prunes what leaves git does not matter: this one stays in it.
        prune = msgspec.structs.replace(policy.prune, enabled=True)
        verdict, why = judge(Candidate(entry=item.entry, live=live, owner=owner, prune=prune))
        veto = "" if verdict is Verdict.PRUNE else why
    if veto:
        raise RecreationError(
            f"{fields} is immutable, and it may not be deleted: {veto}",
            hint="take the change back in git, or delete the object yourself: the next sync creates it",
        )
    by_default = job and wish != "never" and item.entry is not None and item.entry.standing is Standing.CREATED
    if allowed or (by_default and _finished(data)):
        return
    if by_default:
        raise RecreationError(
            f"{fields} is immutable, and the Job is still running",
            hint=f'it is recreated once it has finished; at once with the annotation {RECREATE_ANNOTATION}: "allowed"',
            temporary=True,
        )
    raise RecreationError(
        f"{fields} is immutable: only a new object can have another value",
        hint=f'with the annotation {RECREATE_ANNOTATION}: "allowed" it is deleted and created again; '
        "or take the change back in git",
    )


def _validate(connection: Connection, item: Send, manager: str, fields: str) -> None:
    try:
        _try_new(connection, item, manager)
    except ApiError as error:
        causes = _causes(error)
        if error.status == 422 and causes and all(_HELD.search(cause.message) for cause in causes):
            return
        raise RecreationError(
            f"{fields} is immutable, and the new object would be refused: {error.message}",
            hint=error.hint or "nothing was deleted; correct the manifest",
            temporary=error.temporary,
        ) from error


def _try_new(connection: Connection, item: Send, manager: str) -> None:
    """Create it under a name that nothing has, as a dry-run. Raises ApiError as the API server refuses it."""
    data = item.desired.data
    body = {**data, "metadata": {**data["metadata"], "name": f"trimtab-probe-{secrets.token_hex(4)}"}}
    objects.create(
        connection, item.desired.resource, item.desired.id.namespace, body, manager=manager, dry_run=True
    )  # fmt: skip


def _delete(connection: Connection, item: Send, live: LiveObject) -> bool:
    """Delete it as it was read; False where it has changed since."""
    desired = item.desired
    try:
        objects.delete(
            connection, desired.resource, desired.id.namespace, desired.id.name,
            uid=live.uid, resource_version=live.resource_version,
        )  # fmt: skip
    except ApiError as error:
        if error.status not in (404, 409):
            raise
        return error.not_found
    return True


def _wait_gone(connection: Connection, item: Send, uid: str, fields: str, stop: threading.Event) -> None:
    """A finalizer may hold it; whoever set that must take it off."""
    deadline = time.monotonic() + _GONE
    pause = 0.05
    while True:
        desired = item.desired
        meta = objects.get_metadata(connection, desired.resource, desired.id.namespace, desired.id.name)
        if meta is None or meta["metadata"]["uid"] != uid:
            return
        if stop.wait(pause) or time.monotonic() > deadline:
            held = held_by(tuple(meta["metadata"].get("finalizers") or ()))
            raise RecreationError(
                f"{fields} is immutable, so it is created anew: {held}",
                hint="the next sync creates it, once it is gone",
                temporary=True,
            )
        pause = min(1.5 * pause, _LAST_PAUSE)


def _causes(error: ApiError) -> list[Cause]:
    """The causes that are about a field of the object's content."""
    if error.status != 422:
        return []
    return [cause for cause in error.causes if cause.field and not cause.field.startswith("metadata.")]


def _finished(job: Mapping[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)


def _get(connection: Connection, item: Send) -> dict[str, Any] | None:
    return objects.get(connection, item.desired.resource, item.desired.id.namespace, item.desired.id.name)
