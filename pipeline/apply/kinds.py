"""Waits for kinds that a program of the App installs: by a watch of CustomResourceDefinitions."""

import threading
import time
from collections.abc import Iterable
from typing import Any, Self

from pipeline.cluster.discovery import DEFINITIONS
from pipeline.cluster.informer import Informer
from pipeline.cluster.session import Session
from pipeline.health.rules import settled
from pipeline.plan.resolve import Awaited

#: An operator installs its kinds one after the other: so long none may come, in seconds, before we go on with some.
_QUIET = 1.0
#: How long a kind may take to be served, in seconds, after its definition says that it is established.
_LAG = 10.0

Kind = tuple[str, str, str]


class Kinds:
    """Watches for the kinds of objects that are awaited: entered, one LIST and one watch, until it is left."""

    def __init__(self, session: Session, awaited: Iterable[Awaited]) -> None:
        self._session = session
        self._open: set[Kind] = {(each.id.group, each.version, each.id.kind) for each in awaited}
        self._came: set[Kind] = set()
        self._last = 0.0
        self._left = threading.Event()
        self._informer = Informer(session.connection, DEFINITIONS, None, self._see)

    def __enter__(self) -> Self:
        threading.Thread(target=self._informer.run, args=(self._left,), name="trimtab-kinds", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()

    def came(self) -> bool:
        """Whether all of them have come, or some have and no other follows."""
        return bool(self._came) and (not self._open or time.monotonic() - self._last > _QUIET)

    def served(self, stop: threading.Event) -> bool:
        """Whether any of the kinds is served; one that came is, a moment later. Renews the discovery."""
        deadline = time.monotonic() + (_LAG if self._came else 0.0)
        wanted, pause = self._came or self._open, 0.05
        while True:
            self._session.renew_discovery(at_once=True)
            served = [self._served(*kind) for kind in wanted]
            if all(served) or time.monotonic() > deadline or stop.wait(pause):
                return any(served)
            pause *= 1.5

    def _served(self, group: str, version: str, kind: str) -> bool:
        found = self._session.discovery.find(kind, group, version)
        return found is not None and found.version == version

    def _see(self, _namespace: str, _name: str, definition: dict[str, Any] | None) -> None:
        if definition is None or not settled(definition):
            return
        spec = definition["spec"]
        for version in spec["versions"]:
            kind = (spec["group"], version["name"], spec["names"]["kind"])
            if version["served"] and kind in self._open:
                self._open.remove(kind)
                self._came.add(kind)
                self._last = time.monotonic()
