"""Sources of either kind, git repositories and charts: where each is now, and a checkout of it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipeline.app import ChartSource, GitSource, Place, check_place
from pipeline.errors import SourceError, TrimtabError
from pipeline.location import redacted
from pipeline.source.checkout import Checkout
from pipeline.source.credentials import Credentials
from pipeline.source.mirror import Mirrors
from pipeline.source.reasons import with_reason
from renderers.boundary import real

if TYPE_CHECKING:
    from pipeline.source.charts import Charts, Pin


class Sources:
    """All that this process reads from elsewhere, kept in `folder`. For any number of threads at once.

    The id of a checkout is a full commit, or of a chart `VERSION@DIGEST`: both name one content for ever. `timeout` is
    in seconds, for one question.
    """

    def __init__(self, folder: Path, *, timeout: float = 60.0) -> None:
        self._folder = folder
        self._timeout = timeout
        self.mirrors = Mirrors(folder, timeout=timeout)
        self._lock = threading.Lock()
        self._pins: dict[tuple[ChartSource, str], Pin] = {}

    def resolve(self, place: Place, credentials: Credentials | None = None) -> str:
        """The id of what is there now. Raises SourceError, SourceUnreachableError."""
        answer = self.resolve_all([place], credentials)[place]
        if isinstance(answer, TrimtabError):
            raise answer
        return answer

    def resolve_all(
        self, places: Sequence[Place], credentials: Credentials | None = None
    ) -> dict[Place, str | TrimtabError]:
        """The same for many places of one URL; what `resolve` raises is the answer for its place."""
        git = [place for place in places if isinstance(place, GitSource)]
        of_git = self.mirrors.resolve_all(git, credentials) if git else {}
        return {
            place: of_git[place] if isinstance(place, GitSource) else self._resolved(place, credentials)
            for place in places
        }

    @contextmanager
    def checked_out(self, place: Place, commit: str, credentials: Credentials | None = None) -> Iterator[Checkout]:
        """The checkout with that id, for as long as the context lasts. Raises as `resolve`."""
        if isinstance(place, GitSource):
            with self.mirrors.checked_out(place, commit, credentials) as checkout:
                yield checkout
            return
        pin = self._pin(place, commit, credentials)
        root = real(self._charts.fetched(place, pin, credentials))
        yield Checkout(root, root, commit, redacted(place.url), chart_text(place, pin.version))

    def _resolved(self, chart: ChartSource, credentials: Credentials | None) -> str | TrimtabError:
        try:
            check_place(chart)
            pin = self._charts.resolve(chart, credentials)
        except TrimtabError as error:
            return error
        commit = f"{pin.version}@{pin.digest}"
        with self._lock:
            self._pins[chart, commit] = pin
        return commit

    def _pin(self, chart: ChartSource, commit: str, credentials: Credentials | None) -> "Pin":
        """The version that has this id, where the range that is followed is at another one by now too."""
        with self._lock:
            pin = self._pins.get((chart, commit))
        if pin is not None:
            return pin
        version, at, _ = commit.partition("@")
        if not at:
            raise SourceError(
                f"{commit} is no version of a chart", hint="write it as status.history has it: 1.2.7@sha256:…"
            )
        exact = msgspec.structs.replace(chart, version=version)
        found = self._resolved(exact, credentials)
        if isinstance(found, TrimtabError):
            raise found
        if found != commit:
            error = SourceError(
                f"version {version} of the chart at {redacted(chart.url)} has another content now than {commit}",
                hint="somebody published it anew under the same version: go to a version that was not",
            )
            raise with_reason(error, "CommitNotFound")
        with self._lock:
            return self._pins[exact, commit]

    @cached_property
    def _charts(self) -> "Charts":
        from pipeline.source.charts import Charts  # noqa: PLC0415 - only who has charts owes what it loads

        return Charts(self._folder, timeout=self._timeout)


def chart_text(chart: ChartSource, version: str) -> str:
    """What is followed, for people: `chart nginx ~1.2 (1.2.7)`."""
    name = chart.name or chart.oci.rstrip("/").rpartition("/")[2]
    return f"chart {name} {chart.version} ({version})" if chart.version else f"chart {name} ({version})"
