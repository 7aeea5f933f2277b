"""One reading of a text: where it is, what it has used of the limits, and what it warned of.

A text is hostile until it is read: nesting, aliases and sheer size are bounded here, not by the machine's memory.
"""

from dataclasses import dataclass, field

from renderers.manifest.errors import ManifestError

#: Bytes of one text.
MAX_SIZE = 64 << 20
#: Documents in one text.
MAX_DOCUMENTS = 100_000
#: Maps and lists inside each other. Everything later that walks an object may recurse this deep.
MAX_DEPTH = 100
#: Scalars, maps and lists in one text, with every alias counted as what it stands for.
MAX_NODES = 5_000_000
#: Characters of one text that may be read more than once, to mend them: about a second of time.
MAX_REPEATED = 16 << 20
#: Warnings kept of one text; the rest is only counted.
MAX_WARNINGS = 100


@dataclass(slots=True)
class Reading:
    """The state of reading one text. `file` is what messages call it; lines and columns count from 1.

    `before` lines of the file stand before the text: they are added to every line.
    """

    file: str
    before: int = 0
    nodes: int = 0
    aliased: int = 0
    documents: int = 0
    repeated: int = 0
    warnings: list[str] = field(default_factory=list)
    unsaid: int = 0

    def error(self, message: str, line: int = 0, column: int = 0, *, hint: str = "") -> ManifestError:
        """A ManifestError at that place."""
        place = [self.file, *(str(number) for number in (line and line + self.before, column) if number)]
        return ManifestError(message, where=":".join(place), hint=hint)

    def warn(self, sentence: str, line: int) -> None:
        """Keep a sentence for people, up to MAX_WARNINGS."""
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(f"{self.file}:{line + self.before}: {sentence}")
        else:
            self.unsaid += 1

    def all_warnings(self) -> tuple[str, ...]:
        """Every warning kept, and how many were not."""
        rest = (f"{self.file}: {self.unsaid} more warnings are not shown",) if self.unsaid else ()
        return (*self.warnings, *rest)

    def check_size(self, size: int) -> None:
        """Raise ManifestError for a text of more than MAX_SIZE bytes."""
        if size > MAX_SIZE:
            raise self.error(
                f"the text has {size} bytes, and at most {MAX_SIZE} are read", 1, hint="split it into several files"
            )

    def count_document(self, line: int) -> None:
        """Raise ManifestError when there are more than MAX_DOCUMENTS."""
        self.documents += 1
        if self.documents > MAX_DOCUMENTS:
            raise self.error(
                f"the text has more than {MAX_DOCUMENTS} documents", line, hint="split it into several files"
            )

    def may_repeat(self, size: int) -> bool:
        """Whether so many characters may be read once more; then they count."""
        if self.repeated > MAX_REPEATED:
            return False
        self.repeated += size
        return True

    def too_deep(self, line: int = 0, column: int = 0) -> ManifestError:
        """The error for nesting past MAX_DEPTH."""
        return self.error(
            f"maps and lists are nested more than {MAX_DEPTH} deep", line, column, hint="no Kubernetes object is"
        )

    def too_many(self, line: int) -> ManifestError:
        """The error for more than MAX_NODES values."""
        return self.error(f"the text has more than {MAX_NODES} values", line, hint="split it into several files")

    def count_alias(self, size: int, line: int) -> None:
        """Count an alias that stands for `size` values; raise ManifestError where a few lines become too many.

        The rule is the one of the YAML library in kubectl: of up to 400,000 values 99 % may come from aliases, of
        4,000,000 only 10 %, and in between the share falls evenly.
        """
        self.nodes += size
        self.aliased += size
        share = min(0.99, max(0.10, 0.99 - 0.89 * (self.nodes - 400_000) / 3_600_000))
        if self.aliased > 100 and self.nodes > 1000 and self.aliased > share * self.nodes:
            raise self.error(
                "aliases (*name) repeat so much that a few lines become too many values",
                line,
                hint="write the values out; kubectl refuses this too",
            )
        if self.nodes > MAX_NODES:
            raise self.too_many(line)


def clip(text: str) -> str:
    """A key as a message shows it: quoted, on one line and not endless."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
