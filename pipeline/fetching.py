"""The fetcher of one App's renders: brings what its steps allow from elsewhere, at ids that are pinned for a while."""

import threading
import time
from collections.abc import Callable, Container, Hashable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from pipeline.allowed import is_allowed
from pipeline.app import App, ChartSource, Place
from pipeline.errors import TrimtabError
from pipeline.location import redacted
from pipeline.source.base import Base, parse_base
from pipeline.source.credentials import Credentials
from pipeline.source.sources import Sources
from renderers.api import ALLOW_REMOTE, Fetched, RenderError

#: Where something was last: what of the alternatives it is, and its id.
Pin = tuple[Place, str]


class Pins:
    """Where what is fetched was last; it is asked anew after `seconds`. For any number of threads.

    While nobody answers, the last answer holds, and `lost` says why there is no newer one.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.lost: TrimtabError | None = None
        self._lock = threading.Lock()
        self._known: dict[Hashable, tuple[float, Pin]] = {}

    def get(self, key: Hashable, ask: Callable[[], Pin]) -> Pin:
        """The pin, as it is remembered or as `ask` finds it now. Raises what `ask` raises where nothing is known."""
        with self._lock:
            known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < self.seconds:
            return known[1]
        asked = time.monotonic()
        try:
            pin = ask()
        except TrimtabError as error:
            if known is None or not error.temporary:
                raise
            self.lost = error
            return known[1]
        with self._lock:
            self._known[key] = (asked, pin)
            self.lost = None
        return pin

    def expire(self) -> None:
        """Ask everything anew."""
        with self._lock:
            self._known = {key: (float("-inf"), pin) for key, (_, pin) in self._known.items()}

    def keep(self, keys: Container[Hashable]) -> None:
        """Forget all others."""
        with self._lock:
            self._known = {key: known for key, known in self._known.items() if key in keys}
            self.lost = self.lost if self._known else None


class Fetching:
    """A `renderers.api.Fetcher`. What it brought stays until its context ends.

    `allowed` are the beginnings of URLs that may be read. `credentials` says what opens a URL, and raises TrimtabError
    for one that may not be read at all; `pins` remember over several renders.
    """

    def __init__(
        self, sources: Sources, allowed: tuple[str, ...], credentials: Callable[[str], Credentials], pins: Pins
    ) -> None:
        self._sources = sources
        self._allowed = allowed
        self._credentials = credentials
        self._pins = pins
        self._lock = threading.Lock()
        self._held = ExitStack()
        #: What was asked for (a base's text, or repository, name and version of a chart) → the id that it was at.
        self.used: dict[tuple[str, ...], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def chart(self, repository: str, name: str, version: str) -> Fetched:
        """The chart of a repository or registry. Raises RenderError where the App does not list it."""
        return self._fetched((repository, name, version), _chart(repository, name, version))

    def base(self, url: str) -> Fetched:
        """The folder that a remote base names. Raises RenderError where the App does not list its repository."""
        return self._fetched((url,), *_parsed(url).sources)

    def unchanged(self, used: Mapping[tuple[str, ...], str]) -> bool:
        """Whether all that an earlier render used is still at the same ids."""
        for key, commit in used.items():
            places = _parsed(*key).sources if len(key) == 1 else (_chart(*key),)
            if self._pin(key, places)[1] != commit:
                return False
        return True

    def _fetched(self, key: tuple[str, ...], *places: Place) -> Fetched:
        place, commit = self._pin(key, places)
        held = ExitStack()
        found = held.enter_context(self._sources.checked_out(place, commit, self._credentials(place.url)))
        with self._lock:
            self._held.enter_context(held)
            self.used[key] = commit
        version, of_a_chart, digest = commit.partition("@")
        url = redacted(place.url)
        if not of_a_chart:
            return Fetched(url, found.ref, commit, found.root, found.folder)
        if isinstance(place, ChartSource) and place.repo:
            url = f"{url.rstrip('/')}/{place.name}"
        return Fetched(url, version, digest, found.root, found.folder)

    def _pin(self, key: tuple[str, ...], places: tuple[Place, ...]) -> Pin:
        url = places[0].url
        if not is_allowed(url, self._allowed):
            raise RenderError(f"{redacted(url)} would be fetched, and that is not allowed", hint=ALLOW_REMOTE)
        return self._pins.get(key, lambda: self._ask(places))

    def _ask(self, places: tuple[Place, ...]) -> Pin:
        """The first of the places that is there. Raises the error of the last one where none is."""
        answers = self._sources.resolve_all(places, self._credentials(places[0].url))
        errors = []
        for place in places:
            answer = answers[place]
            if not isinstance(answer, TrimtabError):
                return place, answer
            errors.append(answer)
        raise errors[-1]


def _parsed(url: str) -> Base:
    try:
        return parse_base(url)
    except TrimtabError as e:
        raise RenderError(e.message, hint=e.hint) from e


def _chart(repository: str, name: str, version: str) -> ChartSource:
    if repository.startswith("oci://"):
        return ChartSource(oci=f"{repository.rstrip('/')}/{name}", version=version)
    return ChartSource(repo=repository, name=name, version=version)


def allowed_by(app: App) -> tuple[str, ...]:
    """What the App's own steps allow."""
    steps = [part for step in app.spec.render for part in (step.helm, step.kustomize) if part is not None]
    return tuple(prefix for step in steps for prefix in step.allow_remote)
