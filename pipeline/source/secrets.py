"""What a Secret says of a repository: the shapes of Flux, Argo CD and Kubernetes itself, read as they are. Pure.

Sources of the shapes: Flux v1's deploy key and v2's GitRepository (fluxcd.io/flux/components/source/gitrepositories),
Argo CD's repository Secrets (argo-cd.readthedocs.io, Declarative setup), the types kubernetes.io/ssh-auth, basic-auth
and tls (kubernetes.io/docs/concepts/configuration/secret).
"""

from collections.abc import Mapping

from pipeline.errors import SourceError
from pipeline.location import transport_of
from pipeline.source import sshkey
from pipeline.source.credentials import Credentials
from pipeline.source.reasons import with_reason

_SSH_KEY = ("identity", "ssh-privatekey", "sshPrivateKey")
_CA = ("ca.crt", "caFile")
_CERTIFICATE = ("tls.crt", "certFile", "tlsClientCertData")
_CERTIFICATE_KEY = ("tls.key", "keyFile", "tlsClientCertKey")
_HTTPS = ("username", "password", "bearerToken", *_CA, *_CERTIFICATE, *_CERTIFICATE_KEY)
#: Argo CD's, which say nothing of who may read.
_BESIDE = {"url", "type", "name", "project", "enableLfs", "forceHttpBasicAuth", "depth", "identity.pub", "known_hosts"}
#: What is asked for there, and what does the same here.
_REFUSED = {
    "insecure": "give the server's CA as ca.crt",
    "insecureIgnoreHostKey": "give the server's host key as known_hosts",
    "proxy": "set HTTPS_PROXY for the controller",
    "gcpServiceAccountKey": "give username and password (a token)",
    "useAzureWorkloadIdentity": "give username and password (a token)",
}
_APP = "make a deploy key (`trimtab identity` prints one), or give a token that may only read as username and password"


def credentials_of_secret(
    data: Mapping[str, bytes], *, url: str, known_hosts: str, deploy_key: bool = False
) -> Credentials:
    """What the Secret's data (decoded from base64) means for the repository at this URL.

    `known_hosts` are lines that hold besides the Secret's own. `deploy_key`: the Secret is the controller's own key,
    which also serves repositories that need none. An SSH key is opened, so that a wrong one is told here.

    Raises SourceError (SecretInvalid), which names keys of the Secret and no value.
    """
    transport = transport_of(url)
    for key, instead in _REFUSED.items():
        if _text(data, key).lower() not in {"", "false"}:
            raise _invalid(f"the Secret's key {key} is not supported", instead)
    if any(key.startswith("githubApp") for key in data):
        raise _invalid("the Secret is of a GitHub App, which is not supported", _APP)
    if transport == "ssh":
        return _ssh(data, known_hosts, deploy_key=deploy_key)
    credentials = _https(data)
    if credentials.personal and not deploy_key and set(data) - _BESIDE:
        raise _invalid(
            f"the Secret has nothing that opens {transport} URLs: its keys are {_names(data)}",
            "give username and password (a token), bearerToken or ca.crt; an SSH key needs an ssh URL",
        )
    return credentials


def _ssh(data: Mapping[str, bytes], known_hosts: str, *, deploy_key: bool) -> Credentials:
    key = _first(data, _SSH_KEY)
    if not key:
        raise _invalid(
            f"the Secret has no SSH key: its keys are {_names(data)}",
            f"give a private key as {_SSH_KEY[0]} (or {' or '.join(_SSH_KEY[1:])}), or use an https URL",
        )
    passphrase = _line(data, "password")
    sshkey.opened(key, passphrase)
    lines = (*_text(data, "known_hosts").splitlines(), *known_hosts.splitlines())
    return Credentials(
        ssh_key=key, passphrase=passphrase, known_hosts="".join(f"{line}\n" for line in lines), deploy_key=deploy_key
    )


def _https(data: Mapping[str, bytes]) -> Credentials:
    username, password, bearer_token = (_line(data, key) for key in ("username", "password", "bearerToken"))
    if username and not password:
        raise _invalid("the Secret has a username and no password", "give the password or token as password")
    if password and bearer_token:
        raise _invalid("the Secret has password and bearerToken", "keep the one that the server takes")
    certificate, key = _first(data, _CERTIFICATE), _first(data, _CERTIFICATE_KEY)
    if bool(certificate) != bool(key):
        there, missing = (_CERTIFICATE, _CERTIFICATE_KEY) if certificate else (_CERTIFICATE_KEY, _CERTIFICATE)
        raise _invalid(
            f"the Secret has {_present(data, there)} without {missing[there.index(_present(data, there))]}",
            "a client certificate needs its key",
        )
    ca = _first(data, _CA)
    for name, text in ((_present(data, _CA), ca), (_present(data, _CERTIFICATE), certificate)):
        _check_certificates(name, text)
    return Credentials(
        username=username if password else "",
        password=password,
        bearer_token=bearer_token,
        ca=ca,
        client_certificate=certificate,
        client_key=key,
    )


def _check_certificates(name: str, text: str) -> None:
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - see sshkey

    if not text:
        return
    try:
        load_pem_x509_certificates(text.encode())
    except ValueError as e:
        raise _invalid(
            f"the Secret's key {name} holds no certificate",
            "give one or more in PEM: each begins with -----BEGIN CERTIFICATE-----",
        ) from e


def _present(data: Mapping[str, bytes], keys: tuple[str, ...]) -> str:
    """The first of the keys that has a value; empty where none has."""
    return next((key for key in keys if _text(data, key).strip()), "")


def _first(data: Mapping[str, bytes], keys: tuple[str, ...]) -> str:
    return _text(data, _present(data, keys))


def _line(data: Mapping[str, bytes], key: str) -> str:
    """A value of one line, without the line break at its end that `echo` leaves."""
    value = _text(data, key).rstrip("\r\n")
    if any(character in value for character in "\r\n\0"):
        raise _invalid(f"the Secret's key {key} holds a line break", "store it as one line")
    return value


def _text(data: Mapping[str, bytes], key: str) -> str:
    try:
        return data.get(key, b"").decode()
    except UnicodeDecodeError as e:
        raise _invalid(f"the Secret's key {key} is no text", "check how it was encoded") from e


def _names(data: Mapping[str, bytes]) -> str:
    return ", ".join(sorted(data)) or "none"


def _invalid(message: str, hint: str) -> SourceError:
    return with_reason(SourceError(message, hint=hint), "SecretInvalid")
