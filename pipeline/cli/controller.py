"""Whether a controller is there, and what it is at: told by its Lease and by the App's inventory."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.app import DEFAULT_NAMESPACE, App, Metadata
from pipeline.app.status import status_of
from pipeline.cli.output import Shown, err, since
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.cluster.lease import LEASES
from pipeline.errors import TrimtabError
from pipeline.inventory.store import Store
from pipeline.location import short

LEASE_NAME = "trimtab"
#: What the inventory says of its outcome while a sync is under way (and after one that was killed).
_AT_WORK = "a sync was cut short"


@dataclass(frozen=True, slots=True)
class Leader:
    """A controller's Lease as it was read. `holder` is empty when it was given back; `renewed` is RFC 3339."""

    where: str
    holder: str
    renewed: str
    duration: float

    def __str__(self) -> str:
        if not self.holder:
            return f"nobody holds the Lease {self.where}"
        return f"{self.holder} holds the Lease {self.where}, renewed {max(0, round(since(self.renewed)))} s ago"


class Leadership:
    """Whether a controller leads. Looked at twice, because the clocks of two machines may differ.

    `namespace` is the controller's where a person said it; else it is looked for beside the App, then at its default.
    """

    def __init__(self, connection: Connection, namespace: str, beside: str) -> None:
        self._connection = connection
        self._namespaces = (namespace,) if namespace else tuple(dict.fromkeys((beside, DEFAULT_NAMESPACE)))
        self._first: Leader | None = None
        self._noticed = False
        #: Whether the last look has shown that surely nobody is there.
        self.absent = False

    def notice(self) -> None:
        """The first look."""
        if not self._noticed:
            self._noticed = True
            self.look()

    def look(self) -> str:
        """Look, and say how it stands. Raises ApiError, but not where the Lease may not be read."""
        try:
            leader = self._read()
        except ApiError as error:
            if not error.forbidden:
                raise
            return f"whether a controller runs may not be seen: {error.message}"
        first, self._first = self._first, leader
        if leader is None:
            self.absent = True
            return f"no controller runs: there is no Lease {LEASE_NAME} in namespace {' or '.join(self._namespaces)}"
        renewed = first is not None and first.renewed != leader.renewed
        self.absent = not leader.holder or not (renewed or since(leader.renewed) <= leader.duration)
        return f"no controller runs: {leader}" if self.absent else str(leader)

    def _read(self) -> Leader | None:
        for namespace in self._namespaces:
            lease = objects.get(self._connection, LEASES, namespace, LEASE_NAME)
            if lease is not None:
                spec = lease.get("spec") or {}
                return Leader(
                    f"{namespace}/{LEASE_NAME}",
                    spec.get("holderIdentity") or "",
                    spec.get("renewTime") or datetime.fromtimestamp(0, UTC).isoformat(),
                    float(spec.get("leaseDurationSeconds") or 0),
                )
        return None


class Work:
    """What the controller is at with one App, shown on a terminal."""

    def __init__(self, connection: Connection, resource: Mapping[str, Any], shown: Shown, *, quiet: bool) -> None:
        meta = resource["metadata"]
        place = status_of(resource).inventory.partition("/")[0] or DEFAULT_NAMESPACE
        self._app = App(Metadata(name=meta["name"], namespace=meta["namespace"]))
        self._store = Store(connection, place)
        self._shown = shown
        self._visible = not quiet and err().is_terminal
        shown.step("waiting for the controller")

    def look(self) -> None:
        """Look into the inventory, which the controller writes before it acts. Whoever may not is told nothing."""
        if not self._visible:
            return
        try:
            record = self._store.load(self._app).record
        except TrimtabError:
            self._visible = False
            return
        if record is not None and record.outcome.message == _AT_WORK:
            self._shown.step(f"syncing {short(record.commit)}")
