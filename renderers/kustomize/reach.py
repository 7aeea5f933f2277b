"""What a walk has reached: files, links and what was fetched, each found to lie inside its boundary."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from renderers.api import Fetched, Inputs, RenderError
from renderers.boundary import KEEP_INSIDE, files_inside, follow, shown
from renderers.files import read_inside
from renderers.inputs import MAX_FILE, fetched_folder, folder_inputs
from renderers.kustomize.remote import brief
from renderers.manifest.dump import dump
from renderers.manifest.guard import MAX_SIZE
from renderers.manifest.load import load_text

#: What may be fetched for one unit: a chain of bases that refer to ever more of them has an end.
_MAX_FETCHED = 100
#: Many times what the largest kustomizations have.
_MAX_REFERENCES = 20_000
#: At the root of the private copy: the folders of what was fetched, and what people call it.
NAMES = ".trimtab-fetched.yaml"


@dataclass(frozen=True, slots=True)
class Source:
    """The checkout, or another repository that was fetched.

    `root` is the boundary (resolved), `place` where that lies in the private copy, told as a path of the checkout.
    `url` is empty for the checkout itself.
    """

    root: Path
    place: Path
    url: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.url or "the checkout"

    def at(self, path: Path) -> Path:
        """Where a path lies in the private copy, told as a path of the checkout."""
        return self.place / path.relative_to(self.root)

    def shown(self, path: Path) -> str:
        """The path for people."""
        return f"{self.url} ({shown(path, self.root)})" if self.url else shown(path, self.root)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder (resolved) of a source: what references are relative to."""

    source: Source
    folder: Path


class Reach:
    """Collects. Sources other than the checkout are laid out whole, so of them only what is written counts."""

    def __init__(self, root: Path) -> None:
        self.checkout = Source(root, root)
        self._files = set[Path]()
        self._links = set[Path]()
        self._fetched: dict[tuple[str, str], Fetched] = {}
        self._sources: dict[Path, Source] = {root: self.checkout}
        self._documents: dict[Path, list[Any]] = {}
        self._references = 0
        self.written: dict[Path, bytes] = {}

    def inputs(self, *tools: str) -> Inputs:
        """All of it."""
        names = {self.checkout.shown(source.place): source.url for source in self._sources.values() if source.url}
        if names:
            self.written[self.checkout.root / NAMES] = dump(names).encode()
        return Inputs(
            frozenset(self._files), frozenset(self._links), tuple(self._fetched.values()), self.written, tools
        )

    def resolve(self, field: str, text: Any, at: Place) -> tuple[Path, Path]:
        """The path that a local reference names, and the file or folder there with all links followed.

        Raises RenderError for what is no text, absolute, missing, or leads out of the source, and for too many.
        """
        self._references += 1
        if self._references > _MAX_REFERENCES:
            raise RenderError(f"there are more than {_MAX_REFERENCES} references", hint="split the kustomization")
        if not isinstance(text, str):
            raise RenderError(f"{field} is no text, so it can name no file", hint="put it in quotes")
        reference = f"{field} refers to {brief(text)}"
        if not is_path(text):
            raise RenderError(f"{field} is {brief(text)!r}, which is no path", hint="take odd characters out")
        if text.startswith("/"):
            raise RenderError(f"{reference}, which is an absolute path", hint=KEEP_INSIDE)
        path = Path(os.path.normpath(at.folder / text))
        target = self.follow(path, at.source)
        if target is None:
            raise RenderError(f"{reference}, which leads out of {at.source.name}", hint=KEEP_INSIDE)
        if not os.path.exists(target):  # noqa: PTH110 - raises nothing, whatever the text
            raise RenderError(
                f"{reference}, which does not exist",
                hint=f"paths are relative to {at.source.shown(at.folder)}; is the file committed?",
            )
        return path, target

    def follow(self, path: Path, source: Source) -> Path | None:
        """The path with all its links followed, which count as reached; None where it leads out of the source."""
        if not path.is_relative_to(source.root):
            return None
        target, links = follow(path, source.root)
        # What was fetched lies elsewhere when it is read.
        moved = source.url and any(link.readlink().is_absolute() for link in links)
        if moved or not target.is_relative_to(source.root):
            return None
        if not source.url:
            self._links.update(links)
        return target

    def documents(self, file: Path, source: Source) -> list[Any]:
        """The documents of a YAML file, not to be changed; it counts as reached. Raises RenderError, ManifestError."""
        self.take(file, source)
        if file not in self._documents:
            loaded = load_text(read_inside(file, source.root, limit=MAX_SIZE), file=source.shown(file))
            self._documents[file] = [document.data for document in loaded.documents]
        return self._documents[file]

    def take(self, file: Path, source: Source) -> None:
        """Count a file as reached."""
        target = self.follow(file, source)
        if target is not None and not source.url:
            self._files.add(target)

    def take_folder(self, folder: Path, source: Source) -> None:
        """Count all of a folder as reached. Raises RenderError for a link in it that leads out."""
        found = folder_inputs(folder, source.root)
        if not source.url:
            self._files |= found.files
            self._links |= found.links

    def copy(self, fetched: Fetched, place: Path) -> None:
        """Have a folder that was fetched laid out at a place, too, with links as what they lead to."""
        self._count(fetched)
        for file in files_inside(fetched.folder, fetched.root):
            content = read_inside(file, fetched.root, limit=MAX_FILE)
            self.written[place / file.relative_to(fetched.folder)] = content

    def fetched(self, fetched: Fetched) -> Source:
        """What was fetched as a source. Raises RenderError for too many."""
        self._count(fetched)
        place = fetched_folder(self.checkout.root, replace(fetched, folder=fetched.root))
        return self._sources.setdefault(fetched.root, Source(fetched.root, place, fetched.url))

    def _count(self, fetched: Fetched) -> None:
        self._fetched[fetched.id, fetched.url] = fetched
        if len(self._fetched) > _MAX_FETCHED:
            raise RenderError(
                f"more than {_MAX_FETCHED} bases and charts would be fetched", hint="is there a circle of remote bases?"
            )


def is_path(text: str) -> bool:
    """Whether a file could have this path (Linux, `limits.h`)."""
    try:
        name = os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return b"\0" not in name and len(name) < 4096 and all(len(part) < 256 for part in name.split(b"/"))
