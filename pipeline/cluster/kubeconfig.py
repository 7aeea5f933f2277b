"""Configuration as kubectl loads it. What the `kubernetes` package makes of a kubeconfig ends here.

Its errors may quote a whole user entry, so they are cut before anyone sees them.
"""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kubernetes.client import Configuration
from kubernetes.config import load_incluster_config
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from pipeline.cluster.access import Access, own_errors
from pipeline.cluster.header import header
from pipeline.errors import ClusterUnreachableError, InputError


def load_access(kubeconfig: Path | None, context: str) -> Access:
    """As kubectl: the file given, KUBECONFIG's list, ~/.kube/config, else the Pod's service account.

    Raises InputError for a context or a file that does not exist, ClusterUnreachableError where there is
    nothing to load.
    """
    if kubeconfig is not None and not kubeconfig.is_file():
        raise InputError(f"the kubeconfig {kubeconfig} does not exist", hint="correct --kubeconfig")
    paths = str(kubeconfig) if kubeconfig is not None else os.environ.get("KUBECONFIG") or "~/.kube/config"
    with own_errors(f"the kubeconfig {paths} cannot be used"):
        merged = KubeConfigMerger(paths)  # type: ignore[no-untyped-call]
        contexts = _names(merged)
    if not contexts and not context:
        return _in_cluster(paths)
    wanted = context or _current_context(merged)
    if wanted not in contexts:
        what = f"the kubeconfig {paths} has no context {wanted!r}" if wanted else f"{paths} has no current-context"
        hint = f"choose one with --context: {', '.join(contexts)}" if contexts else "give a kubeconfig that has it"
        raise InputError(what, hint=hint)
    return _from_kubeconfig(merged, wanted, paths)


def _from_kubeconfig(merged: KubeConfigMerger, context: str, paths: str) -> Access:
    configuration = Configuration()
    # The loader writes keys that stand in the kubeconfig into files, because OpenSSL reads files only.
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-") as folder,
        own_errors(f"context {context} of the kubeconfig {paths} cannot be used"),
        _captured_log() as complaints,
    ):
        loader = KubeConfigLoader(  # type: ignore[no-untyped-call]
            merged.config,
            context,
            config_base_path=None,
            config_persister=merged.save_changes,
            temp_file_path=folder,
        )
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
        user = _user(merged, context)
        if "exec" in user and not configuration.api_key and not configuration.cert_file:
            # The loader logs what a plug-in did wrong, and goes on without credentials.
            raise ConfigException(f"plug-in {user['exec'].get('command')}: {'; '.join(complaints)}")
        return Access(configuration, proxy_url=getattr(loader, "proxy", ""), impersonation=_impersonation(user))


def _in_cluster(paths: str) -> Access:
    configuration = Configuration()
    try:
        load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except ConfigException as error:
        raise ClusterUnreachableError(
            f"there is no cluster to talk to: no kubeconfig at {paths}, and this is no Pod of a cluster",
            hint="set KUBECONFIG, or give --kubeconfig",
        ) from error
    with own_errors("the Pod's service account cannot be used"):
        return Access(configuration)


def _names(merged: KubeConfigMerger) -> list[str]:
    return [item["name"] for item in merged.config["contexts"].value] if merged.config else []


def _current_context(merged: KubeConfigMerger) -> str:
    """The first file that says one wins (kubectl); the merger takes the last."""
    found = (config.get("current-context") for config in merged.config_files.values())
    return next((str(name) for name in found if name), "")


def _user(merged: KubeConfigMerger, context: str) -> dict[str, Any]:
    """The user entry of the context, empty where there is none."""
    entry = merged.config["contexts"].get_with_name(context)["context"]
    name = entry.safe_get("user")
    found = merged.config["users"].get_with_name(name, safe=True) if name else None
    return dict(found["user"].value) if found is not None and found.safe_get("user") else {}


def _impersonation(user: dict[str, Any]) -> str:
    """Header lines. The loader leaves impersonation out: more would be allowed than the person meant."""
    lines = [header("Impersonate-User", str(user["as"]))] if user.get("as") else []
    if user.get("as-uid"):
        lines.append(header("Impersonate-Uid", str(user["as-uid"])))
    lines += [header("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        lines += [header(f"Impersonate-Extra-{quote(key, safe='')}", str(value)) for value in values]
    return "".join(lines)


@contextlib.contextmanager
def _captured_log() -> Iterator[list[str]]:
    """What the loader logs (to the root logger), as a list, and not on the terminal."""
    lines: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
