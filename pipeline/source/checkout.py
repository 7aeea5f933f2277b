"""Checkout: the immutable folder at one commit that the rest of the road starts from."""

from dataclasses import dataclass, field
from pathlib import Path

from renderers.keys import Index


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder at one commit.

    `root` is the whole repository (absolute, resolved: the boundary of what a render may read), `folder` the App's
    folder in it. `commit` is the full hash, empty for a folder that is in no git repository. `url` has no
    credentials in it; `ref` says what was followed (`branch main`, `semver ~1.4 (v1.4.2)`). `committed` is when the
    commit was made (committer time, unix seconds; 0 where that is unknown). `index` are git's ids of all files; None
    where the folder may be another than git says.

    Of a chart, `commit` is `VERSION@DIGEST`, `url` its repository's, and `root` the chart's own folder.
    """

    root: Path
    folder: Path
    commit: str = ""
    url: str = ""
    ref: str = ""
    committed: float = 0.0
    index: Index | None = field(default=None, repr=False, compare=False)
