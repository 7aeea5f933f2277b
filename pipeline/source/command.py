"""Runs git's own command line: limited, and walled off from everybody's configuration. The only import of `git`."""

import atexit
import os
import shutil
import signal
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from pipeline.errors import InputError

#: Bytes of standard output; more is no answer to anything that is asked here.
OUTPUT_LIMIT = 64 << 20
_STDERR_LIMIT = 64 << 10

_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_ALLOW_PROTOCOL": "",
}
#: What the operator may say about this machine's git. Every other GIT_* variable is taken out: a hook sets many.
_KEPT = ("GIT_EXEC_PATH", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_PYTHON_REFRESH")
_OPTIONS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.symlinks": "true",
    "core.attributesFile": os.devnull,
    # A pack is moved into place when it is whole. Loose objects appear one by one, and a kill would leave a part.
    "fetch.unpackLimit": "1",
    # Slower than a byte a second for half a minute: nobody is there. Ends git also when we are no longer here to.
    "http.lowSpeedLimit": "1",
    "http.lowSpeedTime": "30",
}

_running: set[int] = set()


class GitFailed(Exception):  # noqa: N818 - an event inside this room; it leaves the room as a TrimtabError
    """git did not end well. `said` is its standard error; `late`: our clock ended it; `flooded`: its output did."""

    def __init__(self, code: int, said: str, *, late: bool = False, flooded: bool = False) -> None:
        super().__init__(f"git ended with {code}: {said}")
        self.code = code
        self.said = said
        self.late = late
        self.flooded = flooded

    def saying(self, said: str) -> "GitFailed":
        """The same failure in other words."""
        return GitFailed(self.code, said, late=self.late, flooded=self.flooded)

    @property
    def killed(self) -> bool:
        """Whether git was ended from outside: that says nothing of the repository."""
        return self.late or self.code == -signal.SIGKILL


def run_git(
    *arguments: str | Path,
    git_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 300.0,
    keep_open: int | None = None,
) -> bytes:
    """Run git to its end and answer its standard output.

    Without `git_dir` it works in no repository at all. `timeout` is in seconds; then git is killed with all that it
    started. `keep_open` is a file descriptor that git holds as long as it lives: a lock that outlives us with it.

    Raises GitFailed, and InputError when there is no git.
    """
    handle = _start([str(argument) for argument in arguments], git_dir, environment or {}, keep_open)
    process = handle.proc
    late = threading.Event()

    def expire() -> None:
        late.set()
        _kill(process.pid)

    clock = threading.Timer(timeout, expire)
    clock.daemon = True
    complaint: list[bytes] = []
    listener = threading.Thread(target=lambda: complaint.append(_read(process.stderr, _STDERR_LIMIT)), daemon=True)
    _running.add(process.pid)
    try:
        clock.start()
        listener.start()
        output = _read(process.stdout, OUTPUT_LIMIT + 1, group=process.pid)
        listener.join()
        # Not reaped yet: until the group is killed its number must belong to nobody else.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    finally:
        _kill(process.pid)
        clock.cancel()
        if clock.is_alive():
            clock.join()
        _running.discard(process.pid)
        code = process.wait()
        process.stdout.close()
        process.stderr.close()
    flooded = len(output) > OUTPUT_LIMIT
    if code or late.is_set() or flooded:
        raise GitFailed(code, b"".join(complaint).decode(errors="replace"), late=late.is_set(), flooded=flooded)
    return output


@atexit.register
def kill_running() -> None:
    """Kill every git that runs now, so that who is asked to stop need not wait for a server. Also done at the end."""
    for group in tuple(_running):
        _kill(group)


def _start(
    arguments: Sequence[str], git_dir: Path | None, environment: Mapping[str, str], keep_open: int | None
) -> Any:
    """GitPython's handle of the process, which runs in a session of its own: it is killed with all that it starts."""
    # GitPython looks for git when it is imported, and takes 120 ms, which whoever renders a plain folder does not owe.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from git.cmd import Git  # noqa: PLC0415 - see above

    if shutil.which("git") is None:
        raise InputError(
            "git is not installed, or not on PATH", hint="install git; `trimtab doctor` shows what is found"
        )
    ours = {**_ENVIRONMENT, "GIT_DIR": str(git_dir or os.devnull), **environment}
    foreign = [name for name in os.environ if name.startswith("GIT_") and name not in (*_KEPT, *ours)]
    unset = ["env", *(part for name in foreign for part in ("-u", name))] if foreign else []
    options = [part for key, value in _OPTIONS.items() for part in ("-c", f"{key}={value}")]
    return Git().execute(
        [*unset, "git", *options, *arguments],
        as_process=True,
        env=ours,
        start_new_session=True,
        pass_fds=() if keep_open is None else (keep_open,),
    )


def _read(stream: IO[bytes], limit: int, *, group: int = 0) -> bytes:
    """At most `limit` bytes; the rest is thrown away, and with a `group` whoever writes it is killed."""
    kept = stream.read(limit)
    if group and len(kept) == limit:
        _kill(group)
    while stream.read(1 << 16):
        pass
    return kept


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
