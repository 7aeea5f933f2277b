"""Keys and tokens reach git and ssh, nobody else, and no place where they could be read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import GitSource
from pipeline.errors import SourceError, SourceUnreachableError
from pipeline.source.credentials import Credentials
from pipeline.source.mirror import Mirrors

_TOKEN = "t0ken%s $x"


def test_a_token_opens_a_repository_over_https(make_server: Callable[[], Any], cache: Path) -> None:
    server = make_server()
    mirrors = Mirrors(cache, Credentials(username="user", password=_TOKEN))
    source = GitSource(server.url, branch="main")
    with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"
        assert checkout.url == server.url
    assert server.expected in server.seen
    for path in cache.rglob("*"):
        assert not path.is_file() or _TOKEN.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("credentials", [Credentials(), Credentials(username="user", password="wr0ng")])
def test_without_the_right_token_the_message_says_so(
    make_server: Callable[[], Any], mirrors: Mirrors, cache: Path, credentials: Credentials
) -> None:
    with pytest.raises(SourceUnreachableError) as caught:
        Mirrors(cache, credentials).resolve(GitSource(make_server().url))
    assert "check the key or token" in caught.value.hint
    assert "wr0ng" not in str(caught.value)


def test_a_redirect_to_another_host_gets_no_token(make_server: Callable[[], Any], cache: Path) -> None:
    server, other = make_server(), make_server()
    server.moved_to = other.url
    with pytest.raises(SourceUnreachableError):
        Mirrors(cache, Credentials(username="user", password=_TOKEN)).resolve(GitSource(server.url))
    assert other.seen, "the redirect was not followed, and the test shows nothing"
    assert set(other.seen) == {None}


def test_a_certificate_that_nobody_trusts(
    make_server: Callable[[], Any], mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO")
    with pytest.raises(SourceUnreachableError, match="certificate"):
        mirrors.resolve(GitSource(make_server().url))


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for ssh: writes down how it was called, and runs the other end's command here. The file it writes."""
    tools = tmp_path / "bin"
    tools.mkdir()
    told = tmp_path / "told"
    script = tools / "ssh"
    script.write_text(
        f'#!/bin/sh\nfor a in "$@"; do printf "%s\\n" "$a" >> {told}; last=$a; done\nexec sh -c "$last"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return told


def test_a_key_is_the_only_one_that_ssh_offers(origin: Any, ssh: Path, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    credentials = Credentials(ssh_key=folder / "key $(touch ran)", known_hosts=folder / "known hosts")
    mirrors = Mirrors(cache, credentials)
    source = GitSource(f"git@example.com:{origin.bare}", branch="main")
    with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"
    told = ssh.read_text().splitlines()
    assert told[told.index("-i") + 1] == str(credentials.ssh_key)
    assert told[told.index("-F") + 1] == "/dev/null"
    assert {"IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(told)
    assert f'UserKnownHostsFile="{credentials.known_hosts}"' in told
    assert "git@example.com" in told


def test_without_a_key_ssh_does_as_for_the_person(origin: Any, ssh: Path, mirrors: Mirrors) -> None:
    mirrors.resolve(GitSource(f"ssh://git@example.com:2222{origin.bare}"))
    told = ssh.read_text().splitlines()
    assert not {"-i", "-F", "IdentitiesOnly=yes"} & set(told)
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(told)
    assert told[told.index("-p") + 1] == "2222"


def test_other_credentials_have_a_mirror_of_their_own(origin: Any, ssh: Path, cache: Path, tmp_path: Path) -> None:
    source = GitSource(f"git@example.com:{origin.bare}")
    mine = Mirrors(cache, Credentials(ssh_key=tmp_path / "mine"))
    commit = mine.resolve(source)
    with mine.checked_out(source, commit):
        pass
    origin.bare.rename(origin.bare.with_name("gone.git"))
    with (
        pytest.raises(SourceUnreachableError),
        Mirrors(cache, Credentials(ssh_key=tmp_path / "yours")).checked_out(source, commit),
    ):
        pass


def test_a_password_is_not_shown() -> None:
    assert _TOKEN not in repr(Credentials(username="user", password=_TOKEN))


@pytest.mark.parametrize("secret", ["a\nb", "a\rb", "a\0b"])
def test_a_password_with_a_line_break_is_refused_unseen(secret: str) -> None:
    with pytest.raises(SourceError) as caught:
        Credentials(password=secret)
    assert secret not in str(caught.value)
