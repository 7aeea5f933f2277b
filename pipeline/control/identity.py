"""The deploy key: an SSH key that the controller keeps in a Secret beside it, and that a person may replace."""

import base64
from typing import Any

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.errors import SourceError
from pipeline.inventory.store import SECRETS
from pipeline.source.credentials import Credentials
from pipeline.source.secrets import credentials_of_secret
from pipeline.source.sshkey import generate, public_line

DEPLOY_KEY_SECRET = "trimtab-git-deploy"  # noqa: S105 - a name
#: What the public line says of itself.
_COMMENT = "trimtab"
_MANAGER = "trimtab"
#: A Secret is read for a repository; this is one that needs an SSH key.
_SSH_URL = "ssh://git@localhost/repository"
#: The other names under which a Secret may have the old key, its public half and its passphrase.
_OF_THE_OLD_KEY = ("ssh-privatekey", "sshPrivateKey", "identity.pub", "password")


def read_identity(connection: Connection, namespace: str, name: str) -> bytes | None:
    """The private key in the Secret, as it stands there; None where there is no Secret.

    Raises SourceError (SecretInvalid) for a Secret without a usable key.
    """
    found = _read(connection, namespace, name)
    return found.ssh_key.encode() if found is not None else None


def public_identity(connection: Connection, namespace: str, name: str) -> str | None:
    """The public half of the key in the Secret as one line, or None. Raises as `read_identity`."""
    found = _read(connection, namespace, name)
    if found is None:
        return None
    return public_line(found.ssh_key.encode(), comment=_COMMENT, passphrase=found.passphrase)


def ensure_identity(connection: Connection, namespace: str, name: str, kind: str) -> bytes:
    """The private key in the Secret; where there is no Secret it is made, with a new key of this kind.

    Raises as `read_identity`, and InputError for a kind that is not known.
    """
    while (found := read_identity(connection, namespace, name)) is None:
        private = generate(kind, comment=_COMMENT)
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": "trimtab"}},
            "type": "Opaque",
            "data": _data(private),
        }
        try:
            objects.create(connection, SECRETS, namespace, body, manager=_MANAGER)
        except ApiError as error:
            if error.status != 409:
                raise
            continue  # Somebody was faster: what is there counts.
        return private
    return found


def replace_identity(connection: Connection, namespace: str, name: str, kind: str) -> bytes:
    """A new key of this kind in the Secret, which is made where it is missing. Returns the private key.

    Raises InputError for a kind that is not known.
    """
    if objects.get_metadata(connection, SECRETS, namespace, name) is None:
        return ensure_identity(connection, namespace, name, kind)
    private = generate(kind, comment=_COMMENT)
    patch = {"data": {**dict.fromkeys(_OF_THE_OLD_KEY), **_data(private)}}
    objects.merge_patch(connection, SECRETS, namespace, name, patch, manager=_MANAGER)
    return private


def _read(connection: Connection, namespace: str, name: str) -> Credentials | None:
    found = objects.get(connection, SECRETS, namespace, name)
    if found is None:
        return None
    data = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    try:
        return credentials_of_secret(data, url=_SSH_URL, known_hosts="", deploy_key=True)
    except SourceError as error:
        error.where = f"Secret {namespace}/{name}"
        raise


def _data(private: bytes) -> dict[str, str]:
    return {"identity": base64.b64encode(private).decode()}
