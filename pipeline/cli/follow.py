"""Asks the controller for something through an App's resource, and follows the resource until it has answered."""

import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.app import parse_duration
from pipeline.app.status import status_of
from pipeline.cli.appdata import ready_of
from pipeline.cli.apps import command_for, full_name
from pipeline.cli.controller import Leadership, Work
from pipeline.cli.output import Format, Shown, warn
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.control.resource import APPROVED_ANNOTATION, APPS, SYNC_ANNOTATION, annotate, get_app
from pipeline.errors import InputError, TrimtabError

#: Seconds without an answer after which it is told whether a controller is there at all.
_SILENCE = 10.0
#: Seconds between two looks at what the controller does, and before a watch that ended is opened again.
_TICK = 1.0

Resource = Mapping[str, Any]


class NoAnswerError(TrimtabError):
    """The controller did not answer in time, or there is none."""

    temporary = True
    exit_code = 5
    reason = "NoAnswer"


@dataclass(frozen=True, slots=True)
class Patience:
    """How a command waits: `timeout` in seconds; `controller` is the controller's namespace where that was said."""

    timeout: float
    controller: str = ""
    quiet: bool = False

    @classmethod
    def of(cls, timeout: str, controller: str, output: Format) -> "Patience":
        """From the flags. Raises InputError for what is no duration."""
        return cls(parse_duration(timeout, what="--timeout"), controller, output is not Format.TABLE)


def new_request() -> str:
    """A value for the sync annotation that nobody has used: the time in RFC 3339, and a random part."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").removesuffix("+00:00")
    return f"{now}Z-{secrets.token_hex(4)}"


def ask(
    connection: Connection, resource: Resource, annotations: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Ask for a sync, with these annotations beside. Returns the App. Raises InputError for a suspended one."""
    _check_awake(resource)
    meta = resource["metadata"]
    asked = {**(annotations or {}), SYNC_ANNOTATION: new_request()}
    return annotate(connection, meta["namespace"], meta["name"], asked)


def until_answered(connection: Connection, asked: Resource, patience: Patience) -> dict[str, Any]:
    """Follow an App that was asked for a sync until its status says that this was done. Returns it as it is then.

    Whoever asks later is answered for all before. Raises NoAnswerError, and InputError for an App that is deleted or
    suspended meanwhile.
    """
    requests: set[str] = set()

    def answered(resource: Resource) -> bool:
        requests.add((resource["metadata"].get("annotations") or {}).get(SYNC_ANNOTATION, ""))
        if status_of(resource).last_handled_sync in requests - {""}:
            return True
        _check_awake(resource)
        return False

    found = _follow(connection, asked, answered, patience)
    if found is None:
        raise InputError(f"App {full_name(asked)} was deleted meanwhile")
    return found


def until_gone(connection: Connection, deleted: Resource, patience: Patience) -> dict[str, Any] | None:
    """Follow an App that is being deleted until it is gone (None), or cannot go: held, or failed. Raises NoAnswerError.

    `deleted` is the App as it was read after the deletion: only what the status says since counts, and a prune that
    was approved is waited for.
    """
    generation = deleted["metadata"]["generation"]

    def stuck(resource: Resource) -> bool:
        status, ready = status_of(resource), ready_of(resource)
        if status.observed_generation < generation or ready.status != "False" or ready.reason == "DeletionWaits":
            return False
        approved = (resource["metadata"].get("annotations") or {}).get(APPROVED_ANNOTATION)
        return not (ready.reason == "PruneHeld" and status.held is not None and status.held.digest == approved)

    return _follow(connection, deleted, stuck, patience)


def _follow(
    connection: Connection, resource: Resource, over: Callable[[Resource], bool], patience: Patience
) -> dict[str, Any] | None:
    """Follow an App until `over` says so of it, or it is gone (None).

    Raises NoAnswerError after the timeout, and as soon as it is plain that no controller is there.
    """
    started = time.monotonic()
    leadership = Leadership(connection, patience.controller, resource["metadata"]["namespace"])
    told = False
    present = resource
    with _events(connection, resource) as events, Shown(quiet=patience.quiet) as shown:
        work = Work(connection, resource, shown, quiet=patience.quiet)
        while not over(present):
            waited = time.monotonic() - started
            if waited >= patience.timeout:
                raise _no_answer(present, f"did not answer within {patience.timeout:g} s", leadership.look())
            if waited >= _SILENCE and not told:
                told, text = True, leadership.look()
                if leadership.absent:
                    raise _no_answer(present, "is not served", text)
                if not patience.quiet:
                    warn(f"note: no answer yet; {text}")
            try:
                event = events.get(timeout=min(_TICK, patience.timeout - waited))
            except queue.Empty:
                leadership.notice()
                work.look()
                continue
            if isinstance(event, TrimtabError):
                raise event
            if event is None:
                return None
            present = event
    return dict(present)


_Events = queue.SimpleQueue[Resource | TrimtabError | None]


@contextmanager
def _events(connection: Connection, resource: Resource) -> Iterator[_Events]:
    """What `_changes` tells, read in a thread; an error is the last of it."""
    events: _Events = queue.SimpleQueue()
    stop = threading.Event()

    def run() -> None:
        try:
            for change in _changes(connection, resource, stop):
                events.put(change)
        except TrimtabError as error:
            events.put(error)

    threading.Thread(target=run, name="trimtab-follow", daemon=True).start()
    try:
        yield events
    finally:
        stop.set()


def _changes(connection: Connection, resource: Resource, stop: threading.Event) -> Iterator[Resource | None]:
    """The App each time that it changes, until `stop`; None when it is gone, or another one has its name."""
    meta = resource["metadata"]
    version = meta["resourceVersion"]
    while not stop.is_set():
        try:
            for kind, item in objects.watch(
                connection, APPS, meta["namespace"], fields=f"metadata.name={meta['name']}",
                resource_version=version, stop=stop,
            ):  # fmt: skip
                version = item["metadata"]["resourceVersion"]
                if kind == "DELETED":
                    yield None
                elif kind != "BOOKMARK":
                    yield item
        except TrimtabError as error:
            # The read below waits for an API server that comes back, and begins anew where the version is too old.
            if not error.temporary and getattr(error, "status", 0) != 410:
                raise
        stop.wait(_TICK)
        found = get_app(connection, meta["namespace"], meta["name"])
        yield found if found is not None and found["metadata"]["uid"] == meta["uid"] else None
        version = found["metadata"]["resourceVersion"] if found is not None else version


def _no_answer(resource: Resource, what: str, controller: str) -> NoAnswerError:
    hint = f"what was asked for stays, and {command_for('status', resource)} shows what comes of it"
    if ready_of(resource).reason == "NotServed":
        hint = (
            f"does the controller watch namespace {resource['metadata']['namespace']} (run --watch-namespace)? {hint}"
        )
    return NoAnswerError(f"App {full_name(resource)} {what}; {controller}", hint=hint)


def _check_awake(resource: Resource) -> None:
    if (resource.get("spec") or {}).get("suspend"):
        raise InputError(
            f"App {full_name(resource)} is suspended: nothing is synced",
            hint=f"{command_for('resume', resource)} lets it go on",
        )
