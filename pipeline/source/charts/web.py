"""Asks servers, and trusts none: bounded in bytes and time, few redirects, credentials for the one host they open."""

import base64
import os
import ssl
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO
from urllib.parse import urljoin, urlsplit

import urllib3

from pipeline.errors import SourceError
from pipeline.location import redacted
from pipeline.source.charts import failure
from pipeline.source.charts.patience import pools_that_end_after
from pipeline.source.charts.place import check_allowed, is_allowed, is_loopback, origin
from pipeline.source.credentials import Credentials
from pipeline.source.reasons import with_reason

#: A download may take this many times the limit of silence.
_WHOLE = 10.0
_REDIRECTS = 5
_CHUNK = 1 << 16
#: Bytes of an answer that is an error.
_COMPLAINT = 64 << 10
_MOVED = {301, 302, 303, 307, 308}
_POOLS = 32
_AGENT = "trimtab"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, for at most `limit` bytes; `into` takes the body of a 200.

    `home` is the URL whose server the credentials are for; without it, this one's. To any other server they are not
    sent, but an Authorization among `headers` is sent to this URL's own. Neither is ever sent on by a redirect.
    """

    url: str
    limit: int
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    into: IO[bytes] | None = None
    home: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: `headers` by small names, `body` empty where it went into a file, `url` fit to be shown."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


class Web:
    """Asks by https. For any number of threads. `timeout`: seconds of silence; ten times as many for an answer."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, ...], urllib3.PoolManager] = {}

    def ask(self, question: Question, credentials: Credentials) -> Answer:
        """The answer, whatever its status; redirects are followed.

        Raises SourceError for what is not allowed or too big, SourceUnreachableError when nobody answers.
        """
        check_allowed(question.url)
        given = {"Authorization": authorization(credentials), **question.headers}
        home = origin(question.home or question.url)
        url, deadline = question.url, time.monotonic() + self.timeout * _WHOLE
        for _ in range(_REDIRECTS + 1):
            trusted = origin(url) == home
            first = origin(url) == origin(question.url)
            headers = {
                name: value
                for name, value in given.items()
                if value and (name != "Authorization" or (first and (trusted or name in question.headers)))
            }
            opened = credentials if trusted else Credentials(ca=credentials.ca)
            with self._opened(question.method, url, headers, opened, system=not trusted) as response:
                target = response.headers.get("Location", "") if response.status in _MOVED else ""
                if not target:
                    body = self._read(response, url, question, deadline)
                    heads = {name.lower(): value for name, value in response.headers.items()}
                    return Answer(response.status, redacted(url), heads, body)
            target = urljoin(url, target)
            if not _may_lead(url, target):
                raise failure.refused_redirect(redacted(question.url), redacted(target))
            url = target
        raise failure.unreachable(redacted(question.url), "it sends on from one URL to the next without end")

    @contextmanager
    def _opened(
        self, method: str, url: str, headers: Mapping[str, str], credentials: Credentials, *, system: bool
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        pool = self._pool(url, credentials, system=system)
        try:
            response = pool.request(
                method, url, headers={"User-Agent": _AGENT, **headers}, redirect=False, retries=False,
                preload_content=False, decode_content=False, timeout=urllib3.Timeout(self.timeout),
            )  # fmt: skip
            try:
                yield response
            finally:
                response.close()
                response.release_conn()
        except urllib3.exceptions.LocationParseError as e:
            raise SourceError(f"the URL {redacted(url)!r} cannot be read", hint="use https://host/path") from e
        except urllib3.exceptions.HTTPError as e:
            raise failure.broken(e, redacted(url), timeout=self.timeout) from e

    def _read(self, response: urllib3.BaseHTTPResponse, url: str, question: Question, deadline: float) -> bytes:
        limit, into = question.limit, question.into
        kept: list[bytes] = []
        size, wanted = 0, response.status == 200
        # What comes, as it comes: a server that sends a byte a minute is heard no longer than the deadline.
        while chunk := response.read1(_CHUNK):
            size += len(chunk)
            if not wanted and size > _COMPLAINT:
                break
            if size > limit:
                raise failure.too_big(redacted(url), limit)
            if time.monotonic() > deadline:
                raise failure.late(redacted(url), self.timeout * _WHOLE)
            if into is not None and wanted:
                into.write(chunk)
            else:
                kept.append(chunk)
        body = b"".join(kept)
        if body and response.headers.get("Content-Encoding", "").lower() == "gzip":
            return _unzipped(body, redacted(url), limit)
        return body

    def _pool(self, url: str, credentials: Credentials, *, system: bool) -> urllib3.PoolManager:
        """Connections for who has the same certificates and the same proxy. `system`: trust the system's CAs too."""
        proxy = _proxy(url)
        key = (proxy, credentials.ca, credentials.client_certificate, credentials.client_key, str(system))
        with self._lock:
            pool = self._pools.pop(key, None) or self._new_pool(proxy, credentials, system=system)
            self._pools[key] = pool
            if len(self._pools) > _POOLS:
                del self._pools[next(iter(self._pools))]
        return pool

    def _new_pool(self, proxy: str, credentials: Credentials, *, system: bool) -> urllib3.PoolManager:
        context = _context(credentials, system=system)
        pool = urllib3.PoolManager(maxsize=4, ssl_context=context)
        if proxy:
            parts = urlsplit(proxy)
            opened = f"{parts.username}:{parts.password or ''}" if parts.username else None
            headers = urllib3.make_headers(proxy_basic_auth=opened)
            pool = urllib3.ProxyManager(proxy, maxsize=4, ssl_context=context, proxy_headers=headers)
        pool.pool_classes_by_scheme = pools_that_end_after(self.timeout * _WHOLE)
        return pool


def authorization(credentials: Credentials) -> str:
    """The header that says who we are; empty for nobody."""
    if credentials.bearer_token:
        return f"Bearer {credentials.bearer_token}"
    return basic(credentials)


def basic(credentials: Credentials) -> str:
    """The header of user and password; empty where there are none."""
    if not credentials.password:
        return ""
    return "Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()


def _may_lead(url: str, target: str) -> bool:
    """Whether a redirect may go there: never from https to http, never from elsewhere to this machine."""
    downgrade = url.startswith("https:") and not target.startswith("https:")
    return is_allowed(target) and not downgrade and (is_loopback(url) or not is_loopback(target))


def _unzipped(body: bytes, url: str, limit: int) -> bytes:
    unzip = zlib.decompressobj(wbits=31)
    try:
        text = unzip.decompress(body, limit + 1)
    except zlib.error as e:
        raise failure.unreachable(url, "its answer is no gzip, though it says so") from e
    if len(text) > limit:
        raise failure.too_big(url, limit)
    return text


def _proxy(url: str) -> str:
    """The operator's proxy for the URL, as the environment has it; empty for none."""
    parts = urlsplit(url)
    if is_loopback(url) or urllib.request.proxy_bypass(parts.netloc):
        return ""
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all", "")


def _context(credentials: Credentials, *, system: bool) -> ssl.SSLContext:
    """Trusts the given CA instead of the system's, or with `system` besides; has the client's certificate."""
    try:
        context = ssl.create_default_context(cadata=credentials.ca or None)
        if system and credentials.ca:
            context.load_default_certs()
        if credentials.client_certificate:
            _load_certificate(context, credentials)
    except (ssl.SSLError, ValueError) as e:
        raise with_reason(
            SourceError("a certificate or its key in the Secret cannot be used", hint="give both in PEM"),
            "SecretInvalid",
        ) from e
    return context


def _load_certificate(context: ssl.SSLContext, credentials: Credentials) -> None:
    """Python reads it from a file only: from one that is in no folder, and gone when it is closed."""
    file = os.memfd_create("certificate")
    try:
        os.write(file, f"{credentials.client_certificate}\n{credentials.client_key}".encode())
        context.load_cert_chain(f"/proc/self/fd/{file}", password=lambda: "")
    finally:
        os.close(file)
