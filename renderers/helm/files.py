"""What lies in a chart and could make helm read outside the checkout: links, and schemas that refer to files."""

import io
import json
import re
from collections.abc import Iterable
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from renderers.api import RenderError
from renderers.boundary import files_inside, real, shown
from renderers.files import read_inside
from renderers.helm.archives import UNPACKED, ArchiveReader

_SCHEMA = "values.schema.json"
#: Keywords whose value helm's JSON Schema library loads (JSON Schema 2020-12, Core, 8.2; earlier drafts: the same).
_LOADED = {"$ref", "$dynamicRef", "$recursiveRef", "$schema"}
#: What refers to no file: a place in the same document, a name, or the network, which is walled off.
_HARMLESS = re.compile(r"#|urn:|https?:", re.IGNORECASE)


def check_files(chart: Path, root: Path) -> None:
    """Look at all files of a chart. `chart` lies inside `root`, which is resolved.

    Raises RenderError for a link that leads out, and as `check_listed`.
    """
    check_listed(files_inside(chart, root), root)


def check_listed(files: Iterable[Path], root: Path) -> None:
    """Look at these files and links of a chart, of which none leads out of `root`.

    Raises RenderError for a schema that refers to a file (helm resolves it against the machine's own root folder, and
    quotes what it finds), and for an archive in which that cannot be seen.
    """
    reader, files = ArchiveReader(), list(files)
    linked: bool | None = None
    for file in files:
        if not _matters(file) or not file.is_file():
            continue
        if not _opened(file):
            # Through a link it may have a second place, where helm opens it.
            linked = any(real(other) != other for other in files) if linked is None else linked
            if not linked:
                continue
        content = read_inside(file, root, limit=UNPACKED)
        if file.name == _SCHEMA:
            _check_schema(content, shown(file, root))
        else:
            _check_archive(reader, content, shown(file, root), 1)


def _check_archive(reader: ArchiveReader, content: bytes, where: str, depth: int) -> None:
    for name, inner in reader.members(io.BytesIO(content), where, depth):
        path = PurePosixPath(name)
        if path.name == _SCHEMA:
            _check_schema(inner, f"{where}, {name}")
        elif _matters(path) and path.parent.name == "charts":
            _check_archive(reader, inner, f"{where}, {name}", depth + 1)


def _matters(name: PurePath) -> bool:
    return name.name == _SCHEMA or name.suffix == ".tgz"


def _opened(file: Path) -> bool:
    """Whether helm may open it where it lies: a chart's schema, an archive in charts/ (`chart/loader.LoadFiles`)."""
    if file.name == _SCHEMA:
        return file.parent.parent.name == "charts" or (file.parent / "Chart.yaml").exists()
    return file.parent.name == "charts" and not file.name.startswith(("_", "."))


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
