"""The key of a render: everything that it is made of, so that an equal key means an equal result."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

import msgspec

from renderers.api import Capabilities, Inputs, Renderer, RenderRequest
from renderers.boundary import real
from renderers.files import InsideReader
from renderers.ignore import FILE_NAME as IGNORE_FILE
from renderers.inputs import MAX_FILE
from renderers.settings import FILE_NAME as SETTINGS_FILE
from renderers.tool import tool_file, tool_version

_ATTRIBUTES = ".gitattributes"
#: Files whose content can change which folders are units and what is in them, and which no unit has as its input.
_STRUCTURE = frozenset({SETTINGS_FILE, IGNORE_FILE, _ATTRIBUTES})
_FILE_MODES = ("100644 ", "100755 ")


class Index:
    """The files of a checkout as git lists them: `<mode> <id>` by path, as `git ls-tree -r` prints both.

    The checkout must be exactly that commit's, and nobody may change it.
    """

    def __init__(self, ids: Mapping[str, str]) -> None:
        self.ids = ids

    @cached_property
    def attributes(self) -> str:
        """What decides beside the ids what is checked out (line ends, encodings): a hash of all `.gitattributes`."""
        return digest(sorted(item for item in self.ids.items() if item[0].rpartition("/")[2] == _ATTRIBUTES))

    @cached_property
    def whole(self) -> str:
        """A hash of everything."""
        return digest(sorted(self.ids.items()))

    def changed_since(self, older: "Index") -> frozenset[str] | None:
        """The files with another content than in `older`; None where more than contents changed.

        That is so where a path came, went or changed its mode, and where a link or a file of `_STRUCTURE` changed.
        """
        if self.ids is older.ids:
            return frozenset()
        if self.ids.keys() != older.ids.keys():
            return None
        changed = {path for path, _ in self.ids.items() - older.ids.items()}
        for path in changed:
            is_file = self.ids[path].startswith(_FILE_MODES)
            same_mode = self.ids[path].partition(" ")[0] == older.ids[path].partition(" ")[0]
            if not (is_file and same_mode) or path.rpartition("/")[2] in _STRUCTURE:
                return None
        return frozenset(changed)


def unit_key(renderer: Renderer, request: RenderRequest, inputs: Inputs, index: Index | None, besides: object) -> str:
    """The key of a unit with these inputs; `besides` is what else the result depends on.

    Raises RenderError for an input that cannot be read, and for a tool that is not there.
    """
    root = request.root
    files = ("whole", index.whole) if index is not None and inputs.whole else _file_ids(inputs.files, root, index)
    return digest(
        _code(getattr(renderer, "__name__", type(renderer).__module__)),
        renderer.name,
        [(tool, tool_version(tool), tool_file(tool)) for tool in inputs.tools],
        files,
        sorted((_name(link, root), os.readlink(link)) for link in inputs.links),  # noqa: PTH115
        index.attributes if index is not None else "",
        [(each.url, each.version, each.id, str(each.folder.relative_to(each.root))) for each in inputs.fetched],
        _capabilities(request.capabilities),
        plain(request, lambda path: _option_id(path, root), leave_out=("root", "capabilities")),
        besides,
    )


def digest(*parts: object) -> str:
    """A hash of values that `repr` tells apart."""
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def plain(value: Any, name: Callable[[Path], object], *, leave_out: Iterable[str] = ()) -> object:
    """Options as values that `repr` tells apart, with paths by what `name` says of them.

    Raises TypeError for what is neither data nor a dataclass: its `repr` could be the same for two of them.
    """
    if value is None or isinstance(value, str | bytes | int | float):
        return value
    if isinstance(value, Path):
        return ("path", name(value))
    if isinstance(value, Mapping):
        return ("map", [(plain(key, name), plain(item, name)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return [plain(item, name) for item in value]
    if isinstance(value, msgspec.Struct):
        return (type(value).__name__, [plain(getattr(value, field), name) for field in value.__struct_fields__])
    if is_dataclass(value) and not isinstance(value, type):
        compared = (field.name for field in fields(value) if field.compare and field.name not in leave_out)
        return (type(value).__name__, [(field, plain(getattr(value, field), name)) for field in compared])
    raise TypeError(f"{type(value).__name__} cannot be part of a key")


@lru_cache(maxsize=64)
def _capabilities(capabilities: Capabilities) -> str:
    """Hundreds of API versions, the same for every unit."""
    return digest(capabilities.kube_version, capabilities.api_versions)


@cache
def _code(module: str) -> str:
    """The versions of Trimtab and of the package that the renderer is from."""
    package = module.partition(".")[0]
    packages = ["trimtab", *(packages_distributions().get(package, ()) if package != "renderers" else ())]
    return ",".join(f"{package} {_version(package)}" for package in packages)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _name(path: Path, root: Path) -> str:
    return str(path)[len(str(root).rstrip("/")) + 1 :]


def _file_ids(files: Iterable[Path], root: Path, index: Index | None) -> list[tuple[str, str]]:
    """Path and id of each file: git's id where git knows it, else a hash of its content."""
    ids = index.ids if index is not None else {}
    found = []
    with InsideReader(root) as reader:
        for name in sorted(_name(file, root) for file in files):
            known = ids.get(name, "")
            found.append((name, known if known.startswith(_FILE_MODES) else _hash(reader.read(name, limit=MAX_FILE))))
    return found


def _option_id(path: Path, root: Path) -> object:
    """A path in the options: by its name where it is in the checkout (then it is an input), else by its content."""
    target = real(path)
    if target.is_relative_to(root):
        return _name(target, root)
    return path.name, _hash(path.read_bytes()) if path.is_file() else ""


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=20).hexdigest()
