"""A repository elsewhere: what its refs are, and fetching from it. Only questions that name exactly what is wanted."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.app import GitSource
from pipeline.errors import SourceError, SourceUnreachableError
from pipeline.location import redacted
from pipeline.source.command import GitFailed, run_git
from pipeline.source.credentials import Credentials
from pipeline.source.failure import unreachable
from pipeline.source.folders import Folders
from pipeline.source.handover import handed_over
from pipeline.source.reasons import with_reason
from pipeline.source.versions import by_version, highest

#: As many names as a message lists.
_NAMES_SHOWN = 8
#: A fetch may move gigabytes, a question may not: this many times the limit of a question.
_FETCH_FACTOR = 10.0
_HEADS, _TAGS = "refs/heads/", "refs/tags/"


def ref_of(source: GitSource, tag: str = "") -> str:
    """The full ref that the source follows; the commit itself where it names one.

    A range of versions is at the `tag` that was found for it; empty while that is not known.
    """
    if source.commit:
        return source.commit
    if source.branch:
        return f"{_HEADS}{source.branch}"
    if source.semver:
        return f"{_TAGS}{tag}" if tag else ""
    return f"{_TAGS}{source.tag}" if source.tag else "HEAD"


def ref_text(source: GitSource, tag: str = "") -> str:
    """The same for people: `branch main`, `tag v1`, `semver ~1.4 (v1.4.2)`, `commit 0123…`, `the default branch`."""
    for kind in ("commit", "branch", "tag", "semver"):
        if name := getattr(source, kind):
            return f"{kind} {name}" + f" ({tag})" * bool(tag)
    return "the default branch"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a source is now: the commit, and for a range of versions the tag."""

    commit: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Remote:
    """One URL (its form was checked) with what opens it. `timeout` of a question in seconds.

    What talks to it raises GitFailed, SourceError for credentials that cannot be used, and OSError.
    """

    url: str
    credentials: Credentials
    timeout: float
    folders: Folders

    @property
    def shown(self) -> str:
        """The URL for messages."""
        return redacted(self.url)

    def find(self, sources: Sequence[GitSource]) -> dict[GitSource, Found | SourceError | SourceUnreachableError]:
        """Where each source's branch, tag, range of versions or HEAD is now, by one question.

        Only when a ref is missing a second question finds out which there are, for the error's hint.
        """
        # Servers filter by namespace, not by name: thousands of refs of pull requests need not come along.
        refs = self._refs(*_namespaces(sources), "--", self.url, *_patterns(sources))
        found = {source: _found(source, refs) for source in sources}
        if None not in found.values():
            return {source: where for source, where in found.items() if where}
        try:
            names = self._refs("--heads", "--tags", "--refs", "--", self.url)
        except GitFailed as failure:
            lost = self.failed(failure, self.timeout)
            return {source: where or lost for source, where in found.items()}
        return {source: where or self._no_such_ref(source, list(names)) for source, where in found.items()}

    def ask(self) -> None:
        """See whether the remote answers."""
        self._refs("--", self.url, "HEAD")

    def fetch(self, git_dir: Path, wanted: str, kept_as: str, *, keep_open: int) -> None:
        """Bring a ref or a commit, with its history, into the repository at `git_dir`, whatever it was before."""
        with self._opened() as environment:
            run_git(
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
                "--no-auto-maintenance", "--", self.url, f"+{wanted}:{kept_as}",
                git_dir=git_dir, environment=environment, timeout=self.fetch_timeout, keep_open=keep_open,
            )  # fmt: skip

    @property
    def fetch_timeout(self) -> float:
        """The limit of a fetch, in seconds."""
        return self.timeout * _FETCH_FACTOR

    def failed(self, failure: GitFailed, timeout: float) -> SourceUnreachableError:
        """The error for a talk that failed; `timeout` (seconds) was its limit."""
        return unreachable(failure, self.shown, timeout=timeout, credentials=self.credentials)

    @contextmanager
    def _opened(self) -> Iterator[Mapping[str, str]]:
        """What git needs to get in; a failure does not repeat it."""
        with handed_over(self.credentials, self.url, self.folders) as environment:
            try:
                yield environment
            except GitFailed as failure:
                raise failure.saying(self.credentials.hidden_in(failure.said)) from None

    def _refs(self, *arguments: str) -> dict[str, str]:
        with self._opened() as environment:
            output = run_git("ls-remote", "--quiet", *arguments, environment=environment, timeout=self.timeout)
        lines = (line.partition("\t") for line in output.decode(errors="replace").splitlines())
        return {name: commit for commit, _, name in lines}

    def _no_such_ref(self, source: GitSource, refs: Sequence[str]) -> SourceError:
        """The error for a missing ref, which names those that there are."""
        tags = [ref.removeprefix(_TAGS) for ref in refs if ref.startswith(_TAGS)]
        if source.semver:
            versions = [tag for _, tag in by_version(tags)]
            message = f"no tag of {self.shown} is in the range {source.semver}"
            hint = f"the highest are: {_some(versions)}" if versions else "the repository has no tags that are versions"
            return with_reason(SourceError(message, hint=hint), "RefNotFound")
        heads = [ref.removeprefix(_HEADS) for ref in refs if ref.startswith(_HEADS)]
        names = sorted(tags if source.tag else heads)
        if not names and not source.tag:
            error = SourceError(f"{self.shown} is an empty repository", hint="push a first commit")
        elif ref_of(source) == "HEAD":
            hint = f"name a branch; there are: {_some(names)}"
            error = SourceError(f"{self.shown} has no default branch", hint=hint)
        else:
            hint = f"there are: {_some(names)}" if names else "the repository has no tags"
            error = SourceError(f"the {ref_text(source)} is not in {self.shown}", hint=hint)
        return with_reason(error, "RefNotFound")


def _namespaces(sources: Sequence[GitSource]) -> list[str]:
    """The options that leave out what no source needs; HEAD is in no namespace."""
    namespaces = {"--heads" if source.branch else "--tags" if source.tag or source.semver else "" for source in sources}
    return [] if "" in namespaces else sorted(namespaces)


def _patterns(sources: Sequence[GitSource]) -> dict[str, None]:
    patterns: dict[str, None] = {}
    for source in sources:
        ref = f"{_TAGS}*" if source.semver else ref_of(source)
        patterns[ref] = None
        if source.tag:
            patterns[f"{ref}^{{}}"] = None
    return patterns


def _found(source: GitSource, refs: Mapping[str, str]) -> Found | None:
    """Patterns match ends of names, so other refs than those asked for may be among the answers."""
    tag = ""
    if source.semver:
        tags = (ref.removeprefix(_TAGS) for ref in refs if ref.startswith(_TAGS) and not ref.endswith("^{}"))
        tag = highest(tags, source.semver)
    ref = ref_of(source, tag)
    # An annotated tag is an object of its own; `^{}` is the commit that it is for.
    commit = refs.get(f"{ref}^{{}}") or refs.get(ref)
    return Found(commit, tag) if commit else None


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
