"""Keys and tokens reach git and ssh, nobody else, and no place where they could be read."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from githttp import TOKEN, USER, Authority, GitHttp, basic

from pipeline.app import GitSource
from pipeline.errors import SourceError, SourceUnreachableError
from pipeline.source import folders, sshkey
from pipeline.source.credentials import Credentials
from pipeline.source.mirror import Mirrors

_KEY = sshkey.generate(comment="mine").decode()
_OTHER_KEY = sshkey.generate(comment="yours").decode()
Server = Callable[..., GitHttp]


def _token(authority: Authority, **others: str) -> Credentials:
    return Credentials(**{"username": USER, "password": TOKEN, "ca": authority.ca, **others})


def test_a_token_opens_a_repository_over_https(
    make_server: Server, authority: Authority, mirrors: Mirrors, cache: Path
) -> None:
    server, credentials = make_server(), _token(authority)
    source = GitSource(server.url(), branch="main")
    with mirrors.checked_out(source, mirrors.resolve(source, credentials), credentials) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"
        assert checkout.url == server.url()
    assert basic(USER, TOKEN) in server.seen
    for path in cache.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_a_bearer_token_opens_a_repository(make_server: Server, authority: Authority, mirrors: Mirrors) -> None:
    server = make_server()
    server.accepted = {"Bearer t0ken"}
    source, credentials = GitSource(server.url(), branch="main"), Credentials(bearer_token="t0ken", ca=authority.ca)
    with mirrors.checked_out(source, mirrors.resolve(source, credentials), credentials) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"


@pytest.mark.parametrize(
    ("credentials", "hint"),
    [
        ({}, "a Secret with username and password"),
        ({"username": USER, "password": "expired"}, "has expired, or may not read this repository"),
        ({"bearer_token": "expired"}, "the bearer token is wrong, has expired"),
    ],
)
@pytest.mark.parametrize("status", [401, 403])
def test_without_the_right_token_the_message_says_so(
    make_server: Server,
    authority: Authority,
    mirrors: Mirrors,
    credentials: dict[str, str],
    hint: str,
    status: int,
) -> None:
    server = make_server()
    server.status = status
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(GitSource(server.url()), Credentials(ca=authority.ca, **credentials))
    assert hint in caught.value.hint
    assert (caught.value.reason, caught.value.temporary) == ("AuthenticationFailed", False)
    assert "expired" not in caught.value.message


@pytest.mark.parametrize(
    ("credentials", "status", "repeated"),
    [
        ({"username": "me", "password": "t0ken"}, 401, "t0ken"),
        ({"username": "me", "password": "t0ken"}, 401, basic("me", "t0ken").removeprefix("Basic ")),
        ({"bearer_token": "t0ken"}, 403, "t0ken"),
    ],
)
def test_a_token_that_the_server_repeats_is_not_shown(
    make_server: Server, authority: Authority, mirrors: Mirrors,
    credentials: dict[str, str], status: int, repeated: str,
) -> None:  # fmt: skip
    server = make_server()
    server.status, server.message = status, f"authentication failed for {repeated}\n".encode()
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(GitSource(server.url()), Credentials(ca=authority.ca, **credentials))
    shown = "".join(traceback.format_exception(caught.value))
    assert "authentication failed for ***" in shown
    assert repeated not in shown


def test_a_token_that_expires(make_server: Server, authority: Authority, mirrors: Mirrors) -> None:
    server, credentials = make_server(), _token(authority)
    source = GitSource(server.url())
    mirrors.resolve(source, credentials)
    server.accepted = {basic(USER, "new")}
    with pytest.raises(SourceUnreachableError, match="Authentication failed"):
        mirrors.resolve(source, credentials)
    mirrors.resolve(source, _token(authority, password="new"))


@pytest.mark.parametrize(
    "credentials", [{"username": USER, "password": TOKEN}, {"bearer_token": "t0ken"}], ids=["password", "bearer"]
)
def test_a_redirect_to_another_host_gets_no_token(
    make_server: Server, authority: Authority, mirrors: Mirrors, credentials: dict[str, str]
) -> None:
    server, other = make_server(), make_server()
    server.moved_to = other
    with pytest.raises(SourceUnreachableError):
        mirrors.resolve(GitSource(server.url()), Credentials(ca=authority.ca, **credentials))
    assert set(other.seen) <= {None}
    assert server.seen


def test_a_bearer_token_says_that_the_repository_has_moved(
    make_server: Server, authority: Authority, mirrors: Mirrors
) -> None:
    server = make_server()
    server.moved_to = make_server()
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(GitSource(server.url()), Credentials(bearer_token="t0ken", ca=authority.ca))
    assert "use its new URL" in caught.value.hint


def test_the_persons_netrc_is_for_the_person(
    make_server: Server, authority: Authority, trusted: None, mirrors: Mirrors, own_environment: Path
) -> None:
    server = make_server()
    (own_environment / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password netrc\n")
    server.accepted = {basic(USER, "netrc")}
    mirrors.resolve(GitSource(server.url()))
    with pytest.raises(SourceUnreachableError):
        mirrors.resolve(GitSource(server.url()), Credentials(ca=authority.ca))


def test_a_certificate_that_nobody_trusts(make_server: Server, mirrors: Mirrors) -> None:
    with pytest.raises(SourceUnreachableError, match="certificate") as caught:
        mirrors.resolve(GitSource(make_server().url()))
    assert (caught.value.reason, caught.value.temporary) == ("CertificateUntrusted", False)
    assert "ca.crt" in caught.value.hint


def test_a_certificate_that_has_expired(make_server: Server, authority: Authority, mirrors: Mirrors) -> None:
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(GitSource(make_server(expired_certificate=True).url()), _token(authority))
    assert caught.value.reason == "CertificateUntrusted"


def test_a_given_ca_stands_in_place_of_the_others(make_server: Server, trusted: None, mirrors: Mirrors) -> None:
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(GitSource(make_server().url()), _token(Authority()))
    assert caught.value.reason == "CertificateUntrusted"


def test_a_client_certificate(make_server: Server, authority: Authority, mirrors: Mirrors) -> None:
    clients = Authority()
    server = make_server(client_ca=clients.ca)
    server.accepted = None
    certificate, key = clients.issue("client")
    credentials = Credentials(ca=authority.ca, client_certificate=certificate, client_key=key)
    assert mirrors.resolve(GitSource(server.url()), credentials)
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(GitSource(server.url()), Credentials(ca=authority.ca))
    assert "tls.crt" in caught.value.hint or "server is up" in caught.value.hint


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for ssh: writes down how it was called, and runs the other end's command here. The file it writes.

    Beside it are the `identity` and `known_hosts` that it was given, and the `rights` of them and their folder.
    """
    tools = tmp_path / "bin"
    tools.mkdir()
    told = tmp_path / "told"
    script = tools / "ssh"
    script.write_text(f"""#!/bin/sh
for a in "$@"; do
    printf "%s\\n" "$a" >> {told}
    [ "$before" != -i ] || (
        cp "$a" "${{a%/*}}/known_hosts" {tmp_path}
        stat -c "%a %F" "$a" "${{a%/*}}/known_hosts" "${{a%/*}}" > {tmp_path}/rights
        cat /proc/[0-9]*/cmdline > {tmp_path}/argv 2> /dev/null
    )
    before=$a
done
exec sh -c "$a"
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return told


def test_a_key_is_the_only_one_that_ssh_offers(origin: Any, ssh: Path, mirrors: Mirrors, tmp_path: Path) -> None:
    credentials = Credentials(ssh_key=_KEY, known_hosts="example.com ssh-ed25519 AAAA\n")
    source = GitSource(f"git@example.com:{origin.bare}", branch="main")
    with mirrors.checked_out(source, mirrors.resolve(source, credentials), credentials) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"
    told = ssh.read_text().splitlines()
    key = Path(told[told.index("-i") + 1])
    assert told[told.index("-F") + 1] == "/dev/null"
    assert {"IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(told)
    assert f'UserKnownHostsFile="{key.parent}/known_hosts"' in told
    assert "git@example.com" in told
    assert (tmp_path / "known_hosts").read_text() == credentials.known_hosts
    given = sshkey.public_line((tmp_path / "identity").read_bytes(), comment="")
    assert given == sshkey.public_line(_KEY.encode(), comment="")
    assert (tmp_path / "rights").read_text().splitlines() == ["600 regular file"] * 2 + ["700 directory"]


@pytest.mark.parametrize("works", [True, False])
def test_no_key_is_left_when_the_call_has_ended(
    origin: Any, ssh: Path, mirrors: Mirrors, cache: Path, tmp_path: Path, *, works: bool
) -> None:
    source = GitSource(f"git@example.com:{origin.bare if works else '/nowhere'}")
    try:
        mirrors.resolve(source, Credentials(ssh_key=_KEY))
    except SourceUnreachableError:
        assert not works
    told = ssh.read_text().splitlines()
    key = Path(told[told.index("-i") + 1])
    assert not key.parent.exists()
    assert b"PRIVATE KEY" in (tmp_path / "identity").read_bytes(), "the test shows nothing"
    body = (tmp_path / "identity").read_text().splitlines()[3].encode()
    assert body not in (tmp_path / "argv").read_bytes()


def test_the_key_lies_in_memory_where_there_is_some(
    origin: Any, ssh: Path, mirrors: Mirrors, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = GitSource(f"git@example.com:{origin.bare}")
    mirrors.resolve(source, Credentials(ssh_key=_KEY))
    monkeypatch.setattr(folders, "_MEMORY", Path("/nonexistent"))
    Mirrors(cache).resolve(source, Credentials(ssh_key=_KEY))
    first, second = (line for line in ssh.read_text().splitlines() if line.endswith("/identity"))
    assert first.startswith("/dev/shm/")
    assert second.startswith(str(cache))


_DIE = """
import sys
from pathlib import Path
from pipeline.app import GitSource
from pipeline.source.credentials import Credentials
from pipeline.source.mirror import Mirrors
Mirrors(Path(sys.argv[1])).resolve(GitSource("git@example.com:x"), Credentials(ssh_key=sys.stdin.read()))
"""


def test_the_key_of_a_process_that_was_killed_is_removed_by_the_next(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ssh").write_text(
        '#!/bin/sh\nfor a in "$@"; do case $a in */identity) key=$a ;; esac; done\n'
        f'echo "$$ $key" > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/told\nexec sleep 1000\n'
    )
    (tools / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    process = subprocess.Popen(
        [sys.executable, "-c", _DIE, cache], stdin=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert process.stdin is not None
    with process.stdin as stdin:
        stdin.write(_KEY)
    while not (tmp_path / "told").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    pid, key = (tmp_path / "told").read_text().split()
    try:
        assert Path(key).exists()
        Mirrors(cache)
        assert not Path(key).parent.parent.exists()
    finally:
        os.kill(int(pid), signal.SIGKILL)


def test_no_token_is_in_any_argv_nor_left_in_a_file(
    make_server: Server, authority: Authority, mirrors: Mirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(folders, "_MEMORY", tmp_path)
    server = make_server()
    server.accepted = {"Bearer b3arer", basic("u5er", "pa55word")}
    argvs: set[bytes] = set()
    server.on_request = lambda: argvs.update(_argvs())
    for credentials in (
        Credentials(bearer_token="b3arer", ca=authority.ca),
        Credentials(username="u5er", password="pa55word", ca=authority.ca),
    ):
        source = GitSource(server.url(), branch="main")
        with mirrors.checked_out(source, mirrors.resolve(source, credentials), credentials):
            pass
    assert any(b"remote-https" in argv for argv in argvs), "the test shows nothing"
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (b"b3arer", b"u5er", b"pa55word"):
        assert not any(secret in argv for argv in argvs)
        assert not any(secret in content for content in kept)


def _argvs() -> list[bytes]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


def test_without_a_key_ssh_does_as_for_the_person(origin: Any, ssh: Path, mirrors: Mirrors) -> None:
    mirrors.resolve(GitSource(f"ssh://git@example.com:2222{origin.bare}"))
    told = ssh.read_text().splitlines()
    assert not {"-i", "-F", "IdentitiesOnly=yes"} & set(told)
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(told)
    assert told[told.index("-p") + 1] == "2222"


def test_other_credentials_have_a_mirror_of_their_own(origin: Any, ssh: Path, mirrors: Mirrors) -> None:
    source = GitSource(f"git@example.com:{origin.bare}")
    mine, yours = Credentials(ssh_key=_KEY), Credentials(ssh_key=_OTHER_KEY)
    commit = mirrors.resolve(source, mine)
    with mirrors.checked_out(source, commit, mine):
        pass
    origin.bare.rename(origin.bare.with_name("gone.git"))
    with mirrors.checked_out(source, commit, mine):
        pass
    for other in (yours, None):
        with pytest.raises(SourceUnreachableError), mirrors.checked_out(source, commit, other):
            pass


def test_credentials_are_values() -> None:
    one, same = (Credentials(username="user", password="secret") for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    assert one.digest == same.digest
    others = [Credentials(password="secret", username=name) for name in ("", "other")]
    assert len({one.digest, *(other.digest for other in others), Credentials().digest}) == 4


def test_no_content_is_shown() -> None:
    credentials = Credentials(
        ssh_key="hidden", passphrase="hidden", username="hidden", password="hidden", bearer_token="hidden"
    )
    assert "hidden" not in repr(credentials)


@pytest.mark.parametrize("secret", ["a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("name", ["username", "password", "bearer_token"])
def test_a_line_break_is_refused_unseen(name: str, secret: str) -> None:
    with pytest.raises(SourceError) as caught:
        Credentials(**{name: secret})
    assert secret not in str(caught.value)
    assert caught.value.reason == "SecretInvalid"
