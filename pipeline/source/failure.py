"""What git says when it fails, as an error for people: what kind it is, which of its lines matters, what to do."""

import re
import signal

from pipeline.errors import SourceUnreachableError
from pipeline.source.command import GitFailed

_REACH = "check that the server is up and can be reached from here"
#: What tells the cause, in git's, curl's and ssh's words, and what to do. The first that fits is taken.
_CAUSES = {
    r"host key verification failed": "compare the server's key with the one its owner publishes; add it to known_hosts",
    r"permission denied|authentication failed|could not read (username|password)|access denied|error: 40[13]": (
        "check the key or token, and that it may read this repository (an SSH key: add it as a deploy key)"
    ),
    r"dubious ownership": "the repository's folder belongs to another user: give it to the one that runs trimtab",
    r"not found|does not exist|does not appear to be a git repository|not a git repository|no such file": (
        "check the URL; a server may also say so when the credentials do not open the repository"
    ),
    r"could not resolve|name or service not known|unknown host": "check the host's name in the URL, and DNS",
    r"certificate": "the server's certificate is not trusted here: name its CA's file in GIT_SSL_CAINFO",
    r"refused|connect|unreachable|no route|reset|timed out|timeout|too slow": _REACH,
    r"early eof|hung up|closed|terminated|handshake|error: (429|5\d\d)": _REACH,
}
_HINT = "try `git ls-remote` with this URL by hand"
_NO_CAUSE = re.compile(
    r"(?i)^(warning|hint):|could not read from remote repository|correct access rights|repository exists\.$"
)
_LINE_LIMIT = 300


def unreachable(failure: GitFailed, url: str, *, timeout: float) -> SourceUnreachableError:
    """The error for a talk with a remote that failed. `url` has no credentials; `timeout` (seconds) was its limit."""
    if failure.late:
        return SourceUnreachableError(
            f"{url} cannot be reached: no answer within {timeout:g} seconds",
            hint=_REACH,
        )
    if failure.flooded:
        return SourceUnreachableError(f"{url} cannot be used: it lists too many refs", hint="is this the right URL?")
    if failure.code == -signal.SIGKILL:
        return SourceUnreachableError(f"{url} was not read to the end: git was killed", hint="the next try goes on")
    line, hint = _cause(failure.said)
    return SourceUnreachableError(f"{url} cannot be read: {line}", hint=hint)


def last_line(failure: GitFailed) -> str:
    """The line of git's message that says most, fit to be shown."""
    return _cause(failure.said)[0]


def _cause(said: str) -> tuple[str, str]:
    lines = [line for line in map(_clean, said.splitlines()) if line and not _NO_CAUSE.search(line)]
    for pattern, hint in _CAUSES.items():
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                return line, hint
    return (lines[-1] if lines else "git gave no reason"), _HINT


def _clean(line: str) -> str:
    """One line without control characters (a remote may send any), credentials and git's own prefixes."""
    line = re.sub(r"[^\x20-\x7e\xa0-\U0010ffff]+", " ", line).strip()
    line = re.sub(r"://[^/@\s]*@", "://", line)
    line = re.sub(r"^((fatal|error|remote|ssh):\s*)+", "", line, flags=re.IGNORECASE)
    return line if len(line) <= _LINE_LIMIT else f"{line[:_LINE_LIMIT]}…"
