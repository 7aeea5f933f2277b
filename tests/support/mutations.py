"""Changes of a case's input, one at a time: what a person may do to a file, a link or a folder of a repository.

Each is to be made on a fresh copy of the input. Nothing is rendered here.
"""

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ADDED = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: added}\n"
#: What Trimtab alone reads: the tools would not follow.
_OURS = {".trimtab.yaml", ".trimtabignore"}


@dataclass(frozen=True)
class Mutation:
    """One change; `path` is relative to the input's root, `apply` is given both joined."""

    path: Path
    apply: Callable[[Path], None]

    def __str__(self) -> str:
        return f"{self.apply.__name__} {self.path}"

    def on(self, root: Path) -> None:
        """Make the change."""
        self.apply(root / self.path)


def mutations(root: Path, *, content_only: bool = False) -> Iterator[Mutation]:
    """All changes of the input in `root`; `content_only`: no file comes, goes or gets another name."""
    for path in sorted(root.rglob("*")):
        if path.name in _OURS:
            continue
        for change in _changes_of(path, content_only=content_only):
            yield Mutation(path.relative_to(root), change)
    if not content_only:
        yield Mutation(Path(), add_a_file_to)


def _changes_of(path: Path, *, content_only: bool) -> tuple[Callable[[Path], None], ...]:
    if path.is_file() and not path.is_symlink():
        return CONTENT if content_only else CONTENT + FILE
    if content_only:
        return ()
    if not path.is_symlink():
        return FOLDER
    return LINK if path.exists() else (delete, rename)


def append_a_comment_to(file: Path) -> None:
    """A line that YAML and a template's text take for nothing."""
    file.write_bytes(file.read_bytes() + b"\n# a comment\n")


def append_space_to(file: Path) -> None:
    """A line of white space."""
    file.write_bytes(file.read_bytes() + b"  \n")


def append_an_object_to(file: Path) -> None:
    """One more document."""
    file.write_bytes(file.read_bytes() + b"\n---\n" + ADDED)


def change_a_value_of(file: Path) -> None:
    """Another text where a value stands, longer than it was."""
    _replace(file, rb"(?<=[:=] )\w+|(?<=[:=]\")\w+|\w+(?=\W*$)", lambda old: old + b"x")


def change_a_letter_of(file: Path) -> None:
    """Another letter, with size and time of the file as they were."""
    before = file.stat()
    _replace(file, rb"[a-zA-Z0-9]", lambda old: b"z" if old != b"z" else b"y")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(file: Path) -> None:
    """The first half."""
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def take_the_last_line_of(file: Path) -> None:
    """All lines but the last."""
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))


def empty(file: Path) -> None:
    """Nothing."""
    file.write_bytes(b"")


def end_lines_with_crlf_in(file: Path) -> None:
    """What an editor on another system does."""
    file.write_bytes(file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))


def delete(path: Path) -> None:
    """Gone."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def rename(path: Path) -> None:
    """Another name."""
    path.rename(path.with_name(f"renamed-{path.name}"))


def copy_beside(file: Path) -> None:
    """The same file once more, by a name that sorts before it."""
    shutil.copy2(file, file.with_name(f"a-copy-of-{file.name}"))


def move_behind_a_link(path: Path) -> None:
    """The same content, now by a link to a file or folder beside it."""
    moved = path.with_name(f"moved-{path.name}.away")
    path.rename(moved)
    path.symlink_to(moved.name)


def make_a_folder_of(file: Path) -> None:
    """A folder where the file was, with the file in it."""
    content = file.read_bytes()
    file.unlink()
    file.mkdir()
    (file / file.name).write_bytes(content)


def add_a_file_to(folder: Path) -> None:
    """One more file."""
    (folder / "added.yaml").write_bytes(ADDED)


def change_the_target_of(link: Path) -> None:
    """A link to a changed copy of what it led to."""
    target = link.resolve()
    copy = target.with_name(f"other-{target.name}")
    (shutil.copytree if target.is_dir() else shutil.copy2)(target, copy)
    for file in [copy] if copy.is_file() else [path for path in copy.rglob("*") if path.is_file()]:
        change_a_value_of(file)
    link.unlink()
    link.symlink_to(os.path.relpath(copy, link.parent))


def change_what_is_behind(link: Path) -> None:
    """The link is the same, and its target has another content."""
    target = link.resolve()
    for file in [target] if target.is_file() else [path for path in target.rglob("*") if path.is_file()]:
        change_a_value_of(file)


def resolve(link: Path) -> None:
    """The content itself where the link was."""
    target = link.resolve()
    link.unlink()
    (shutil.copytree if target.is_dir() else shutil.copy2)(target, link)


CONTENT = (
    append_a_comment_to,
    append_space_to,
    append_an_object_to,
    change_a_value_of,
    change_a_letter_of,
    truncate,
    take_the_last_line_of,
    end_lines_with_crlf_in,
    empty,
)
FILE = (delete, rename, copy_beside, move_behind_a_link, make_a_folder_of)
FOLDER = (delete, rename, add_a_file_to, move_behind_a_link)
LINK = (delete, rename, change_the_target_of, change_what_is_behind, resolve)


def _replace(file: Path, pattern: bytes, by: Callable[[bytes], bytes]) -> None:
    """One of the places that fit, always the same one for the same content."""
    content = file.read_bytes()
    places = list(re.finditer(pattern, content, re.MULTILINE))
    if places:
        place = random.Random(content).choice(places)
        file.write_bytes(content[: place.start()] + by(place[0]) + content[place.end() :])
