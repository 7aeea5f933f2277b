"""Values on helm's command line: files, texts, maps and sets, in order, and their names for people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from renderers.api import HelmOptions
from renderers.inputs import option_name
from renderers.manifest.dump import dump


@dataclass(slots=True)
class Values:
    """The flags of all layers, and what helm's messages should call the files that they name."""

    private: Path
    root: Path
    files: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Sequence[HelmOptions], *, private: Path, root: Path) -> "Values":
        """All values in helm's order: files, then `--set`, `--set-string` and `--set-file`.

        What is no file is written into the private folder.
        """
        values = cls(private, root)
        for layer in options:
            for file in layer.value_files:
                values._file(file, option_name(file, root))
            for name, text in layer.value_texts:
                values._text(text, name)
            if layer.values:
                values._text(dump(layer.values).encode(), "the values of the options")
            values.sets += [f"--set={text}" for text in layer.set]
            values.sets += [f"--set-string={text}" for text in layer.set_string]
            values.sets += [f"--set-file={key}={_escaped(str(path))}" for key, path in layer.set_file]
        return values

    @property
    def flags(self) -> list[str]:
        """The command line's part."""
        return [f"--values={_csv(file)}" for file in self.files] + self.sets

    def named(self, message: str) -> str:
        """A message of helm's with the names that people know."""
        if not self.names:
            return message
        paths = sorted(self.names, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, paths)), lambda match: self.names[match[0]], message)

    def sources(self) -> tuple[str, ...]:
        """Where the values come from, for messages."""
        return tuple(dict.fromkeys((*self.names.values(), *(text.partition("=")[0] for text in self.sets))))

    def _text(self, text: bytes, name: str) -> None:
        file = self.private / f"values-{len(self.files)}.yaml"
        file.write_bytes(text)
        self._file(file, name)

    def _file(self, file: Path, name: str) -> None:
        self.files.append(str(file))
        # The runner takes the private folder out of messages, and the checkout.
        for base in (self.private, self.root):
            if file.is_relative_to(base):
                self.names[file.relative_to(base).as_posix()] = name
        self.names[str(file)] = name


def _csv(text: str) -> str:
    """One field of CSV: helm reads `--values` as a list with commas."""
    return '"' + text.replace('"', '""') + '"' if {",", '"', "\n", "\r"} & set(text) else text


def _escaped(path: str) -> str:
    """A path as helm's `strvals` reads it: commas divide, and a backslash takes the next character as it is."""
    return re.sub(r"([\\,])", r"\\\1", path)
