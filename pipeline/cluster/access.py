"""One API server and one identity: address, TLS, proxy, and the credentials of each request."""

import base64
import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from kubernetes.client import Configuration
from kubernetes.client.rest import should_bypass_proxies

from pipeline.cluster.header import header
from pipeline.errors import ClusterUnreachableError, InputError

#: Seconds for which credentials are not looked at again. They are refreshed minutes before they expire.
_FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy before the API server. `authorization` is empty or the header's value: never print it."""

    host: str
    port: int
    authorization: str


class Access:
    """One API server and one identity. Thread-safe.

    `server` is the URL without credentials, for messages; `tls` is None for plain HTTP, and one context for
    all connections, because to load CA certificates takes longer than many requests.
    """

    def __init__(self, configuration: Configuration, *, proxy_url: str = "", impersonation: str = "") -> None:
        """Read what the loader put into `configuration`.

        `proxy_url` is the kubeconfig's own, `impersonation` header lines. Raises ClusterUnreachableError for
        a proxy that is not supported, OSError for certificates that cannot be used.
        """
        url = urlsplit(str(configuration.host))
        self.host = url.hostname or ""
        self.port = url.port or (443 if url.scheme == "https" else 80)
        self.prefix = url.path.rstrip("/")
        self.server = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
        self.server_name = configuration.tls_server_name or self.host
        self.tls = _tls(configuration) if url.scheme == "https" else None
        self.proxy = _proxy(proxy_url or _proxy_from_environment(configuration))
        # Once set by hand it is kept: else each refresh of the credentials reads the whole environment again.
        configuration.proxy = configuration.proxy
        self._impersonation = impersonation
        self._configuration = configuration
        self._lock = threading.Lock()
        self._known = ("", 0.0)

    def credentials(self) -> str:
        """The header lines that say who we are, each with its CRLF; refreshed where they expired.

        Raises ClusterUnreachableError when a plug-in cannot refresh them.
        """
        lines, until = self._known
        if time.monotonic() < until:
            return lines
        with self._lock, own_errors("the credentials cannot be refreshed"):
            key = self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        lines = (header("Authorization", key) if key else "") + self._impersonation
        self._known = lines, time.monotonic() + _FRESH
        return lines


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


@contextlib.contextmanager
def own_errors(what: str) -> Iterator[None]:
    """Whatever the loader trips over becomes one error.

    A quoted entry begins with a brace: it may hold a token.
    """
    try:
        yield
    except (ClusterUnreachableError, InputError):
        raise
    except Exception as error:
        cause = " ".join(str(error).partition("{")[0].split()) or type(error).__name__
        raise ClusterUnreachableError(f"{what}: {cause}", hint="see what `kubectl version` says of it") from error
