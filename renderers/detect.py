"""Which renderer fits which folder: splits a folder of a checkout into units. Renders nothing."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from renderers.api import RenderError
from renderers.boundary import KEEP_INSIDE, real, shown
from renderers.ignore import FILE_NAME as IGNORE_FILE
from renderers.ignore import IgnoreRules
from renderers.jinja.names import TEMPLATES
from renderers.kustomize.references import FILE_NAMES
from renderers.plain import SUFFIXES
from renderers.referring import References, all_references, not_referenced
from renderers.registry import RENDERERS, plugins
from renderers.registry import renderer as renderer_of
from renderers.settings import FILE_NAME as SETTINGS_FILE
from renderers.settings import Steps, load_settings

CHART = "Chart.yaml"
#: Files and folders that are looked at below one folder, and seconds that this may take.
MAX_ENTRIES = 100_000
MAX_SECONDS = 60.0
_NOT_PLAIN = frozenset({*FILE_NAMES, CHART})
#: The renderers that are given their files; the others look for themselves.
_OF_FILES = ("yaml", "jinja")


@dataclass(frozen=True, slots=True)
class Unit:
    """A folder with the renderer that fits it. All absolute, resolved; files sorted.

    `files` are those of a `yaml` or `jinja` unit; `templates` lie beside the files of a `yaml` unit, and are passed
    over because nobody chose Jinja.
    """

    folder: Path
    renderer: str
    files: tuple[Path, ...] = ()
    templates: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """The units of a folder, sorted by folder, the plain one first; none where there is nothing to render.

    `references` are those of every kustomization that was found or is referred to: what made units of some.
    """

    units: tuple[Unit, ...]
    references: Mapping[Path, References] = field(default_factory=dict)


def find_units(root: Path, folder: Path, *, renderer: str = "", recursive: bool = True) -> Found:
    """Look through a folder for units.

    A chart, a kustomization, and a folder whose settings name Jinja, a plug-in or steps over what it renders to are
    units of their own, also below other folders. Nothing below a kustomization is read as plain YAML; below a chart
    or a plug-in's folder there is no unit at all. What another unit refers to (a base, a component, a chart of
    `helmCharts`) is none. All other plain files are one unit of the folder itself. `renderer`: the folder is one unit
    of that renderer, whatever it looks like. `recursive=False`: folders below are not looked at.

    Raises RenderError for a path that is no folder in `root` (the boundary), a link that leads out of it, a folder
    that fits two renderers, bad settings or ignore rules, an unknown renderer, or more than MAX_ENTRIES;
    ManifestError for settings that are no YAML.
    """
    root, given, folder = real(root), folder, real(folder)
    if not folder.is_relative_to(root):
        raise RenderError(f"the path {given} leads out of the checkout", hint=KEEP_INSIDE)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise RenderError(f"the path {shown(folder, root)} {what}", hint="give a folder; is it committed?")
    if renderer and renderer not in _OF_FILES:
        _check_fits(folder, renderer, root, "--renderer")
        return Found((Unit(folder, renderer),))
    walk = _Walk(root, folder, renderer, recursive=recursive)
    walk.run()
    references = all_references(walk.kustomizations, root)
    rendered_by_kustomize = {chart for path in walk.kustomizations for chart in references[path].charts}
    units = [Unit(path, "helm") for path in walk.charts - rendered_by_kustomize]
    units += [Unit(path, "kustomize") for path in not_referenced(walk.kustomizations, references)]
    units += [Unit(path, name) for path, name in walk.others]
    units += [unit for group in walk.groups.values() if (unit := group.unit())]
    return Found(tuple(sorted(units, key=lambda unit: (unit.folder, unit.renderer != "yaml"))), references)


@dataclass(frozen=True, slots=True)
class _Group:
    """The files of one unit that is given them."""

    folder: Path
    renderer: str
    files: set[Path] = field(default_factory=set)
    templates: set[Path] = field(default_factory=set)

    def add(self, files: Mapping[str, Path]) -> None:
        """Take what is for this unit out of the files of a folder."""
        manifests = {files[name] for name in files if name.endswith(SUFFIXES) and name not in _NOT_PLAIN}
        templates = {files[name] for name in files if name.endswith(TEMPLATES)}
        self.files.update(manifests)
        (self.files if self.renderer == "jinja" else self.templates).update(templates)

    def unit(self) -> Unit | None:
        """The unit; None without files. One of nothing but templates is there to be told of."""
        if not self.files and not self.templates:
            return None
        return Unit(self.folder, self.renderer, tuple(sorted(self.files)), tuple(sorted(self.templates)))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to look at: `path` as the walk got there, through links; `target` resolved.

    `group` takes its manifest files; None: nobody does.
    """

    path: Path
    target: Path
    rules: IgnoreRules
    group: _Group | None


class _Walk:
    """One walk over a folder, without recursion: folders may be nested deeper than Python's stack."""

    def __init__(self, root: Path, folder: Path, renderer: str, *, recursive: bool) -> None:
        self.charts: set[Path] = set()
        self.kustomizations: set[Path] = set()
        self.others: set[tuple[Path, str]] = set()
        self.groups: dict[tuple[Path, str], _Group] = {}
        self._root = root
        self._recursive = recursive
        self._detect = not renderer
        self._todo = [_Folder(folder, folder, IgnoreRules(root), self._group(folder, renderer or "yaml"))]
        self._seen: dict[Path, bool] = {}
        self._entries = 0
        self._deadline = time.monotonic() + MAX_SECONDS

    def run(self) -> None:
        """Fill `charts`, `kustomizations`, `others` and `groups`."""
        while self._todo:
            folder = self._todo.pop()
            is_read = folder.group is not None
            # A folder below a kustomization may be met again as a plain one, through a link.
            if folder.target in self._seen and self._seen[folder.target] >= is_read:
                continue
            self._seen[folder.target] = is_read
            self._look_at(folder)

    def _group(self, folder: Path, renderer: str) -> _Group:
        return self.groups.setdefault((folder, renderer), _Group(folder, renderer))

    def _look_at(self, folder: _Folder) -> None:
        target, group = folder.target, folder.group
        folders, files, rules, has_settings = self._listed(folder)
        below = self._recursive
        if self._detect:
            steps = load_settings(target, root=self._root) if has_settings else Steps()
            chosen = steps.renderer
            renderer = self._fitting(target, steps, files)
            if renderer == "helm":
                self.charts.add(target)
                return
            if renderer not in RENDERERS:
                self.others.add((target, renderer))
                return
            if renderer == "kustomize":
                self.kustomizations.add(target)
                group = None
            elif renderer == "jinja" or (steps.post and group is not None):
                group = self._group(target, renderer)
            if chosen is not None and chosen.yaml is not None:
                below = below and chosen.yaml.recursive
        if group is not None:
            group.add(files)
        if below:
            found = sorted(folders.items(), reverse=True)
            self._todo += [_Folder(folder.path / name, path, rules, group) for name, path in found]

    def _listed(self, folder: _Folder) -> tuple[dict[str, Path], dict[str, Path], IgnoreRules, bool]:
        """The folders and the files that nothing excludes, by name, resolved; the rules; whether it has settings."""
        folders: dict[str, Path] = {}
        files: dict[str, Path] = {}
        try:
            with os.scandir(folder.target) as found:
                entries = {entry.name: entry for entry in found}
        except OSError as e:
            raise RenderError(f"the folder {shown(folder.path, self._root)} cannot be read: {e.strerror}") from e
        self._count(folder.path, len(entries))
        rules = folder.rules.entering(folder.path) if IGNORE_FILE in entries else folder.rules
        for name, entry in entries.items():
            if name.startswith("."):
                continue
            is_folder = self._is_folder(entry, folder.path)
            if rules.levels and rules.ignores(folder.path / name, is_folder=is_folder):
                continue
            target = self._followed(folder.path / name) if entry.is_symlink() else folder.target / name
            (folders if is_folder else files)[name] = target
        return folders, files, rules, SETTINGS_FILE in entries

    def _is_folder(self, entry: "os.DirEntry[str]", folder: Path) -> bool:
        try:
            return entry.is_dir()
        except OSError as e:  # a link without end
            raise RenderError(f"{shown(folder / entry.name, self._root)} cannot be read: {e.strerror}") from e

    def _count(self, folder: Path, more: int) -> None:
        self._entries += more
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

    def _fitting(self, folder: Path, steps: Steps, names: Iterable[str]) -> str:
        """The renderer of a folder."""
        if steps.renderer is not None:
            _check_fits(folder, steps.renderer.renderer, self._root, ".trimtab.yaml")
            return steps.renderer.renderer
        is_chart, is_kustomization = CHART in names, any(name in names for name in FILE_NAMES)
        if is_chart and is_kustomization:
            raise RenderError(
                f"the folder {shown(folder, self._root)} is a chart and a kustomization",
                hint="choose with --renderer helm or --renderer kustomize, or with a .trimtab.yaml in the folder: "
                "render: [kustomize: {}]",
            )
        if is_chart or is_kustomization:
            return "helm" if is_chart else "kustomize"
        return next((name for name in plugins() if renderer_of(name).fits(folder)), "yaml")


def _check_fits(folder: Path, renderer: str, root: Path, chosen_by: str) -> None:
    """Raise RenderError for a folder that the renderer cannot render, and for a renderer that is none."""
    if renderer_of(renderer).fits(folder) or renderer in _OF_FILES:
        return
    missing = {"helm": CHART, "kustomize": FILE_NAMES[0]}.get(renderer)
    place = shown(folder, root)
    raise RenderError(
        f"the folder {place} has no {missing}, and {chosen_by} says {renderer}"
        if missing
        else f"{chosen_by} says {renderer}, and the folder {place} is nothing for that renderer",
        hint=f"add the file, or leave the choice out ({chosen_by})" if missing else f"correct {chosen_by}",
    )
