"""Runs helm and kustomize: found, limited, walled off, and a failure said plainly. The only import of `sh`."""

import logging
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import sh

from renderers.api import Limits, RenderError
from renderers.sandbox import environment, limited, private_folder

# sh logs whole command lines, and a `--set` may carry a secret.
logging.getLogger("sh").setLevel(logging.CRITICAL)

_STDERR_LIMIT = 64 << 10
_MESSAGE_LINES = 40
#: Where a Go program begins to talk to its own developers.
_GO_TRACE = re.compile(r"^(goroutine \d+ |runtime stack:|\[signal |PC=0x)", re.MULTILINE)
_LOG_TIME = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", re.MULTILINE)
_OUT_OF_MEMORY = re.compile(
    r"runtime: out of memory|fatal error: (out of memory|.*(allocate|reserve))|pthread_create failed|"
    r"cannot allocate memory"
)
_VERSION = {"helm": ("version", "--template", "{{.Version}}"), "kustomize": ("version",)}

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


def find_tool(name: str) -> Path:
    """The program on PATH. Raises RenderError when there is none."""
    found = shutil.which(name)
    if found is None:
        raise RenderError(
            f"{name} is not installed, or not on PATH", hint=f"install {name}; `trimtab doctor` shows what is found"
        )
    return Path(found).absolute()


def tool_version(name: str) -> str:
    """The version that helm or kustomize says it has, such as `v3.22.0`. Raises RenderError as `run` does."""
    return _version(find_tool(name))


def run(
    name: str,
    arguments: Sequence[str],
    *,
    private: Path,
    limits: Limits,
    root: Path | None = None,
    where: str = "",
    hints: Mapping[str, str] = MappingProxyType({}),
) -> Output:
    """Run a tool in the private folder and answer all that it printed.

    Raises RenderError when it is missing, fails, prints what is no UTF-8, or hits a limit (named in the message).
    `root` is the checkout: paths in the tool's messages become relative to it. `where` is the unit. `hints` say
    what to do, by a text in the tool's message.
    """
    tool = find_tool(name)
    argv = [str(find_tool("prlimit")), *limited(limits), *network_wall(), str(tool), *arguments]
    command = f"{name} {arguments[0]}"
    with _memory_file("stdout") as out, _memory_file("stderr") as err:
        ended = _execute(argv, private, limits.wall, out, err)
        printed, complaint = _read(out, limits.output + 1), _read(err, _STDERR_LIMIT)
    message = _clean(complaint.decode(errors="replace"), private, root)
    limit = _limit_hit(ended, limits, size=len(printed), complaint=complaint)
    if limit:
        raise RenderError(
            f"{command} {limit}", where=where, hint="make the unit smaller, or look for an endless loop in it"
        )
    if ended.code:
        raise RenderError(
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
def network_wall() -> tuple[str, ...]:
    """What to put before a command so that it has no network; nothing where the kernel does not allow it.

    Found out by trying, once a process. Containers under the usual seccomp profile refuse both forms, so this is
    one wall of several.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    for form in ("-n", "-rn"):
        with suppress(sh.ErrorReturnCode, sh.ForkException):
            sh.Command(unshare)(form, "true", _tty_out=False)
            return (unshare, form, "--")
    return ()


@cache
def _version(tool: Path) -> str:
    with private_folder() as private:
        return run(tool.name, _VERSION[tool.name], private=private, limits=Limits(wall=30)).text.strip()


def _execute(argv: Sequence[str], private: Path, wall: float, out: BinaryIO, err: BinaryIO) -> _Ended:
    """Run to the end in a session of its own, and leave nothing of it behind."""
    began = time.monotonic()
    with Path(os.devnull).open("rb") as nothing:
        try:
            process = sh.Command(argv[0])(
                *argv[1:],
                _cwd=str(private / "home"),
                _env=dict(environment(private)),
                _in=nothing,
                _out=out,
                _err=err,
                _tty_out=False,
                _new_session=True,
                _bg=True,
                _bg_exc=False,
            )
        except (sh.ForkException, OSError) as e:
            raise RenderError(
                f"{argv[0]} could not be started", hint="is the machine out of memory or processes?"
            ) from e
    group: int = process.process.pgid
    late = threading.Event()

    def expire() -> None:
        late.set()
        _kill(group)

    clock = threading.Timer(wall, expire)  # not sh's own timeout: that one polls, and kills one process only
    clock.daemon = True
    _groups.add(group)
    clock.start()
    try:
        with suppress(sh.ErrorReturnCode):
            process.wait()
    finally:
        clock.cancel()
        _groups.discard(group)
        _kill(group)
    code = process.process.exit_code
    return _Ended(-signal.SIGKILL if code is None else code, late.is_set(), time.monotonic() - began)


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
    if ended.code == -signal.SIGKILL:
        # The kernel says only that it killed. All cores together cannot have used more than this.
        if ended.seconds * (os.cpu_count() or 1) >= limits.cpu:
            return f"used more than {limits.cpu} seconds of CPU time and was stopped"
        return "was killed from outside, probably because the machine ran out of memory"
    return ""


def _clean(text: str, private: Path, root: Path | None) -> str:
    """The tool's own words without Go's stack, log times and the paths that only this run has."""
    trace = _GO_TRACE.search(text)
    text = _LOG_TIME.sub("", text[: trace.start()] if trace else text)
    if root is not None and root != root.parent:
        text = re.sub(re.escape(str(root)) + r"(/|\b(?![-.\w]))", lambda m: "" if m[1] else ".", text)
    text = text.replace(f"{private}/", "")
    lines = [line for line in text.strip().removeprefix("Error: ").splitlines() if "Use --debug flag" not in line]
    if len(lines) > _MESSAGE_LINES:
        lines = [*lines[:_MESSAGE_LINES], f"… and {len(lines) - _MESSAGE_LINES} more lines"]
    return "\n".join(lines).strip()
