"""Runs helm, kustomize and the like: found, limited, walled off, and a failure said plainly.

The only import of `sh`, and of `subprocess`: that starts a render's tool without copying this process (vfork), which
costs a tenth of it, and without listing /dev/fd, which a thread behind Landlock may not.
"""

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from renderers.api import Limits, RenderError
from renderers.landlock import landlock_abi
from renderers.sandbox import NAMESPACES, Walls, close_thread, environment_of, limited, private_folder

_STDERR_LIMIT = 64 << 10
_MESSAGE_LINES = 40
#: Where a Go program begins to talk to its own developers.
_GO_TRACE = re.compile(r"^(goroutine \d+ |runtime stack:|\[signal |PC=0x)", re.MULTILINE)
_LOG_TIME = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", re.MULTILINE)
_OUT_OF_MEMORY = re.compile(
    r"runtime: out of memory|fatal error: (out of memory|.*(allocate|reserve))|pthread_create failed|"
    r"cannot allocate memory"
)
_VERSION = {
    "helm": ("version", "--template", "{{.Version}}"),
    "kustomize": ("version",),
    "sops": ("--version", "--disable-version-check"),
}

#: What `unshare` says instead of dying of SIGKILL as its child did (util-linux before 2.40).
_CHILD_KILLED = b"unshare: sigprocmask unblock failed"

_groups: set[int] = set()


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool that ended well has printed. `warnings` are the lines of its standard error, cleaned."""

    text: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a process ended: its exit code (negative: the signal), by our clock or not, after how many seconds."""

    code: int
    late: bool
    seconds: float


class ToolError(RenderError):
    """A tool ended with an error of its own: no limit was hit, and it could be started."""


def find_tool(name: str) -> Path:
    """The program on PATH. Raises RenderError when there is none."""
    found = shutil.which(name)
    if found is None:
        raise RenderError(
            f"{name} is not installed, or not on PATH", hint=f"install {name}; `trimtab doctor` shows what is found"
        )
    return Path(found).absolute()


def tool_version(name: str) -> str:
    """The version that a tool says it has, such as `v3.22.0`. Raises RenderError as `run` does."""
    return _version(name, tool_file(name))


def tool_file(name: str) -> str:
    """What tells one file of a program from another: its path and what changes with its content.

    Raises RenderError when there is none.
    """
    path = find_tool(name).resolve()
    now = path.stat()
    return f"{path} {now.st_dev} {now.st_ino} {now.st_size} {now.st_mtime_ns} {now.st_ctime_ns}"


def run(  # noqa: PLR0913 - that much is to say of a command
    name: str,
    arguments: Sequence[str],
    *,
    private: Path,
    limits: Limits,
    root: Path | None = None,
    where: str = "",
    hints: Mapping[str, str] = MappingProxyType({}),
    reads: Sequence[Path] = (),
    programs: Sequence[str] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
    message_lines: int = _MESSAGE_LINES,
) -> Output:
    """Run a tool in the private folder and answer all that it printed.

    The tool can write into `private` alone, and read that, `root` (the checkout's copy) and `reads`; it can start
    `programs` (names on PATH, or paths). `variables` are added to its environment.

    Raises RenderError when it is missing, prints what is no UTF-8, or hits a limit (named in the message), and
    ToolError when it fails. Paths below `root` become relative in the tool's messages. `where` is the unit. `hints`
    say what to do, by a text in the tool's message, of which at most `message_lines` are shown.
    """
    tool = find_tool(name)
    walls = walls_here()
    argv = [*limited(str(find_tool("prlimit")), limits, walls), str(tool), *arguments]
    started = [tool, *map(find_tool, ("prlimit", *walls.namespaces[:1], *programs))]
    command = f"{tool.name} {arguments[0]}"
    with _memory_file("stdout") as out, _memory_file("stderr") as err:
        close = partial(
            close_thread,
            walls,
            private,
            reads=[*reads, *((root,) if root else ())],
            programs=[program.resolve() for program in started],
        )
        home, environment = private / "home", {**environment_of(private), **variables}
        process = _Starter(close, argv, home, environment, (out, err)).started()
        ended = _watched(process, limits.wall)
        printed, complaint = _read(out, limits.output + 1), _read(err, _STDERR_LIMIT)
    message = _clean(complaint.decode(errors="replace"), private, root, message_lines)
    limit = _limit_hit(ended, limits, size=len(printed), complaint=complaint)
    if limit:
        raise RenderError(
            f"{command} {limit}", where=where, hint="make the unit smaller, or look for an endless loop in it"
        )
    if ended.code:
        raise ToolError(
            f"{command} failed with exit code {ended.code}: {message or 'it said nothing'}",
            where=where,
            hint=next((hint for text, hint in hints.items() if text in message), ""),
        )
    try:
        return Output(printed.decode(), tuple(line for line in message.splitlines() if line.strip()))
    except UnicodeDecodeError as e:
        raise RenderError(
            f"{command} printed bytes that are no UTF-8, first at byte {e.start}",
            where=where,
            hint="Kubernetes objects are text: encode binary files with base64 (binaryData)",
        ) from e


def kill_running() -> None:
    """Kill every tool that runs now, so that an interrupted render does not wait for it."""
    for group in tuple(_groups):
        _kill(group)


@cache
def walls_here() -> Walls:
    """The walls that this machine allows, found out by trying, once a process."""
    return Walls(_namespaces(), landlock_abi())


def _namespaces() -> tuple[str, ...]:
    # Imported late: it takes as long as a small render, and a command that runs no tool owes nothing for it.
    import sh  # noqa: PLC0415

    unshare = shutil.which("unshare")
    if unshare is not None:
        for form in NAMESPACES:
            with suppress(sh.ErrorReturnCode, sh.ForkException):
                sh.Command(unshare)(*form, "--", "true", _tty_out=False)
                return (unshare, *form, "--")
    return ()


@cache
def _version(name: str, file: str) -> str:  # noqa: ARG001 - another file may have another version
    with private_folder() as private:
        return run(name, _VERSION[name], private=private, limits=Limits(wall=30)).text.strip()


class _Starter(threading.Thread):
    """A thread that closes itself and then starts the tool, which inherits that; nothing else can be done with it."""

    def __init__(
        self,
        close: Callable[[], None],
        argv: Sequence[str],
        home: Path,
        environment: Mapping[str, str],
        output: tuple[BinaryIO, BinaryIO],
    ) -> None:
        super().__init__(name="tool", daemon=True)
        self._close = close
        self._argv = argv
        self._home = home
        self._environment = environment
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None

    def run(self) -> None:
        """Start the tool in a session of its own."""
        out, err = self._output
        try:
            self._close()
            self._process = subprocess.Popen(  # noqa: S603 - no shell
                self._argv,
                cwd=self._home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as e:
            self._error = e

    def started(self) -> "subprocess.Popen[bytes]":
        """The process. Raises RenderError where there is none."""
        self.start()
        self.join()
        if self._process is None:
            raise RenderError(
                f"{self._argv[0]} could not be started: {self._error}",
                hint="is the machine out of memory or processes?",
            ) from self._error
        return self._process


def _watched(process: "subprocess.Popen[bytes]", wall: float) -> _Ended:
    """Wait for the end, and leave nothing of it behind."""
    began = time.monotonic()
    group = process.pid
    late = threading.Event()

    def expire() -> None:
        late.set()
        _kill(group)

    clock = threading.Timer(wall, expire)  # not wait's own timeout: that one polls
    clock.daemon = True
    _groups.add(group)
    clock.start()
    try:
        code = process.wait()
    finally:
        clock.cancel()
        _groups.discard(group)
        _kill(group)
    return _Ended(code, late.is_set(), time.monotonic() - began)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _memory_file(name: str) -> BinaryIO:
    """A file in memory without a name: output may hold secrets, and this cannot outlive the process."""
    return os.fdopen(os.memfd_create(f"trimtab-{name}"), "w+b")


def _read(file: BinaryIO, limit: int) -> bytes:
    file.seek(0)
    return file.read(limit)


def _limit_hit(ended: _Ended, limits: Limits, *, size: int, complaint: bytes) -> str:
    """Which limit ended the run, as the rest of a sentence; empty: none did."""
    if ended.late:
        return f"took more than {limits.wall:g} seconds and was stopped"
    if size > limits.output:
        return f"printed more than {limits.output >> 20} MiB and was stopped"
    if ended.code and _OUT_OF_MEMORY.search(complaint.decode(errors="replace")):
        return f"needed more than {limits.memory >> 20} MiB of memory and was stopped"
    if ended.code == -signal.SIGKILL or (ended.code and complaint.startswith(_CHILD_KILLED)):
        # The kernel says only that it killed. All cores together cannot have used more than this.
        if ended.seconds * (os.cpu_count() or 1) >= limits.cpu:
            return f"used more than {limits.cpu} seconds of CPU time and was stopped"
        return "was killed from outside, probably because the machine ran out of memory"
    return ""


def _clean(text: str, private: Path, root: Path | None, limit: int) -> str:
    """The tool's own words without Go's stack, log times and the paths that only this run has."""
    trace = _GO_TRACE.search(text)
    text = _LOG_TIME.sub("", text[: trace.start()] if trace else text)
    if root is not None and root != root.parent:
        text = re.sub(re.escape(str(root)) + r"(/|\b(?![-.\w]))", lambda m: "" if m[1] else ".", text)
    text = text.replace(f"{private}/", "")
    lines = [line for line in text.strip().removeprefix("Error: ").splitlines() if "Use --debug flag" not in line]
    if len(lines) > limit:
        lines = [*lines[:limit], f"… and {len(lines) - limit} more lines"]
    return "\n".join(lines).strip()
