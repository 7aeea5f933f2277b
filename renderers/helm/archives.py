"""Charts in archives: read as helm reads them, in memory and with limits, and packed as helm packs them."""

import gzip
import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, cast

from renderers.api import RenderError

#: What helm accepts of one chart, unpacked; here it is the limit for all archives of a chart together.
UNPACKED = 100 << 20
_DEPTH = 5
_DRIVE = re.compile(r"[a-zA-Z]:/")


@dataclass(slots=True)
class ArchiveReader:
    """Reads archives until they have unpacked to too much."""

    left: int = UNPACKED

    def members(self, archive: IO[bytes], where: str, depth: int = 1) -> Iterator[tuple[str, bytes]]:
        """The files in it by their names below the chart's folder, as helm's `LoadArchiveFiles` sees them.

        `depth` counts archives in archives. Raises RenderError for what is no archive and past the limits; a name that
        helm refuses is left for helm to refuse.
        """
        if depth > _DEPTH:
            raise RenderError("there are archives in archives in archives", where=where, hint="unpack them")
        try:
            # Not mode r|gz: Python's own reader of gzip there stumbles over the extra field that helm writes.
            with (
                gzip.GzipFile(fileobj=archive) as unzipped,
                tarfile.open(fileobj=cast("IO[bytes]", unzipped), mode="r|") as members,
            ):
                for member in members:
                    self.left -= member.size
                    if self.left < 0:
                        raise RenderError("the archives of this chart unpack to too much", where=where)
                    # A link in an archive is an empty file for helm. What it does not know is a file, for Go too.
                    has_content = member.isreg() or member.type not in tarfile.SUPPORTED_TYPES
                    content = members.extractfile(member) if has_content else None
                    if content is not None:
                        yield _name(member.name), content.read()
        except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as e:
            raise RenderError(f"the archive cannot be read: {e}", where=where, hint="package the chart again") from e


def pack(name: str, files: Mapping[str, bytes]) -> bytes:
    """A chart's archive, from its files by their names below the chart's folder. The same files give the same bytes."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|") as archive,
    ):
        for file, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def _name(member: str) -> str:
    """As helm reads a name: backslashes may separate, the first part is the chart's folder, dots are taken away."""
    parts = member.split("\\" if "\\" in member else "/")
    name = posixpath.normpath("/".join(parts[1:]))
    return member if name.startswith(("..", "/")) or name == "." or _DRIVE.match(name) else name
