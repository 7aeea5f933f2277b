"""The controller's account and what it may do: what it needs itself, and apart from that what Apps need."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.control.resource import APPS
from pipeline.install.options import InstallOptions

_RBAC = "rbac.authorization.k8s.io"
_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "patch")


def account(options: InstallOptions) -> Iterator[dict[str, Any]]:
    """The account, and the roles with exactly what the controller needs for itself."""
    name, namespace = options.instance, options.namespace
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": options.metadata(name, namespace)}
    yield _role(options, name, "", _everywhere(options))
    yield _binding(options, name, "", "ClusterRole", name)
    yield _role(options, name, namespace, _at_home())
    yield _binding(options, name, namespace, "Role", name)
    for watched in options.watch_namespaces:
        if watched != namespace:
            yield _role(options, f"{name}-apps", watched, [_rule("", ("secrets", "configmaps"), "get")])
            yield _binding(options, f"{name}-apps", watched, "Role", f"{name}-apps")


def cluster_admin(options: InstallOptions) -> dict[str, Any]:
    """The binding with which Apps may hold any object."""
    return _binding(options, f"{options.instance}-cluster-admin", "", "ClusterRole", "cluster-admin")


def _everywhere(options: InstallOptions) -> list[dict[str, Any]]:
    own = [options.instance, f"{options.instance}-cluster-admin"]
    roles = ("clusterroles", "clusterrolebindings")
    return [
        _rule(APPS.group, APPS.plural, *_READ, "update", "patch"),
        _rule(APPS.group, f"{APPS.plural}/status", "get", "update", "patch"),
        _rule(APPS.group, f"{APPS.plural}/finalizers", "update"),
        _rule("", "events", *_READ, "create", "patch"),
        _rule("", "namespaces", *_READ, "create"),
        _rule("apiextensions.k8s.io", "customresourcedefinitions", *_READ),
        # Its finalizer on its own roles: without them it could not let Apps go when it is deleted.
        _rule(_RBAC, roles, "list", "watch"),
        {**_rule(_RBAC, roles, "get", "patch"), "resourceNames": own},
        # Of Apps in any namespace: the Secrets and ConfigMaps that they name.
        *([_rule("", ("secrets", "configmaps"), "get")] if options.watch_all else []),
    ]


def _at_home() -> list[dict[str, Any]]:
    return [
        _rule(APPS.group, APPS.plural, "create"),
        _rule("coordination.k8s.io", "leases", *_READ, *_WRITE, "delete"),
        _rule("", "secrets", *_READ, *_WRITE),
        _rule("", "configmaps", *_READ, *_WRITE, "delete"),
        # Whether it is being removed as a whole: then its Deployment is deleted too.
        _rule("apps", "deployments", "list"),
        _rule("", "serviceaccounts", "get", "list", "watch", "patch"),
        _rule(_RBAC, ("roles", "rolebindings"), "get", "list", "watch", "patch"),
    ]


def _rule(group: str, resources: str | Sequence[str], *verbs: str) -> dict[str, Any]:
    named = [resources] if isinstance(resources, str) else list(resources)
    return {"apiGroups": [group], "resources": named, "verbs": list(verbs)}


def _role(options: InstallOptions, name: str, namespace: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    kind = "Role" if namespace else "ClusterRole"
    metadata = options.metadata(name, namespace)
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules}


def _binding(options: InstallOptions, name: str, namespace: str, kind: str, role: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": options.metadata(name, namespace),
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": options.instance, "namespace": options.namespace}],
    }
