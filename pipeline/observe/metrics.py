"""What Prometheus may know of this process. The only import of `prometheus_client`; REFERENCE is the documentation."""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST

#: A word that may be a label's value: one that we chose, or that an API server or a webhook chose; the number of them
#: is limited, because each is a time series of its own.
_WORD = re.compile(r"[A-Z][A-Za-z]{0,63}")
_WORDS_MAX = 100
_OTHER = "Other"

_APP = ("namespace", "name")
#: Seconds: from a no-op to the longest rollout.
_DURATIONS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
#: Seconds from a commit to its being live: also what waited for a poll or a person.
_LAG = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)


class Described(NamedTuple):
    """One metric: its full name, what Prometheus calls its type, its labels and what it says."""

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str


REFERENCE = (
    Described("trimtab_build_info", "gauge", ("version",), "Always 1; the label says which version runs."),
    Described("trimtab_leader", "gauge", (), "1 while this process leads, else 0."),
    Described("trimtab_leader_changes_total", "counter", (), "How often this process began or ceased to lead."),
    Described("trimtab_app_ready", "gauge", _APP, "1 for an App whose condition Ready is True, else 0."),
    Described("trimtab_app_suspended", "gauge", _APP, "1 for an App that is suspended, else 0."),
    Described("trimtab_app_objects", "gauge", _APP, "Objects in the App's inventory."),
    Described("trimtab_app_held_objects", "gauge", _APP, "Objects whose prune waits for trimtab approve."),
    Described("trimtab_syncs_total", "counter", ("result",), "Syncs that ended, by the reason in the App's status."),
    Described(
        "trimtab_sync_duration_seconds", "histogram", ("step",),
        "Time of a sync's steps: render, plan, apply, wait, prune, and total.",
    ),
    Described("trimtab_commit_lag_seconds", "histogram", (), "From a commit's own time until it was live and ready."),
    Described("trimtab_queue_depth", "gauge", (), "Apps that wait for a worker."),
    Described("trimtab_queue_wait_seconds", "histogram", (), "How long an App waited for a worker."),
    Described("trimtab_workers_busy", "gauge", (), "Workers that are in the middle of a sync."),
    Described("trimtab_renders_total", "counter", ("result",), "Renders: ok, cached (nothing had changed) or failed."),
    Described(
        "trimtab_source_polls_total", "counter", ("result",),
        "Polls of repositories: same, new (another commit) or failed.",
    ),
    Described("trimtab_errors_total", "counter", ("reason",), "Errors that ended a sync or a poll, by their reason."),
    Described("trimtab_api_requests_total", "counter", ("verb",), "Requests to the API server, by its own verbs."),
)  # fmt: skip
_BUCKETS = {"trimtab_commit_lag_seconds": _LAG}
_API_REQUESTS = "trimtab_api_requests_total"

# Else each counter and histogram has a second series that says when it was made.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The metrics of one process. For all threads; nothing here takes long or raises. Times are in seconds."""

    def __init__(self, *, version: str, requests: Callable[[], Mapping[str, int]]) -> None:
        """`requests` gives how many requests were sent by verb (Connection.requests); it is asked at each scrape."""
        self._registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._words: set[str] = set()
        self._lock = threading.Lock()
        for metric in REFERENCE:
            self._make(metric, requests)
        self._gauge("build_info").labels(version=version).set(1)

    def render(self) -> bytes:
        """All of it in Prometheus' text format (CONTENT_TYPE)."""
        return generate_latest(self._registry)

    def leads(self, *, leading: bool) -> None:
        """This process began or ceased to lead."""
        self._gauge("leader").set(leading)
        self._counter("leader_changes_total").inc()

    def app_ready(self, namespace: str, name: str, *, ready: bool) -> None:
        """What the App's condition Ready says."""
        self._gauge("app_ready").labels(namespace, name).set(ready)

    def app_suspended(self, namespace: str, name: str, *, suspended: bool) -> None:
        """Whether the App is suspended."""
        self._gauge("app_suspended").labels(namespace, name).set(suspended)

    def synced(self, namespace: str, name: str, *, result: str, objects: int, held: int) -> None:
        """A sync of the App ended. `result` is a reason, `objects` counts its inventory, `held` what waits."""
        self._counter("syncs_total").labels(self._word(result)).inc()
        self._gauge("app_objects").labels(namespace, name).set(objects)
        self._gauge("app_held_objects").labels(namespace, name).set(held)

    def forget_app(self, namespace: str, name: str) -> None:
        """The App is gone, and what was said of it."""
        for metric in REFERENCE:
            if metric.labels == _APP:
                with contextlib.suppress(KeyError):  # nothing was said of it yet
                    self._gauges[metric.name].remove(namespace, name)

    def forget_apps(self) -> None:
        """This process serves no App any more: another one speaks of them."""
        for metric in REFERENCE:
            if metric.labels == _APP:
                self._gauges[metric.name].clear()

    def step_took(self, step: str, seconds: float) -> None:
        """A step of a sync ended; the step `total` is the whole of it."""
        self._histogram("sync_duration_seconds").labels(step).observe(seconds)

    def lagged(self, seconds: float) -> None:
        """A commit is live, so long after it was made."""
        self._histogram("commit_lag_seconds").observe(max(0.0, seconds))

    def failed(self, reason: str) -> None:
        """An error ended a sync, a poll or something else that is done again."""
        self._counter("errors_total").labels(self._word(reason)).inc()

    def rendered(self, result: Literal["ok", "cached", "failed"]) -> None:
        """An App was rendered, or was not to be because nothing had changed."""
        self._counter("renders_total").labels(result).inc()

    def polled(self, result: Literal["same", "new", "failed"]) -> None:
        """A repository was asked for its refs."""
        self._counter("source_polls_total").labels(result).inc()

    def queue(self, depth: Callable[[], int]) -> None:
        """How many Apps wait for a worker is asked of `depth` at each scrape."""
        self._gauge("queue_depth").set_function(depth)

    def waited(self, seconds: float) -> None:
        """An App waited so long for a worker."""
        self._histogram("queue_wait_seconds").observe(seconds)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """A worker is busy meanwhile."""
        with self._gauge("workers_busy").track_inprogress():
            yield

    def _make(self, metric: Described, requests: Callable[[], Mapping[str, int]]) -> None:
        given = (metric.name, metric.help, metric.labels)
        if metric.name == _API_REQUESTS:
            self._registry.register(_Requests(metric, requests))
        elif metric.kind == "gauge":
            self._gauges[metric.name] = Gauge(*given, registry=self._registry)
        elif metric.kind == "counter":
            self._counters[metric.name] = Counter(*given, registry=self._registry)
        else:
            self._histograms[metric.name] = Histogram(
                *given, buckets=_BUCKETS.get(metric.name, _DURATIONS), registry=self._registry
            )

    def _gauge(self, name: str) -> Gauge:
        return self._gauges[f"trimtab_{name}"]

    def _counter(self, name: str) -> Counter:
        return self._counters[f"trimtab_{name}"]

    def _histogram(self, name: str) -> Histogram:
        return self._histograms[f"trimtab_{name}"]

    def _word(self, word: str) -> str:
        """A label's value out of few: some reasons are chosen by an API server, a proxy or a webhook."""
        with self._lock:
            if word not in self._words and len(self._words) < _WORDS_MAX and _WORD.fullmatch(word):
                self._words.add(word)
            return word if word in self._words else _OTHER


class _Requests(Collector):
    """Counted elsewhere, so that the hot path of a request does not count twice."""

    def __init__(self, metric: Described, requests: Callable[[], Mapping[str, int]]) -> None:
        self._metric, self._requests = metric, requests

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        for verb, number in dict(self._requests()).items():
            family.add_metric([verb], number)
        yield family
