"""Which claims on volumes stay unbound until a Pod uses them, which their StorageClass says and they do not."""

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError
from pipeline.health.state import Health, Object, State
from renderers.manifest.shape import part

_CLASSES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    verbs=frozenset({"get"}),
)
_LATE = Health(State.CURRENT, "is not bound yet: its class waits for a first consumer")


class Classes:
    """The StorageClasses that claims name, each read once, and only where a claim is not bound."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._late: dict[str, bool] = {}

    def judge(self, claim: Object, health: Health) -> Health:
        """The health of a PersistentVolumeClaim, given what it says itself: one that may be unbound is current."""
        name = part(claim, "spec").get("storageClassName")
        if health.state is not State.IN_PROGRESS or not isinstance(name, str) or not name:
            return health
        if name not in self._late:
            self._late[name] = self._reads_late(name)
        return _LATE if self._late[name] else health

    def _reads_late(self, name: str) -> bool:
        """Where the class may not be read, the claim is not waited for: a Pod that needs it says so itself."""
        try:
            found = objects.get(self._connection, _CLASSES, "", name)
        except (ApiError, ClusterUnreachableError):
            return True
        return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"
