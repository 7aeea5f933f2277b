"""The closed input set of a unit: laid out in a private folder, so that a render can read nothing else."""

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from renderers.api import HelmOptions, Inputs, JinjaOptions, RenderError, RenderRequest
from renderers.boundary import KEEP_INSIDE, real, shown
from renderers.files import read_inside

#: What one file of a unit may have, in bytes.
MAX_FILE = 256 << 20


def lay_out(inputs: Inputs, request: RenderRequest, private: Path) -> RenderRequest:
    """Copy the inputs to `private/src`, and answer the same request with all paths there.

    What options name outside the checkout is copied to `private/given`. Raises RenderError for a file that cannot
    be read.
    """
    layout = _Layout(request.root, private)
    for link in sorted(inputs.links):
        layout.link(link)
    for file in inputs.files:
        layout.file(file)
    layout.place(request.folder).mkdir(parents=True, exist_ok=True)
    return replace(
        request,
        root=layout.root,
        folder=layout.place(request.folder),
        files=tuple(layout.place(file) for file in request.files),
        helm=tuple(layout.helm(options) for options in request.helm),
        jinja=tuple(layout.jinja(options) for options in request.jinja),
    )


def folder_inputs(folder: Path, root: Path, *, tools: Iterable[str] = ()) -> Inputs:
    """A folder (resolved) with all that its links lead to, as the inputs of a unit. `root` is resolved.

    Raises RenderError for a link that leaves the root, and for a folder that cannot be read.
    """
    files, links, folders = set[Path](), set[Path](), set[Path]()
    todo = [folder]
    while todo:
        current = todo.pop()
        if current in folders:
            continue
        folders.add(current)
        try:
            with os.scandir(current) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if entry.is_symlink():
                        target = real(path)
                        if not target.is_relative_to(root):
                            raise RenderError(
                                f"{shown(path, root)} is a link that leads out of the checkout, to {target}",
                                hint=KEEP_INSIDE,
                            )
                        links.add(path)
                        path = target
                    if path.is_dir():
                        todo.append(path)
                    elif path.is_file():
                        files.add(path)
        except OSError as e:
            raise RenderError(f"the folder {shown(current, root)} cannot be read: {e.strerror}") from e
    return Inputs(frozenset(files), frozenset(links), tools=tuple(tools))


class _Layout:
    """Where things of the checkout lie in the private folder."""

    def __init__(self, root: Path, private: Path) -> None:
        self._from = root
        self._given = private / "given"
        self.root = private / "src"
        self.root.mkdir()

    def place(self, path: Path) -> Path:
        """The path in the private folder of one in the checkout."""
        return self.root / path.relative_to(self._from)

    def file(self, path: Path) -> None:
        place = self.place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(read_inside(path, self._from, limit=MAX_FILE))

    def link(self, path: Path) -> None:
        place, target = self.place(path), self.place(real(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            place.symlink_to(os.path.relpath(target, place.parent))

    def given(self, path: Path) -> Path:
        """An option's file: where it lies already, else a copy of it."""
        if path.is_relative_to(self._from) and self.place(path).is_file():
            return self.place(path)
        if path.is_relative_to(self._from):
            self.file(path)
            return self.place(path)
        folder = self._given / str(len(list(self._given.glob("*"))))
        folder.mkdir(parents=True)
        try:
            shutil.copyfile(path, folder / path.name)
        except OSError as e:
            raise RenderError(f"the file {path} cannot be read: {e.strerror}", hint="check the path") from e
        return folder / path.name

    def helm(self, options: HelmOptions) -> HelmOptions:
        return replace(
            options,
            value_files=tuple(map(self.given, options.value_files)),
            set_file=tuple((key, self.given(path)) for key, path in options.set_file),
        )

    def jinja(self, options: JinjaOptions) -> JinjaOptions:
        return replace(options, value_files=tuple(map(self.given, options.value_files)))
