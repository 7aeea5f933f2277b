"""Credentials of a repository, and the environment by which git and ssh get them: never in argv, a URL or a file."""

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import SourceError

#: A credential helper of git. Its value stands in the environment only, and it answers for one host only.
_HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$TRIMTAB_USER" "$TRIMTAB_PASSWORD"; }; f'
_SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 -o ServerAliveInterval=15"
    " -o ServerAliveCountMax=2 -o ClearAllForwardings=yes -o ForwardAgent=no -o PermitLocalCommand=no"
)
_AUTHORITY = re.compile(r"https://[^/]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What opens a repository: an SSH key for ssh URLs, user and password (a token) for https URLs.

    `known_hosts` is the file with the servers' keys. Without `ssh_key` ssh does as for the person who started us:
    agent, keys and configuration in the home folder. The password is in no `repr`.
    """

    ssh_key: Path | None = None
    known_hosts: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Raise SourceError for what git's credential protocol, which goes by lines, cannot carry."""
        if re.search(r"[\x00\r\n]", self.username + self.password):
            raise SourceError("user or password holds a line break", hint="store the token without one at its end")

    def environment(self, url: str) -> Mapping[str, str]:
        """The variables for git when it talks to this URL (its form was checked)."""
        variables = {"GIT_SSH_VARIANT": "ssh", "GIT_SSH_COMMAND": self._ssh()}
        authority = _AUTHORITY.match(url)
        if authority and self.password:
            # git asks the helper for this scheme, host and port only: a redirect elsewhere gets no token.
            variables |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"credential.{authority[0]}.helper",
                "GIT_CONFIG_VALUE_0": _HELPER,
                "TRIMTAB_USER": self.username or "git",
                "TRIMTAB_PASSWORD": self.password,
            }
        return variables

    def _ssh(self) -> str:
        """The ssh command, for the shell that git starts it with."""
        command = _SSH
        if self.ssh_key is not None:
            command += (
                f" -F {os.devnull} -o IdentitiesOnly=yes -o IdentityAgent=none -i {shlex.quote(str(self.ssh_key))}"
            )
        if self.known_hosts is not None:
            file = shlex.quote(f'UserKnownHostsFile="{self.known_hosts}"')
            command += f" -o {file} -o GlobalKnownHostsFile={os.devnull}"
        return command
