"""The turn of an App that is being deleted: its objects are pruned or released, and then its finalizer goes."""

from functools import partial

import msgspec

from pipeline.app import App, Metadata, Spec, parse_duration
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.control import report, syncing
from pipeline.control import status as said
from pipeline.control.memory import Turn
from pipeline.control.resource import APPROVED_ANNOTATION, APPS, CONTROLLER_MANAGER, FINALIZER, AppKey, outdated
from pipeline.control.shared import Shared
from pipeline.control.siblings import Siblings
from pipeline.control.terminating import being_removed
from pipeline.deletion import delete
from pipeline.sync import Target

#: Seconds until it is tried again where something could not be removed.
_AGAIN = 60.0
#: Seconds until the watch is looked at again where it showed an App that is not so any more.
_STALE = 5.0


class Removal:
    """Removes Apps one by one. Where Trimtab itself goes, the room `leave` lets all of them go at once."""

    def __init__(self, shared: Shared, siblings: Siblings) -> None:
        """Begin with nothing."""
        self._shared = shared
        self._siblings = siblings

    def turn(self, turn: Turn, app: App | None) -> float | None:
        """One turn of a deletion; the seconds until the next one. Raises TrimtabError."""
        if FINALIZER not in (turn.resource["metadata"].get("finalizers") or ()):
            return None
        shared = self._shared
        app = app or _unreadable(turn)
        going = being_removed(shared.connection, turn.key[0], shared.own_namespace, shared.store.namespace)
        release = app.spec.deletion_policy == "release" or bool(going)
        if going:
            shared.on_going()
        patience = parse_duration(app.spec.wait.timeout, what="spec.wait.timeout")
        target = Target(
            shared.session, shared.store, stop=turn.stop,
            approved=turn.annotations.get(APPROVED_ANNOTATION, ""), gate=partial(shared.gates.through, stop=turn.stop),
            behind=partial(self._siblings.behind, turn.key, turn.memory, patience),
        )  # fmt: skip
        with shared.gates.through("apply", turn.stop):
            if outdated(shared.connection, turn.resource):
                return _STALE
            result = delete(app, target, release=release)
        log = shared.log.bind(app=turn.name)
        self._siblings.concern(result.concerned)
        if result.owned:
            log.warning("deletion waits", changes=result.summary)
            report.write(shared, turn, said.deleting(turn.memory.status, result, turn.moment))
            return _AGAIN if result.held_digest or result.waits else syncing.backoff(turn.memory, _AGAIN)
        log.info("deleted", changes=result.summary, released_because=going or app.spec.deletion_policy)
        drop_finalizer(shared.connection, turn.key)
        return None


def drop_finalizer(connection: Connection, key: AppKey) -> None:
    """Take our finalizer off an App; one that is gone is no error. Raises ApiError."""
    for _ in range(5):
        resource = objects.get_metadata(connection, APPS, *key)
        if resource is None:
            return
        metadata = resource["metadata"]
        left = [name for name in metadata.get("finalizers") or () if name != FINALIZER]
        patch = {"metadata": {"finalizers": left, "resourceVersion": metadata["resourceVersion"]}}
        try:
            objects.merge_patch(connection, APPS, *key, patch, manager=CONTROLLER_MANAGER)
        except ApiError as error:
            if error.not_found:
                return
            if error.status != 409:
                raise
        else:
            return


def _unreadable(turn: Turn) -> App:
    """An App whose spec cannot be used is deleted all the same, by what can be read of it."""
    namespace, name = turn.key
    policy = (turn.resource.get("spec") or {}).get("deletionPolicy")
    spec = msgspec.structs.replace(Spec(), deletion_policy="release" if policy == "release" else "prune")
    return App(Metadata(name, namespace), spec)
