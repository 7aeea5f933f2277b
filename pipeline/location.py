"""What may name a place in git, or a chart: the form of URLs, refs, commit ids, names and paths. Pure text.

All of these come from people and from repositories, and git reads more into them than a name: options, helper
programs, credentials. So each is matched as a whole against what is allowed.
"""

import posixpath
import re
from typing import Any

from pipeline.errors import SourceError

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_USER = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
_PORT = r"(?::[0-9]{1,5})?"
_PATH = r"[^\s\x00-\x1f\x7f?#]+"
_URLS = {
    # No credentials before the host, and a path that no remote shell takes for an option.
    "https": re.compile(rf"https://{_HOST}{_PORT}/{_PATH}"),
    "ssh": re.compile(rf"ssh://(?:{_USER}@)?{_HOST}{_PORT}/{_PATH}|{_USER}@{_HOST}:(?![-:]){_PATH}"),
    "file": re.compile(r"(?:file://)?/[^\x00-\x1f\x7f]+"),
}
_FORMS = "use https://host/path, ssh://git@host/path, git@host:path, file:///path or an absolute path"
_CHART_URL = re.compile(rf"(https?|oci)://{_HOST}{_PORT}(?:/(?:{_PATH})?)?")
_CHART_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHORT = 12
#: Generous, for what is shown: a password that somebody forgot to escape may hold a slash.
_USERINFO = re.compile(r"^(\w[\w+.-]*://)(?:[^/]*|[^/@]*:(?![0-9]*(?:/|$)).*)@|^[^/@:]+:[^/]*@", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: git-check-ref-format(1), and a leading dash, which git-branch refuses as well.
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/]|[/.]$|(?:^|/)\.|\.lock(?:/|$)|^@$")
#: Sources: the hosts' own pages on deploy keys.
_DEPLOY_KEYS = {
    "github.com": "/settings/keys/new",
    "gitlab.com": "/-/settings/repository#js-deploy-keys-settings",
    "codeberg.org": "/settings/keys",
}
_BAD_PATH = re.compile(r"[\x00-\x1f\x7f]")


def transport_of(url: str) -> str:
    """The transport of a URL: https, ssh or file. Raises SourceError, without credentials in it, for any other form."""
    for transport, form in _URLS.items():
        if form.fullmatch(url):
            return transport
    shown = redacted(url)
    if shown != url:
        raise _credentials_in(shown)
    raise SourceError(f"the URL {shown!r} is of no form that is allowed", hint=_FORMS)


def chart_transport_of(url: str) -> str:
    """The transport of a chart repository's or registry's URL: https, http or oci. Raises SourceError as above."""
    if found := _CHART_URL.fullmatch(url):
        return found[1]
    shown = redacted(url)
    if shown != url:
        raise _credentials_in(shown)
    raise SourceError(
        f"the URL {shown!r} is of no form that is allowed", hint="use https://host/path, or oci://host/path/chart"
    )


def check_chart_name(name: str) -> None:
    """Raise SourceError when no chart can have this name."""
    if not _CHART_NAME.fullmatch(name):
        raise SourceError(
            f"{name!r} is no name of a chart", hint="it has letters, digits, dashes, underscores and dots"
        )


def short(commit: str) -> str:
    """The id of a checkout as people read it: 12 digits of a commit; of a chart's `1.2.7@sha256:…` the version."""
    version, of_a_chart, _ = commit.partition("@")
    return version if of_a_chart else commit[:_SHORT]


def _credentials_in(shown: str) -> SourceError:
    return SourceError(
        f"the URL {shown!r} carries credentials or a query, which would end up in logs and process lists",
        hint="take them out of the URL: use an SSH key, or give user and token apart from it",
    )


def redacted(url: str) -> str:
    """The URL as it may be shown: without passwords and queries, for http without user names too (tokens stand there).

    A user name alone stays for ssh: `git@` is no secret.
    """
    if not re.match(rf"ssh://{_USER}@[^@]*$", url):
        url = _USERINFO.sub(r"\1", url)
    return re.split(r"[?#]", url, maxsplit=1)[0] if re.match(r"https?:", url) else url


def deploy_keys_page(url: str) -> str:
    """Where a person adds a deploy key to the repository of an ssh URL; empty for a host whose pages are not known."""
    found = re.fullmatch(rf"(?:ssh://)?{_USER}@([A-Za-z0-9.-]+){_PORT}[:/]({_PATH})", url)
    page = _DEPLOY_KEYS.get(found[1].lower(), "") if found else ""
    return f"https://{found[1]}/{found[2].strip('/').removesuffix('.git')}{page}" if found and page else ""


def check_ref(kind: str, name: str) -> None:
    """Raise SourceError when the name of a branch or tag (`kind`) breaks git's rules for ref names."""
    if not name or _BAD_REF.search(name):
        raise SourceError(f"the {kind} {name!r} is no name that git allows", hint=f"write the {kind} as git shows it")
    if name.startswith(("refs/heads/", "refs/tags/")):
        raise SourceError(f"the {kind} {name!r} is a full ref", hint=f"write {name.split('/', 2)[2]}")


def check_range(text: str) -> None:
    """Raise SourceError when this is no range of semantic versions."""
    version_range(text)


def version_range(text: str) -> Any:
    """The range, an npm one (`~1.4`, `^1`, `1.x`, `>=1.2.0 <2.0.0`), which versions of `semantic_version` are `in`.

    Parts may be joined by commas, and operators may stand apart, as in Flux's. Raises SourceError.
    """
    # Imported here: it takes 80 ms, which only who names a range owes.
    from semantic_version import NpmSpec  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        return NpmSpec(re.sub(r"([<>=^~])\s+|\s*,\s*", lambda found: found[1] or " ", text.strip()))
    except ValueError as e:
        raise SourceError(
            f"{text!r} is no range of versions", hint="write it as npm does: ~1.4, ^1, 1.x or >=1.2.0 <2.0.0"
        ) from e


def check_commit(commit: str) -> None:
    """Raise SourceError when this is no full commit id: git resolves short ones only in a clone."""
    if not _COMMIT.fullmatch(commit):
        raise SourceError(
            f"the commit {commit!r} is no full commit id", hint="write all 40 digits, as `git rev-parse` prints them"
        )


def normal_path(path: str) -> str:
    """A folder inside a repository, as git writes it: no `./`, no `//`, `.` for the repository itself.

    Raises SourceError for an absolute path and for one that leads out.
    """
    normal = posixpath.normpath(path) if path else "."
    if _BAD_PATH.search(path) or normal.startswith("/") or normal.split("/")[0] == "..":
        raise SourceError(
            f"the path {path!r} does not lie in the repository", hint="write it relative to the repository's root"
        )
    return normal
