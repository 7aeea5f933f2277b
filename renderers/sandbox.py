"""The private folder of a tool's run and its walls: limits, environment, no network. Says them; `tool.py` runs."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from renderers.api import Limits

#: Nothing listens here: where the kernel grants no network namespace, Go's HTTP clients still reach nobody.
_NOWHERE = "http://127.0.0.1:9"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can read, in memory where there is one, and gone with all it holds afterwards.

    `home` in it is empty (helm reads settings, plug-ins and a kubeconfig below HOME); `tmp` is for the tool's own
    temporary files; the rest is the renderer's.
    """
    memory = Path("/dev/shm")  # noqa: S108 - only as the parent of a folder with a random name and mode 0700
    with TemporaryDirectory(prefix="trimtab-", dir=memory if os.access(memory, os.W_OK) else None) as name:
        folder = Path(name)
        (folder / "home").mkdir()
        (folder / "tmp").mkdir()
        yield folder


def environment(private: Path) -> Mapping[str, str]:
    """All that a tool sees of the environment: none of HELM_*, KUBECONFIG, XDG_*, and no PATH.

    Without a PATH a tool can start nothing that was not named to it, such as kustomize a `git clone`.
    """
    return {
        "HOME": str(private / "home"),
        "TMPDIR": str(private / "tmp"),
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
    }


def limited(limits: Limits) -> list[str]:
    """The arguments of `prlimit` before a command; the wall clock is not the kernel's and stays with who runs it.

    One byte more than `limits.output` may be written: helm ends well when its output is cut, so only the size tells.
    Limits of processes are left out: they count per user, and Go needs threads.
    """
    return [f"--cpu={limits.cpu}", f"--as={limits.memory}", f"--fsize={limits.output + 1}", "--core=0"]
