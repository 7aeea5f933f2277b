"""The remote bases of kustomizations: which repository, ref and folder a URL means, as kustomize reads it. Pure text.

Source of the rules: api/internal/git/repospec.go of kustomize, whose forms those are. What only serves its own git
(`timeout`, `submodules`) is read over: submodules stay empty folders, as in every checkout.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from pipeline.app import GitSource
from pipeline.errors import SourceError
from pipeline.location import normal_path, redacted, transport_of

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEMES = ("ssh://", "https://", "http://", "file://")
_USER = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*@")
_FORM = "write it as https://host/org/repo//folder?ref=v1"


@dataclass(frozen=True, slots=True)
class Base:
    """`url` is what git is asked for, `path` the folder in it, `ref` a branch, tag or commit; empty: the default."""

    url: str
    path: str
    ref: str

    @property
    def sources(self) -> tuple[GitSource, ...]:
        """What it may mean, the first that is there counts: a tag comes before a branch of its name, as for git."""
        if not self.ref or self.ref == "HEAD":
            return (GitSource(self.url, path=self.path),)
        if _COMMIT.fullmatch(self.ref):
            return (GitSource(self.url, commit=self.ref, path=self.path),)
        branch, tag = self.ref.removeprefix("refs/heads/"), self.ref.removeprefix("refs/tags/")
        if branch != self.ref:
            return (GitSource(self.url, branch=branch, path=self.path),)
        if tag != self.ref:
            return (GitSource(self.url, tag=tag, path=self.path),)
        return (GitSource(self.url, tag=self.ref, path=self.path), GitSource(self.url, branch=self.ref, path=self.path))


def parse_base(text: str) -> Base:
    """What the URL means. Raises SourceError, without credentials in it, for what kustomize or we would not clone."""
    location, _, query = text.partition("?")
    host, rest = _host(location.removeprefix("git::"), text)
    repository, folder = _split(rest, whole=host == "file://")
    if not repository:
        raise _no_base(text)
    url = host + repository
    transport_of(url)
    return Base(url, normal_path(folder.strip("/")), _ref(query))


def _host(text: str, whole: str) -> tuple[str, str]:
    """Everything up to the path, as git wants it, and the path."""
    scheme = next((each for each in _SCHEMES if text.lower().startswith(each)), "")
    rest = text[len(scheme) :]
    found = _USER.match(rest)
    user = found[0] if found else ""
    if scheme == "file://":
        return scheme, rest
    rest = rest[len(user) :]
    github = rest.lower().startswith(("github.com/", "github.com:"))
    scp = not scheme and bool(user or github)
    if not scheme and not scp:
        raise _no_base(whole)
    end = rest.find("/")
    colon = rest.find(":")
    if scp and colon > 0 and (end == -1 or colon < end):
        end = colon
    if end == -1:
        raise _no_base(whole)
    host, path = rest[: end + 1], rest[end + 1 :]
    if github:
        return (f"{user or 'git@'}github.com:" if scheme == "ssh://" or user else "https://github.com/"), path
    return scheme + user + host, path


def _split(path: str, *, whole: bool) -> tuple[str, str]:
    """The repository and the folder in it: by a mark that says so, else the first two parts, as at GitHub."""
    if "_git/" in path:
        before, _, behind = path.partition("_git/")
        name, _, folder = behind.partition("/")
        return f"{before}_git/{name}", folder
    if "//" in path:
        repository, _, folder = path.partition("//")
        return repository, folder
    if ".git" in path:
        before, _, folder = path.partition(".git")
        return f"{before}.git", folder
    if whole:
        return path, ""
    parts = path.split("/")
    return ("/".join(parts[:2]), "/".join(parts[2:])) if len(parts) > 1 else ("", "")


def _ref(query: str) -> str:
    values = parse_qs(query)
    return next((values[name][0] for name in ("ref", "version") if values.get(name)), "")


def _no_base(text: str) -> SourceError:
    return SourceError(f"{redacted(text)!r} is no remote base that can be read", hint=_FORM)
