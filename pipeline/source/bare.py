"""One bare mirror of one repository in the cache folder: kept sound, locked among processes, read by commit."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.source.command import GitFailed, run_git
from pipeline.source.failure import last_line
from pipeline.source.locks import held

#: What one checkout may hold.
MAX_FILES = 200_000
MAX_BYTES = 2 << 30
#: Files are written as they are in git, to the byte: no line ends, encodings or `$Id$` of .gitattributes. The
#: mirror's own attributes win over those of the repository.
_ATTRIBUTES = "* -text -ident -filter !working-tree-encoding\n"
_SHA256_DIGITS = 64
#: What a file needs in a file system, at least.
_BLOCK = 4096
_MANY_PACKS = 20


@dataclass(frozen=True, slots=True)
class Listing:
    """What a commit holds: `size` is what a checkout takes, in bytes, about; `ids` is `<mode> <id>` by path."""

    size: int
    ids: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mirror:
    """A bare repository at `path`. Everything but `locked` is for who holds the lock."""

    path: Path

    @contextmanager
    def locked(self, *, timeout: float) -> Iterator[int]:
        """Hold the mirror against every other thread and process; the value is the lock's file descriptor.

        Raises SourceUnreachableError after `timeout` seconds.
        """
        with held(
            self.path.with_suffix(".lock"),
            timeout=timeout,
            busy=f"the mirror {self.path} has been in use",
            hint="look for another trimtab or git that hangs, or choose another --cache-dir",
        ) as lock:
            os.utime(lock)  # when it was used last
            yield lock

    def prepare(self, commit: str) -> None:
        """Make the repository if there is none, in the hash that the commit has, and clear up after a killed git."""
        if not self.path.exists():
            hash_name = "sha256" if len(commit) == _SHA256_DIGITS else "sha1"
            # Without a template: it would bring hooks along.
            run_git("init", "--quiet", "--bare", "--template=", f"--object-format={hash_name}", "--", self.path)
        (self.path / "info").mkdir(exist_ok=True)
        (self.path / "info" / "attributes").write_text(_ATTRIBUTES)
        for pattern in ("*.lock", "tmp_*"):
            for left in self.path.rglob(pattern):
                with suppress(OSError):
                    left.unlink()

    def has(self, commit: str) -> bool:
        """Whether the commit is in the mirror. Raises GitFailed when the mirror is no repository any more."""
        if not self.path.exists():
            return False
        # Exit code 1: no such commit. Anything past it: git could not look.
        try:
            found = run_git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}", git_dir=self.path)
        except GitFailed as failure:
            if failure.code == 1:
                return False
            raise
        return found.decode().strip() == commit

    def listing(self, commit: str, *, shown: str) -> Listing:
        """What the commit holds. `shown` is the repository's name in messages.

        Raises SourceError past MAX_FILES and MAX_BYTES, and GitFailed.
        """
        try:
            listing = run_git("ls-tree", "-r", "-l", "-z", "--full-tree", commit, git_dir=self.path)
        except GitFailed as failure:
            if failure.flooded:
                raise _too_big(commit, shown) from failure
            raise
        ids, sizes = {}, []
        for entry in listing.split(b"\0")[:-1]:
            # "<mode> <type> <object> <size>\t<path>"; a submodule has the size "-".
            said, _, path = entry.partition(b"\t")
            mode, _, name, size = said.decode().split()
            ids[os.fsdecode(path)] = f"{mode} {name}"
            sizes.append(0 if size == "-" else int(size))
        if len(ids) > MAX_FILES or sum(sizes) > MAX_BYTES:
            raise _too_big(commit, shown)
        return Listing(sum(max(size, _BLOCK) for size in sizes), ids)

    def committed(self, commit: str) -> float:
        """When the commit was made: committer time, unix seconds. Raises GitFailed."""
        said = run_git("rev-list", "--max-count=1", "--timestamp", commit, git_dir=self.path)
        return float(said.split()[0])

    def extract(self, commit: str, folder: Path, *, shown: str) -> None:
        """Write the commit's files into the empty folder, byte for byte; links stay links, submodules empty folders.

        Runs no hook and no filter. Raises SourceError for a file name that git refuses, and GitFailed.
        """
        index = folder.with_suffix(".index")
        try:
            run_git(
                f"--work-tree={folder}", "read-tree", "--reset", "-u", commit,
                git_dir=self.path, environment={"GIT_INDEX_FILE": str(index)},
            )  # fmt: skip
        except GitFailed as failure:
            if "invalid path" in failure.said:
                raise SourceError(
                    f"commit {commit[:12]} of {shown} cannot be checked out: {last_line(failure)}",
                    hint="git refuses such names because they reach out of the checkout: rename the file",
                ) from failure
            raise
        finally:
            index.unlink(missing_ok=True)

    def tidy(self, *, keep_open: int) -> None:
        """Join small packs, each of a fetch, when there are many: cheap for a large repository too, unlike git's gc.

        A failure costs nothing but disk.
        """
        if len(list(self.path.glob("objects/pack/*.pack"))) > _MANY_PACKS:
            with suppress(GitFailed):
                run_git("repack", "--geometric=2", "-d", "--quiet", git_dir=self.path, keep_open=keep_open)

    def replace(self, other: "Mirror") -> None:
        """Take the place of another mirror."""
        shutil.rmtree(other.path, ignore_errors=True)
        self.path.rename(other.path)


def _too_big(commit: str, shown: str) -> SourceError:
    return SourceError(
        f"commit {commit[:12]} of {shown} is too big: a checkout may have {MAX_FILES} files and {MAX_BYTES >> 30} GiB",
        hint="keep what is deployed in a repository of its own",
    )
