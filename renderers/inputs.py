"""The closed input set of a unit: laid out in a private folder, so that a render can read nothing else."""

import errno
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from renderers.api import Fetched, HelmOptions, Inputs, JinjaOptions, RenderError, RenderRequest
from renderers.boundary import KEEP_INSIDE, real, shown
from renderers.files import InsideReader, read_inside

#: What one file of a unit, and all of them, may have, in bytes.
MAX_FILE = 256 << 20
MAX_ALL = 1 << 30

#: In the private copy of a checkout: what came from elsewhere, and files that options name outside of the checkout.
_FETCHED, _GIVEN = ".trimtab-fetched", ".trimtab-given"


def lay_out(inputs: Inputs, request: RenderRequest, private: Path) -> RenderRequest:
    """Copy the inputs to `private/src`, and answer the same request with all paths there.

    Files that options name are inputs too (`with_options` says so); those outside the checkout are copied as well.
    Raises RenderError for a file that cannot be read, and for too much of it all.
    """
    for name in (_FETCHED, _GIVEN):
        if os.path.lexists(request.root / name):
            raise RenderError(
                f"{name} in the checkout is a name that a render uses itself", hint="give it another name"
            )
    layout = _Layout(request.root, private / "src")
    layout.links(inputs.links)
    layout.files(inputs.files)
    for fetched in _once(inputs.fetched):
        layout.other(fetched.root, layout.root / _FETCHED / _safe(fetched.id))
    for file, content in inputs.written.items():
        layout.write(file, content)
    os.makedirs(layout.place(request.folder), exist_ok=True)  # noqa: PTH103 - of a unit without files
    return replace(
        request,
        root=layout.root,
        folder=layout.place(request.folder),
        files=tuple(layout.place(file) for file in request.files),
        helm=tuple(layout.helm(options) for options in request.helm),
        jinja=tuple(layout.jinja(options) for options in request.jinja),
    )


def fetched_folder(root: Path, fetched: Fetched) -> Path:
    """Where `fetched.folder` lies below the private `root` of a request that was laid out with it."""
    return root / _FETCHED / _safe(fetched.id) / fetched.folder.relative_to(fetched.root)


def option_name(path: Path, root: Path) -> str:
    """What people call a file that an option names, once it was laid out below `root`."""
    place = path.relative_to(root) if path.is_relative_to(root) else path
    return place.name if place.parts[0] in (_GIVEN, "/") else place.as_posix()


def option_files(request: RenderRequest) -> list[Path]:
    """The files that options name, in the checkout or elsewhere."""
    named = [path for options in request.helm for path in options.value_files]
    named += [path for options in request.helm for _, path in options.set_file]
    return named + [path for options in request.jinja for path in options.value_files]


def with_options(inputs: Inputs, request: RenderRequest) -> Inputs:
    """The inputs with the files of the checkout that options name."""
    named = {path for path in map(real, option_files(request)) if path.is_relative_to(request.root)}
    return inputs if named <= inputs.files else replace(inputs, files=inputs.files | named)


def whole_checkout(inputs: Inputs, root: Path) -> Inputs:
    """The same with every file of the checkout, but for git's own, links that lead out, and what is no file.

    `root` is resolved. Raises RenderError for a folder that cannot be read.
    """
    files, links = set[Path](), set[Path]()
    todo = [root]
    while todo:
        for entry in _listed(todo.pop(), root):
            path = Path(entry.path)
            if entry.is_symlink():
                if real(path).is_relative_to(root):
                    links.add(path)
            elif entry.is_dir():
                if entry.name != ".git":
                    todo.append(path)
            elif entry.is_file():
                files.add(path)
    return replace(inputs, files=frozenset(files), links=frozenset(links), whole=True)


def size_of(inputs: Inputs) -> int:
    """How many bytes laying out takes, about."""
    files = {*inputs.files}.union(*(whole_checkout(Inputs(), each.root).files for each in _once(inputs.fetched)))
    return sum(map(_size, files))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0  # the error comes when it is read


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
        for entry in _listed(current, root):
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
            if os.path.isdir(path):  # noqa: PTH112 - a circle of links is an error for the entry, and none for this
                todo.append(path)
            elif os.path.isfile(path):  # noqa: PTH113
                files.add(path)
    return Inputs(frozenset(files), frozenset(links), tools=tuple(tools))


def _listed(folder: Path, root: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as e:
        raise RenderError(f"the folder {shown(folder, root)} cannot be read: {e.strerror}") from e


def _once(fetched: Iterable[Fetched]) -> Iterable[Fetched]:
    return {each.id: each for each in fetched}.values()


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", text)


class _Layout:
    """A copy of a checkout, or of some of it. Paths are texts where there may be thousands of them."""

    def __init__(self, root: Path, place: Path, left: int | None = None) -> None:
        self.root = place
        self.root.mkdir(parents=True)
        self._from = root
        self._made: set[str] = {str(self.root)}
        self._left = MAX_ALL if left is None else left
        self._given = 0

    def place(self, path: Path) -> Path:
        """The path in the private folder of one in the checkout."""
        return self.root / path.relative_to(self._from)

    def files(self, paths: Iterable[Path]) -> None:
        start = len(str(self._from).rstrip("/")) + 1
        # By folder, so that each is opened once.
        names = sorted((str(path)[start:].rpartition("/") for path in paths), key=lambda parts: (parts[0], parts[2]))
        with InsideReader(self._from) as reader:
            for parts in names:
                name = "".join(parts)
                self._put(f"{self.root}/{name}", reader.read(name, limit=MAX_FILE))

    def links(self, paths: Iterable[Path]) -> None:
        for path in sorted(paths):
            place, target = self.place(path), real(path)
            if target.is_relative_to(self._from):
                self._folder(str(place.parent))
                if target.is_dir():
                    self._folder(str(self.place(target)))  # it may hold no file
                place.symlink_to(os.path.relpath(self.place(target), place.parent))

    def other(self, root: Path, place: Path) -> None:
        """Copy all of another folder, but what leads out of it."""
        there = _Layout(root, place, self._left)
        everything = whole_checkout(Inputs(), root)
        there.links(everything.links)
        there.files(everything.files)
        self._left = there._left

    def write(self, path: Path, content: bytes) -> None:
        place = self.place(path)
        place.unlink(missing_ok=True)  # it may be a link, and what that leads to stays as it is
        self._put(str(place), content)

    def _given_file(self, path: Path) -> Path:
        """An option's file: where it lies already, else a copy of it."""
        target = real(path)
        if target.is_relative_to(self._from) or path.is_relative_to(self._from):
            content = read_inside(target, self._from, limit=MAX_FILE)
            place = self.place(target)
            self._put(str(place), content)
            return place
        self._given += 1
        place = self.root / _GIVEN / str(self._given) / path.name
        try:
            content = path.read_bytes()
        except OSError as e:
            raise RenderError(f"the file {path} cannot be read: {e.strerror}", hint="check the path") from e
        self._put(str(place), content)
        return place

    def helm(self, options: HelmOptions) -> HelmOptions:
        return replace(
            options,
            value_files=tuple(map(self._given_file, options.value_files)),
            set_file=tuple((key, self._given_file(path)) for key, path in options.set_file),
        )

    def jinja(self, options: JinjaOptions) -> JinjaOptions:
        return replace(options, value_files=tuple(map(self._given_file, options.value_files)))

    def _put(self, place: str, content: bytes) -> None:
        self._left -= len(content)
        if self._left < 0:
            raise RenderError(
                f"the unit's files have more than {MAX_ALL >> 20} MiB together",
                hint="keep what it does not need out of its folder",
            )
        self._folder(place.rpartition("/")[0])
        try:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                written = os.write(descriptor, content)
                while written < len(content):
                    written += os.write(descriptor, content[written:])
            finally:
                os.close(descriptor)
        except OSError as e:
            if e.errno == errno.EEXIST:
                return  # the same file of the same checkout
            raise RenderError(
                f"a unit's files could not be copied to {self.root}: {e.strerror}",
                hint="a render needs room there for all that the unit reads",
            ) from e

    def _folder(self, place: str) -> None:
        if place not in self._made:
            os.makedirs(place, exist_ok=True)  # noqa: PTH103
            self._made.add(place)
