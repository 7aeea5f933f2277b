"""Where unpacked charts lie: by who may read them and by digest, whole or not at all, shared among processes."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from pipeline.errors import TrimtabError
from pipeline.source.charts.pin import Pin
from pipeline.source.charts.unpack import unpack
from pipeline.source.locks import held

#: After so many seconds a chart is removed that is not used any more.
_UNUSED = 24 * 3600.0
#: After so many a part that a killed process has left.
_LEFT = 3600.0
_NEW = ".new-"


class Store:
    """The charts below one folder. A `shelf` (a name for a file) keeps apart what one may read and another may not.

    Raises TrimtabError where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        with self._writing():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def find(self, shelf: str, pin: Pin) -> Path | None:
        """The chart's folder (resolved), which from now on stays for a day; None where it is not there."""
        folder = self._place(shelf, pin) / pin.name
        with self._writing(), self._guarded(fcntl.LOCK_SH):
            if not folder.is_dir():
                return None
            os.utime(folder.parent)
            return folder.resolve()

    @contextmanager
    def making(self, shelf: str, pin: Pin, *, timeout: float) -> Iterator[None]:
        """Hold this chart against all others who bring it. Raises SourceUnreachableError after `timeout` seconds."""
        path = self._place(shelf, pin).with_suffix(".lock")
        lock = held(
            path,
            timeout=timeout,
            busy=f"the chart {pin.name} {pin.version} has been in the making",
            hint=f"look for another trimtab that hangs and holds {path}",
        )
        with ExitStack() as stack:
            with self._writing():
                stack.enter_context(lock)
            yield

    @contextmanager
    def new_file(self) -> Iterator[IO[bytes]]:
        """An empty file for a package, gone at the end."""
        with self._writing(), tempfile.NamedTemporaryFile(prefix=_NEW, dir=self._folder) as file:
            yield file

    def put(self, shelf: str, pin: Pin, package: IO[bytes]) -> Path:
        """Unpack a package that is known to be the pin's, and answer as `find`. Raises SourceError for no chart."""
        package.flush()
        place = self._place(shelf, pin)
        with self._writing():
            self._drop_unused()
            new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._folder))
            try:
                unpack(Path(package.name), new / pin.name, shown=f"{pin.name} {pin.version} of {pin.url}")
                with self._guarded(fcntl.LOCK_SH):
                    place.mkdir(mode=0o700, exist_ok=True)
                    if not (place / pin.name).is_dir():
                        (new / pin.name).rename(place / pin.name)
                    os.utime(place)
            finally:
                shutil.rmtree(new, ignore_errors=True)
        return (place / pin.name).resolve()

    def _place(self, shelf: str, pin: Pin) -> Path:
        return self._folder / f"{shelf}-{pin.digest.removeprefix('sha256:')}"

    def _drop_unused(self) -> None:
        """Make room: what nobody has asked for in long, and what killed processes have left."""
        now = time.time()
        for path in self._folder.iterdir():
            new = path.name.startswith(_NEW)
            if "-" not in path.name or now - path.lstat().st_mtime < (_LEFT if new else _UNUSED):
                continue
            # Aside first, which takes no time: while it is guarded nobody can be told that it is there.
            aside = self._folder / f"{_NEW}{path.name}"
            with suppress(OSError), self._guarded(fcntl.LOCK_EX):
                if now - path.lstat().st_mtime >= (_LEFT if new else _UNUSED):
                    path.rename(aside)
            if aside.is_dir():
                shutil.rmtree(aside, ignore_errors=True)
            else:
                aside.unlink(missing_ok=True)

    @contextmanager
    def _guarded(self, kind: int) -> Iterator[None]:
        """Between being found and being removed."""
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, kind)
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as e:
            raise TrimtabError(
                f"the cache of charts cannot be written: {e.strerror or e}",
                where=str(e.filename or self._folder),
                hint="see to space and rights there, or choose another folder with --cache-dir",
            ) from e
