"""Whether Services have ready endpoints: for webhooks and APIServices, which do harm before their servers answer."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.cluster.informer import Informer
from pipeline.errors import ClusterUnreachableError
from renderers.manifest import ObjectId

_SERVICES = Resource(
    group="", version="v1", kind="Service", plural="services", namespaced=True, verbs=frozenset({"get"})
)  # fmt: skip
_SLICES = Resource(
    group="discovery.k8s.io", version="v1", kind="EndpointSlice", plural="endpointslices", namespaced=True,
    verbs=frozenset({"list", "watch"}),
)  # fmt: skip
#: By this label a slice belongs to its Service (KEP-752).
_SERVICE_LABEL = "kubernetes.io/service-name"


class Servers:
    """Watches the endpoints of Services: entered, one LIST and one watch for each namespace, until it is left."""

    def __init__(self, connection: Connection, services: Iterable[ObjectId]) -> None:
        self._services = frozenset(services)
        self._left = threading.Event()
        self._informers: dict[str, Informer] = {}
        for namespace in {service.namespace for service in self._services}:
            names = ",".join(sorted(each.name for each in self._services if each.namespace == namespace))
            self._informers[namespace] = Informer(
                connection, _SLICES, namespace, lambda *_: None, selector=f"{_SERVICE_LABEL} in ({names})"
            )
        self._threads = [
            threading.Thread(target=informer.run, args=(self._left,), name="trimtab-endpoints", daemon=True)
            for informer in self._informers.values()
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()

    def unserved(self) -> frozenset[ObjectId]:
        """The Services that have no ready endpoint, as far as it may be known."""
        return frozenset(service for service in self._services if not self._served(service))

    def _served(self, service: ObjectId) -> bool:
        informer = self._informers[service.namespace]
        error = informer.last_error
        if isinstance(error, ApiError) and error.forbidden:
            return True
        return any(
            slice_["metadata"]["labels"].get(_SERVICE_LABEL) == service.name and _ready(slice_)
            for _, slice_ in informer.items()
        )


def answers_by_endpoints(connection: Connection, service: ObjectId) -> bool:
    """Whether a Service is there, or may be, and gets endpoints: one that is a name in DNS has none.

    One request. One that may not be read is left alone.
    """
    try:
        live = objects.get(connection, _SERVICES, service.namespace, service.name)
    except ClusterUnreachableError:
        return True
    except ApiError as error:
        return not error.forbidden
    return live is not None and has_endpoints(live)


def has_endpoints(service: Mapping[str, Any]) -> bool:
    """Whether a Service of this form gets endpoints, and is not only a name in DNS."""
    spec = service.get("spec")
    return not (isinstance(spec, Mapping) and spec.get("type") == "ExternalName")


def _ready(slice_: dict[str, Any]) -> bool:
    """An endpoint that does not say is ready (EndpointSlice, conditions)."""
    return any((each.get("conditions") or {}).get("ready") is not False for each in slice_.get("endpoints") or ())
