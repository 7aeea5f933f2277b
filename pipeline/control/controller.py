"""The controller: watches Apps, leads or waits to lead, keeps the Apps in sync while it leads, and leaves in order."""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from pipeline import __version__
from pipeline.app import App
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.informer import Informer
from pipeline.cluster.lease import Lease
from pipeline.cluster.session import Session
from pipeline.control.access import Access
from pipeline.control.answers import Repository
from pipeline.control.gates import Gates, Limits
from pipeline.control.identity import DEPLOY_KEY_SECRET, ensure_identity
from pipeline.control.leave.leaving import Home, Leaving
from pipeline.control.polls import Polls
from pipeline.control.resource import APPS, FLAGS_MANAGER, AppKey
from pipeline.control.shared import AppStore, Shared
from pipeline.control.term import Term
from pipeline.errors import LeaseLostError, SourceError, TrimtabError
from pipeline.inventory.store import Store, ensure_namespace
from pipeline.observe.events import Events
from pipeline.observe.logs import Logger
from pipeline.observe.metrics import Metrics
from pipeline.observe.server import StatusServer
from pipeline.source.sources import Sources
from renderers.cache import RenderCache

LEASE = "trimtab"
#: Seconds until something that must work at the start is tried again.
_PAUSE = 2.0
_GLANCE = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator says. `watch` are the namespaces whose Apps are served, None: all of them.

    `flags_app` is the App that flags describe; `listen` host and port of the status server, None: none; `lease` how
    long a leader that died is waited for, in seconds; `git_timeout` for one question to a repository, in seconds.
    `file_urls`: Apps may name paths of this machine as repositories.
    """

    namespace: str
    inventory_namespace: str
    cache: Path
    watch: tuple[str, ...] | None
    flags_app: App | None = None
    deploy_key: str = DEPLOY_KEY_SECRET
    key_kind: str = "ed25519"
    limits: Limits = field(default_factory=Limits)
    listen: tuple[str, int] | None = None
    lease: float = 15.0
    git_timeout: float = 60.0
    file_urls: bool = False


class Controller:
    """One process. `run` returns after `stop` was set, or when Trimtab was removed."""

    def __init__(self, settings: Settings, connection: Connection, log: Logger) -> None:
        self._settings = settings
        self._connection = connection
        self._log = log
        self._metrics = Metrics(version=__version__, requests=lambda: connection.requests)
        self._sources = Sources(settings.cache, timeout=settings.git_timeout)
        self._cache = RenderCache()
        self._seen: dict[AppKey, str] = {}
        watched = settings.watch if settings.watch is not None else (None,)
        self._informers = [Informer(connection, APPS, namespace, self._app_changed) for namespace in watched]
        self._apps = AppStore(self._informers)
        self._lease = Lease(
            connection, settings.namespace, LEASE, socket.gethostname(),
            duration=settings.lease, renew_deadline=settings.lease * 2 / 3, retry=settings.lease / 7.5,
        )  # fmt: skip
        home = Home(settings.namespace, settings.inventory_namespace, settings.watch)
        self._leaving = Leaving(connection, home, self._end_term, log)
        self._term: Term | None = None
        self._term_lock = threading.RLock()
        self._ended = threading.Event()
        election = (self._ended, self._gained, self._lost)
        self._lead = threading.Thread(target=self._lease.run, args=election, name="lease", daemon=True)
        #: Why this process leads and does nothing.
        self._trouble = ""

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set. Raises TrimtabError for what an operator must mend before anything can begin."""
        settings = self._settings
        watched = ", ".join(settings.watch) if settings.watch is not None else "all namespaces"
        self._log.info("starting", version=__version__, namespace=settings.namespace, watches=watched)
        if not self._prepared(stop):
            return
        server = self._server()
        self._leaving.begin(self._ended, stop)
        threads = [
            threading.Thread(target=each.run, args=(self._ended,), name="apps", daemon=True) for each in self._informers
        ]
        for thread in (*threads, self._lead):
            thread.start()
        try:
            stop.wait()
            self._log.info("stopping")
            self._leaving.finish()
        finally:
            self._end_term()
            self._ended.set()
            self._lead.join(_PAUSE)
            if server is not None:
                server.close()
        self._log.info("stopped")

    def _prepared(self, stop: threading.Event) -> bool:
        """The namespace, where the Lease is; waits for the cluster. False where it is to stop before that."""
        while not stop.is_set():
            try:
                ensure_namespace(self._connection, self._settings.namespace)
            except TrimtabError as error:
                if not error.temporary:
                    raise
                self._log.warning("the cluster is waited for", reason=error.reason, error=str(error))
                stop.wait(_PAUSE)
            else:
                return True
        return False

    def _server(self) -> StatusServer | None:
        if self._settings.listen is None:
            return None
        host, port = self._settings.listen
        server = StatusServer(host, port, live=self._live, ready=self._ready, metrics=self._metrics.render)
        self._log.info("listening", address=f"{host}:{server.port}", paths="/healthz /readyz /metrics")
        return server

    def _live(self) -> str:
        """Why this process should be started again; empty: it should not."""
        begun = self._lead.ident is not None
        ended = begun and not self._lead.is_alive() and not self._ended.is_set()
        return "the loop of the Lease has ended" if ended else ""

    def _ready(self) -> str:
        """Why this process is of no use now; empty where it serves, or stands by to serve."""
        for informer in self._informers:
            if not informer.in_step:
                return f"the watch of the Apps is not in step: {informer.last_error or 'it begins'}"
        if self._trouble:
            return self._trouble
        if (error := self._lease.last_error) is not None:
            return f"the Lease cannot be had: {error}"
        # Who is told that it is ready asks for the deploy key, which the first leader makes.
        begins = not self._lease.holder or (self._lease.held() and self._term is None)
        return "no leader has begun yet" if begins else ""

    def _gained(self) -> None:
        self._metrics.leads(leading=True)
        threading.Thread(target=self._begin_term, args=(self._lease.fence(),), name="term", daemon=True).start()

    def _lost(self) -> None:
        self._metrics.leads(leading=False)
        if not self._ended.is_set():
            self._log.warning("not leading any more", holder=self._lease.holder)
        self._end_term()
        self._metrics.forget_apps()

    def _begin_term(self, fence: Callable[[], None]) -> None:
        """What a leader does first; in a thread of its own, because meanwhile the Lease must be renewed."""
        connection = self._connection.fenced(fence)
        while not self._ended.is_set():
            trouble: TrimtabError | None = None
            try:
                fence()
                if self._in_step() and not self._leaving.look():
                    self._ensure_deploy_key(connection)
                    self._write_flags_app(connection)
                    self._start_term(connection, fence)
                if self._term is not None or self._leaving.left:
                    return
                trouble = next((each.last_error for each in self._informers if each.last_error is not None), None)
            except LeaseLostError:
                self._trouble = ""
                return
            except TrimtabError as error:
                trouble = error
            if trouble is not None and str(trouble) != self._trouble:
                self._log.error("cannot begin", reason=trouble.reason, error=str(trouble))
            self._trouble = str(trouble or "")
            self._ended.wait(_PAUSE if trouble is not None else _GLANCE)

    def _in_step(self) -> bool:
        return all(informer.in_step for informer in self._informers)

    def _start_term(self, connection: Connection, fence: Callable[[], None]) -> None:
        with self._term_lock:
            fence()
            if self._ended.is_set() or self._leaving.left:
                return
            self._trouble = ""
            self._log.info("leading", holder=self._lease.identity, version=__version__)
            self._term = Term(self._shared(connection), workers=self._settings.limits.workers)
            self._term.start()

    def _shared(self, connection: Connection) -> Shared:
        settings = self._settings
        flags = settings.flags_app.spec.source if settings.flags_app is not None else None
        return Shared(
            connection=connection,
            session=Session(connection),
            store=Store(connection, settings.inventory_namespace),
            sources=self._sources,
            cache=self._cache,
            polls=Polls(self._sources, Access(connection, settings.namespace, settings.deploy_key).load, self._polled),
            apps=self._apps,
            gates=Gates(settings.limits),
            events=Events(connection, instance=self._lease.identity),
            metrics=self._metrics,
            log=self._log,
            stop=threading.Event(),
            on_going=self._leaving.notice,
            own_namespace=settings.namespace,
            file_urls=settings.file_urls,
            flags_url=flags.place.url if flags is not None else "",
        )

    def _end_term(self) -> None:
        with self._term_lock:
            term, self._term = self._term, None
        if term is not None:
            term.end()

    def _ensure_deploy_key(self, connection: Connection) -> None:
        settings = self._settings
        try:
            ensure_identity(connection, settings.namespace, settings.deploy_key, settings.key_kind)
        except SourceError as error:
            if error.reason != "SecretInvalid":  # a person's own Secret: its Apps will say so
                raise

    def _write_flags_app(self, connection: Connection) -> None:
        """Flags win over what stands in the App, and say nothing of the rest: a suspended App stays suspended."""
        app = self._settings.flags_app
        if app is None:
            return
        namespace, name = app.metadata.namespace, app.name
        body = {
            "apiVersion": app.api_version,
            "kind": app.kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": msgspec.to_builtins(app.spec),
        }
        objects.apply(connection, APPS, namespace, name, json.dumps(body).encode(), manager=FLAGS_MANAGER, force=True)
        self._log.info("the flags' App is written", app=str(app))

    def _app_changed(self, namespace: str, name: str, app: dict[str, Any] | None) -> None:
        """Our own writes of the status are no news."""
        key = (namespace, name)
        said = _signature(app)
        if said == self._seen.get(key):
            return
        if app is None:
            self._seen.pop(key, None)
        else:
            self._seen[key] = said
        term = self._term
        if term is not None:
            term.changed(key)

    def _polled(self, repository: Repository, error: TrimtabError | None, news: bool) -> None:  # noqa: FBT001 - a callback
        self._metrics.polled("failed" if error is not None else "new" if news else "same")
        if error is not None:
            self._metrics.failed(error.reason)
        if error is not None and news:
            self._log.warning("poll failed", url=repository.url, reason=error.reason, error=str(error))


def _signature(app: dict[str, Any] | None) -> str:
    """What of an App a turn goes by."""
    if app is None:
        return ""
    metadata = app["metadata"]
    parts = [metadata["uid"], metadata["generation"], metadata.get("annotations"), metadata.get("deletionTimestamp")]
    return json.dumps(parts)
