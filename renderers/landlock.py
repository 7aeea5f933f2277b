"""Landlock: what a thread, and all that it starts, may still reach. The kernel's three calls, by ctypes.

https://docs.kernel.org/userspace-api/landlock.html has the numbers and what each version (ABI) brought.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK, _TRUNCATE, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 14, 1 << 15
_READ = _READ_FILE | _READ_DIR
#: What may be said of a file; the rest is about what lies in a folder.
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
#: How many of the rights in a file system each ABI knows, lowest bits first; the last one also after it.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
#: Bind and connect (ABI 4); abstract sockets and signals (ABI 6).
_TCP, _SCOPES = 0b11, 0b11

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`; an older kernel knows only its beginning."""

    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _layout_ = "ms"  # what `_pack_` means; Python 3.14 wants it said
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


@cache
def landlock_abi() -> int:
    """The kernel's version of Landlock; 0 where it has none, or where a seccomp profile refuses the call."""
    return max(0, int(_libc.syscall(*map(ctypes.c_long, (_CREATE_RULESET, 0, 0, _ASK_VERSION)))))


def restrict_thread(abi: int, *, programs: Iterable[Path], reads: Iterable[Path], writes: Iterable[Path]) -> None:
    """Close this thread, for good, and all that it starts from now on.

    Programs (or folders of them and of libraries) may be read and executed, other paths read or also written; what
    does not exist is passed over. TCP needs ABI 4; abstract sockets of, and signals to, anything else are cut off
    from ABI 6 on. Raises OSError.
    """
    handled = (1 << _RIGHTS[min(abi, 5)]) - 1
    attributes = _Ruleset(handled, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    try:
        for paths, rights in (
            (programs, _READ | _EXECUTE),
            (reads, _READ),
            (writes, handled & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK)),
        ):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        _libc.prctl(*map(ctypes.c_ulong, (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)))
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= _OF_A_FILE
        rule = _PathBeneath(rights, opened)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(opened)


def _call(number: int, *arguments: object) -> int:
    """A system call. Raises OSError."""
    plain = (ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
    result = int(_libc.syscall(ctypes.c_long(number), *plain))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"landlock: {os.strerror(error)}")
    return result
