"""Each thing that can be wrong with a source has its own message, kind and hint."""

import socket
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import GitSource
from pipeline.errors import InputError, SourceError, SourceUnreachableError, TrimtabError
from pipeline.source.command import GitFailed
from pipeline.source.failure import unreachable
from pipeline.source.mirror import Mirrors


def _refused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "says", "hint"),
    [
        ("https://127.0.0.1:{port}/x.git", "Failed to connect", "server is up"),
        ("ssh://git@127.0.0.1:{port}/x.git", "Connection refused", "server is up"),
        ("https://host.invalid/x.git", "Could not resolve host", "host's name"),
        ("git@host.invalid:x.git", "Could not resolve hostname", "host's name"),
        ("file:///nowhere/at-all.git", "does not appear to be a git repository", "check the URL"),
        ("/nowhere/at-all.git", "does not appear to be a git repository", "check the URL"),
    ],
)
def test_a_remote_out_of_reach(mirrors: Mirrors, url: str, says: str, hint: str) -> None:
    url = url.format(port=_refused_port())
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(GitSource(url))
    assert caught.value.message.startswith(f"{url} cannot be read: ")
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert (caught.value.exit_code, caught.value.temporary) == (5, True)


@pytest.mark.parametrize(
    ("source", "says", "hint"),
    [
        ({"branch": "nope"}, "the branch nope is not in {url}", "there are: main"),
        ({"tag": "v9"}, "the tag v9 is not in {url}", "the repository has no tags"),
        ({"commit": "f" * 40}, "commit " + "f" * 40 + " is not in {url}", "push it"),
        ({"commit": "{tree}"}, "commit {tree} is not in {url}", "push it"),
        ({"path": "nope/deeper"}, "path nope/deeper is not in commit {head} of {url}", "root"),
        ({"path": "deploy/a.yaml"}, "path deploy/a.yaml is a file in commit {head} of {url}", "folder"),
        ({"path": "README/x"}, "path README/x is not in commit {head} of {url}", "root"),
        ({"path": "../outside"}, "the path '../outside' does not lie in the repository", "relative"),
    ],
)
def test_what_is_not_in_the_repository(
    origin: Any, mirrors: Mirrors, source: dict[str, str], says: str, hint: str
) -> None:
    names = {
        "url": origin.url,
        "head": origin.git("rev-parse", "HEAD")[:12],
        "tree": origin.git("rev-parse", "HEAD^{tree}"),
    }
    asked = origin.source(**{key: value.format(**names) for key, value in source.items()})
    with pytest.raises(SourceError) as caught, mirrors.checked_out(asked, mirrors.resolve(asked)):
        pass
    assert caught.value.message == says.format(**names)
    assert hint in caught.value.hint
    assert (caught.value.exit_code, caught.value.temporary) == (2, False)


def test_many_branches_are_not_all_listed(origin: Any, mirrors: Mirrors) -> None:
    origin.git("push", "--quiet", "origin", *(f"HEAD:refs/heads/b{number:02}" for number in range(20)))
    with pytest.raises(SourceError, match=r"there are: b00, b01, .*, b07 and 13 more$"):
        mirrors.resolve(origin.source(branch="nope"))


@pytest.mark.parametrize("source", [{}, {"branch": "main"}])
def test_an_empty_repository(make_origin: Any, mirrors: Mirrors, source: dict[str, str]) -> None:
    with pytest.raises(SourceError, match="is an empty repository"):
        mirrors.resolve(make_origin("empty").source(**source))


def test_a_repository_without_a_default_branch(origin: Any, mirrors: Mirrors) -> None:
    origin.git("symbolic-ref", "HEAD", "refs/heads/gone", at=origin.bare)
    with pytest.raises(SourceError, match=r"has no default branch\n.*there are: main"):
        mirrors.resolve(origin.source())


@pytest.mark.parametrize(
    "source",
    [
        GitSource("ext::sh -c touch% ran"),
        GitSource("--upload-pack=touch ran"),
        GitSource("file:///x", branch="--upload-pack=touch ran"),
        GitSource("file:///x", tag="a..b"),
        GitSource("file:///x", commit="abc123"),
        GitSource("file:///x", commit="HEAD"),
        GitSource("file:///x", path="/etc"),
        GitSource("file:///x", branch="a", tag="b"),
    ],
)
def test_what_is_not_allowed_reaches_no_git(
    mirrors: Mirrors, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        mirrors.resolve(source)
    assert "not installed" not in caught.value.message
    with pytest.raises(InputError) as caught, mirrors.checked_out(source, "f" * 40):
        pass
    assert "not installed" not in caught.value.message


def test_git_is_not_installed(mirrors: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"git is not installed.*\n.*install git"):
        mirrors.resolve(GitSource("file:///x"))


def test_a_cache_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrimtabError, match=r"a checkout cannot be made: Not a directory\n.*--cache-dir"):
        Mirrors(tmp_path / "file" / "cache")


def test_the_cache_folder_goes_away(origin: Any, mirrors: Mirrors, cache: Path) -> None:
    source = origin.source()
    commit = mirrors.resolve(source)
    cache.rmdir()
    with pytest.raises(TrimtabError, match="a checkout cannot be made"), mirrors.checked_out(source, commit):
        pass


@pytest.mark.parametrize(
    ("said", "shown", "hint"),
    [
        (
            "remote: Repository not found.\nfatal: repository 'https://me:s3cret@h/x/' not found\n",
            "Repository not found.", "credentials",
        ),
        ("git@h: Permission denied (publickey).\r\nfatal: Could not read from remote repository.\n",
         "git@h: Permission denied (publickey).", "deploy key"),
        ("fatal: Authentication failed for 'https://me:s3cret@h/x/'\n", "Authentication failed for 'https://h/x/'",
         "token"),
        ("Host key verification failed.\nfatal: Could not read from remote repository.\n\nand the repository exists.\n",
         "Host key verification failed.", "known_hosts"),
        ("fatal: detected dubious ownership in repository at '/x'\n", "detected dubious ownership", "another user"),
        ("fatal: unable to access 'https://h/x/': The requested URL returned error: 503\n", "error: 503", "server"),
        ("fatal: unable to access 'https://h/x/': server certificate verification failed. CAfile: none CRLfile: none\n",
         "certificate verification failed", "GIT_SSL_CAINFO"),
        ("remote: \x1b[2J\x1b]0;gotcha\x07boo\x00\n", "[2J ]0;gotcha boo", "git ls-remote"),
        ("remote: " + "x" * 5000, "x" * 300 + "…", "git ls-remote"),
        ("", "git gave no reason", "git ls-remote"),
    ],
)  # fmt: skip
def test_what_git_says_is_said_again_cleanly(said: str, shown: str, hint: str) -> None:
    error = unreachable(GitFailed(128, said), "https://h/x", timeout=60)
    assert shown in error.message
    assert hint in error.hint
    assert not set(error.message) & set("\x1b\x07\n\0")
    assert "s3cret" not in str(error)
