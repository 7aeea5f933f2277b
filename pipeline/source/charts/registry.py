"""OCI registries: which versions of a chart one has, and its package. The protocol is distribution-spec v2.

What a chart is in a registry: helm.sh/helm, pkg/registry. How a registry asks for tokens: distribution.github.io,
spec/auth/token.
"""

import hashlib
import re
import threading
from dataclasses import replace
from typing import IO, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from pipeline.errors import SourceError, SourceUnreachableError
from pipeline.source.charts import failure
from pipeline.source.charts.pin import Pin
from pipeline.source.charts.place import DIGEST, Reference, is_loopback, tag_of
from pipeline.source.charts.repository import no_version
from pipeline.source.charts.tokens import Tokens
from pipeline.source.charts.unpack import MAX_BYTES
from pipeline.source.charts.web import Answer, Question, Web
from pipeline.source.credentials import Credentials
from pipeline.source.reasons import with_reason
from renderers.helm.ranges import choose, is_strict, range_of, version_of

_CONFIG: Final = "application/vnd.cncf.helm.config.v1+json"
_LAYERS = {"application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"}
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_ACCEPT = ", ".join((_MANIFEST, _INDEX))
#: Bytes of a manifest (distribution-spec names 4 MiB), of a chart's metadata, of a page of tags.
_MAX_TEXT = 4 << 20
_MAX_PAGES = 1000
_MAX_TAGS = 200_000
_MAX_IN_INDEX = 32
_REMEMBERED = 512
_T = TypeVar("_T", bound=msgspec.Struct)
_NEXT = re.compile(r"<([^>]*)>\s*;[^,]*rel=\"?next\"?")


class _Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str = ""
    digest: str = ""
    size: int = 0


class _Manifest(msgspec.Struct, frozen=True, rename="camel"):
    config: _Descriptor = _Descriptor()
    layers: tuple[_Descriptor, ...] = ()
    manifests: tuple[_Descriptor, ...] = ()


class _Tags(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] | None = None


class _Metadata(msgspec.Struct, frozen=True):
    version: str = ""


class Registries:
    """Reads charts of registries. For any number of threads."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._tokens = Tokens(web)
        self._lock = threading.Lock()
        self._schemes: dict[str, str] = {}
        #: Where, and digest of a manifest → the manifest that has the chart.
        self._manifests: dict[tuple[str, str], _Manifest] = {}

    def find(self, reference: Reference, version: str, credentials: Credentials, *, name: str = "") -> Pin:
        """The version that helm would take. `name` is the chart's where that is not the repository's.

        Raises SourceError when there is none, SourceUnreachableError when nobody answers.
        """
        if DIGEST.fullmatch(version):
            reference, version = replace(reference, digest=version), ""
        if reference.tag and version not in {"", reference.tag}:
            raise SourceError(
                f"{reference.shown}:{reference.tag} is asked for in version {version}", hint="take one of the two out"
            )
        wanted = version or reference.tag
        if reference.digest:
            return self._by_digest(reference, wanted, credentials, name or reference.name)
        # helm takes whatever looks like a version for one: `1.2` is a tag here, and no range as in a repository.
        exact = version_of(wanted) is not None
        chosen = wanted if exact else self._choose(reference, wanted, credentials)
        manifest = self._tagged(reference, chosen, credentials)
        if manifest is None:
            raise self._no_version(reference, wanted, credentials)
        url = f"{reference.shown}:{tag_of(chosen)}"
        return Pin(name or reference.name, chosen, _layer(manifest, url).digest, url)

    def download(self, reference: Reference, digest: str, credentials: Credentials, into: IO[bytes]) -> str:
        """Write the package, a blob of this digest, into the empty file, and say the digest of what came."""
        answer = self._ask(reference, f"blobs/{digest}", credentials, limit=MAX_BYTES, into=into)
        if answer.status != 200:
            raise self._bad(reference, answer, credentials, f"{reference.shown} does not have {digest} any more")
        into.seek(0)
        return f"sha256:{hashlib.file_digest(into, 'sha256').hexdigest()}"  # type: ignore[arg-type]

    def _choose(self, reference: Reference, wanted: str, credentials: Credentials) -> str:
        range_of(wanted)
        versions = self._versions(reference, credentials)
        chosen = choose(versions, wanted)
        if chosen is None:
            raise no_version(versions, wanted, reference.shown)
        return chosen

    def _no_version(self, reference: Reference, wanted: str, credentials: Credentials) -> SourceError:
        versions = self._versions(reference, credentials)
        message = f"{reference.shown} has no version {wanted}"
        if choose(versions, wanted):
            hint = f"of a registry this is one version: for a range write ~{wanted} or {wanted}.x"
            return with_reason(SourceError(message, hint=hint), "RefNotFound")
        return no_version(versions, wanted, reference.shown)

    def _versions(self, reference: Reference, credentials: Credentials) -> list[str]:
        """The tags that are versions, `+` for `_`, as helm reads them."""
        tags: list[str] = []
        path = "tags/list"
        for _ in range(_MAX_PAGES):
            answer = self._ask(reference, path, credentials)
            if answer.status != 200:
                raise self._bad(reference, answer, credentials, f"there is no chart {reference.shown}")
            tags += _decoded(answer.body, _Tags, answer.url).tags or ()
            following = _NEXT.search(answer.headers.get("link", ""))
            if not following:
                return [version for tag in tags if is_strict(version := tag.replace("_", "+"))]
            if len(tags) > _MAX_TAGS:
                break
            # It may name another path, or another server: only what it asks to go on after is taken.
            path = f"tags/list?{urlsplit(following[1]).query}"
        raise SourceError(f"{reference.shown} has too many tags", hint="name one version instead of a range")

    def _tagged(self, reference: Reference, version: str, credentials: Credentials) -> _Manifest | None:
        """The manifest of a version; None where there is no such tag. Where it is known, one HEAD is all."""
        tag = tag_of(version)
        if not tag:
            return None
        answer = self._ask(reference, f"manifests/{tag}", credentials, method="HEAD")
        digest = answer.headers.get("docker-content-digest", "")
        if answer.status == 404:
            return None
        if answer.status not in {200, 405}:
            raise self._bad(reference, answer, credentials)
        return self._manifest(reference, digest if DIGEST.fullmatch(digest) else tag, credentials)

    def _by_digest(self, reference: Reference, version: str, credentials: Credentials, name: str) -> Pin:
        manifest = self._manifest(reference, reference.digest, credentials)
        url = f"{reference.shown}@{reference.digest}"
        layer = _layer(manifest, url)
        answer = self._ask(reference, f"blobs/{manifest.config.digest}", credentials)
        if answer.status != 200:
            raise self._bad(reference, answer, credentials)
        _check(answer.body, manifest.config.digest, url)
        found = _decoded(answer.body, _Metadata, url).version
        if not version_of(found):
            raise SourceError(f"{url} says no version of its chart", hint="name what `helm push` has put there")
        if version and not choose([found], version):
            raise SourceError(f"{url} is version {found}, and {version} is asked for", hint="take one of the two out")
        return Pin(name, found, layer.digest, url)

    def _manifest(self, reference: Reference, which: str, credentials: Credentials) -> _Manifest:
        """The manifest of the chart by digest or tag; of an index the one in it that is a chart."""
        key = (reference.api, which)
        with self._lock:
            known = self._manifests.get(key)
        if known is not None:
            return known
        manifest = self._read(reference, which, credentials)
        for inner in manifest.manifests[:_MAX_IN_INDEX]:
            if inner.media_type == _MANIFEST and DIGEST.fullmatch(inner.digest):
                found = self._read(reference, inner.digest, credentials)
                if found.config.media_type == _CONFIG:
                    manifest = found
        if DIGEST.fullmatch(which):
            with self._lock:
                self._manifests[key] = manifest
                if len(self._manifests) > _REMEMBERED:
                    del self._manifests[next(iter(self._manifests))]
        return manifest

    def _read(self, reference: Reference, which: str, credentials: Credentials) -> _Manifest:
        answer = self._ask(reference, f"manifests/{which}", credentials)
        if answer.status != 200:
            raise self._bad(reference, answer, credentials, f"{reference.shown} does not have {which}")
        if DIGEST.fullmatch(which):
            _check(answer.body, which, f"{reference.shown}@{which}")
        return _decoded(answer.body, _Manifest, answer.url)

    def _ask(
        self,
        reference: Reference,
        path: str,
        credentials: Credentials,
        *,
        method: str = "GET",
        limit: int = _MAX_TEXT,
        into: IO[bytes] | None = None,
    ) -> Answer:
        """The answer about `path` of the repository."""
        url = f"{self._scheme(reference, credentials)}://{reference.api}/{path}"
        headers = {"Accept": _ACCEPT} if path.startswith("manifests/") else {}
        return self._tokens.ask(Question(url, limit, method, headers, into), reference.repository, credentials)

    def _scheme(self, reference: Reference, credentials: Credentials) -> str:
        """https; for a registry on this machine http where it speaks no TLS, as helm does for it too."""
        if not is_loopback(f"https://{reference.host}"):
            return "https"
        if reference.host not in self._schemes:
            scheme = "https"
            try:
                self._web.ask(Question(f"https://{reference.host}/v2/", _MAX_TEXT), Credentials(ca=credentials.ca))
            except SourceUnreachableError as error:
                if failure.speaks_no_tls(error):
                    scheme = "http"
            self._schemes[reference.host] = scheme
        return self._schemes[reference.host]

    def _bad(
        self, reference: Reference, answer: Answer, credentials: Credentials, missing: str = ""
    ) -> SourceUnreachableError:
        return failure.bad_status(reference.shown, answer.status, credentials, missing=missing)


def _layer(manifest: _Manifest, url: str) -> _Descriptor:
    """The packaged chart. Raises SourceError where the manifest is none of a chart."""
    layers = [layer for layer in manifest.layers if layer.media_type in _LAYERS and DIGEST.fullmatch(layer.digest)]
    if manifest.config.media_type != _CONFIG or not DIGEST.fullmatch(manifest.config.digest) or not layers:
        what = (
            "a container image"
            if "image.config" in manifest.config.media_type or manifest.manifests
            else "something else"
        )
        raise SourceError(f"{url} is no chart, but {what}", hint="name what `helm push` has put there")
    if layers[-1].size > MAX_BYTES:
        raise failure.too_big(url, MAX_BYTES)
    return layers[-1]


def _check(body: bytes, digest: str, url: str) -> None:
    if f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
        raise SourceError(f"{url} has another content than its digest says", hint="ask who runs the registry")


def _decoded(body: bytes, kind: type[_T], url: str) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as e:
        raise failure.unreachable(url, "its answer is none of a registry", "is this the URL of a registry?") from e
