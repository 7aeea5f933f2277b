"""Child processes that cannot outlive us, and waiting that notices when there is nothing left to wait for.

Linux only: the kernel kills each child when its parent dies, however it dies (prctl(2), PR_SET_PDEATHSIG).
"""

import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class StopError(Exception):
    """There is no more reason to run: the owner has gone, or a signal asked us to stop."""


class ProcessError(Exception):
    """A process of ours ended by itself, or is not ready in time; the message has its last lines."""


def die_with_parent(number: int = signal.SIGKILL) -> Callable[[], None]:
    """A `preexec_fn`: the child gets this signal when the thread that starts it ends.

    Only for a program that has one thread at that moment: code between fork and exec can deadlock on a lock
    that another thread held.
    """
    parent = os.getpid()

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # died before the line above
            os._exit(1)

    return prepare


class Processes:
    """Our running children, by name, each with a log; `owner` is a pipe whose closing ends our work."""

    def __init__(self, logs: Path, *, owner: int) -> None:
        self._logs = logs
        self._owner = owner
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(exist_ok=True)

    def start(self, name: str, command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str]) -> None:
        """Start a program in a session of its own, so that a Ctrl-C at the terminal reaches us and not it."""
        with (self._logs / f"{name}.log").open("wb") as log:
            self._children[name] = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one thread here
            )

    def pids(self) -> dict[str, int]:
        """The process ids, by name."""
        return {name: child.pid for name, child in self._children.items()}

    def wait(self, seconds: float | None) -> None:
        """Wait so long (None: for ever).

        Raises StopError when the owner has gone, ProcessError when a child has ended.
        """
        poll = select.poll()
        poll.register(self._owner, select.POLLHUP)
        ends = {os.pidfd_open(child.pid): name for name, child in self._children.items()}
        try:
            for descriptor in ends:
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll(None if seconds is None else seconds * 1000):
                if descriptor == self._owner:
                    raise StopError
                raise self.error(ends[descriptor], "ended by itself")
        finally:
            for descriptor in ends:
                os.close(descriptor)

    def error(self, name: str, what: str) -> ProcessError:
        """An error about the process `name`, with the end of its log."""
        lines = (self._logs / f"{name}.log").read_text(errors="replace").splitlines()
        said = "\n".join(f"  {line[:500]}" for line in lines[-8:]) or "  (nothing)"
        return ProcessError(f"{name} {what}; the last lines that it said:\n{said}")

    def kill(self) -> None:
        """End all of them at once. There is nothing to save: the data of a control plane is thrown away."""
        for child in self._children.values():
            child.kill()
        for child in self._children.values():
            child.wait()
