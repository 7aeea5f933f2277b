"""Which renderer fits which folder: splits a folder of a checkout into units. Renders nothing."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from renderers import plain
from renderers.api import RenderError
from renderers.boundary import KEEP_INSIDE, real, shown
from renderers.files import read_inside
from renderers.ignore import IgnoreRules
from renderers.kustomize.fields import find, text_of
from renderers.kustomize.references import FILE_NAMES, kustomization_files, referenced_folders
from renderers.manifest import load_text
from renderers.manifest.guard import MAX_SIZE
from renderers.settings import load_settings

CHART = "Chart.yaml"
#: Files and folders that are looked at below one folder, and seconds that this may take.
MAX_ENTRIES = 100_000
MAX_SECONDS = 60.0
_RENDERERS = ("yaml", "kustomize", "helm")


@dataclass(frozen=True, slots=True)
class Unit:
    """A folder with the renderer that fits it; `files` are those of a `yaml` unit, sorted. All absolute, resolved."""

    folder: Path
    renderer: str
    files: tuple[Path, ...] = ()


def find_units(root: Path, folder: Path, *, renderer: str = "", recursive: bool = True) -> tuple[Unit, ...]:
    """The units of a folder, sorted by folder, the plain one first; none where there is nothing to render.

    A chart and a kustomization are units of their own, also below other folders, and nothing below them is read as
    plain YAML; below a chart there is no unit at all. What another unit refers to (a base, a component, a chart of
    `helmCharts`) is none. All plain files are one unit of the folder itself. `renderer`: the folder is one unit of
    that renderer, whatever it looks like. `recursive=False`: folders below are not looked at.

    Raises RenderError for a path that is no folder in `root` (the boundary), a link that leads out of it, a folder
    that fits two renderers, bad settings or ignore rules, or more than MAX_ENTRIES; ManifestError for settings that
    are no YAML.
    """
    root, given, folder = real(root), folder, real(folder)
    if not folder.is_relative_to(root):
        raise RenderError(f"the path {given} leads out of the checkout", hint=KEEP_INSIDE)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise RenderError(f"the path {shown(folder, root)} {what}", hint="give a folder; is it committed?")
    if renderer in ("helm", "kustomize"):
        _check_fits(folder, renderer, root, "--renderer")
        return (Unit(folder, renderer),)
    if renderer not in ("", *_RENDERERS):
        raise RenderError(f"there is no renderer {renderer!r}", hint=f"choose one of {', '.join(_RENDERERS)}")
    walk = _Walk(root, folder, recursive=recursive, detect=not renderer)
    walk.run()
    rendered_by_kustomize = {chart for path in walk.kustomizations for chart in _charts_of(path, root)}
    units = [Unit(path, "helm") for path in walk.charts - rendered_by_kustomize]
    units += [Unit(path, "kustomize") for path in _not_referenced(walk.kustomizations, root)]
    if walk.files:
        units.append(Unit(folder, "yaml", tuple(sorted(walk.files))))
    return tuple(sorted(units, key=lambda unit: (unit.folder, unit.renderer != "yaml")))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to look at: `path` as the walk got there, through links; `target` resolved.

    `plain`: YAML in it is read as it stands.
    """

    path: Path
    target: Path
    rules: IgnoreRules
    plain: bool


class _Walk:
    """One walk over a folder, without recursion: folders may be nested deeper than Python's stack."""

    def __init__(self, root: Path, folder: Path, *, recursive: bool, detect: bool) -> None:
        self.charts: set[Path] = set()
        self.kustomizations: set[Path] = set()
        self.files: set[Path] = set()
        self._root = root
        self._recursive = recursive
        self._detect = detect
        self._todo = [_Folder(folder, folder, IgnoreRules(root), plain=True)]
        self._seen: dict[Path, bool] = {}
        self._entries = 0
        self._deadline = time.monotonic() + MAX_SECONDS

    def run(self) -> None:
        """Fill `charts`, `kustomizations` and `files`."""
        while self._todo:
            folder = self._todo.pop()
            target = folder.target
            # A folder below a kustomization may be met again as a plain one, through a link.
            if target in self._seen and self._seen[target] >= folder.plain:
                continue
            self._seen[target] = folder.plain
            self._look_at(folder)

    def _look_at(self, folder: _Folder) -> None:
        target = folder.target
        rules = folder.rules.entering(folder.path)
        folders, files = self._listed(folder, rules)
        below = self._recursive
        is_plain = folder.plain
        if self._detect:
            renderer, recursive = self._fitting(target, set(files))
            below = below and recursive
            if renderer == "helm":
                self.charts.add(target)
                return
            if renderer == "kustomize":
                self.kustomizations.add(target)
                is_plain = False
        if is_plain:
            names = {name for name in files if name.endswith(plain.SUFFIXES)} - {*FILE_NAMES, CHART}
            self.files.update(files[name] for name in names)
        if below:
            self._todo += [_Folder(folder.path / name, path, rules, is_plain) for name, path in folders.items()]

    def _listed(self, folder: _Folder, rules: IgnoreRules) -> tuple[dict[str, Path], dict[str, Path]]:
        """The folders and the files that nothing excludes, by name, resolved."""
        folders: dict[str, Path] = {}
        files: dict[str, Path] = {}
        try:
            with os.scandir(folder.target) as entries:
                for entry in entries:
                    self._count(folder.path)
                    path, is_folder = folder.path / entry.name, entry.is_dir()
                    if entry.name.startswith(".") or rules.ignores(path, is_folder=is_folder):
                        continue
                    target = self._followed(path) if entry.is_symlink() else folder.target / entry.name
                    (folders if is_folder else files)[entry.name] = target
        except OSError as e:
            raise RenderError(f"the folder {shown(folder.path, self._root)} cannot be read: {e.strerror}") from e
        return folders, files

    def _count(self, folder: Path) -> None:
        self._entries += 1
        if self._entries > MAX_ENTRIES or time.monotonic() > self._deadline:
            raise RenderError(
                f"{shown(folder, self._root)} is too much to look through: more than {MAX_ENTRIES} files "
                f"or {MAX_SECONDS:.0f} seconds",
                hint="choose a folder further down, or exclude what is no input with .trimtabignore",
            )

    def _followed(self, link: Path) -> Path:
        """Where a link ends, inside the boundary."""
        target, name = real(link), shown(link, self._root)
        if not target.is_relative_to(self._root):
            raise RenderError(f"{name} is a link that leads out of the checkout, to {target}", hint=KEEP_INSIDE)
        if not target.exists():
            raise RenderError(
                f"{name} is a link to {shown(target, self._root)}, which does not exist",
                hint="correct the link, or exclude it with .trimtabignore",
            )
        return target

    def _fitting(self, folder: Path, names: set[str]) -> tuple[str, bool]:
        """The renderer of a folder, and whether the folders below it are looked at."""
        step = load_settings(folder, root=self._root).renderer
        if step is not None:
            _check_fits(folder, step.renderer, self._root, ".trimtab.yaml")
            return step.renderer, step.yaml is None or step.yaml.recursive
        is_chart, is_kustomization = CHART in names, not names.isdisjoint(FILE_NAMES)
        if is_chart and is_kustomization:
            raise RenderError(
                f"the folder {shown(folder, self._root)} is a chart and a kustomization",
                hint="choose with --renderer helm or --renderer kustomize, or with a .trimtab.yaml in the folder: "
                "render: [kustomize: {}]",
            )
        return "helm" if is_chart else "kustomize" if is_kustomization else "yaml", True


def _check_fits(folder: Path, renderer: str, root: Path, chosen_by: str) -> None:
    if renderer == "helm" and not (folder / CHART).is_file():
        missing = CHART
    elif renderer == "kustomize" and not kustomization_files(folder):
        missing = FILE_NAMES[0]
    else:
        return
    raise RenderError(
        f"the folder {shown(folder, root)} has no {missing}, and {chosen_by} says {renderer}",
        hint=f"add the file, or leave the choice out ({chosen_by})",
    )


def _not_referenced(kustomizations: Iterable[Path], root: Path) -> list[Path]:
    """The kustomizations that no other one refers to; of a circle, which kustomize will refuse, all."""
    found = set(kustomizations)
    references: dict[Path, set[Path]] = {}
    todo = list(found)
    while todo:
        folder = todo.pop()
        if folder not in references:
            references[folder] = {
                path for path in referenced_folders(folder, root) - {folder} if path.is_relative_to(root)
            }
            todo += references[folder]
    referenced = set().union(*references.values())
    tops = found - referenced
    reached: set[Path] = set()
    todo = list(tops)
    while todo:
        folder = todo.pop()
        if folder not in reached:
            reached.add(folder)
            todo += references[folder]
    return sorted(found - (reached - tops))


def _charts_of(folder: Path, root: Path) -> Iterator[Path]:
    """Where the charts lie, or may lie, that a kustomization renders itself (`helmCharts`)."""
    for file in kustomization_files(folder):
        text = read_inside(file, root, limit=MAX_SIZE)
        for document in load_text(text, file=shown(file, root)).documents:
            homes = [home for _, home in find(document.data, "helmGlobals.chartHome") if isinstance(home, str)]
            for _, chart in find(document.data, "helmCharts[]"):
                home, name = folder / (homes[0] if homes else "charts"), text_of(chart, "name")
                yield real(home / name)
                yield real(home / f"{name}-{text_of(chart, 'version')}" / name)
