"""Which URLs an App allows its render to read: `allowRemote`, compared by scheme, host, port and parts of the path."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from pipeline.errors import InputError
from pipeline.location import redacted

_URL = re.compile(
    r"(?P<scheme>https?|ssh|oci|file)://(?:(?P<user>[^/@]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^/:@]*)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^?#]*)?"
)
_SCP = re.compile(r"(?P<user>[^/@:]+)@(?P<host>[^/:@]+):(?P<path>[^?#]*)")
_PORTS = {"https": "443", "http": "80", "ssh": "22", "oci": "443", "file": ""}
_HINT = "write the beginning of a URL: https://host/path, ssh://git@host/path, git@host:path or oci://host/path"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a URL leads, in one way of writing: `oci` is a scheme of its own, so that a registry is no repository."""

    scheme: str
    host: str
    port: str
    parts: tuple[str, ...]

    @property
    def server(self) -> tuple[str, str, str]:
        """Scheme, host and port: who gets credentials that were given for it."""
        return self.scheme, self.host, self.port

    def is_below(self, prefix: "Location") -> bool:
        """Whether it is the prefix or lies below it."""
        return self.server == prefix.server and self.parts[: len(prefix.parts)] == prefix.parts


def location(url: str) -> Location:
    """The URL in one way of writing, without a `.git` at its end.

    Raises InputError, without credentials in it, for one that may mean several places or carries any.
    """
    found = _URL.fullmatch(url) or _SCP.fullmatch(url)
    if found is None or (found.groupdict().get("scheme") != "file") != bool(found["host"]):
        raise _refused(url, "is of no form that is allowed")
    scheme = found.groupdict().get("scheme") or "ssh"
    if ":" in (found["user"] or "") or (found["user"] and scheme != "ssh"):
        raise _refused(url, "carries credentials")
    parts = tuple(map(unquote, filter(None, (found["path"] or "").split("/"))))
    if any(part in (".", "..") or re.search(r"[/\\\x00-\x1f\x7f%]", part) for part in parts):
        raise _refused(url, "has a path that may mean several places")
    port = found.groupdict().get("port") or _PORTS[scheme]
    if parts:
        parts = (*parts[:-1], parts[-1].removesuffix(".git") or parts[-1])
    return Location(scheme, found["host"].lower(), port.lstrip("0"), parts)


def is_allowed(url: str, prefixes: Iterable[str]) -> bool:
    """Whether one of the prefixes is the beginning of this URL. Raises as `location`, for either."""
    there = location(url)
    return any(there.is_below(location(prefix)) for prefix in prefixes)


def _refused(url: str, why: str) -> InputError:
    return InputError(f"the URL {redacted(url)!r} {why}", hint=_HINT)
