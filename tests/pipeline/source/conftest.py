"""Real repositories for the tests of the source: a bare one, its working copy, and servers in front of it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import harness
import pytest
from githttp import Authority, GitHttp
from sshd import Sshd

from pipeline.app import GitSource
from pipeline.source.mirror import Mirrors


@pytest.fixture(autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of every test: nothing of the person's own configuration. No other tool than git is needed."""
    home = tmp_path_factory.mktemp("home")
    environment = harness.own_environment(home)
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return home


class Origin:
    """A bare repository at `bare` that people push to from the working copy at `work`."""

    def __init__(self, folder: Path, *init: str) -> None:
        self.bare, self.work = folder / "origin.git", folder / "work"
        for path, bare in ((self.bare, ["--bare"]), (self.work, [])):
            path.mkdir(parents=True)
            self.git("init", "--quiet", "--initial-branch=main", *init, *bare, at=path)
        self.git("remote", "add", "origin", str(self.bare))

    @property
    def url(self) -> str:
        return self.bare.as_uri()

    def git(self, *arguments: str, at: Path | None = None, stdin: bytes = b"") -> str:
        done = subprocess.run(["git", *arguments], cwd=at or self.work, input=stdin, capture_output=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout.decode().strip()

    def push(self, files: dict[str, str | bytes] | None = None, *, branch: str = "main", amend: bool = False) -> str:
        """Commit what is in the working copy, with these files, push it over whatever is there, and say its id."""
        for name, content in (files or {}).items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change", *(["--amend"] if amend else []))
        self.git("push", "--quiet", "--force", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def source(self, **rest: str) -> GitSource:
        return GitSource(self.url, **rest)


@pytest.fixture
def make_origin(tmp_path: Path) -> Callable[..., Origin]:
    """Makes an empty repository under a name; further arguments are `git init`'s."""
    return lambda name, *init: Origin(tmp_path / name, *init)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """A repository with one commit: `deploy/a.yaml` says `one`."""
    made = Origin(tmp_path)
    made.push({"deploy/a.yaml": "one", "README": "read"})
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def mirrors(cache: Path) -> Mirrors:
    return Mirrors(cache)


@pytest.fixture
def read(mirrors: Mirrors) -> Callable[..., str]:
    """The text of a file of the source's newest commit, by way of a checkout."""

    def get(source: GitSource, name: str = "deploy/a.yaml") -> str:
        with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
            return (checkout.root / name).read_text()

    return get


@pytest.fixture(scope="session")
def authority() -> Authority:
    """The CA of the tests' https servers."""
    return Authority()


@pytest.fixture
def make_server(origin: Origin, authority: Authority) -> Iterator[Callable[..., GitHttp]]:
    """Starts https servers of the repository's folder; arguments are GitHttp's."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(GitHttp(origin.bare.parent, authority, **options).running())


@pytest.fixture
def trusted(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git trusts the servers' CA by itself."""
    (tmp_path / "ca.pem").write_text(authority.ca)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(tmp_path / "ca.pem"))


@pytest.fixture
def sshd(origin: Origin) -> Iterator[Sshd]:
    """An sshd that serves the repository's folder."""
    with Sshd(origin.bare.parent) as server:
        yield server
