"""Over a real sshd: keys of all forms open the repository, and each thing that can be wrong has its own message."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from sshd import Sshd

from pipeline.app import GitSource
from pipeline.errors import SourceError, SourceUnreachableError
from pipeline.source import sshkey
from pipeline.source.credentials import Credentials
from pipeline.source.mirror import Mirrors

_KEY = sshkey.generate(comment="trimtab").decode()
_PUBLIC = sshkey.public_line(_KEY.encode(), comment="trimtab")
_OTHER = sshkey.public_line(sshkey.generate(comment="other"), comment="other")


@pytest.fixture
def source(sshd: Sshd) -> GitSource:
    return GitSource(sshd.url("origin.git"), branch="main")


def _credentials(sshd: Sshd, **others: Any) -> Credentials:
    return Credentials(**{"ssh_key": _KEY, "known_hosts": sshd.known_hosts, **others})


def _error(mirrors: Mirrors, source: GitSource, credentials: Credentials) -> SourceUnreachableError:
    with pytest.raises(SourceUnreachableError) as caught:
        mirrors.resolve(source, credentials)
    return caught.value


def test_a_key_that_may_only_read_opens_the_repository(
    sshd: Sshd, origin: Any, mirrors: Mirrors, source: GitSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sshd.allow(_PUBLIC)
    credentials = _credentials(sshd)
    with mirrors.checked_out(source, mirrors.resolve(source, credentials), credentials) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"
    key, known_hosts = tmp_path / "key", tmp_path / "hosts"
    key.write_text(_KEY)
    key.chmod(0o600)
    known_hosts.write_text(sshd.known_hosts)
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F none -i {key} -o UserKnownHostsFile={known_hosts}")
    pushed = subprocess.run(
        ["git", "push", source.url, "HEAD:x"], cwd=origin.work, capture_output=True, text=True, check=False
    )
    assert "marked as read only" in pushed.stderr, "the key may write, and the test shows nothing"


@pytest.mark.parametrize(
    "options",
    [
        ["-t", "ed25519"], ["-t", "rsa", "-b", "2048"], ["-t", "ecdsa", "-b", "521"],
        ["-t", "rsa", "-b", "2048", "-m", "PEM"], ["-t", "rsa", "-b", "2048", "-m", "PKCS8"],
        ["-t", "ecdsa", "-m", "PEM"], ["-t", "ecdsa", "-m", "PKCS8"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("passphrase", ["", "pass phrase ä"])
def test_keys_of_ssh_keygen(
    sshd: Sshd, mirrors: Mirrors, source: GitSource, tmp_path: Path, options: list[str], passphrase: str
) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", *options, "-N", passphrase, "-f", file], check=True)
    sshd.allow(file.with_suffix(".pub").read_text())
    assert mirrors.resolve(source, _credentials(sshd, ssh_key=file.read_text(), passphrase=passphrase))


@pytest.mark.parametrize(
    "mangled",
    [_KEY.rstrip("\n"), _KEY.replace("\n", "\r\n"), f"\n  {_KEY}\n\n", _KEY.replace("\n", "\n    ")],
    ids=["no final line break", "CRLF", "space around", "indented"],
)
def test_a_key_that_ssh_would_not_read(sshd: Sshd, mirrors: Mirrors, source: GitSource, mangled: str) -> None:
    sshd.allow(_PUBLIC)
    assert mirrors.resolve(source, _credentials(sshd, ssh_key=mangled))


@pytest.mark.parametrize(
    ("passphrase", "says", "hint"),
    [
        ("", "the SSH key has a passphrase", "`password`"),
        ("wr0ng", "the passphrase does not open the SSH key", "`password`"),
    ],
)
def test_a_wrong_passphrase(
    sshd: Sshd, mirrors: Mirrors, source: GitSource, tmp_path: Path, passphrase: str, says: str, hint: str
) -> None:
    file = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "right", "-f", file], check=True)
    with pytest.raises(SourceError) as caught:
        mirrors.resolve(source, _credentials(sshd, ssh_key=file.read_text(), passphrase=passphrase))
    assert caught.value.message == says
    assert hint in caught.value.hint
    assert (caught.value.reason, caught.value.temporary) == ("SecretInvalid", False)
    assert "wr0ng" not in str(caught.value)


def test_a_key_that_was_not_added(sshd: Sshd, mirrors: Mirrors, source: GitSource) -> None:
    sshd.allow(_OTHER)
    error = _error(mirrors, source, _credentials(sshd))
    assert "Permission denied (publickey)" in error.message
    assert sshkey.fingerprint(_PUBLIC) in error.hint
    assert "add its public half as a deploy key" in error.hint
    assert (error.reason, error.temporary) == ("AuthenticationFailed", False)


def test_our_own_key_that_was_not_added(sshd: Sshd, mirrors: Mirrors, source: GitSource) -> None:
    error = _error(mirrors, source, _credentials(sshd, deploy_key=True))
    assert "trimtab identity" in error.hint
    assert "deploy key" in error.hint
    assert error.reason == "AuthenticationFailed"


def test_a_key_that_was_revoked(sshd: Sshd, mirrors: Mirrors, source: GitSource) -> None:
    sshd.allow(_PUBLIC)
    commit = mirrors.resolve(source, _credentials(sshd))
    with mirrors.checked_out(source, commit, _credentials(sshd)):
        pass
    sshd.revoke(_PUBLIC)
    error = _error(mirrors, source, _credentials(sshd))
    assert error.reason == "AuthenticationFailed"
    assert "the server does not know the key" in error.hint
    with mirrors.checked_out(source, commit, _credentials(sshd)) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"
    sshd.allow(_PUBLIC)
    assert mirrors.resolve(source, _credentials(sshd)) == commit


@pytest.mark.parametrize("known_hosts", ["", "example.com {key}", "# [127.0.0.1]:{port} {key}"])
def test_a_host_key_that_nobody_knows(sshd: Sshd, mirrors: Mirrors, source: GitSource, known_hosts: str) -> None:
    sshd.allow(_PUBLIC)
    text = known_hosts.format(port=sshd.port, key=_PUBLIC)
    error = _error(mirrors, source, _credentials(sshd, known_hosts=text))
    assert error.message == f"{source.url} cannot be read: the host key of 127.0.0.1 is not known"
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1 > known_hosts" in error.hint
    assert "kubectl create configmap trimtab-known-hosts -n trimtab-system --from-file=known_hosts" in error.hint
    assert (error.reason, error.temporary) == ("HostKeyUnknown", False)


def test_what_the_hint_says_helps(sshd: Sshd, mirrors: Mirrors, source: GitSource) -> None:
    sshd.allow(_PUBLIC)
    scan = ["ssh-keyscan", "-p", str(sshd.port), sshd.host]
    scanned = subprocess.run(scan, capture_output=True, text=True, check=True).stdout
    assert mirrors.resolve(source, _credentials(sshd, known_hosts=scanned))


def test_a_host_key_that_has_changed(sshd: Sshd, mirrors: Mirrors, source: GitSource) -> None:
    sshd.allow(_PUBLIC)
    credentials = _credentials(sshd)
    mirrors.resolve(source, credentials)
    sshd.change_host_key()
    error = _error(mirrors, source, credentials)
    now = sshkey.fingerprint(sshd.known_hosts.split(" ", 1)[1])
    assert error.message == f"{source.url} cannot be read: the host key of 127.0.0.1 has changed (it is now {now})"
    assert "replace the old one in ConfigMap trimtab-known-hosts" in error.hint
    assert (error.reason, error.temporary) == ("HostKeyChanged", False)
    assert mirrors.resolve(source, _credentials(sshd))


def test_a_repository_that_is_not_there(sshd: Sshd, mirrors: Mirrors) -> None:
    sshd.allow(_PUBLIC)
    error = _error(mirrors, GitSource(sshd.url("nope.git")), _credentials(sshd, deploy_key=True))
    assert error.message.endswith("cannot be read: Repository not found.")
    assert "trimtab identity" in error.hint
    assert (error.reason, error.temporary) == ("RepositoryNotFound", False)


def test_a_server_that_is_down(sshd: Sshd, mirrors: Mirrors, source: GitSource) -> None:
    credentials = _credentials(sshd)
    sshd._stop()
    error = _error(mirrors, source, credentials)
    assert (error.reason, error.temporary) == ("SourceUnreachable", True)
