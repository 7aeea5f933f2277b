"""A repository elsewhere: what its refs are, and fetching from it. Only questions that name exactly what is wanted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.app import GitSource
from pipeline.errors import SourceError
from pipeline.location import redacted, transport_of
from pipeline.source.command import run_git
from pipeline.source.credentials import Credentials

#: As many names as a message lists.
_NAMES_SHOWN = 8
#: A fetch may move gigabytes, a question may not: this many times the limit of a question.
_FETCH_FACTOR = 10.0


def ref_of(source: GitSource) -> str:
    """The full ref that the source follows; the commit itself where it names one."""
    if source.commit:
        return source.commit
    if source.branch:
        return f"refs/heads/{source.branch}"
    return f"refs/tags/{source.tag}" if source.tag else "HEAD"


def ref_text(source: GitSource) -> str:
    """The same for people: `branch main`, `tag v1`, `commit 0123…`, `the default branch`."""
    for kind in ("commit", "branch", "tag"):
        if name := getattr(source, kind):
            return f"{kind} {name}"
    return "the default branch"


@dataclass(frozen=True, slots=True)
class Remote:
    """One URL (its form was checked) with what opens it. `timeout` of a question in seconds."""

    url: str
    credentials: Credentials
    timeout: float

    @property
    def shown(self) -> str:
        """The URL for messages."""
        return redacted(self.url)

    def resolve(self, source: GitSource) -> str:
        """The commit that the source's branch, tag or HEAD is at now, by one question.

        Raises SourceError when there is no such ref, and GitFailed.
        """
        ref = ref_of(source)
        # Servers filter by namespace, not by name: thousands of refs of pull requests need not come along.
        namespace = ["--heads"] if source.branch else ["--tags"] if source.tag else []
        refs = self._refs(*namespace, "--", self.url, ref, *([f"{ref}^{{}}"] if source.tag else []))
        # An annotated tag is an object of its own; `^{}` is the commit that it is for. Patterns match ends of names,
        # so other refs than those asked for may be among the answers.
        if commit := refs.get(f"{ref}^{{}}") or refs.get(ref):
            return commit
        raise self._no_such_ref(source)

    def ask(self) -> None:
        """Raise GitFailed when the remote does not answer."""
        self._refs("--", self.url, "HEAD")

    def fetch(self, git_dir: Path, wanted: str, kept_as: str, *, keep_open: int) -> None:
        """Bring a ref or a commit, with its history, into the repository at `git_dir`, whatever it was before.

        Raises GitFailed.
        """
        run_git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--no-auto-maintenance", "--", self.url, f"+{wanted}:{kept_as}",
            git_dir=git_dir, environment=self._environment(), timeout=self.fetch_timeout, keep_open=keep_open,
        )  # fmt: skip

    @property
    def fetch_timeout(self) -> float:
        """The limit of a fetch, in seconds."""
        return self.timeout * _FETCH_FACTOR

    def _refs(self, *arguments: str) -> dict[str, str]:
        output = run_git("ls-remote", "--quiet", *arguments, environment=self._environment(), timeout=self.timeout)
        lines = (line.partition("\t") for line in output.decode(errors="replace").splitlines())
        return {name: commit for commit, _, name in lines}

    def _environment(self) -> Mapping[str, str]:
        return {**self.credentials.environment(self.url), "GIT_ALLOW_PROTOCOL": transport_of(self.url)}

    def _no_such_ref(self, source: GitSource) -> SourceError:
        """The error for a missing ref, which names those that there are."""
        kind, namespace = ("tag", "tags") if source.tag else ("branch", "heads")
        refs = self._refs(f"--{namespace}", "--refs", "--", self.url)
        names = [ref.removeprefix(f"refs/{namespace}/") for ref in sorted(refs)]
        if not names and not source.tag:
            return SourceError(f"{self.shown} is an empty repository", hint="push a first commit")
        some = ", ".join(names[:_NAMES_SHOWN]) + (
            f" and {len(names) - _NAMES_SHOWN} more" * (len(names) > _NAMES_SHOWN)
        )
        if ref_of(source) == "HEAD":
            return SourceError(f"{self.shown} has no default branch", hint=f"name a branch; there are: {some}")
        name = source.branch or source.tag
        hint = f"there are: {some}" if names else f"the repository has no {namespace}"
        return SourceError(f"the {kind} {name} is not in {self.shown}", hint=hint)
