"""Each thing that can be wrong with a source has its own message, kind and hint."""

import socket
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import GitSource
from pipeline.errors import InputError, SourceError, SourceUnreachableError, TrimtabError
from pipeline.source.command import GitFailed
from pipeline.source.credentials import Credentials
from pipeline.source.failure import unreachable
from pipeline.source.mirror import Mirrors


def _refused_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("url", "says", "hint", "reason"),
    [
        ("https://127.0.0.1:{port}/x.git", "Failed to connect", "server is up", "SourceUnreachable"),
        ("ssh://git@127.0.0.1:{port}/x.git", "Connection refused", "server is up", "SourceUnreachable"),
        ("https://host.invalid/x.git", "Could not resolve host", "host's name", "SourceUnreachable"),
        ("git@host.invalid:x.git", "Could not resolve hostname", "host's name", "SourceUnreachable"),
        ("file:///nowhere/at-all.git", "does not appear to be a git repository", "check the URL", "RepositoryNotFound"),
        ("/nowhere/at-all.git", "does not appear to be a git repository", "check the URL", "RepositoryNotFound"),
    ],
)
def test_a_remote_out_of_reach(mirrors: Mirrors, url: str, says: str, hint: str, reason: str) -> None:
    url = url.format(port=_refused_port())
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(GitSource(url))
    assert caught.value.message.startswith(f"{url} cannot be read: ")
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert (caught.value.exit_code, caught.value.reason) == (5, reason)
    assert caught.value.temporary == (reason == "SourceUnreachable")


@pytest.mark.parametrize(
    ("source", "says", "hint", "reason"),
    [
        ({"branch": "nope"}, "the branch nope is not in {url}", "there are: main", "RefNotFound"),
        ({"tag": "v9"}, "the tag v9 is not in {url}", "the repository has no tags", "RefNotFound"),
        ({"semver": "^1"}, "no tag of {url} is in the range ^1", "no tags that are versions", "RefNotFound"),
        ({"commit": "f" * 40}, "commit " + "f" * 40 + " is not in {url}", "push it", "CommitNotFound"),
        ({"commit": "{tree}"}, "commit {tree} is not in {url}", "push it", "CommitNotFound"),
        ({"path": "nope/deeper"}, "path nope/deeper is not in commit {head} of {url}", "root", "PathNotFound"),
        ({"path": "deploy/a.yaml"}, "path deploy/a.yaml is a file in commit {head} of {url}", "folder", "PathNotFound"),
        ({"path": "README/x"}, "path README/x is not in commit {head} of {url}", "root", "PathNotFound"),
        ({"path": "../outside"}, "the path '../outside' does not lie in the repository", "relative", "SourceInvalid"),
    ],
)
def test_what_is_not_in_the_repository(
    origin: Any, mirrors: Mirrors, source: dict[str, str], says: str, hint: str, reason: str
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
    assert (caught.value.exit_code, caught.value.temporary, caught.value.reason) == (2, False, reason)


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


def _said(said: str, url: str = "https://h/x", credentials: Credentials | None = None) -> TrimtabError:
    return unreachable(GitFailed(128, said), url, timeout=60, credentials=credentials)


@pytest.mark.parametrize(
    ("said", "shown", "hint"),
    [
        ("fatal: detected dubious ownership in repository at '/x'\n", "detected dubious ownership", "another user"),
        ("fatal: unable to access 'https://h/x/': The requested URL returned error: 503\n", "error: 503", "server"),
        ("remote: \x1b[2J\x1b]0;gotcha\x07boo\x00\n", "[2J ]0;gotcha boo", "git ls-remote"),
        ("remote: " + "x" * 5000, "x" * 300 + "…", "git ls-remote"),
        ("", "git gave no reason", "git ls-remote"),
    ],
)
def test_what_git_says_is_said_again_cleanly(said: str, shown: str, hint: str) -> None:
    error = _said(said)
    assert shown in error.message
    assert hint in error.hint
    assert (error.reason, error.temporary) == ("SourceUnreachable", True)
    assert not set(error.message) & set("\x1b\x07\n\0")


_ENDS = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\n"


@pytest.mark.parametrize(
    ("said", "shown", "hint", "reason"),
    [
        # GitHub
        ("remote: Repository not found.\nfatal: repository 'https://me:s3cret@h/x/' not found\n",
         "Repository not found.", "credentials", "RepositoryNotFound"),
        ("ERROR: Repository not found.\n" + _ENDS, "Repository not found.", "credentials", "RepositoryNotFound"),
        (("remote: Support for password authentication was removed on August 13, 2021.\nremote: Please see …\n"
         "fatal: Authentication failed for 'https://me:s3cret@h/x/'\n"),
         "Support for password authentication was removed", "put a token", "AuthenticationFailed"),
        (("remote: Invalid username or token. Password authentication is not supported for Git operations.\n"
         "fatal: Authentication failed for 'https://me:s3cret@h/x/'\n"),
         "Invalid username or token", "put a token", "AuthenticationFailed"),
        ("ERROR: The 'o' organization has enabled or enforced SAML SSO.\n" + _ENDS,
         "SAML SSO", "single sign-on", "AuthenticationFailed"),
        # GitLab
        (("remote: The project you were looking for could not be found or you don't have permission to view it.\n"
         "fatal: repository 'https://h/x/' not found\n"),
         "The project you were looking for could not be found", "credentials", "RepositoryNotFound"),
        (("remote: HTTP Basic: Access denied. If a password was provided for Git authentication, …\n"
         "fatal: Authentication failed for 'https://me:s3cret@h/x/'\n"),
         "HTTP Basic: Access denied.", "token", "AuthenticationFailed"),
        ("remote: This deploy key is not allowed to read this project.\n" + _ENDS,
         "This deploy key is not allowed", "token", "AuthenticationFailed"),
        # Bitbucket, Azure
        ("remote: The requested repository either does not exist or you do not have access.\n" + _ENDS,
         "does not exist", "credentials", "RepositoryNotFound"),
        ("remote: Public key authentication failed.\n" + _ENDS, "Public key authentication failed", "key",
         "AuthenticationFailed"),
        # git, curl and ssh
        ("git@h: Permission denied (publickey).\r\n" + _ENDS, "git@h: Permission denied (publickey).", "token",
         "AuthenticationFailed"),
        ("fatal: unable to access 'https://h/x/': The requested URL returned error: 403\n", "error: 403", "token",
         "AuthenticationFailed"),
        ("fatal: unable to access 'https://h/x/': server certificate verification failed. CAfile: none CRLfile: none\n",
         "certificate verification failed", "GIT_SSL_CAINFO", "CertificateUntrusted"),
        ("fatal: unable to access 'https://h/x/': SSL certificate problem: certificate has expired\n",
         "certificate has expired", "ca.crt", "CertificateUntrusted"),
    ],
)  # fmt: skip
def test_a_refusal_is_not_tried_again_soon(said: str, shown: str, hint: str, reason: str) -> None:
    error = _said(said)
    assert shown in error.message
    assert hint in error.hint
    assert (error.reason, error.temporary, error.exit_code) == (reason, False, 5)
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("sh: 1: ssh: not found\n" + _ENDS, "install an OpenSSH client"),
        ("error: cannot run ssh -o X=y: No such file or directory\nfatal: unable to fork\n", "OpenSSH client"),
        ("No user exists for uid 10001\n" + _ENDS, "/etc/passwd"),
        (
            "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found. Their offer: ssh-dss\n",
            "unsafe",
        ),
        ("kex_exchange_identification: Connection closed by remote host\n" + _ENDS, "server is up"),
    ],
)
def test_ssh_cannot_do_its_work(said: str, hint: str) -> None:
    assert hint in _said(said, "git@h:x").hint


@pytest.mark.parametrize(
    ("url", "scan"),
    [
        ("git@example.com:team/x.git", "ssh-keyscan example.com >"),
        ("ssh://git@example.com/x.git", "ssh-keyscan example.com >"),
        ("ssh://example.com:2222/x.git", "ssh-keyscan -p 2222 example.com >"),
        ("ssh://git@[::1]:2222/x.git", "ssh-keyscan -p 2222 ::1 >"),
    ],
)
def test_an_unknown_host_key_says_what_to_run(url: str, scan: str) -> None:
    error = _said("Host key verification failed.\n" + _ENDS, url)
    assert scan in error.hint
    assert "~/.ssh/known_hosts" in error.hint
    assert (error.reason, error.temporary) == ("HostKeyUnknown", False)
