"""The controller's own account, bindings and roles: held by a finalizer, so that they outlive the Apps that need them.

`kubectl delete -f deploy` takes everything away at once; without the finalizer nobody could release the Apps.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Self

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.control.resource import CONTROLLER_MANAGER

#: On what the controller needs to the end.
OWN_FINALIZER = "trimtab.dev/controller"
#: What an installation's objects carry; what does not carry it is not ours to hold (the role cluster-admin).
OWN_SELECTOR = "app.kubernetes.io/name=trimtab"

#: Kubernetes' own role that may do anything; who is bound to it needs no other.
_ALMIGHTY = ("ClusterRole", "cluster-admin")
#: How often an object may change under our hands before it is given up.
_TRIES = 5
#: How long requests that are to be carried out together wait for each other, in seconds.
_TOGETHER = 2.0
_RBAC = "rbac.authorization.k8s.io"
_VERBS = frozenset({"get", "list", "watch", "patch"})


def _kind(group: str, kind: str, plural: str, *, namespaced: bool) -> Resource:
    return Resource(group, "v1", kind, plural, namespaced=namespaced, verbs=_VERBS)


_REVIEWS = _kind("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", namespaced=False)
ACCOUNTS = _kind("", "ServiceAccount", "serviceaccounts", namespaced=True)
DEPLOYMENTS = _kind("apps", "Deployment", "deployments", namespaced=True)
#: What gives an installation its rights.
KINDS = (
    _kind(_RBAC, "RoleBinding", "rolebindings", namespaced=True),
    _kind(_RBAC, "Role", "roles", namespaced=True),
    ACCOUNTS,
    _kind(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    _kind(_RBAC, "ClusterRole", "clusterroles", namespaced=False),
)


@dataclass(frozen=True, slots=True)
class Own:
    """One object of the installation, as it was read; `role` and `subjects` are a binding's."""

    kind: Resource
    metadata: dict[str, Any]
    role: tuple[str, str] = ("", "")
    subjects: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, kind: Resource, item: Mapping[str, Any]) -> Self:
        """From the whole object."""
        role = item.get("roleRef") or {}
        return cls(
            kind, item["metadata"], (role.get("kind", ""), role.get("name", "")), tuple(item.get("subjects") or ())
        )

    @property
    def place(self) -> tuple[str, str]:
        """Namespace, empty for an object of the whole cluster, and name."""
        return self.metadata.get("namespace", ""), self.metadata["name"]

    @property
    def instance(self) -> str:
        """Which installation it is of; empty where it does not say."""
        return str((self.metadata.get("labels") or {}).get("app.kubernetes.io/instance", ""))

    @property
    def almighty(self) -> bool:
        """Whether it alone gives every right."""
        return not self.kind.namespaced and self.role == _ALMIGHTY

    @property
    def held(self) -> bool:
        """Whether our finalizer is on it."""
        return OWN_FINALIZER in (self.metadata.get("finalizers") or ())

    @property
    def going(self) -> bool:
        """Whether it is being deleted."""
        return "deletionTimestamp" in self.metadata

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.metadata['name']}"


def account_of(connection: Connection) -> tuple[str, str]:
    """Namespace and name of the service account that this process acts as; empty for another kind of user."""
    review = {"apiVersion": _REVIEWS.api_version, "kind": _REVIEWS.kind}
    try:
        answer = objects.create(connection, _REVIEWS, "", review, manager=CONTROLLER_MANAGER)
    except ApiError as error:
        if error.temporary:
            raise
        return "", ""
    parts = str(answer["status"]["userInfo"].get("username", "")).split(":")
    return (parts[2], parts[3]) if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4 else ("", "")


def find_own(connection: Connection, account: tuple[str, str], on_trouble: Callable[[str], None]) -> list[Own]:
    """The account, the bindings of it and the roles that they name, as far as they carry the label.

    Also a role of the same installation that no binding names any more, if it is held. `on_trouble` is told of what
    may not be listed. Raises what may pass.
    """
    found = {kind.kind: _labelled(connection, kind, account[0], on_trouble) for kind in KINDS}
    own = [item for item in found["ServiceAccount"] if item.place == account]
    instance = own[0].instance if own else ""
    bindings = [*found["RoleBinding"], *found["ClusterRoleBinding"]]
    own += [item for item in bindings if any(_is(subject, account) for subject in item.subjects)]
    roles = {item.role for item in own}
    own += [
        item
        for item in (*found["Role"], *found["ClusterRole"])
        if (item.kind.kind, item.place[1]) in roles or (item.held and instance and item.instance == instance)
    ]
    return own


def may_spare(own: Iterable[Own]) -> bool:
    """Whether what is being deleted can be spared: the account stays, and may do anything without it."""
    own = tuple(own)
    leaving = any(item.kind is ACCOUNTS and item.going for item in own)
    return not leaving and any(item.almighty and not item.going for item in own)


def hold(connection: Connection, own: Iterable[Own], on_trouble: Callable[[str], None]) -> None:
    """Put the finalizer on what does not have it. `on_trouble` is told what may not be held. Raises what may pass."""
    for item in own:
        if item.held or item.going:
            continue
        finalizers = [*(item.metadata.get("finalizers") or ()), OWN_FINALIZER]
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": item.metadata["resourceVersion"]}}
        try:
            objects.merge_patch(connection, item.kind, *item.place, patch, manager=CONTROLLER_MANAGER)
        except ApiError as error:
            if error.temporary:
                raise
            if error.status not in (404, 409):  # it is another by now, as its watch will tell
                on_trouble(f"{item}: {error.message}")


def let_go(connection: Connection, own: Iterable[Own]) -> list[str]:
    """Take the finalizer off; what could not be let go, with the reason. Raises what may pass.

    The account and what gives it rights are what lets us let go of each of them. So nothing is carried out before
    the API server has let in the requests for all.
    """
    items = list(own)
    with ThreadPoolExecutor(max_workers=max(1, len(items))) as pool:
        read = zip(items, pool.map(lambda item: _finalizers(connection, item), items), strict=True)
        held = [(item, finalizers) for item, finalizers in read if OWN_FINALIZER in finalizers]
        all_in = threading.Barrier(max(1, len(held)), timeout=_TOGETHER)

        def wait() -> None:
            with contextlib.suppress(threading.BrokenBarrierError):
                all_in.wait()

        troubles = pool.map(lambda pair: _try(connection, connection.admitted(wait), *pair), held)
        return [text for text in troubles if text]


def _try(connection: Connection, first: Connection, item: Own, finalizers: list[str]) -> str:
    """Take ours off; `first` is the connection for the first try."""
    for each in (first, *[connection] * (_TRIES - 1)):
        place = f"/metadata/finalizers/{finalizers.index(OWN_FINALIZER)}"
        operations = [{"op": "test", "path": place, "value": OWN_FINALIZER}, {"op": "remove", "path": place}]
        try:
            objects.json_patch(each, item.kind, *item.place, operations, manager=CONTROLLER_MANAGER)
        except ApiError as error:
            if error.not_found:
                return ""
            if error.status not in (409, 422):  # another finalizer came or went
                return f"{item}: {error.message}"
        else:
            return ""
        finalizers = _finalizers(connection, item)
        if OWN_FINALIZER not in finalizers:
            return ""
    return f"{item}: it changes all the time"


def _finalizers(connection: Connection, item: Own) -> list[str]:
    """As they are now, or as they were where that may not be read; none where it is gone."""
    try:
        meta = objects.get_metadata(connection, item.kind, *item.place)
    except ApiError as error:
        if error.temporary:
            raise
        meta = {"metadata": item.metadata}
    return list(meta["metadata"].get("finalizers") or ()) if meta is not None else []


def _labelled(connection: Connection, kind: Resource, namespace: str, on_trouble: Callable[[str], None]) -> list[Own]:
    where = namespace if kind.namespaced else None
    try:
        found, _ = objects.list_objects(connection, kind, where, selector=OWN_SELECTOR)
    except ApiError as error:
        if error.temporary:
            raise
        on_trouble(error.message)
        return []
    return [Own.of(kind, item) for item in found]


def _is(subject: Mapping[str, Any], account: tuple[str, str]) -> bool:
    return (subject.get("kind"), subject.get("namespace"), subject.get("name")) == ("ServiceAccount", *account)
