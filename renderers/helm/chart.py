"""A chart as helm loads it, as far as Trimtab must know: its name, what it depends on, what lies in its charts/."""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from renderers.api import RenderError
from renderers.boundary import real, shown
from renderers.files import read_inside
from renderers.helm.archives import UNPACKED, ArchiveReader
from renderers.helm.ignore import FILE_NAME, HelmIgnore
from renderers.manifest import ManifestError, load_text

#: How deep folders may lie in each other, and charts; how many files and folders links may make of a chart's; and of
#: how many charts the place is told.
_MAX_FOLDERS = 100
_MAX_ENTRIES = 100_000
#: What a link to a folder counts: the path that it begins is long to follow.
_LINKED = 100
_MAX_CHARTS = 30
_MAX_PATHS = 10_000


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of a chart's `dependencies`, or of its lock. `data` is all that the entry says."""

    name: str
    version: str = ""
    repository: str = ""
    alias: str = ""
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Lock:
    """A Chart.lock or requirements.lock: its digest, its entries, and the file's name."""

    file: str
    digest: str
    dependencies: tuple[Dependency, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `place` is its folder or archive for people; `files` are those that helm sees, by name.

    What is broken in it is left out: helm reads the same files, and says what is wrong.
    """

    place: str
    name: str
    version: str
    api_version: str
    dependencies: tuple[Dependency, ...]
    lock: Lock | None
    files: Mapping[str, Callable[[], bytes]] = field(repr=False)
    subcharts: tuple["Chart", ...]

    def tree(self) -> Iterator["Chart"]:
        """This chart and all below it."""
        yield self
        for chart in self.subcharts:
            yield from chart.tree()

    def moved(self, place: str) -> "Chart":
        """The same, called otherwise."""
        below = (chart.moved(place + chart.place.removeprefix(self.place)) for chart in self.subcharts)
        return replace(self, place=place, subcharts=tuple(below))

    def sources(self) -> Mapping[str, str]:
        """The places of this chart and of all below it, by the paths that helm has for them (`name/charts/alias`)."""
        found, todo = dict[str, str](), [(self.name, self)]
        for path, chart in islice(todo, _MAX_PATHS):
            found[path] = chart.place
            for inner in chart.subcharts:
                names = {d.alias or d.name for d in chart.dependencies if d.name == inner.name} or {inner.name}
                todo += [(f"{path}/charts/{name}", inner) for name in names]
        return found

    def missing(self) -> tuple[Dependency, ...]:
        """What helm finds in its Chart.yaml and not in charts/: the name alone decides (action.CheckDependencies)."""
        there = {chart.name for chart in self.subcharts}
        return tuple(dependency for dependency in self.dependencies if dependency.name not in there)


def load_chart(folder: Path, root: Path, *, archive: bool = False) -> Chart:
    """The chart in a folder (absolute), which lies with all that its links lead to in `root`.

    `archive`: it was unpacked from one, where helm does not look for a `.helmignore`. Raises RenderError for an
    archive in it that cannot be read.
    """
    files = _folder_files(folder, root, archive=archive)
    return _chart(shown(folder, root), files, ArchiveReader(), 0)


def _folder_files(folder: Path, root: Path, *, archive: bool) -> dict[str, Callable[[], bytes]]:
    """All files by their names from the folder, links followed, without what `.helmignore` leaves out."""
    ignore, files = HelmIgnore(()) if archive else HelmIgnore.of(""), dict[str, Callable[[], bytes]]()
    if (folder / FILE_NAME).is_file() and not archive:
        ignore = HelmIgnore.of(read_inside(folder / FILE_NAME, root, limit=1 << 20).decode(errors="replace"))

    left = _MAX_ENTRIES

    def walk(current: Path, prefix: str, above: frozenset[Path]) -> None:
        nonlocal left
        if len(above) > _MAX_FOLDERS:
            raise RenderError(f"the folders of a chart lie more than {_MAX_FOLDERS} deep", where=shown(folder, root))
        # helm looks at what a link leads to by the link's own name.
        for entry, is_folder in _listed(current, root):
            left -= _LINKED if is_folder and entry.is_symlink() else 1
            if left < 0:
                raise RenderError(
                    f"the chart has more than {_MAX_ENTRIES} files and folders, or its links make so many",
                    where=shown(folder, root),
                    hint="let no two links lead to one folder",
                )
            name, path = prefix + entry.name, Path(entry.path)
            if ignore.ignores(name, is_folder=is_folder):
                continue
            if not is_folder:
                files[name] = lambda path=path: read_inside(path, root, limit=UNPACKED)  # type: ignore[misc]
            elif (target := real(path) if entry.is_symlink() else path) not in above:
                walk(path, f"{name}/", above | {target})

    walk(folder, "", frozenset({folder}))
    return files


def _listed(folder: Path, root: Path) -> list[tuple[os.DirEntry[str], bool]]:
    """What a folder holds, by name, and whether it is a folder itself."""
    try:
        with os.scandir(folder) as entries:
            return [(entry, entry.is_dir()) for entry in sorted(entries, key=lambda entry: entry.name)]
    except OSError as e:  # such as the 41st link in one path
        raise RenderError(f"the folder {shown(folder, root)} cannot be read: {e.strerror}") from e


def _chart(place: str, files: Mapping[str, Callable[[], bytes]], reader: ArchiveReader, depth: int) -> Chart:
    """A chart from its files by name (`chart/loader.LoadFiles`)."""
    if depth > _MAX_CHARTS:
        raise RenderError(f"charts in charts, more than {_MAX_CHARTS} deep", where=place)
    metadata, requirements = _read(files, "Chart.yaml"), _read(files, "requirements.yaml")
    listed = requirements if "dependencies" in requirements else metadata
    return Chart(
        place,
        _text(metadata, "name"),
        _text(metadata, "version"),
        _text(metadata, "apiVersion") or "v1",
        _dependencies(listed),
        next((_lock(files, file) for file in ("requirements.lock", "Chart.lock") if file in files), None),
        files,
        tuple(_subcharts(place, files, reader, depth)),
    )


def _subcharts(
    place: str, files: Mapping[str, Callable[[], bytes]], reader: ArchiveReader, depth: int
) -> Iterator[Chart]:
    below: dict[str, dict[str, Callable[[], bytes]]] = {}
    for name, read in files.items():
        if name.startswith("charts/") and not name.endswith(".prov"):
            top, _, rest = name.removeprefix("charts/").partition("/")
            below.setdefault(top, {})[rest] = read
    for top, inner in below.items():
        if top.startswith(("_", ".")):
            continue
        where = f"{place}/charts/{top}" if place != "." else f"charts/{top}"
        if top.endswith(".tgz") and "" in inner:
            unpacked = dict(reader.members(io.BytesIO(inner[""]()), where))
            yield _chart(where, {name: _given(data) for name, data in unpacked.items()}, reader, depth + 1)
        elif "Chart.yaml" in inner:
            yield _chart(where, inner, reader, depth + 1)


def _given(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def _read(files: Mapping[str, Callable[[], bytes]], name: str) -> Mapping[str, Any]:
    """The first document of a YAML file; empty where there is none that can be read."""
    if name not in files:
        return {}
    try:
        documents = load_text(files[name](), file=name).documents
    except ManifestError:
        return {}
    data = documents[0].data if documents else None
    return data if isinstance(data, Mapping) else {}


def _lock(files: Mapping[str, Callable[[], bytes]], file: str) -> Lock:
    data = _read(files, file)
    return Lock(file, _text(data, "digest"), _dependencies(data))


def _dependencies(data: Mapping[str, Any]) -> tuple[Dependency, ...]:
    entries = data.get("dependencies")
    return tuple(
        Dependency(_text(e, "name"), _text(e, "version"), _text(e, "repository"), _text(e, "alias"), e)
        for e in (entries if isinstance(entries, list) else ())
        if isinstance(e, Mapping)
    )


def _text(data: Mapping[str, Any], key: str) -> str:
    return text_of(data.get(key))


def text_of(value: Any) -> str:
    """A scalar as the text that helm makes of it where it wants one; empty for what is none (`sigs.k8s.io/yaml`)."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value) if isinstance(value, str | int) else ""
