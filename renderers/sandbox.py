"""The private folder of a tool's run and its walls: environment, limits, namespaces, files. `tool.py` runs.

No wall is the only one: a container's seccomp profile may refuse namespaces, and an older kernel has no Landlock.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from renderers.api import Limits
from renderers.landlock import restrict_thread

#: Nothing listens here: where the kernel grants no network namespace, Go's HTTP clients still reach nobody.
_NOWHERE = "http://127.0.0.1:9"
#: Memory-backed temp, where there is one.
MEMORY = Path("/dev/shm")  # noqa: S108 - only as the parent of a folder with a random name and mode 0700
#: What stays free in memory-backed temp beside the folder's known content; a container has 64 MiB there as a rule.
_SPARE = 16 << 20
#: Processes and threads of one run, where they can be counted by the run (`limited`). Go starts some for each core.
_MAX_PROCESSES = 1024
#: What programs need of the system: libraries with their loader, the names of time zones, and harmless devices.
_LIBRARIES = tuple(map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store")))
_READ = tuple(map(Path, ("/etc/ld.so.cache", "/usr/share/zoneinfo", "/dev/zero", "/dev/urandom")))
_WRITTEN = (Path(os.devnull),)
#: A script needs the system's programs too.
_COMMANDS = (Path("/bin"), Path("/usr/bin"))


@dataclass(frozen=True, slots=True)
class Walls:
    """What this machine allows to be put around a tool.

    `namespaces` stands before a command, and starts it without network, privileges and a view of other processes, all
    of its own processes dying with it; empty where the kernel refuses. `landlock` is its ABI, 0: none.
    """

    namespaces: tuple[str, ...] = ()
    landlock: int = 0

    @property
    def own_user(self) -> bool:
        """Whether a tool has a user namespace of its own, and so no privileges."""
        return any(argument.startswith("-U") for argument in self.namespaces)

    @property
    def own_processes(self) -> bool:
        """Whether a tool's processes are apart, and all die with it."""
        return "--fork" in self.namespaces

    @property
    def without_tcp(self) -> bool:
        """Whether Landlock cuts off TCP."""
        return self.landlock >= 4


#: Ways to ask util-linux for namespaces, best first. A user namespace needs no right, and takes all away; `-n` alone
#: is what is left to root where there are neither user nor PID namespaces.
NAMESPACES = (("-Unp", "--fork", "--kill-child"), ("-np", "--fork", "--kill-child"), ("-n",))


@contextmanager
def private_folder(size: int = 0) -> Iterator[Path]:
    """A folder that only this user can read, gone with all it holds afterwards.

    In memory, where there is room for `size` bytes, else on disk. `home` in it is empty (helm reads settings,
    plug-ins and a kubeconfig below HOME); `tmp` is for the tool's own temporary files; the rest is the renderer's.
    """
    with TemporaryDirectory(prefix="trimtab-", dir=MEMORY if memory_left() >= size + _SPARE else None) as name:
        folder = Path(name)
        (folder / "home").mkdir()
        (folder / "tmp").mkdir()
        yield folder


def memory_left() -> int:
    """Bytes that are free in memory-backed temp; 0 where there is none that this user may use."""
    try:
        free = os.statvfs(MEMORY)
    except OSError:
        return 0
    return free.f_bavail * free.f_frsize if os.access(MEMORY, os.W_OK) else 0


def environment_of(private: Path) -> dict[str, str]:
    """All that a tool sees of the environment: none of HELM_*, KUBECONFIG, XDG_*, and no PATH.

    Without a PATH a tool can start nothing that was not named to it, such as kustomize a `git clone`. The time zone
    is a container's, so that a laptop renders the same. Go collects garbage less often than it would: a render is
    short, and this is a sixth of its time.
    """
    return {
        "HOME": str(private / "home"),
        "TMPDIR": str(private / "tmp"),
        "TZ": "UTC",
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
        "GOGC": "400",
        "GOMEMLIMIT": "1GiB",
    }


def limited(prlimit: str, limits: Limits, walls: Walls) -> list[str]:
    """What to put before a command; the wall clock is not the kernel's and stays with who runs it.

    One byte more than `limits.output` may be written: helm ends well when its output is cut, so only the size tells.
    Processes count per user, and another program of the same user must not use up what a render may have: their
    number is limited only in a user namespace, where the run is counted alone.
    """
    memory, output = limits.memory, limits.output + 1
    command = [*walls.namespaces, prlimit, f"--cpu={limits.cpu}", f"--as={memory}", f"--fsize={output}", "--core=0"]
    if walls.own_user:
        command.append(f"--nproc={_MAX_PROCESSES}")
    return command


def close_thread(walls: Walls, private: Path, *, reads: Sequence[Path], programs: Sequence[Path]) -> None:
    """Leave this thread, and what it starts, nothing but the tool's own files. Raises OSError.

    `private` may be written, and nothing in it executed; `reads` may be read, `programs` run, and libraries loaded.
    """
    if not walls.landlock:
        return
    scripts = _COMMANDS if any(map(_is_script, programs)) else ()
    restrict_thread(
        walls.landlock,
        programs=(*programs, *_LIBRARIES, *scripts),
        reads=(*_READ, *reads),
        writes=(*_WRITTEN, private),
    )


def _is_script(program: Path) -> bool:
    with program.open("rb") as file:
        return file.read(2) == b"#!"
