"""Where a chart may lie: which URLs are asked at all, and what a registry's reference says. Pure text."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipeline.errors import SourceError
from pipeline.location import redacted

#: distribution.github.io, spec: names of repositories and tags.
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REFERENCE = re.compile(r"oci://([^/@\s]+)/([^:@\s]+)(?::([^:@/\s]+))?(?:@(\S+))?")
#: Docker's hub answers under another name than the one that people write.
_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_LOOPBACK = re.compile(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost|::1")


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine, by its name."""
    return bool(_LOOPBACK.fullmatch(urlsplit(url).hostname or ""))


def is_allowed(url: str) -> bool:
    """Whether the URL may be asked: https, and http on this machine only."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: credentials are for these alone."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def check_allowed(url: str) -> None:
    """Raise SourceError for a URL that `is_allowed` does not hold for."""
    if not is_allowed(url):
        raise SourceError(
            f"the URL {redacted(url)!r} is of no form that is allowed",
            hint="use https://host/path; http is for 127.0.0.1 and localhost only",
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """A chart in a registry. `tag` and `digest` (of the manifest) are empty where the URL has none."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The chart's name, which is the last part of the repository."""
        return self.repository.rpartition("/")[2]

    @property
    def shown(self) -> str:
        """The URL for messages, without tag and digest."""
        return f"oci://{self.host}/{self.repository}"

    @property
    def api(self) -> str:
        """The beginning of the URLs of the registry's API, without the scheme."""
        return f"{_HUB.get(self.host, self.host)}/v2/{self.repository}"


def reference_of(url: str) -> Reference:
    """What an `oci://` URL says. Raises SourceError."""
    found = _REFERENCE.fullmatch(url)
    if found and _REPOSITORY.fullmatch(found[2]) and is_allowed(f"https://{found[1]}"):
        tag, digest = found[3] or "", found[4] or ""
        if _TAG.fullmatch(tag.replace("+", "_") or "_") and (not digest or DIGEST.fullmatch(digest)):
            return Reference(found[1], found[2], tag, digest)
    raise SourceError(
        f"{redacted(url)!r} names no chart in a registry",
        hint="write oci://host/path/NAME in small letters, and the version apart from it",
    )


def tag_of(version: str) -> str:
    """The tag of a version: a tag has no `+`, so helm writes `_`. Empty where no tag can be so."""
    tag = version.replace("+", "_")
    return tag if _TAG.fullmatch(tag) else ""
