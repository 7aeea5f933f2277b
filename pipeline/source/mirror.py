"""Mirrors: from a git source to a commit, and from a commit to a checkout, with one mirror a repository for all."""

import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.app import GitSource, check_source
from pipeline.errors import InputError, SourceError, SourceUnreachableError, TrimtabError
from pipeline.location import check_commit, check_range, normal_path
from pipeline.source.bare import Mirror
from pipeline.source.checkout import Checkout
from pipeline.source.command import GitFailed, run_git
from pipeline.source.credentials import Credentials
from pipeline.source.failure import last_line
from pipeline.source.folders import Folders
from pipeline.source.reasons import with_reason
from pipeline.source.remote import Found, Remote, ref_of, ref_text
from pipeline.source.shelf import Shelf, Written
from renderers.boundary import real
from renderers.keys import Index

#: What a server says when a ref or commit is not there (any more), or when it gives no commits by their id.
_NOT_THERE = re.compile(r"couldn't find remote ref|not our ref|unadvertised object")

#: After so many seconds a mirror is removed that is not used any more.
_UNUSED = 24 * 3600.0


def git_version() -> str:
    """The version of the git that is used, such as `2.39.5`. Raises InputError when there is none."""
    return run_git("version").decode().removeprefix("git version ").strip()


def default_cache() -> Path:
    """Where mirrors are kept when nobody says otherwise: `trimtab` in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "trimtab"
    except RuntimeError as e:
        raise InputError("there is no home folder for the cache", hint="set HOME or XDG_CACHE_HOME") from e


class Mirrors:
    """The repositories that this process reads, as bare mirrors in `folder`. For any number of threads at once.

    Processes may share the folder. `timeout` is in seconds, for one question to a server; a fetch has ten times that.
    Without credentials git and ssh do as for the person who started us.
    """

    def __init__(self, folder: Path, *, timeout: float = 60.0) -> None:
        self._folder = folder.absolute()
        self._timeout = timeout
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folders = Folders(self._folder)
        except OSError as e:
            raise _not_writable(self._folder, e) from e
        self._shelf = Shelf(self._folders)
        self._lock = threading.Lock()
        #: URL and range of versions → where they were last.
        self._tags: dict[tuple[str, str], Found] = {}

    def resolve(self, source: GitSource, credentials: Credentials | None = None) -> str:
        """The full id of the commit that the source is at now. A source that names its commit asks nobody.

        Raises SourceError for what is not allowed or not there, SourceUnreachableError when nobody answers.
        """
        answer = self.resolve_all([source], credentials)[source]
        if isinstance(answer, TrimtabError):
            raise answer
        return answer

    def resolve_all(
        self, sources: Sequence[GitSource], credentials: Credentials | None = None
    ) -> dict[GitSource, str | TrimtabError]:
        """The same for many sources of one URL by one question; what `resolve` raises is the answer for its source."""
        if len({source.url for source in sources}) > 1:
            raise ValueError("sources of several URLs")
        answers: dict[GitSource, str | TrimtabError] = {}
        asked = []
        for source in sources:
            try:
                check_source(source)
                if source.semver:
                    check_range(source.semver)
            except TrimtabError as error:
                answers[source] = error
            else:
                if source.commit:
                    answers[source] = source.commit
                else:
                    asked.append(source)
        if asked:
            answers |= self._ask(asked, credentials)
        return {source: answers[source] for source in sources}

    @contextmanager
    def checked_out(self, source: GitSource, commit: str, credentials: Credentials | None = None) -> Iterator[Checkout]:
        """The checkout of a commit, for as long as the context lasts. Without network when the mirror has the commit.

        Raises as `resolve`, SourceError also when the source's path is no folder in the commit.
        """
        check_source(source)
        check_commit(commit)
        remote = self._remote(source, credentials)
        mirror = self._mirror(remote)
        tag = self._tag(source, commit)
        written = self._shelf.take(mirror.path.name, commit) or self._make(mirror, remote, ref_of(source, tag), commit)
        try:
            folder = _folder_in(written.root, normal_path(source.path), f"commit {commit[:12]} of {remote.shown}")
            ref = ref_text(source, tag)
            yield Checkout(written.root, folder, commit, remote.shown, ref, written.committed, written.index)
        finally:
            self._shelf.give_back(mirror.path.name, commit)

    def _ask(
        self, sources: Sequence[GitSource], credentials: Credentials | None
    ) -> dict[GitSource, str | TrimtabError]:
        remote = self._remote(sources[0], credentials)
        try:
            found = remote.find(sources)
        except GitFailed as failure:
            return dict.fromkeys(sources, remote.failed(failure, self._timeout))
        except OSError as e:
            return dict.fromkeys(sources, _not_writable(self._folder, e))
        except TrimtabError as error:
            return dict.fromkeys(sources, error)
        with self._lock:
            self._tags |= {(s.url, s.semver): at for s, at in found.items() if s.semver and isinstance(at, Found)}
        return {source: at.commit if isinstance(at, Found) else at for source, at in found.items()}

    def _tag(self, source: GitSource, commit: str) -> str:
        """The tag that a range of versions was at when it was at the commit; empty where that is not known."""
        with self._lock:
            found = self._tags.get((source.url, source.semver))
        return found.tag if found is not None and found.commit == commit else ""

    def _remote(self, source: GitSource, credentials: Credentials | None) -> Remote:
        return Remote(source.url, credentials or Credentials(), self._timeout, self._folders)

    def _mirror(self, remote: Remote) -> Mirror:
        """One for each URL and owner of the credentials: what one may read, another may not."""
        identity = f"{remote.url}\n{remote.credentials.scope or remote.credentials.digest}"
        return Mirror(self._folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.git")

    def _make(self, mirror: Mirror, remote: Remote, ref: str, commit: str) -> Written:
        """A new checkout, on the shelf and taken."""
        name = mirror.path.name
        try:
            if not mirror.path.exists():
                self._drop_unused()
            with mirror.locked(timeout=remote.fetch_timeout) as lock:
                # Another thread may have made it while this one waited for the lock.
                written = self._shelf.take(name, commit)
                if written is None:
                    new = self._bring_and_write(mirror, remote, ref, commit, lock)
                    written = self._shelf.put(name, commit, new)
                return written
        except OSError as e:
            raise _not_writable(self._folder, e) from e

    def _drop_unused(self) -> None:
        """Make room: remove mirrors that nobody has fetched into for long, and that this process has no checkout of."""
        for lock in self._folder.glob("*.lock"):
            mirror = Mirror(lock.with_suffix(".git"))
            unused = time.time() - lock.stat().st_mtime > _UNUSED and not self._shelf.knows(mirror.path.name)
            if unused and mirror.path.exists():
                with suppress(SourceUnreachableError), mirror.locked(timeout=0):
                    shutil.rmtree(mirror.path, ignore_errors=True)

    def _bring_and_write(self, mirror: Mirror, remote: Remote, ref: str, commit: str, lock: int) -> Written:
        """Where that fails though the remote answers, the mirror may be damaged: a fresh one is tried beside it."""
        try:
            _bring(mirror, remote, ref, commit, lock)
            return self._write(mirror, remote, commit)
        except GitFailed as failure:
            if failure.killed:
                raise remote.failed(failure, remote.fetch_timeout) from failure
        try:
            remote.ask()
        except GitFailed as failure:
            raise remote.failed(failure, self._timeout) from failure
        fresh = Mirror(mirror.path.with_suffix(".new"))
        shutil.rmtree(fresh.path, ignore_errors=True)
        try:
            _bring(fresh, remote, ref, commit, lock)
            written = self._write(fresh, remote, commit)
        except GitFailed as failure:
            raise SourceUnreachableError(
                f"{remote.shown} cannot be read: {last_line(failure)}",
                hint=f"look for what git names; a clone by hand says more. The mirrors are in {self._folder}",
            ) from failure
        fresh.replace(mirror)
        return written

    def _write(self, mirror: Mirror, remote: Remote, commit: str) -> Written:
        listing = mirror.listing(commit, shown=remote.shown)
        folder = self._folders.new(listing.size)
        try:
            mirror.extract(commit, folder, shown=remote.shown)
            self._folders.freeze(folder)
            return Written(folder, mirror.committed(commit), Index(listing.ids))
        except BaseException:
            self._folders.remove(folder)
            raise


def _bring(mirror: Mirror, remote: Remote, ref: str, commit: str, lock: int) -> None:
    """Fetch the commit unless it is there. Raises SourceError when the remote has no such commit, and GitFailed."""
    if mirror.has(commit):
        return
    mirror.prepare(commit)
    # Names of their own: a branch `a` that gives way to `a/b` would be in the way under its real name.
    kept_as = f"refs/trimtab/{hashlib.sha256((ref or commit).encode()).hexdigest()[:32]}"
    # By its ref, which every server allows; by its id when the ref has moved on since it was asked.
    for wanted in dict.fromkeys(filter(None, (ref, commit))):
        try:
            remote.fetch(mirror.path, wanted, kept_as, keep_open=lock)
        except GitFailed as failure:
            if not _NOT_THERE.search(failure.said):
                raise
        if mirror.has(commit):
            mirror.tidy(keep_open=lock)
            return
    error = SourceError(
        f"commit {commit} is not in {remote.shown}",
        hint="push it, or name another; some servers give only what a branch or tag leads to",
    )
    raise with_reason(error, "CommitNotFound")


def _folder_in(root: Path, path: str, where: str) -> Path:
    """The folder at that path of the checkout, links followed."""
    folder = real(root / path)
    if not folder.is_relative_to(root):
        error = SourceError(f"path {path} leads out of {where}", hint="a link must stay inside the repository")
    elif not folder.exists():
        error = SourceError(f"path {path} is not in {where}", hint="write it relative to the repository's root")
    elif not folder.is_dir():
        error = SourceError(f"path {path} is a file in {where}", hint="name the folder that holds it")
    else:
        return folder
    raise with_reason(error, "PathNotFound")


def _not_writable(folder: Path, error: OSError) -> TrimtabError:
    return TrimtabError(
        f"a checkout cannot be made: {error.strerror or error}",
        where=str(error.filename or folder),
        hint="see to space and rights there, or choose another folder with --cache-dir",
    )
