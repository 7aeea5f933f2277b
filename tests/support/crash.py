"""Killing a process at a chosen request to the API server, and looking at what it leaves behind."""

import copy
import ctypes
import multiprocessing
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Self, TypeVar

from pipeline.app import App, Metadata
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.stream import Stream
from pipeline.cluster.wire import Response
from pipeline.inventory.names import APP_LABEL
from pipeline.inventory.record import Record
from pipeline.inventory.store import CONFIG_MAPS, NAMESPACES, SECRETS, Store, ensure_namespace

_Answer = TypeVar("_Answer")

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pipeline.cli.main"])
#: linux/prctl.h
_PR_SET_PDEATHSIG = 1

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", namespaced=True, verbs=frozenset({"list"}))
KINDS = {resource.kind: resource for resource in (CONFIG_MAPS, SECRETS, DEPLOYMENTS)}

DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
    "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}},
}  # fmt: skip
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}


def _child(arguments: list[str], environment: Mapping[str, str], log: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no process outlives the tests
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "a") as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from pipeline.cli.main import run  # noqa: PLC0415 - in the child only

    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    code = run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Forked:
    """The command line in a process of its own, without the time that the start of Python takes."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        log.write_text("")
        self._process = _FORKS.Process(target=_child, args=(arguments, environment, str(log)), daemon=True)
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:  # it may be killed before we know who it is
            self._process.start()

    @property
    def ended(self) -> bool:
        return bool(wait([self._process.sentinel], 0))

    def code(self) -> int:
        """The exit code once it has ended; negative: it was killed."""
        self._process.join(60)
        assert self._process.exitcode is not None, "the process hangs"
        return self._process.exitcode

    def kill(self) -> None:
        """Returns when it is dead: it has sent its last request."""
        with self._lock:
            if self._process.pid and not self.ended:
                os.kill(self._process.pid, signal.SIGKILL)
                wait([self._process.sentinel], 60)

    def text(self) -> str:
        return self._log.read_text()


class Blow:
    """A proxy's `strike` that counts the requests that `matter`, and calls `kill` at one of them, from 1.

    That request is lost; with `after` it is carried out, and its answer is lost.
    """

    def __init__(
        self, kill: Callable[[], None], at: int, *, after: bool, matter: Callable[[str, str], bool] = lambda *_: True
    ) -> None:
        self._kill, self._at, self._after, self._matter = kill, at, after, matter
        self._lock = threading.Lock()
        self._number = 0
        self.count = 0
        #: The request at which it fell.
        self.fallen = ""

    def __call__(self, number: int, method: str, path: str, *, after: bool = False) -> tuple[int, bytes] | None:
        if not after and self._matter(method, path):
            with self._lock:
                self.count += 1
                if self.count == self._at:
                    self._number = number
        if number != self._number or after is not self._after:
            return None
        self.fallen = f"{'after' if after else 'before'} {method} {path}"
        self._kill()
        return 503, b""


class KilledError(BaseException):
    """The process died: no `except Exception` of the code that runs in it may go on from here."""


@dataclass
class Moment:
    """One request of a process inside the test's own, of those that `matter` counted from 1, and what happens there.

    Without `act` the process dies: that request is lost, or with `after` its answer, and so is all that it sends from
    then on; what other threads have sent already is carried out. Else `act` is called, once, and the process goes on.
    """

    at: int = sys.maxsize
    after: bool = False
    act: Callable[[], object] | None = None
    matter: Callable[[str, str], bool] = lambda *_: True
    #: Set when it dies: nobody waits any longer.
    dead: threading.Event = field(default_factory=threading.Event)
    count: int = 0
    #: The request at which it came.
    fallen: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def around(self, method: str, path: str, send: Callable[[], _Answer]) -> _Answer:
        """Send a request, with what comes before and after it."""
        if self.dead.is_set():
            raise KilledError
        with self._lock:
            self.count += self.matter(method, path)
            now = self.count == self.at and not self.fallen
            if now:
                self.fallen = f"{'after' if self.after else 'before'} {method} {path}"
        if not now:
            return send()
        if not self.after:
            self._come()
            return send()
        answer = send()
        self._come()
        return answer

    def _come(self) -> None:
        if self.act is None:
            self.dead.set()
            raise KilledError
        self.act()


class Mortal(Connection):
    """A connection of a process that a moment may end."""

    moment = Moment()

    def until(self, moment: Moment) -> Self:
        """The same connection, for a process with that moment in it. Wires are shared."""
        other = copy.copy(self)
        other.moment = moment
        return other

    def request(self, method: str, path: str, **rest: Any) -> Response:
        return self.moment.around(method, path, lambda: super(Mortal, self).request(method, path, **rest))

    def stream(self, path: str, **rest: Any) -> Stream:
        opened: list[Stream] = []

        def act() -> Stream:
            opened.append(super(Mortal, self).stream(path, **rest))
            return opened[0]

        try:
            return self.moment.around("WATCH", path, act)
        except KilledError:
            for stream in opened:  # the kernel closes it, when a process dies
                stream.close()
                list(stream)
            raise


@contextmanager
def quiet_death() -> Iterator[None]:
    """A thread of a process that died ends without a word."""
    hook = threading.excepthook

    def ignore(args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, KilledError):
            hook(args)

    threading.excepthook = ignore
    try:
        yield
    finally:
        threading.excepthook = hook


class Place:
    """A namespace of its own with an object of somebody else, looked at without starting a process for each look."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.namespace = f"crash-{secrets.token_hex(4)}"
        ensure_namespace(connection, self.namespace)
        old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "old"}, "data": {"mine": "1"}}
        self._old = objects.create(connection, CONFIG_MAPS, self.namespace, old, manager="somebody")["metadata"]["uid"]

    def end(self) -> None:
        meta = objects.get_metadata(self.connection, NAMESPACES, "", self.namespace)
        assert meta is not None
        objects.delete(self.connection, NAMESPACES, "", self.namespace, uid=meta["metadata"]["uid"])

    def labelled(self) -> set[str]:
        """Everything that carries the App's label."""
        return {
            f"{kind}/{meta['metadata']['name']}"
            for kind, resource in KINDS.items()
            for meta in objects.list_metadata(self.connection, resource, self.namespace, selector=APP_LABEL)
        }

    def record(self) -> Record | None:
        app = App(Metadata(name="shop", namespace=self.namespace))
        return Store(self.connection, self.namespace).load(app).record

    def recorded(self) -> set[str]:
        """Everything that the inventory knows."""
        record = self.record()
        return {f"{object_id.kind}/{object_id.name}" for object_id in (record.entries if record else ())}

    def old_lives(self) -> bool:
        """Whether what somebody else had made is still the same, with what he wrote into it."""
        old = self.get("ConfigMap", "old")
        return old is not None and old["metadata"]["uid"] == self._old and old["data"]["mine"] == "1"

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        return objects.get(self.connection, KINDS[kind], self.namespace, name)

    def objects(self) -> dict[str, dict[str, Any]]:
        """All objects of the kinds that an App has here, by Kind/name."""
        return {
            f"{kind}/{item['metadata']['name']}": item
            for kind, resource in KINDS.items()
            for item in objects.list_objects(self.connection, resource, self.namespace)[0]
        }
