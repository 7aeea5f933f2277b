"""Chart repositories: the index of one, asked for only when it has changed, and the packages that it names."""

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import msgspec

from pipeline.errors import SourceError, TrimtabError
from pipeline.location import redacted
from pipeline.source.charts import failure
from pipeline.source.charts.index import MAX_INDEX, Entry, entries_of, names_in
from pipeline.source.charts.place import check_allowed, is_loopback
from pipeline.source.charts.unpack import MAX_BYTES
from pipeline.source.charts.web import Question, Web
from pipeline.source.credentials import Credentials
from pipeline.source.reasons import with_reason
from renderers.helm.ranges import choose, nearest, prereleases

#: What was read of so many indexes and charts is kept.
_REMEMBERED = 512
#: After so many seconds an index is removed that is not asked for any more.
_UNUSED = 24 * 3600.0


class _Kept(msgspec.Struct, frozen=True):
    """What is asked with next time; on disk the first line of the index's file."""

    etag: str = ""
    modified: str = ""


@dataclass(frozen=True, slots=True)
class _Index:
    """An index as it is now: `mark` names its content, `text` is read when it is needed."""

    path: Path
    mark: str
    url: str

    def text(self) -> bytes:
        try:
            return self.path.read_bytes().partition(b"\n")[2]
        except OSError as e:
            raise _lost(self.url) from e


class Repositories:
    """Reads chart repositories; their indexes are kept in `folder`. For any number of threads."""

    def __init__(self, web: Web, folder: Path) -> None:
        self._web = web
        self._folder = folder
        self._lock = threading.Lock()
        self._read: dict[tuple[str, str, str], tuple[Entry, ...] | None] = {}

    def find(self, repo: str, name: str, version: str, credentials: Credentials, *, shelf: str) -> Entry:
        """The version that helm would take, with absolute URLs. `shelf` as in Store.

        Raises SourceError when there is none, SourceUnreachableError when nobody answers.
        """
        entries = self._entries(repo, name, credentials, shelf)
        chosen = choose([entry.version for entry in entries], version)
        if chosen is None:
            raise no_version([entry.version for entry in entries], version, f"{name} in {redacted(repo)}")
        entry = next(entry for entry in entries if entry.version == chosen)
        if not entry.urls:
            raise SourceError(
                f"the index of {redacted(repo)} has no URL for {name} {chosen}", hint="name another version"
            )
        return Entry(chosen, tuple(_absolute(repo, url) for url in entry.urls), entry.digest)

    def download(self, repo: str, urls: Iterable[str], credentials: Credentials, into: IO[bytes]) -> str:
        """Write the package into the empty file, and say its digest. Of several URLs the first that works is taken.

        Credentials go to the repository's own host only. Raises as `find`.
        """
        error: TrimtabError | None = None
        for url in urls:
            try:
                answer = self._web.ask(Question(url, MAX_BYTES, into=into, home=repo), credentials)
                if answer.status != 200:
                    raise failure.bad_status(redacted(url), answer.status, credentials)
            except TrimtabError as e:
                error = error or e
                into.seek(0)
                into.truncate()
            else:
                into.seek(0)
                return f"sha256:{hashlib.file_digest(into, 'sha256').hexdigest()}"  # type: ignore[arg-type]
        raise error or SourceError(f"{redacted(repo)} has no URL for the chart", hint="name another version")

    def _entries(self, repo: str, name: str, credentials: Credentials, shelf: str) -> tuple[Entry, ...]:
        index = self._ask(repo, credentials, shelf)
        key = (shelf, index.mark, name)
        with self._lock:
            known = key in self._read
            entries = self._read.get(key)
        if not known:
            try:
                entries = entries_of(index.text(), name, url=index.url)
            except SourceError:
                index.path.unlink(missing_ok=True)
                raise
            with self._lock:
                self._read[key] = entries
                if len(self._read) > _REMEMBERED:
                    del self._read[next(iter(self._read))]
        if entries is None:
            names = names_in(index.text())
            alike = sorted(names, key=lambda other: (name not in other and other not in name, other))
            hint = f"there are: {failure.some(alike)}" if alike else "check the URL and the name"
            raise with_reason(
                SourceError(f"there is no chart {name} in {redacted(repo)}", hint=hint), "RepositoryNotFound"
            )
        return entries

    def _ask(self, repo: str, credentials: Credentials, shelf: str) -> _Index:
        """The index as it is now. Where it has not changed, that is all that the server says."""
        url = f"{repo.rstrip('/')}/index.yaml"
        check_allowed(url)
        path = self._folder / f"{shelf}.yaml"
        kept = _kept(path)
        headers = {"Accept-Encoding": "gzip", "If-None-Match": kept.etag, "If-Modified-Since": kept.modified}
        answer = self._web.ask(Question(url, MAX_INDEX, headers=headers), credentials)
        if answer.status == 200:
            new = _Kept(answer.headers.get("etag", ""), answer.headers.get("last-modified", ""))
            _write(path, msgspec.json.encode(new) + b"\n" + answer.body)
        elif answer.status != 304 or kept == _Kept():
            raise failure.bad_status(
                answer.url, answer.status, credentials,
                missing=f"{redacted(repo)} is no chart repository: it has no index.yaml",
            )  # fmt: skip
        try:
            return _Index(path, _used(path), answer.url)
        except OSError as e:
            raise _lost(answer.url) from e


def no_version(versions: list[str], wanted: str, of: str) -> SourceError:
    """The error for a version or range that no version is in; `of` says of what. Raises SourceError for a bad range."""
    there = nearest(versions, wanted)
    if candidates := nearest(prereleases(versions, wanted), wanted) if wanted else there:
        hint = (
            f"there are prereleases only: {failure.some(candidates)}; name one, or a range with one, such as >=1.0.0-0"
        )
    elif there:
        hint = f"there are: {failure.some(there)}"
    else:
        hint = "it has no versions"
    message = f"no version of {of} is {wanted}" if wanted else f"no version of {of} is a release"
    return with_reason(SourceError(message, hint=hint), "RefNotFound")


def _absolute(repo: str, url: str) -> str:
    """As helm joins them. Raises SourceError for a URL that is never asked."""
    joined = urljoin(f"{repo.rstrip('/')}/", url)
    if joined.startswith("oci://"):
        return joined
    if urlsplit(joined).scheme not in {"http", "https"} or (is_loopback(joined) and not is_loopback(repo)):
        raise SourceError(
            f"the index of {redacted(repo)} names the URL {redacted(joined)!r}, which is not asked",
            hint="the repository must serve its charts by https",
        )
    check_allowed(joined)
    return joined


def _kept(path: Path) -> _Kept:
    with suppress(OSError, msgspec.MsgspecError), path.open("rb") as file:
        return msgspec.json.decode(file.readline(), type=_Kept)
    return _Kept()


def _used(path: Path) -> str:
    """The mark of a kept index, which from now on stays for a day: when it was used is its time of access."""
    found = path.stat()
    os.utime(path, ns=(time.time_ns(), found.st_mtime_ns))
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"


def _drop_unused(folder: Path) -> None:
    for path in folder.iterdir():
        with suppress(OSError):
            if time.time() - path.stat().st_atime > _UNUSED:
                path.unlink()


def _lost(url: str) -> TrimtabError:
    return failure.unreachable(url, "its copy in the cache has gone", "the next try reads it anew")


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, also for others who read it at this moment."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _drop_unused(path.parent)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)
    except OSError as e:
        raise TrimtabError(
            f"the cache of charts cannot be written: {e.strerror or e}",
            where=str(path.parent),
            hint="see to space and rights there, or choose another folder with --cache-dir",
        ) from e
