"""What git says when it fails, as an error for people: what kind it is, which of its lines matters, what to do."""

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.errors import SourceUnreachableError
from pipeline.location import deploy_keys_page
from pipeline.source.command import GitFailed
from pipeline.source.credentials import Credentials
from pipeline.source.reasons import Reason, with_reason

_REACH = "check that the server is up and can be reached from here"
_NO_CAUSE = re.compile(
    r"(?i)^(warning|hint):|could not read from remote repository|correct access rights|repository exists\.$|^@{5}"
)
_LINE_LIMIT = 300


@dataclass(frozen=True, slots=True)
class _Case:
    """What a hint depends on."""

    url: str
    said: str
    credentials: Credentials

    @property
    def host(self) -> str:
        """Host and port as ssh-keyscan takes them: `example.com`, `-p 2222 example.com`."""
        found = re.match(r"ssh://(?:[^/@]*@)?(\[.*?\]|[^/:]+)(?::(\d+))?|(?:[^/@]*@)?(\[.*?\]|[^/:]+):", self.url)
        host = (found[1] or found[3]).strip("[]") if found else "HOST"
        return f"-p {found[2]} {host}" if found and found[2] else host


@dataclass(frozen=True, slots=True)
class _Cause:
    """`pattern` is in git's, curl's, ssh's or a server's words. `message` stands in place of the line that it fits."""

    pattern: str
    hint: str | Callable[[_Case], str]
    reason: Reason = "SourceUnreachable"
    message: Callable[[_Case], str] | None = None

    @property
    def temporary(self) -> bool:
        """Whether the same question may be answered soon."""
        return self.reason == "SourceUnreachable"


def unreachable(
    failure: GitFailed, url: str, *, timeout: float, credentials: Credentials | None = None
) -> SourceUnreachableError:
    """The error for a talk with a remote that failed. `url` has no credentials; `timeout` (seconds) was its limit."""
    if failure.late:
        error = SourceUnreachableError(f"{url} cannot be reached: no answer within {timeout:g} seconds", hint=_REACH)
    elif failure.flooded:
        error = SourceUnreachableError(f"{url} cannot be used: it lists too many refs", hint="is this the right URL?")
    elif failure.code == -signal.SIGKILL:
        error = SourceUnreachableError(f"{url} was not read to the end: git was killed", hint="the next try goes on")
    else:
        line, cause = _cause(failure.said)
        case = _Case(url, failure.said, credentials or Credentials())
        said = cause.message(case) if cause.message else line
        hint = cause.hint if isinstance(cause.hint, str) else cause.hint(case)
        error = SourceUnreachableError(f"{url} cannot be read: {said}", hint=hint)
        with_reason(error, cause.reason, temporary=cause.temporary)
    # For who debugs: all that git said.
    error.__cause__ = failure
    return error


def last_line(failure: GitFailed) -> str:
    """The line of git's message that says most, fit to be shown."""
    return _cause(failure.said)[0]


def _refused(case: _Case) -> str:
    """What to do when a server does not accept who we are."""
    given = case.credentials
    if given.deploy_key and given.ssh_key:
        return (
            f"add the key that `{given.identity_command}` prints as a deploy key of the repository (it need only read)"
            f"{_page(case)}; offered was {given.key_fingerprint}, so it is another one there, or was taken off"
        )
    if given.ssh_key:
        return (
            f"the server does not know the key {given.key_fingerprint}, or does not let it read this repository: add "
            "its public half as a deploy key, or put the right private key into the Secret"
        )
    if given.bearer_token:
        return "the bearer token is wrong, has expired, or may not read this repository: put a new one into the Secret"
    if given.password:
        return (
            "user, password or token is wrong, has expired, or may not read this repository: put a new token into the "
            "Secret"
        )
    if case.url.startswith("https:"):
        return (
            "check the key or token: a Secret with username and password, which source.secretRef names; a server may "
            "also ask for one when there is no such repository"
        )
    return "check the key or token, and that it may read this repository (an SSH key: add it as a deploy key)"


def _not_there(case: _Case) -> str:
    hint = "check the URL; a server may also say so when the credentials do not open the repository"
    if not case.credentials.deploy_key:
        return hint
    return f"{hint}: add the key of `{case.credentials.identity_command}` as a deploy key{_page(case)}"


def _page(case: _Case) -> str:
    page = deploy_keys_page(case.url)
    return f" at {page}" if page else ""


def _known_hosts(case: _Case) -> str:
    """Where a host key is to be added, or replaced."""
    if not case.credentials.ssh_key:
        return "~/.ssh/known_hosts"
    return f"ConfigMap trimtab-known-hosts in namespace {case.credentials.home}, or known_hosts in the App's Secret"


def _unknown_host(case: _Case) -> str:
    compare = (
        f"run `ssh-keyscan {case.host} > known_hosts`, and compare `ssh-keygen -lf known_hosts` with the fingerprint "
        "that the host publishes; then "
    )
    if not case.credentials.ssh_key:
        return f"{compare}add it to ~/.ssh/known_hosts"
    return (
        f"{compare}`kubectl create configmap trimtab-known-hosts -n {DEFAULT_NAMESPACE} --from-file=known_hosts`, "
        "or put it into the App's Secret as known_hosts"
    )


def _changed_host(case: _Case) -> str:
    return (
        "somebody may be listening in, or the host has a new key: ask who runs it; only if it is new, replace the old "
        f"one in {_known_hosts(case)}"
    )


def _shown_key(case: _Case) -> str:
    found = re.search(r"SHA256:[A-Za-z0-9+/]{43}", case.said)
    return f" (it is now {found[0]})" if found else ""


#: The first pattern that fits one of the lines is taken.
_CAUSES = (
    _Cause(r"ssh: (command )?not found|cannot run ssh", "install an OpenSSH client"),
    _Cause(r"no user exists for uid", "ssh needs an entry for this user in /etc/passwd"),
    _Cause(
        r"identification has changed|host key for .* has changed|revoked host key", _changed_host, "HostKeyChanged",
        lambda case: f"the host key of {case.host.split()[-1]} has changed{_shown_key(case)}",
    ),
    _Cause(
        r"host key is known for|host key verification failed|authenticity of host", _unknown_host, "HostKeyUnknown",
        lambda case: f"the host key of {case.host.split()[-1]} is not known",
    ),
    _Cause(
        r"unable to negotiate|no matching (host key|key exchange|cipher)",
        "the server speaks only what ssh holds to be unsafe by now: update it, or use an https URL",
    ),
    _Cause(
        r"password authentication (was removed|is not supported)",
        "the server takes tokens, not the account's password: put a token into the Secret as password",
        "AuthenticationFailed",
    ),
    _Cause(
        r"SAML|single sign-on",
        "authorize the key or token for the organization's single sign-on, at the host",
        "AuthenticationFailed",
    ),
    _Cause(
        r"certificate (is )?required|bad certificate",
        "the server asks for a certificate of ours: give tls.crt and tls.key in the Secret",
        "AuthenticationFailed",
    ),
    _Cause(
        r"certificate",
        "the server's certificate is not trusted here: give its CA as ca.crt in the App's Secret (or in a file that "
        "GIT_SSL_CAINFO names); if it has expired, or is for another name, that is the server's to mend",
        "CertificateUntrusted",
    ),
    _Cause(
        r"permission denied|authentication fail|could not read (username|password)|access (is )?denied|error: 40[13]"
        r"|invalid username or|deploy key.*not (allowed|have|authorized)|not allowed to|unauthorized|forbidden",
        _refused,
        "AuthenticationFailed",
    ),
    _Cause(
        r"dubious ownership", "the repository's folder belongs to another user: give it to the one that runs trimtab"
    ),
    _Cause(
        r"not found|could not be found|does(n't| not) exist|does not appear to be a git repository"
        r"|not a git repository|no such file",
        _not_there,
        "RepositoryNotFound",
    ),
    _Cause(r"could not resolve|name or service not known|unknown host", "check the host's name in the URL, and DNS"),
    _Cause(
        r"error: 30[1278]|redirect",
        "the repository has moved: use its new URL (a bearer token is sent nowhere else)",
        "RepositoryNotFound",
    ),
    _Cause(r"refused|connect|unreachable|no route|reset|timed out|timeout|too slow", _REACH),
    _Cause(
        r"fatal alert|alert handshake",
        "the server ended the TLS connection; if it asks for a certificate of ours: give tls.crt and tls.key in the "
        "Secret",
    ),
    _Cause(r"early eof|hung up|closed|terminated|handshake|error: (429|5\d\d)", _REACH),
)  # fmt: skip
_UNKNOWN = _Cause("", "try `git ls-remote` with this URL by hand")


def _cause(said: str) -> tuple[str, _Cause]:
    lines = [line for line in map(_clean, said.splitlines()) if line and not _NO_CAUSE.search(line)]
    for cause in _CAUSES:
        for line in lines:
            if re.search(cause.pattern, line, re.IGNORECASE):
                return line, cause
    return (lines[-1] if lines else "git gave no reason"), _UNKNOWN


def _clean(line: str) -> str:
    """One line without control characters (a remote may send any), credentials and git's own prefixes."""
    line = re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]+", " ", line).strip()
    line = re.sub(r"://[^/@\s]*@", "://", line)
    line = re.sub(r"^((fatal|error|remote|ssh):\s*)+", "", line, flags=re.IGNORECASE)
    return line if len(line) <= _LINE_LIMIT else f"{line[:_LINE_LIMIT]}…"
