"""Follows one App's repository: polls for commits, syncs, repairs at each interval, until it is told to stop."""

import threading
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.app import App, GitSource, parse_duration
from pipeline.cluster.session import Session
from pipeline.errors import TrimtabError
from pipeline.inventory.store import Store
from pipeline.rendering import capabilities_of, left_out, render_app
from pipeline.result import SyncResult
from pipeline.source.checkout import Checkout
from pipeline.source.command import kill_running as kill_git
from pipeline.source.mirror import Mirrors
from pipeline.sync import Target, sync
from renderers.api import Capabilities, Rendered
from renderers.tool import kill_running as kill_tools
from renderers.tree import RenderOptions


class Log(Protocol):
    """Who is told what happens."""

    def synced(self, result: SyncResult) -> None:
        """A sync ended."""
        ...

    def failed(self, error: TrimtabError) -> None:
        """A sync could not be done; the last state stays."""
        ...

    def polled(self, error: TrimtabError | None) -> None:
        """The repository was asked; with an error it gave no answer, and the last commit stays."""
        ...

    def warned(self, text: str) -> None:
        """A warning of a render."""
        ...


@dataclass(eq=False)
class Follower:
    """One App, one repository, one cluster. The App's interval lies between two polls, and between two syncs.

    A poll that finds another commit ends the waiting of the sync under way, so that a fix supersedes what it fixes.
    """

    app: App
    git: GitSource
    mirrors: Mirrors
    session: Session
    store: Store
    log: Log
    stop: threading.Event
    _wanted: str = ""
    _defect: Exception | None = None
    _interval: float = field(init=False)
    _superseded: threading.Event = field(default_factory=threading.Event)
    _rendered: tuple[str, Capabilities, Rendered] | None = None

    def __post_init__(self) -> None:
        self._interval = parse_duration(self.app.spec.interval, what="the interval")

    def run(self) -> None:
        """Poll and sync until `stop` is set; a sync under way then ends cleanly."""
        for work in (self._poll, self._end):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()
        while not self.stop.is_set():
            # Cleared before the commit is read: what the poller finds after that is seen at the latest next time.
            self._superseded.clear()
            if self.stop.is_set():
                break
            commit = self._wanted
            if commit:
                try:
                    self.log.synced(self._sync(commit))
                except TrimtabError as error:
                    self.log.failed(error)
            self._superseded.wait(self._interval)
        if self._defect is not None:
            raise self._defect

    def once(self) -> SyncResult:
        """One poll and one sync. Raises TrimtabError."""
        return self._sync(self.mirrors.resolve(self.git))

    def _poll(self) -> None:
        try:
            self._poll_until_stop()
        except Exception as defect:  # noqa: BLE001 - raised again by `run`
            # A thread that dies in silence would leave a process that looks well and follows nothing.
            self._defect = defect
            self.stop.set()

    def _poll_until_stop(self) -> None:
        while not self.stop.is_set():
            try:
                commit = self.mirrors.resolve(self.git)
            except TrimtabError as error:
                self.log.polled(error)
            else:
                self.log.polled(None)
                if commit != self._wanted:
                    self._wanted = commit
                    self._superseded.set()
            self.stop.wait(self._interval)

    def _end(self) -> None:
        """When it is to stop, nothing waits for a slow server or an endless chart."""
        self.stop.wait()
        self._superseded.set()
        kill_git()
        kill_tools()

    def _sync(self, commit: str) -> SyncResult:
        target = Target(self.session, self.store, stop=self._superseded)
        git = self.git
        with self.mirrors.checked_out(git, commit) as checkout:
            return sync(self.app, checkout, lambda: self._render(checkout), target)

    def _render(self, checkout: Checkout) -> Rendered:
        """The same commit for the same cluster renders to the same; only a new one is rendered anew."""
        capabilities = capabilities_of(self.session)
        if self._rendered is not None and self._rendered[:2] == (checkout.commit, capabilities):
            return self._rendered[2]
        rendered = render_app(self.app, checkout, RenderOptions(capabilities=capabilities))
        for text in (*rendered.warnings, *left_out(rendered)):
            self.log.warned(text)
        self._rendered = (checkout.commit, capabilities, rendered)
        return rendered
