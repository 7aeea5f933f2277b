"""Hands credentials to git and ssh for the time of one call: by private files and the environment, never by argv."""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.location import transport_of
from pipeline.source import sshkey
from pipeline.source.credentials import Credentials
from pipeline.source.folders import Folders

#: A credential helper of git. Its value stands in the environment only, and it answers for one host only.
_HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$TRIMTAB_USER" "$TRIMTAB_PASSWORD"; }; f'
_SSH = (
    "ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 -o ServerAliveInterval=15"
    " -o ServerAliveCountMax=2 -o ClearAllForwardings=yes -o ForwardAgent=no -o PermitLocalCommand=no"
)
_AUTHORITY = re.compile(r"https://[^/]+")


@contextmanager
def handed_over(credentials: Credentials, url: str, folders: Folders) -> Iterator[Mapping[str, str]]:
    """The variables for a git that talks to this URL (its form was checked), for as long as the context lasts.

    Raises SourceError (SecretInvalid) for a key that cannot be opened, and OSError.
    """
    transport = transport_of(url)
    files = _files(credentials, transport)
    variables = {"GIT_ALLOW_PROTOCOL": transport}
    # In memory where there is some, for this process's user alone; what a crash leaves, the next start removes.
    folder = folders.new(sum(map(len, files.values()))) if files else Path(os.devnull)
    try:
        for name, text in files.items():
            with open(folder / name, "x", opener=_private) as file:
                file.write(text)
        paths = {name: folder / name for name in files}
        if transport == "ssh":
            yield variables | {"GIT_SSH_VARIANT": "ssh", "GIT_SSH_COMMAND": _ssh(paths)}
        else:
            yield variables | _https(credentials, url, paths)
    finally:
        if files:
            folders.remove(folder)


def _files(credentials: Credentials, transport: str) -> dict[str, str]:
    """What programs take from files only, by file name."""
    if transport == "ssh":
        if not credentials.ssh_key:
            return {"known_hosts": credentials.known_hosts} if credentials.known_hosts else {}
        key = sshkey.opened(credentials.ssh_key, credentials.passphrase)
        return {"identity": key, "known_hosts": credentials.known_hosts}
    if transport == "https":
        parts = {"ca": credentials.ca, "cert": credentials.client_certificate, "key": credentials.client_key}
        return {name: text for name, text in parts.items() if text}
    return {}


def _ssh(paths: Mapping[str, Path]) -> str:
    """The ssh command, for the shell that git starts it with."""
    command = _SSH
    if key := paths.get("identity"):
        command += f" -F {os.devnull} -o IdentitiesOnly=yes -o IdentityAgent=none -i {shlex.quote(str(key))}"
    if known_hosts := paths.get("known_hosts"):
        option = shlex.quote(f'UserKnownHostsFile="{known_hosts}"')
        command += f" -o {option} -o GlobalKnownHostsFile={os.devnull}"
    return command


def _https(credentials: Credentials, url: str, paths: Mapping[str, Path]) -> dict[str, str]:
    if credentials.personal or not (authority := _AUTHORITY.match(url)):
        return {}
    # Passwords of the person's own ~/.netrc are for the person.
    variables = {"HOME": os.devnull}
    config = {}
    if credentials.password:
        # git asks the helper for this scheme, host and port only: a redirect elsewhere gets no token.
        config[f"credential.{authority[0]}.helper"] = _HELPER
        variables |= {"TRIMTAB_USER": credentials.username or "git", "TRIMTAB_PASSWORD": credentials.password}
    if credentials.bearer_token:
        # git sends a header along to wherever it is redirected to.
        config["http.followRedirects"] = "false"
        config[f"http.{authority[0]}.extraHeader"] = f"Authorization: Bearer {credentials.bearer_token}"
    for name, variable in (("ca", "GIT_SSL_CAINFO"), ("cert", "GIT_SSL_CERT"), ("key", "GIT_SSL_KEY")):
        if name in paths:
            variables[variable] = str(paths[name])
    for number, (key, value) in enumerate(config.items()):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables | {"GIT_CONFIG_COUNT": str(len(config))}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
