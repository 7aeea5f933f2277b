"""The running controller: its Deployment, and the Service by which its metrics are found."""

from collections.abc import Iterator
from typing import Any, Final

from pipeline import __version__
from pipeline.install.options import InstallOptions

_PORT: Final = 8080
_CACHE: Final = "/var/cache/trimtab"
#: Nobody: a user without a name in the host, as images without a shell have it.
_USER: Final = 65532


def deployment(options: InstallOptions) -> dict[str, Any]:
    """The Deployment. A second Pod may run beside the first, during an update too: only the leader acts."""
    pod = {
        "serviceAccountName": options.instance,
        # What the controller takes at most to let all Apps go when it is being deleted.
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(options)],
        "volumes": [
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}},
            {"name": "cache", "emptyDir": {"sizeLimit": "10Gi"}},
        ],
    }
    labels = {**options.labels, "app.kubernetes.io/version": __version__}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**options.metadata(options.instance, options.namespace), "labels": labels},
        "spec": {
            "replicas": options.replicas,
            "selector": {"matchLabels": options.selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def service(options: InstallOptions) -> dict[str, Any]:
    """The Service: metrics and probes, nothing that changes anything."""
    scrape = {"scrape": "true", "port": str(_PORT), "path": "/metrics"}
    annotations = {f"prometheus.io/{name}": value for name, value in scrape.items()}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**options.metadata(options.instance, options.namespace), "annotations": annotations},
        "spec": {"selector": options.selector, "ports": [{"name": "http", "port": _PORT, "targetPort": "http"}]},
    }


def _container(options: InstallOptions) -> dict[str, Any]:
    return {
        "name": "trimtab",
        "image": options.image,
        "args": list(_arguments(options)),
        "env": [
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the Pod's own, in memory
        ],
        "ports": [{"name": "http", "containerPort": _PORT}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "initialDelaySeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5},
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "cache", "mountPath": _CACHE},
        ],
    }


def _arguments(options: InstallOptions) -> Iterator[str]:
    yield "run"
    flags = {
        "git-url": options.git_url,
        "git-branch": options.git_branch,
        "git-path": options.git_path,
        "git-poll-interval": options.git_poll_interval,
        "name": options.name,
    }
    yield from (f"--{flag}={value}" for flag, value in flags.items() if value)
    yield from (f"--watch-namespace={namespace}" for namespace in options.watch_namespaces)
    if options.watch_all:
        yield "--watch-all-namespaces"
    yield f"--cache-dir={_CACHE}"
    yield from options.extra_args
