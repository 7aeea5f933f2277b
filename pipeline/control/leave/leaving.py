"""Notices that Trimtab itself is being removed, and leaves in order: Apps release, then what is its own is let go.

The App CRD, the controller's namespace and the inventory's are what Apps cannot do without: while one of them is
terminating, nothing is deleted any more. Works without the lease: to release is harmless, whoever does it.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.app import App, Metadata
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.cluster.informer import Informer
from pipeline.control.leave.farewell import drop_inventories, release_all
from pipeline.control.leave.own import (
    ACCOUNTS,
    DEPLOYMENTS,
    KINDS,
    OWN_FINALIZER,
    OWN_SELECTOR,
    account_of,
    find_own,
    hold,
    let_go,
    may_spare,
)
from pipeline.control.removal import drop_finalizer
from pipeline.control.resource import APPS, CRD_NAME, CRDS, AppKey
from pipeline.control.terminating import terminating
from pipeline.errors import CredentialsRefusedError, TrimtabError
from pipeline.inventory.store import NAMESPACES
from pipeline.observe.logs import Logger

#: Seconds in which a deletion of the whole shows itself where one object of it was deleted.
_GRACE = 2.0
#: How long it is tried, in seconds: after a minute the token of a deleted account is refused.
_PATIENCE = 50.0
_PAUSE = 1.0
_LONG_PAUSE = 15.0


@dataclass(frozen=True, slots=True)
class Home:
    """Where the controller lives: its own namespace, and the inventory's. `watch`: whose Apps it serves, None: all."""

    namespace: str
    inventory: str
    watch: tuple[str, ...] | None


class Leaving:
    """`on_leave` ends all turns before anything is released. Afterwards this process has nothing to do."""

    def __init__(self, connection: Connection, home: Home, on_leave: Callable[[], None], log: Logger) -> None:
        self._connection = connection
        self._home = home
        self._on_leave = on_leave
        self._log = log
        self._noticed = threading.Event()
        #: Namespace and name of our own account, empty for another kind of user; None: not asked yet.
        self._account: tuple[str, str] | None = None
        self._lock = threading.Lock()
        self._told: set[str] = set()
        #: Whether anything of ours was seen to go.
        self._going = False
        #: Whether it leaves or has left: nothing may be applied any more.
        self.left = False
        #: Whether all Apps were released, and whether our own account was let go: then nothing may be asked any more.
        self._released = False
        self._gone = False

    def begin(self, ended: threading.Event, stop: threading.Event) -> None:
        """Hold what is our own, and watch it, in threads that end with `ended`; sets `stop` once it has left.

        Says in the log what it may not do.
        """
        threading.Thread(target=self._work, args=(ended, stop), name="leaving", daemon=True).start()

    def finish(self) -> None:
        """This process was told to end. Leaves first where Trimtab is being removed, and tries hard only then."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.look(stopping=True)
            except TrimtabError as error:
                self._log.warning("whether trimtab is being removed cannot be seen", error=str(error))
                if self._hopeful(error) and time.monotonic() < deadline:
                    time.sleep(_PAUSE)
                    continue
            return

    def notice(self) -> None:
        """Something of ours is being deleted: look what."""
        self._noticed.set()

    def look(self, *, stopping: bool = False) -> bool:
        """Leave where Trimtab is being removed; tells whether it is. `stopping`: this process was told to end.

        Else hold what is our own and is not held yet. Raises ApiError and ClusterUnreachableError where nothing can
        be told.
        """
        with self._lock:
            if self._gone:
                return True
            going = [name for kind, name in self._vital() if terminating(self._connection, kind, name)]
            self._going = self._going or bool(going)
            if going and not self._released:
                self._leave(" and ".join(going))
            whole = self._home.namespace in going or (stopping and self._uninstalled())
            self._tend(whole=whole, hold_on=not (stopping or self.left))
            self._gone = whole
            return self.left

    def _vital(self) -> list[tuple[Resource, str]]:
        namespaces = dict.fromkeys((self._home.namespace, self._home.inventory))
        return [(CRDS, CRD_NAME), *((NAMESPACES, name) for name in namespaces)]

    def _work(self, ended: threading.Event, stop: threading.Event) -> None:
        watched = False
        while not ended.is_set():
            try:
                # One object of ours may be deleted alone: then it goes alone. The whole shows itself in a moment.
                if self.look() or (watched and not ended.wait(_GRACE) and self.look()):
                    stop.set()
                if not watched:
                    self._watch(ended)
                    watched = True
            except TrimtabError as error:
                self._log.warning("whether trimtab is being removed cannot be seen", error=str(error))
                if self._going and not self._hopeful(error):
                    stop.set()
                ended.wait(_PAUSE if self._going else _LONG_PAUSE)
            else:
                self._noticed.wait()
            self._noticed.clear()

    def _hopeful(self, error: TrimtabError) -> bool:
        """Whether there is something to do that may succeed later. Without the account another process has done it."""
        return self._going and not isinstance(error, CredentialsRefusedError)

    def _watch(self, ended: threading.Event) -> None:
        namespace = self._own_account()[0]
        for kind in KINDS if namespace else ():
            where = namespace if kind.namespaced else None
            informer = Informer(self._connection, kind, where, self._seen, selector=OWN_SELECTOR)
            threading.Thread(target=informer.run, args=(ended,), name=f"own-{kind.plural}", daemon=True).start()

    def _seen(self, _namespace: str, _name: str, item: dict[str, Any] | None) -> None:
        """What is held and goes, or is new and not held."""
        if item is None:
            return
        going = "deletionTimestamp" in item["metadata"]
        held = OWN_FINALIZER in (item["metadata"].get("finalizers") or ())
        self._going = self._going or (going and held)
        if going is held:
            self._noticed.set()

    def _own_account(self) -> tuple[str, str]:
        if self._account is None:
            self._account = account_of(self._connection)
        return self._account

    def _leave(self, why: str) -> None:
        self._log.warning("trimtab is being removed: Apps release all that they own", reason=why)
        self.left = True
        self._on_leave()
        found = self._served()
        keys = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in found]
        apps = [App(Metadata(name, namespace)) for namespace, name in keys]
        targets = {str(((item.get("spec") or {}).get("target") or {}).get("namespace", "")) for item in found}
        namespaces = {self._home.namespace, *(namespace for namespace, _ in keys), *targets} - {""}
        count = release_all(self._connection, apps, self._trouble, namespaces)
        drop_inventories(self._connection, self._home.inventory, apps)
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(self._drop, keys))
        self._released = True
        self._log.info("released", objects=count, apps=len(apps))

    def _served(self) -> list[dict[str, Any]]:
        """All Apps that are served. Asked anew: a process that has just begun knows none yet."""
        found: list[dict[str, Any]] = []
        for namespace in self._home.watch or (None,):
            try:
                found += objects.list_objects(self._connection, APPS, namespace)[0]
            except ApiError as error:
                if not error.not_found:
                    raise
        return found

    def _trouble(self, text: str) -> None:
        self._log.warning("not released", error=text)

    def _drop(self, key: AppKey) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                drop_finalizer(self._connection, key)
            except CredentialsRefusedError:
                return
            except TrimtabError as error:
                if time.monotonic() > deadline:
                    self._log.error("finalizer stays", app="/".join(key), error=str(error))
                    return
                time.sleep(_PAUSE)
            else:
                return

    def _tend(self, *, whole: bool, hold_on: bool) -> None:
        """Take the finalizers off our own: off all of it, or off what is being deleted by itself. Else put them on."""
        account = self._own_account()
        if not account[0]:
            return
        own = find_own(self._connection, account, self._not_held if hold_on else self._not_seen)
        going = [item for item in own if item.going]
        # With what lets us let go of the others everything goes.
        whole = whole or (bool(going) and not may_spare(own))
        for text in let_go(self._connection, own if whole else going):
            self._log.error("finalizer stays", error=text, hint="trimtab uninstall --force takes it off")
        # Once the account goes, nobody could let go again.
        if hold_on and not going and any(item.kind is ACCOUNTS for item in own):
            hold(self._connection, own, self._not_held)

    def _not_held(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._log.warning("own account is not held", error=text)

    def _not_seen(self, text: str) -> None:
        """So it is also where another process has let all of it go."""
        self._log.info("own account cannot be looked at", error=text)

    def _uninstalled(self) -> bool:
        """Whether our own Deployment was deleted: then this Pod has no successor."""
        try:
            found, _ = objects.list_objects(self._connection, DEPLOYMENTS, self._home.namespace, selector=OWN_SELECTOR)
        except ApiError as error:
            if error.temporary:
                raise
            return False
        return all("deletionTimestamp" in item["metadata"] for item in found)
