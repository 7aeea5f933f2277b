"""Finds or builds the programs of pins.py, and lays out one folder that has exactly those.

    python3 deploy/local/tools.py [NAME...]    prints a folder to put first on PATH
    python3 deploy/local/tools.py --list       prints where each program is, and builds nothing

Looked for in this order: the folder KUBEBUILDER_ASSETS, PATH, the cache (TRIMTAB_CACHE, else `trimtab`
in XDG_CACHE_HOME or ~/.cache). Outside the cache a program counts only if its version fits. What is nowhere is
built with Go, at the version that tools/*/go.mod pins, into the cache. Only the standard library is used.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pins import TOOLS, Tool, parse_version
from processes import die_with_parent

OLDEST_GO = (1, 21, 0)  # the first Go that fetches the toolchain which a go.mod asks for


class ToolError(Exception):
    """A program can neither be found nor built; the message is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a program is, and by which way it was found."""

    tool: Tool
    path: Path
    origin: str


def cache_folder() -> Path:
    """The folder for what can be made again: built programs, and the state of a kept control plane."""
    if chosen := os.environ.get("TRIMTAB_CACHE"):
        return Path(chosen).expanduser().resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").resolve() / "trimtab"


def find(tool: Tool) -> Found | None:
    """The program where it already is; None when it must be built."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        program = Path(assets).absolute() / tool.name
        if os.access(program, os.X_OK):
            if tool.fits(program):
                return Found(tool, program, "KUBEBUILDER_ASSETS")
            _say(f"{program} is not used: it is not of a version that fits {tool.version}")
    for folder in os.get_exec_path():
        program = Path(folder).absolute() / tool.name
        # A folder of links that an earlier call laid out is no place of its own.
        ours = program.is_relative_to(cache_folder())
        if not ours and os.access(program, os.X_OK) and tool.fits(program):
            return Found(tool, program, "PATH")
    cached = _cached(tool)
    return Found(tool, cached, "cache") if cached.exists() else None


def ensure(names: Sequence[str] = tuple(TOOLS)) -> Path:
    """A folder that has exactly the named programs, after building what is missing. Raises ToolError."""
    try:
        return _ensure([tool for name, tool in TOOLS.items() if name in names])
    except OSError as error:
        raise ToolError(
            f"the cache {cache_folder()} cannot be used: {error}; set TRIMTAB_CACHE to a folder of yours"
        ) from error


def _ensure(wanted: Sequence[Tool]) -> Path:
    with ThreadPoolExecutor() as threads:  # each check starts a program
        found = list(threads.map(find, wanted))
    programs = {tool.name: place.path if place else _cached(tool) for tool, place in zip(wanted, found, strict=True)}
    if None in found:
        with _only_builder():
            for tool in wanted:
                if not programs[tool.name].exists():
                    _build(tool)
    return _lay_out(programs)


def _cached(tool: Tool) -> Path:
    return cache_folder() / "tools" / f"{tool.name}-{tool.version}"


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _only_builder() -> Iterator[None]:
    """Callers that come while one builds wait, and then find what they need."""
    folder = cache_folder() / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another build of the same programs")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob("*.building"):  # of a builder that was killed: we hold the lock
            leftover.unlink()
        yield


def _build(tool: Tool) -> None:
    environment = {**os.environ, "GOFLAGS": "-mod=readonly -trimpath", "GOWORK": "off"}
    # Some distributions ship Go with this set to `local`, which would refuse a go.mod that is newer.
    environment.setdefault("GOTOOLCHAIN", "auto")
    go = _go(tool)
    program = _cached(tool)
    unfinished, log = (program.with_name(f"{program.name}.{end}") for end in ("building", "log"))
    _say(f"building {tool.name} {tool.version} ...", end="")
    start = time.monotonic()
    with log.open("wb") as output:
        done = subprocess.run(
            [go, "build", "-ldflags", tool.stamp, "-o", unfinished, tool.package],
            cwd=tool.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=die_with_parent(),
            check=False,
        )
    if done.returncode != 0:
        _say(" failed")
        said = log.read_text(errors="replace").strip().splitlines() or ["no output"]
        raise ToolError(
            f"go could not build {tool.name} {tool.version}: {said[-1]} (all of it: {log}); "
            f"mend that and run this again, or put a {tool.name} that fits on PATH"
        )
    log.unlink()
    unfinished.replace(program)
    _say(f" {time.monotonic() - start:.0f} s")


def _go(tool: Tool) -> str:
    go = shutil.which("go")
    wish = f"to build {tool.name} {tool.version}; install Go from https://go.dev/dl and run this again"
    if go is None:
        raise ToolError(f"Go is missing: 1.21 or newer is needed {wish}")
    # Asked outside the module, and `local`: the version of this Go, not of one that it would fetch.
    asked = subprocess.run(
        [go, "env", "GOVERSION"],
        cwd="/",
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    version = parse_version(asked.stdout if asked.stdout.count(".") > 1 else asked.stdout.strip() + ".0")
    if version is None or version < OLDEST_GO:
        said = asked.stdout.strip() or "of an unknown version"
        raise ToolError(f"{go} is {said}: 1.21 or newer is needed {wish}")
    return go


def _lay_out(programs: dict[str, Path]) -> Path:
    """A folder of links, named by what they lead to: made once, never changed."""
    content = "\n".join(f"{name} {place}" for name, place in programs.items())
    folder = cache_folder() / "bin" / hashlib.sha256(content.encode()).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        unfinished.chmod(0o755)
        for name, place in programs.items():
            (unfinished / name).symlink_to(place)
        try:
            unfinished.rename(folder)
        except OSError:  # another caller was faster, with the same links
            shutil.rmtree(unfinished)
    return folder


def main() -> int:
    """The command line; 0 done, 1 a program is missing, 2 wrong usage."""
    parser = argparse.ArgumentParser(description="Find or build the programs of the local control plane.")
    parser.add_argument("--list", action="store_true", help="print where each program is; build nothing")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(TOOLS)} (default: all)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in TOOLS]:
        parser.error(f"no such program: {', '.join(unknown)}; known are {', '.join(TOOLS)}")
    names = options.names or tuple(TOOLS)
    if options.list:
        for name in names:
            found = find(TOOLS[name])
            place = f"{found.path} ({found.origin})" if found else "to be built"
            print(f"{name:24} {TOOLS[name].version:10} {place}")
        return 0
    try:
        print(ensure(names))
    except ToolError as error:
        _say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
