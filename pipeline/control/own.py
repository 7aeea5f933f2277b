"""The controller's own account, bindings and roles: held by a finalizer, so that they outlive the Apps that need them.

`kubectl delete -f deploy` takes everything away at once; without the finalizer nobody could release the Apps.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.control.resource import CONTROLLER_MANAGER

#: On what the controller needs to the end.
OWN_FINALIZER = "trimtab.dev/controller"
#: What an installation's objects carry; what does not carry it is not ours to hold (the role cluster-admin).
OWN_SELECTOR = "app.kubernetes.io/name=trimtab"

_RBAC = "rbac.authorization.k8s.io"
_VERBS = frozenset({"get", "list", "watch", "patch"})


def _kind(group: str, kind: str, plural: str, *, namespaced: bool) -> Resource:
    return Resource(group, "v1", kind, plural, namespaced=namespaced, verbs=_VERBS)


_REVIEWS = _kind("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", namespaced=False)
ACCOUNTS = _kind("", "ServiceAccount", "serviceaccounts", namespaced=True)
DEPLOYMENTS = _kind("apps", "Deployment", "deployments", namespaced=True)
#: In the order in which they are let go where that may be one after the other.
KINDS = (
    _kind(_RBAC, "RoleBinding", "rolebindings", namespaced=True),
    _kind(_RBAC, "Role", "roles", namespaced=True),
    ACCOUNTS,
    _kind(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    _kind(_RBAC, "ClusterRole", "clusterroles", namespaced=False),
)


@dataclass(frozen=True, slots=True)
class Own:
    """One object of the installation, as it was read."""

    kind: Resource
    metadata: dict[str, Any]

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


def find_own(connection: Connection, account: tuple[str, str]) -> list[Own]:
    """The account, the bindings of it and the roles that they name, as far as they carry the label. Raises ApiError."""
    found = {kind.kind: list(_labelled(connection, kind, account[0])) for kind in KINDS}
    roles: set[tuple[str, str]] = set()
    own: list[Own] = []
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for item in found[kind]:
            if any(_is(subject, account) for subject in item.get("subjects") or ()):
                own.append(Own(_by_name(kind), item["metadata"]))
                roles.add((item["roleRef"]["kind"], item["roleRef"]["name"]))
    own += [Own(ACCOUNTS, x["metadata"]) for x in found["ServiceAccount"] if x["metadata"]["name"] == account[1]]
    for kind in ("Role", "ClusterRole"):
        own += [Own(_by_name(kind), x["metadata"]) for x in found[kind] if (kind, x["metadata"]["name"]) in roles]
    order = [kind.kind for kind in KINDS]
    return sorted(own, key=lambda item: order.index(item.kind.kind))


def hold(connection: Connection, own: Iterable[Own]) -> None:
    """Put the finalizer on what does not have it and is not being deleted. Raises ApiError."""
    for item in own:
        if not item.held and not item.going:
            _set(connection, item, [*(item.metadata.get("finalizers") or ()), OWN_FINALIZER])


def let_go(connection: Connection, own: Iterable[Own]) -> list[str]:
    """Take the finalizer off; what could not be let go, with the reason.

    The account and the bindings of the whole cluster go at the same moment: each of them is what lets us let go of
    the others. (An API server takes some seconds to forget a token, and some milliseconds to forget a binding.)
    """
    items = [item for item in own if item.held]
    last = [item for item in items if not item.kind.namespaced or item.kind is ACCOUNTS]
    trouble = [text for item in items if item not in last and (text := _try(connection, item))]
    if last:
        with ThreadPoolExecutor(max_workers=len(last)) as pool:
            trouble += [text for text in pool.map(lambda item: _try(connection, item), last) if text]
    return trouble


def _try(connection: Connection, item: Own) -> str:
    try:
        _set(connection, item, [name for name in item.metadata["finalizers"] if name != OWN_FINALIZER])
    except ApiError as error:
        return "" if error.not_found else f"{item}: {error.message}"
    return ""


def _set(connection: Connection, item: Own, finalizers: list[str]) -> None:
    patch = {"metadata": {"finalizers": finalizers, "resourceVersion": item.metadata["resourceVersion"]}}
    namespace, name = item.metadata.get("namespace", ""), item.metadata["name"]
    objects.merge_patch(connection, item.kind, namespace, name, patch, manager=CONTROLLER_MANAGER)


def _labelled(connection: Connection, kind: Resource, namespace: str) -> Iterator[dict[str, Any]]:
    items, _ = objects.list_objects(connection, kind, namespace if kind.namespaced else None, selector=OWN_SELECTOR)
    yield from items


def _is(subject: dict[str, Any], account: tuple[str, str]) -> bool:
    return (subject.get("kind"), subject.get("namespace"), subject.get("name")) == ("ServiceAccount", *account)


def _by_name(name: str) -> Resource:
    return next(kind for kind in KINDS if kind.kind == name)
