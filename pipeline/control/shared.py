"""What all turns of one time of leadership share: the cluster, the sources, the gates, and who is told."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.cluster.connection import Connection
from pipeline.cluster.informer import Informer
from pipeline.cluster.session import Session
from pipeline.control.gates import Gates
from pipeline.control.polls import Polls
from pipeline.control.resource import AppKey
from pipeline.inventory.store import Store
from pipeline.observe.events import Events
from pipeline.observe.logs import Logger
from pipeline.observe.metrics import Metrics
from pipeline.source.sources import Sources
from renderers.cache import RenderCache


class AppStore:
    """The App resources of all watched namespaces, as their watches show them."""

    def __init__(self, informers: list[Informer]) -> None:
        self._informers = informers

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The resource; None where there is none."""
        return next((found for each in self._informers if (found := each.get(namespace, name)) is not None), None)

    def keys(self) -> list[AppKey]:
        """All Apps."""
        return [key for each in self._informers for key, _ in each.items()]


@dataclass(frozen=True, slots=True)
class Shared:
    """`connection` refuses writes once the lease is lost. `stop` ends the time of leadership.

    `on_going` is told where an App goes because something larger does. `own_namespace` is where Apps may use the
    controller's own deploy key; `file_urls`: Apps may name paths of the controller's machine; `flags_url` is the one
    that the operator gave by a flag.
    """

    connection: Connection
    session: Session
    store: Store
    sources: Sources
    cache: RenderCache
    polls: Polls
    apps: AppStore
    gates: Gates
    events: Events
    metrics: Metrics
    log: Logger
    stop: threading.Event
    on_going: Callable[[], None]
    own_namespace: str
    file_urls: bool = False
    flags_url: str = ""
