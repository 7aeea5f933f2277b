"""The Secrets that people have are taken as they are; what cannot work is named, and no value of it."""

import subprocess
from pathlib import Path

import pytest
from githttp import Authority

from pipeline.errors import SourceError
from pipeline.source import sshkey
from pipeline.source.credentials import Credentials
from pipeline.source.secrets import credentials_of_secret

_SSH = "git@example.com:team/shop.git"
_HTTPS = "https://example.com/team/shop.git"
_KEY = sshkey.generate(comment="me")
_PUBLIC = sshkey.public_line(_KEY, comment="me").encode()
_CA = Authority().ca.encode()
_CERTIFICATE, _CERTIFICATE_KEY = (text.encode() for text in Authority().issue("client"))


def _of(data: dict[str, bytes], url: str, known_hosts: str = "") -> Credentials:
    return credentials_of_secret(data, url=url, known_hosts=known_hosts)


@pytest.mark.parametrize(
    "data",
    [
        {"identity": _KEY},
        {"identity": _KEY, "identity.pub": _PUBLIC, "known_hosts": b""},
        {"sshPrivateKey": _KEY, "url": _SSH.encode(), "type": b"git", "name": b"shop", "insecure": b"false"},
        {"ssh-privatekey": _KEY},
        {"identity": _KEY, "username": b"git", "ca.crt": _CA},
    ],
    ids=["Flux v1", "Flux v2", "Argo CD", "Kubernetes", "with more"],
)
def test_a_secret_with_an_ssh_key(data: dict[str, bytes]) -> None:
    assert _of(data, _SSH) == Credentials(ssh_key=_KEY.decode())


def test_the_known_hosts_of_the_secret_come_first() -> None:
    data = {"identity": _KEY, "known_hosts": b"own ssh-ed25519 AAAA"}
    assert _of(data, _SSH, "given ssh-rsa AAAA\n").known_hosts == "own ssh-ed25519 AAAA\ngiven ssh-rsa AAAA\n"


def test_the_password_of_an_ssh_key_is_its_passphrase(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "key"], check=True)
    data = {"identity": (tmp_path / "key").read_bytes(), "password": b"secret\n"}
    assert _of(data, _SSH).passphrase == "secret"


@pytest.mark.parametrize(
    ("data", "credentials"),
    [
        ({"username": b"me", "password": b"t0ken"}, {"username": "me", "password": "t0ken"}),
        ({"username": b"me\n", "password": b"t0ken\r\n"}, {"username": "me", "password": "t0ken"}),
        ({"password": b"t0ken"}, {"password": "t0ken"}),
        ({"bearerToken": b"t0ken\n"}, {"bearer_token": "t0ken"}),
        ({"ca.crt": _CA}, {"ca": _CA.decode()}),
        ({"caFile": _CA}, {"ca": _CA.decode()}),
        ({"ca.crt": b"", "caFile": _CA}, {"ca": _CA.decode()}),
        ({"type": b"git", "url": _HTTPS.encode(), "project": b"shop"}, {}),
        ({}, {}),
    ],
)
def test_a_secret_for_https(data: dict[str, bytes], credentials: dict[str, str]) -> None:
    assert _of(data, _HTTPS, "example.com ssh-rsa AAAA\n") == Credentials(**credentials)


@pytest.mark.parametrize(
    ("certificate", "key"), [("tls.crt", "tls.key"), ("certFile", "keyFile"), ("tlsClientCertData", "tlsClientCertKey")]
)
def test_a_secret_with_a_client_certificate(certificate: str, key: str) -> None:
    credentials = _of({certificate: _CERTIFICATE, key: _CERTIFICATE_KEY}, _HTTPS)
    assert credentials == Credentials(client_certificate=_CERTIFICATE.decode(), client_key=_CERTIFICATE_KEY.decode())


@pytest.mark.parametrize(
    ("url", "data", "says", "hint"),
    [
        (_SSH, {}, "no SSH key: its keys are none", "identity (or ssh-privatekey or sshPrivateKey)"),
        (_SSH, {"username": b"u", "password": b"p"}, "its keys are password, username", "use an https URL"),
        (_SSH, {"identity": b" \n"}, "no SSH key: its keys are identity", "private key as identity"),
        (_SSH, {"identity": _PUBLIC}, "is a public key", "without .pub"),
        (_SSH, {"identity": b"\xff\xfe"}, "identity is no text", "encoded"),
        (_SSH, {"identity": b"s3cret"}, "no private key", "BEGIN"),
        (_SSH, {"identity": _KEY, "password": b"a\nb"}, "password holds a line break", "one line"),
        (_HTTPS, {"identity": _KEY}, "nothing that opens https URLs: its keys are identity", "needs an ssh URL"),
        (_HTTPS, {"token": b"s3cret"}, "its keys are token", "username and password"),
        (_HTTPS, {"username": b"s3cret"}, "a username and no password", "as password"),
        (_HTTPS, {"password": b"s3\ncret"}, "password holds a line break", "one line"),
        (_HTTPS, {"bearerToken": b"s3\rcret"}, "bearerToken holds a line break", "one line"),
        (_HTTPS, {"password": b"s3cret", "bearerToken": b"s3cret"}, "password and bearerToken", "keep the one"),
        (_HTTPS, {"tls.crt": _CERTIFICATE}, "tls.crt without tls.key", "needs its key"),
        (_HTTPS, {"keyFile": _CERTIFICATE_KEY}, "keyFile without certFile", "needs its key"),
        (_HTTPS, {"ca.crt": b"s3cret"}, "ca.crt holds no certificate", "BEGIN CERTIFICATE"),
        (_HTTPS, {"password": b"p", "insecure": b"true"}, "insecure is not supported", "ca.crt"),
        (_SSH, {"identity": _KEY, "insecureIgnoreHostKey": b"true"}, "insecureIgnoreHostKey", "known_hosts"),
        (_HTTPS, {"password": b"p", "proxy": b"http://p"}, "proxy is not supported", "HTTPS_PROXY"),
        (_HTTPS, {"githubAppID": b"1", "githubAppPrivateKey": _KEY}, "a GitHub App", "deploy key"),
    ],
)
def test_a_secret_that_cannot_work(url: str, data: dict[str, bytes], says: str, hint: str) -> None:
    with pytest.raises(SourceError) as caught:
        _of(data, url)
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert (caught.value.reason, caught.value.temporary) == ("SecretInvalid", False)
    assert "s3" not in str(caught.value)


def test_our_own_key_serves_public_repositories_too() -> None:
    data = {"identity": _KEY}
    assert credentials_of_secret(data, url=_HTTPS, known_hosts="", deploy_key=True).personal
    assert credentials_of_secret(data, url=_SSH, known_hosts="", deploy_key=True).deploy_key
