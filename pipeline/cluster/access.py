"""Which API server, and who we are to it: configuration as kubectl loads it, and the credentials of each request.

What the `kubernetes` package raises ends here. Its messages may quote a whole user entry, so they are cut.
"""

import base64
import contextlib
import logging
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies
from kubernetes.config import load_incluster_config
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigLoader, KubeConfigMerger

from pipeline.errors import ClusterUnreachableError, InputError


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy before the API server. `authorization` is empty or the header's value: never print it."""

    host: str
    port: int
    authorization: str


class Access:
    """One API server and one identity. Thread-safe; a new one is loaded when the server refuses the credentials.

    `server` is the URL without credentials, for messages; `tls` is None for plain HTTP, and one context for all
    connections, because to load CA certificates takes longer than many requests.
    """

    def __init__(self, configuration: Configuration, *, proxy_url: str = "", impersonation: str = "") -> None:
        """Read what the loader put into `configuration`.

        `proxy_url` is the kubeconfig's own, `impersonation` header lines. Raises ClusterUnreachableError for a proxy
        that is not supported, OSError for certificates that cannot be used.
        """
        url = urlsplit(str(configuration.host))
        self.host = url.hostname or ""
        self.port = url.port or (443 if url.scheme == "https" else 80)
        self.prefix = url.path.rstrip("/")
        self.server = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
        self.server_name = configuration.tls_server_name or self.host
        self.tls = _tls(configuration) if url.scheme == "https" else None
        self.proxy = _proxy(proxy_url or _proxy_from_environment(configuration))
        self._impersonation = impersonation
        self._configuration = configuration
        self._lock = threading.Lock()

    def credentials(self) -> str:
        """The header lines that say who we are, each with its CRLF; refreshed where they expired.

        Raises ClusterUnreachableError when a plug-in cannot refresh them.
        """
        with self._lock, _own_errors("the credentials cannot be refreshed"):
            key = self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return header("Authorization", key) + self._impersonation if key else self._impersonation


def header(name: str, value: str) -> str:
    """One header line. White space within becomes one space: a token's file may end in a newline."""
    return f"{name}: {' '.join(value.split())}\r\n"


def load_access(kubeconfig: Path | None, context: str) -> Access:
    """Load as kubectl does: the file given, KUBECONFIG's list, ~/.kube/config, else the Pod's service account.

    Raises InputError for a context or a file that does not exist, ClusterUnreachableError where there is nothing
    to load.
    """
    if kubeconfig is not None and not kubeconfig.is_file():
        raise InputError(f"the kubeconfig {kubeconfig} does not exist", hint="correct --kubeconfig")
    paths = str(kubeconfig) if kubeconfig is not None else KUBE_CONFIG_DEFAULT_LOCATION
    with _own_errors(f"the kubeconfig {paths} cannot be used"):
        merged = KubeConfigMerger(paths)
    contexts = _names(merged, "contexts")
    if not contexts and not context:
        return _in_cluster(paths)
    wanted = context or _current_context(merged)
    if wanted not in contexts:
        what = (
            f"the kubeconfig {paths} has no context {wanted!r}"
            if wanted
            else f"{paths} has no current-context"
        )
        hint = (
            f"choose one with --context: {', '.join(contexts)}"
            if contexts
            else "give a kubeconfig that has it"
        )
        raise InputError(what, hint=hint)
    return _from_kubeconfig(merged, wanted, paths)


def _from_kubeconfig(merged: KubeConfigMerger, context: str, paths: str) -> Access:
    configuration = Configuration()
    # The loader writes keys that stand in the kubeconfig into files, because OpenSSL reads files only.
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-") as folder,
        _own_errors(f"context {context} of the kubeconfig {paths} cannot be used"),
        _captured_log() as complaints,
    ):
        loader = KubeConfigLoader(
            merged.config,
            context,
            config_base_path=None,
            config_persister=merged.save_changes,
            temp_file_path=folder,
        )
        loader.load_and_set(configuration)
        user = _user(merged, context)
        if "exec" in user and not configuration.api_key and not configuration.cert_file:
            # The loader logs what a plug-in did wrong, and goes on without credentials.
            raise ConfigException(f"plug-in {user['exec'].get('command')}: {'; '.join(complaints)}")
        return Access(
            configuration, proxy_url=getattr(loader, "proxy", ""), impersonation=_impersonation(user)
        )


def _in_cluster(paths: str) -> Access:
    configuration = Configuration()
    try:
        load_incluster_config(configuration)
    except ConfigException as error:
        raise ClusterUnreachableError(
            f"there is no cluster to talk to: no kubeconfig at {paths}, and this is no Pod with a service account",
            hint="set KUBECONFIG, or give --kubeconfig",
        ) from error
    return Access(configuration)


def _tls(configuration: Configuration) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    elif configuration.ssl_ca_cert:
        tls.load_verify_locations(configuration.ssl_ca_cert)
        # As Go: every certificate in certificate-authority is trusted as it is, an intermediate one too.
        tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        tls.load_default_certs()
    if configuration.cert_file:
        # An empty password, so that OpenSSL never asks for one on the terminal.
        tls.load_cert_chain(configuration.cert_file, configuration.key_file, password="")
    return tls


def _proxy_from_environment(configuration: Configuration) -> str:
    """HTTPS_PROXY, but where NO_PROXY or (as for Go) this machine itself is meant."""
    server = str(configuration.host)
    host = urlsplit(server).hostname or ""
    local = host in ("localhost", "::1") or host.startswith("127.")
    if local or should_bypass_proxies(server, configuration.no_proxy or ""):
        return ""
    return str(configuration.proxy or "")


def _proxy(proxy: str) -> Proxy | None:
    if not proxy:
        return None
    url = urlsplit(proxy)
    if url.scheme != "http" or not url.hostname:
        raise ClusterUnreachableError(
            f"a proxy of the form {url.scheme}:// is not supported",
            hint="use an http:// proxy, or set NO_PROXY",
        )
    return Proxy(url.hostname, url.port or 80, _basic(url))


def _basic(url: SplitResult) -> str:
    if url.username is None:
        return ""
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _names(merged: KubeConfigMerger, section: str) -> list[str]:
    return (
        [item["name"] for item in merged.config[section]]
        if merged.config and len(merged.config[section])
        else []
    )


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
    """Header lines; the loader leaves impersonation out, and then more would be allowed than the person meant."""
    lines = [header("Impersonate-User", str(user["as"]))] if user.get("as") else []
    if user.get("as-uid"):
        lines.append(header("Impersonate-Uid", str(user["as-uid"])))
    lines += [header("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        lines += [header(f"Impersonate-Extra-{quote(key, safe='')}", str(value)) for value in values]
    return "".join(lines)


@contextlib.contextmanager
def _own_errors(what: str) -> Iterator[None]:
    """Whatever the loader trips over becomes one error. A quoted entry begins with a brace: it may hold a token."""
    try:
        yield
    except (ClusterUnreachableError, InputError):
        raise
    except Exception as error:
        cause = " ".join(str(error).partition("{")[0].split()) or type(error).__name__
        raise ClusterUnreachableError(
            f"{what}: {cause}", hint="see what `kubectl version` says of it"
        ) from error


@contextlib.contextmanager
def _captured_log() -> Iterator[list[str]]:
    """What the loader logs (to the root logger), as a list, so that it does not reach the terminal as it is."""
    lines: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
