"""Unpacks a packaged chart, which may be hostile: no link, no device, no name that leads out, nothing without a limit.

The limits of bytes are helm's, and so is the reading of names (helm.sh/helm, pkg/chart/loader/archive.go): the first
part is cut off, whatever it is called, and a name with a backslash has backslashes between its parts.
"""

import gzip
import os
import posixpath
import re
import tarfile
import zlib
from pathlib import Path
from typing import IO, cast

from pipeline.errors import SourceError

MAX_BYTES = 100 << 20
MAX_FILE_BYTES = 5 << 20
#: helm has none: 100 MiB of empty files would be no limit.
MAX_FILES = 20_000
#: Bytes of the archive, with what stands between the files.
_MAX_ARCHIVE = MAX_BYTES + MAX_FILES * 2048
#: What tarfile reads at once: more is a name or a header of its own, and no honest one.
_MAX_READ = 1 << 20
_MAX_NAME = 255
_CHUNK = 1 << 16
_DRIVE = re.compile(r"[A-Za-z]:/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def unpack(package: Path, folder: Path, *, shown: str) -> None:
    """Write the chart's files below the folder, which is made. `shown` is the package's name in messages.

    Raises SourceError for what is no chart, or none that may be unpacked (a part of it may then be in the folder), and
    OSError where the folder cannot be written.
    """
    folder.mkdir(mode=0o700)
    try:
        with gzip.open(package) as unzipped:
            bounded = cast("IO[bytes]", _Bounded(unzipped, shown))
            with tarfile.open(fileobj=bounded, mode="r:") as archive:
                _write(archive, folder, shown)
    except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, ValueError) as e:
        raise _bad(shown, "it is no gzip-compressed tar archive, or a damaged one") from e
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as e:
        raise _bad(shown, "it has a file and a folder of one name") from e
    if not (folder / "Chart.yaml").is_file():
        raise _bad(shown, "it has no Chart.yaml in its folder")


class _Bounded:
    """The unzipped archive, forward, as much of it as is allowed: all that tarfile needs of a file."""

    def __init__(self, file: gzip.GzipFile, shown: str) -> None:
        self._file = file
        self._shown = shown

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        if size > _MAX_READ or self._file.tell() + size > _MAX_ARCHIVE:
            raise _too_big(self._shown)
        return self._file.read(size)

    def seek(self, position: int) -> int:
        if position > _MAX_ARCHIVE:
            raise _too_big(self._shown)
        return self._file.seek(position)


def _write(archive: tarfile.TarFile, folder: Path, shown: str) -> None:
    left, tops = MAX_BYTES, set[str]()
    for number, member in enumerate(archive):
        if number >= MAX_FILES:
            raise _bad(shown, f"it has more than {MAX_FILES} files")
        if member.isdir():
            continue
        top, name = _name(member.name, shown)
        tops.add(top)
        if len(tops) > 1:
            raise _bad(shown, f"it has more than one folder: {', '.join(sorted(tops))}")
        if not member.isreg() or member.issparse():
            raise _bad(shown, f"{name} is a link or a device, and a chart has files only")
        left -= member.size
        if member.size > MAX_FILE_BYTES or left < 0:
            raise _too_big(shown)
        content = archive.extractfile(member)
        if content is not None:
            _write_file(content, folder / name)


def _write_file(content: IO[bytes], path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of two with one name the last one counts
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with os.fdopen(file, "wb") as out:
        while chunk := content.read(_CHUNK):
            out.write(chunk)


def _name(name: str, shown: str) -> tuple[str, str]:
    """The archive's top folder, and where the file lies in it. Raises SourceError for what leads out."""
    between = "\\" if "\\" in name else "/"
    top, _, rest = name.partition(between)
    rest = rest.replace(between, "/")
    clean = posixpath.normpath(rest)
    if top in {"", ".."} or rest.startswith("/") or clean.split("/")[0] in {".", ".."} or _DRIVE.match(clean):
        raise _bad(shown, f"the name {name[:_MAX_NAME]!r} leads out of its folder, or lies in none")
    if _CONTROL.search(name) or any(len(os.fsencode(part)) > _MAX_NAME for part in clean.split("/")):
        raise _bad(shown, f"the name {name[:_MAX_NAME]!r} is too long, or holds a control character")
    return top, clean


def _bad(shown: str, cause: str) -> SourceError:
    return SourceError(
        f"{shown} is no chart that can be used: {cause}", hint="package it with `helm package`, and publish it again"
    )


def _too_big(shown: str) -> SourceError:
    return SourceError(
        f"{shown} is too big: a chart may have {MAX_BYTES >> 20} MiB unpacked and {MAX_FILE_BYTES >> 20} MiB in a file",
        hint="helm takes no larger one either; is it a chart?",
    )
