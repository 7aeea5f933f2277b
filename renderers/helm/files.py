"""What lies in a chart and could make helm read outside the checkout: links, and schemas that refer to files."""

import json
import posixpath
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, Any

from renderers.api import RenderError
from renderers.boundary import files_inside, shown
from renderers.files import read_inside

_SCHEMA = "values.schema.json"
#: Keywords whose value helm's JSON Schema library loads (JSON Schema 2020-12, Core, 8.2; earlier drafts: the same).
_LOADED = {"$ref", "$dynamicRef", "$recursiveRef", "$schema"}
#: What refers to no file: a place in the same document, a name, or the network, which is walled off.
_HARMLESS = re.compile(r"#|urn:|https?:", re.IGNORECASE)
#: What helm accepts of one chart, unpacked; here it is the limit for all archives of a chart together.
_UNPACKED = 100 << 20
_DEPTH = 5


def check_files(chart: Path, root: Path) -> None:
    """Look at all files of a chart. `chart` lies inside `root`, which is resolved.

    Raises RenderError for a link that leads out, a schema that refers to a file (helm resolves it against the
    machine's own root folder, and quotes what it finds), and an archive in which that cannot be seen.
    """
    archives = _Archives()
    for file in files_inside(chart, root):
        if not _matters(file) or not file.is_file():
            continue
        if file.name == _SCHEMA:
            _check_schema(read_inside(file, root, limit=_UNPACKED), shown(file, root))
        else:
            with file.open("rb") as archive:
                archives.check(archive, shown(file, root))


@dataclass(slots=True)
class _Archives:
    """Looks into archives for schemas, until they have unpacked to too much."""

    left: int = _UNPACKED

    def check(self, archive: IO[bytes], where: str, depth: int = 1) -> None:
        """Raise RenderError for what a schema in the archive, or in one in it, may not do."""
        try:
            with tarfile.open(fileobj=archive, mode="r|gz") as members:
                for member in members:
                    self.left -= member.size
                    if self.left < 0 or depth > _DEPTH:
                        raise RenderError("the archives of this chart unpack to too much", where=where)
                    self._check_member(members, member, where, depth)
        except (tarfile.TarError, OSError, EOFError, ValueError) as e:
            raise RenderError(f"the archive cannot be read: {e}", where=where, hint="package the chart again") from e

    def _check_member(self, members: tarfile.TarFile, member: tarfile.TarInfo, where: str, depth: int) -> None:
        # As helm reads names: backslashes may separate, and dots are taken away.
        name = PurePosixPath(posixpath.normpath(member.name.replace("\\", "/")))
        has_content = member.isreg() or member.type not in tarfile.SUPPORTED_TYPES
        content = members.extractfile(member) if has_content and _matters(name) else None
        if content is None:
            return
        if name.name == _SCHEMA:
            _check_schema(content.read(), f"{where}, {name}")
        else:
            self.check(content, f"{where}, {name}", depth + 1)


def _matters(name: PurePath) -> bool:
    return name.name == _SCHEMA or name.suffix == ".tgz"


def _check_schema(text: bytes, where: str) -> None:
    found: list[tuple[str, Any]] = []
    try:
        # A hook instead of a walk: of a key that stands twice, both are seen.
        json.loads(text.decode("utf-8-sig", errors="replace"), object_pairs_hook=found.extend)
    except (ValueError, RecursionError) as e:
        raise RenderError("the schema is no JSON, or nested too deeply", where=where, hint="correct the schema") from e
    for key, value in found:
        if key in _LOADED and isinstance(value, str) and value and not _HARMLESS.match(value):
            raise RenderError(
                f"{key} refers to {value}, and a schema may refer to no other file",
                where=where,
                hint="copy what it refers to below $defs, and refer to #/$defs/...",
            )
