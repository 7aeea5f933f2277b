"""Which kustomizations and charts are parts of other kustomizations, and so no units of their own."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from renderers.boundary import real, shown
from renderers.files import read_inside
from renderers.kustomize.fields import find, text_of
from renderers.kustomize.references import kustomization_files, referenced_folders
from renderers.manifest import load_text
from renderers.manifest.guard import MAX_SIZE


@dataclass(frozen=True, slots=True)
class References:
    """What a kustomization refers to: folders with kustomizations, and where charts lie that it renders itself."""

    folders: frozenset[Path]
    charts: frozenset[Path]


def references_of(folder: Path, root: Path) -> References:
    """What the kustomization in a folder refers to inside `root`. Both are resolved, and so is what it answers.

    Raises ManifestError for one that is no YAML, where that matters.
    """
    return References(frozenset(referenced_folders(folder, root) - {folder}), frozenset(_charts_of(folder, root)))


def all_references(kustomizations: Iterable[Path], root: Path) -> Mapping[Path, References]:
    """The same of these, of what they refer to, and so on."""
    found: dict[Path, References] = {}
    todo = list(kustomizations)
    while todo:
        folder = todo.pop()
        if folder not in found:
            found[folder] = references_of(folder, root)
            todo += found[folder].folders
    return found


def not_referenced(kustomizations: Iterable[Path], references: Mapping[Path, References]) -> list[Path]:
    """The kustomizations that no other one refers to; of a circle, which kustomize will refuse, all."""
    found = set(kustomizations)
    tops = found.difference(*(each.folders for each in references.values()))
    reached: set[Path] = set()
    todo = list(tops)
    while todo:
        folder = todo.pop()
        if folder not in reached:
            reached.add(folder)
            todo += references[folder].folders
    return sorted(found - (reached - tops))


def _charts_of(folder: Path, root: Path) -> Iterator[Path]:
    """Where the charts lie, or may lie, that a kustomization renders itself (`helmCharts`)."""
    for file in kustomization_files(folder):
        text = read_inside(file, root, limit=MAX_SIZE)
        if b"helmCharts" not in text and b"\\" not in text:  # the key may be written with escapes
            continue
        for document in load_text(text, file=shown(file, root)).documents:
            homes = [home for _, home in find(document.data, "helmGlobals.chartHome") if isinstance(home, str)]
            for _, chart in find(document.data, "helmCharts[]"):
                home, name = folder / (homes[0] if homes else "charts"), text_of(chart, "name")
                yield real(home / name)
                yield real(home / f"{name}-{text_of(chart, 'version')}" / name)
