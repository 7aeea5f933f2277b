"""SSH keys as the real ssh-keygen sees them."""

import subprocess
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from pipeline.errors import InputError, SourceError
from pipeline.source import sshkey


def _keygen(*arguments: str | Path) -> str:
    return subprocess.run(["ssh-keygen", *arguments], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("kind", sshkey.KINDS)
def test_a_new_key_is_what_ssh_keygen_reads(tmp_path: Path, kind: str) -> None:
    file, comment = tmp_path / "key", "trimtab@clüster"
    private = sshkey.generate(kind, comment=comment)
    file.write_bytes(private)
    file.chmod(0o600)
    line = sshkey.public_line(private, comment=comment)
    assert line == _keygen("-y", "-f", file)
    bits, fingerprint, *rest = _keygen("-l", "-f", file).split(" ")
    assert fingerprint == sshkey.fingerprint(line)
    assert " ".join(rest[:-1]) == comment
    assert bits == {"ed25519": "256", "rsa": "4096"}.get(kind, kind[-3:])


def test_each_key_is_another() -> None:
    assert sshkey.generate(comment="") != sshkey.generate(comment="")


def test_a_kind_that_is_none() -> None:
    with pytest.raises(InputError, match=r"'dsa' is no kind of SSH key\n.*ed25519, rsa"):
        sshkey.generate("dsa", comment="")


def test_the_public_half_of_a_key_with_a_passphrase(tmp_path: Path) -> None:
    _keygen("-q", "-t", "ed25519", "-N", "secret", "-C", "me", "-f", tmp_path / "key")
    line = sshkey.public_line((tmp_path / "key").read_bytes(), comment="me", passphrase="secret")
    assert line == (tmp_path / "key.pub").read_text().strip()


def test_a_passphrase_that_is_not_needed_is_not_looked_at() -> None:
    key = sshkey.generate(comment="").decode()
    assert "PRIVATE KEY" in sshkey.opened(key, "any")


_PEM = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("", "damaged, or no private key", "-----BEGIN"),
        ("s3cret", "damaged, or no private key", "-----BEGIN"),
        (_PEM.format("czNjcmV0"), "damaged, or no private key", "-----BEGIN"),
        (_PEM.format("MC4CAQAwBQYDK2VuBCIEIGBkEcxbmqhJBVUw6ZrwP5nJPRJsBDQ6OHHxzRyDQXV+"), "not supported", "ed25519"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 s3cret", "is a public key", "without .pub"),
        ("-----BEGIN PUBLIC KEY-----\ns3cret\n-----END PUBLIC KEY-----", "is a public key", "private half"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\ns3cret", "is PuTTY's", "puttygen"),
        ("LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZLS0tLS0K", "in base64 twice", "stringData"),
    ],
)
def test_what_is_no_private_key_is_named(text: str, says: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        sshkey.opened(text)
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.reason == "SecretInvalid"
    assert "s3cret" not in str(caught.value)


def test_a_key_whose_line_breaks_became_spaces_is_still_one() -> None:
    key = sshkey.generate(comment="")
    mended = sshkey.opened(key.decode().replace("\n", " "))
    assert sshkey.public_line(mended.encode(), comment="") == sshkey.public_line(key, comment="")


def test_a_key_that_would_take_for_ever_to_open_is_refused(tmp_path: Path) -> None:
    """Whoever may write a Secret must not be able to hold up everybody's polls."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-a", "16", "-N", "secret", "-f", key], check=True)
    begin, *body, end = key.read_text().strip().splitlines()
    blob = bytearray(b64decode("".join(body)))
    at = bytes(blob).index((16).to_bytes(4, "big"), blob.index(b"bcrypt") + 6 + 8 + 16)
    blob[at : at + 4] = (1 << 31).to_bytes(4, "big")
    coded = b64encode(bytes(blob)).decode()
    hostile = "\n".join((begin, *(coded[n : n + 70] for n in range(0, len(coded), 70)), end, ""))
    with pytest.raises(SourceError, match="too long to open"):
        sshkey.opened(hostile, "secret")
    assert sshkey.opened(key.read_text(), "secret").startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
