"""One cluster as a sync sees it: the connection, and what is asked once and then known."""

import time

from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery, Resource, server_version
from pipeline.cluster.errors import ApiError
from pipeline.cluster.objects import get_metadata

_NAMESPACES = Resource(
    group="", version="v1", kind="Namespace", plural="namespaces", namespaced=False, verbs=frozenset({"get"})
)

#: Seconds in which discovery does not change without our own doing.
_FRESH = 2.0


class Session:
    """A connection with its discovery, version and identity, each read at first need. Used by one sync at a time."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._discovery: Discovery | None = None
        self._discovered_at = 0.0
        self._version = ""
        self._cluster_uid: str | None = None

    @property
    def discovery(self) -> Discovery:
        """The kinds that the cluster serves."""
        if self._discovery is None:
            self._discovery = Discovery.load(self.connection)
            self._discovered_at = time.monotonic()
        return self._discovery

    def renew_discovery(self) -> bool:
        """A kind was not found: ask again, unless it was asked just now. Tells whether it did."""
        if self._discovery is None or time.monotonic() - self._discovered_at < _FRESH:
            return False
        self._discovery = None
        return True

    @property
    def version(self) -> str:
        """The API server's version, such as `v1.36.3`."""
        if not self._version:
            self._version = server_version(self.connection)
        return self._version

    @property
    def cluster_uid(self) -> str:
        """The UID of the namespace kube-system, which names a cluster; empty where the account may not read it."""
        if self._cluster_uid is None:
            try:
                meta = get_metadata(self.connection, _NAMESPACES, "", "kube-system")
            except ApiError as error:
                if not error.forbidden:
                    raise
                meta = None
            self._cluster_uid = meta["metadata"]["uid"] if meta is not None else ""
        return self._cluster_uid
