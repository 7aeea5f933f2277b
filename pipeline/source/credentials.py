"""Credentials: what opens a repository, as a value. How git gets them: handover; where they come from: secrets."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field, fields

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.errors import SourceError
from pipeline.source import sshkey
from pipeline.source.reasons import with_reason


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens a repository, all of it content, none of it shown by `repr`.

    ssh URLs: `ssh_key` (a private key in any form that `sshkey.opened` takes), its `passphrase`, and `known_hosts`,
    lines that say which servers are trusted. Without `ssh_key` ssh does as for the person who started us: agent, keys
    and configuration of the home folder; without `known_hosts` too, it trusts the servers that the person trusts.

    https URLs: `username` and `password` (a token), or `bearer_token`; `ca`, certificates in PEM that are trusted
    instead of the system's; `client_certificate` and `client_key` in PEM.

    `deploy_key` says that this is the controller's own key, whose public half `trimtab identity` prints: only for
    messages, as is `home`, the controller's namespace. `scope` names whose these are, such as a Secret: its mirrors
    stay the same when a token is renewed.
    """

    ssh_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)
    known_hosts: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)
    client_certificate: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)
    deploy_key: bool = field(default=False, compare=False)
    home: str = field(default=DEFAULT_NAMESPACE, compare=False)
    scope: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Raise SourceError for what neither git's credential protocol nor a header, which go by lines, can carry."""
        for name in ("username", "password", "bearer_token"):
            if re.search(r"[\x00\r\n]", getattr(self, name)):
                raise with_reason(
                    SourceError(f"the {name.replace('_', ' ')} holds a line break", hint="store it as one line"),
                    "SecretInvalid",
                )

    @property
    def personal(self) -> bool:
        """Whether nothing is given: git and ssh do as for the person who started us."""
        return self == Credentials()

    @property
    def identity_command(self) -> str:
        """The command that prints the public half of the controller's own key."""
        return "trimtab identity" + (f" -n {self.home}" if self.home != DEFAULT_NAMESPACE else "")

    @property
    def digest(self) -> str:
        """A hash of all content: what one credential may read, another may not."""
        content = [getattr(self, part.name) for part in fields(self) if part.compare]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def hidden_in(self, text: str) -> str:
        """The text without password and token: a server may say again what it was sent."""
        pair = base64.b64encode(f"{self.username or 'git'}:{self.password}".encode()).decode()
        for secret in (self.password and pair, self.password, self.bearer_token):
            text = text.replace(secret, "***") if secret else text
        return text

    @property
    def key_fingerprint(self) -> str:
        """The fingerprint of the SSH key; it is no secret. Raises as `sshkey.opened`."""
        return sshkey.fingerprint(
            sshkey.public_line(self.ssh_key.encode(), comment="", passphrase=self.passphrase),
        )
