"""Carries out a plan's PATCHes in their order, in parallel where they have none, each object's error its own."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby

from pipeline.apply.ready import Ready
from pipeline.apply.send import Policy, Sent, send, unsent
from pipeline.apply.servers import Servers, answers_by_endpoints, has_endpoints
from pipeline.cluster.connection import Connection
from pipeline.health.rules import settled
from pipeline.health.wait import wait
from pipeline.plan.decide import Send
from pipeline.plan.model import Action, Change
from pipeline.plan.order import Stage, servers
from renderers.manifest import ObjectId

#: Hides the latency of the API server; more threads cost it more than they bring.
THREADS = 16
#: How long a new or changed CRD may take to be served, in seconds, after it says that it is established.
_CRD_LAG = 10.0
#: How long CRDs and namespaces may take to become usable, in seconds.
_STAGE_TIMEOUT = 60.0
_NOT_APPLIED = (Action.FAILED, Action.REFUSED, Action.HELD)


@dataclass(slots=True)
class Applier:
    """What every PATCH of one sync needs.

    `absent` are objects of the set that cannot be sent now, with their waves. `gate` is entered around each bundle of
    PATCHes, told how many objects are left. `on_sent` is told of each object as it is done, from any thread.
    `new_kinds`: kinds have come just now, and may be served a moment later. `lost` is set once the cluster gave no
    answer: what is left is not tried for minutes one by one.
    """

    connection: Connection
    policy: Policy
    ready: Ready
    absent: Mapping[ObjectId, int]
    stop: threading.Event
    gate: Callable[[int], AbstractContextManager[None]]
    on_sent: Callable[[Sent], None]
    new_kinds: bool = False
    lost: threading.Event = field(default_factory=threading.Event)
    _done: dict[ObjectId, Sent] = field(default_factory=dict)
    _total: int = 0

    def run(self, sends: Sequence[Send]) -> list[Sent]:
        """Send all that the plan says, in its order; what has to wait for something that is not ready is held.

        Ends between two bundles, and any waiting, when `stop` is set; what was sent by then is given, what was not is
        not.
        """
        self._total = len(sends)
        for wave, of_wave in groupby(sends, key=lambda item: item.desired.options.wave):
            late = self._earlier(wave)
            for _, of_depth in groupby(of_wave, key=lambda item: item.desired.depth):
                items = list(of_depth)
                reasons = {item.desired.id: late for item in items} if late else self._dependencies(items)
                if self.stop.is_set():
                    return list(self._done.values())
                self._send(self._hold(items, reasons))
        return list(self._done.values())

    def _earlier(self, wave: int) -> str:
        """Why a wave must not be sent: an object of an earlier one was not applied, or is not ready."""
        desired = self.ready.desired
        waves = {each.id: each.options.wave for each in desired.values()} | dict(self.absent)
        earlier = {object_id for object_id, other in waves.items() if other < wave}
        for object_id in sorted(earlier):
            if self._not_applied(object_id):
                return f"waits for wave {waves[object_id]}: {object_id} was not applied"
        unready = self.ready.unready(self._done.values(), earlier) if earlier else {}
        first = next(iter(unready), None)
        return f"waits for wave {waves[first]}: {first} is not ready" if first is not None else ""

    def _dependencies(self, items: Sequence[Send]) -> dict[ObjectId, str]:
        """Why some of these must not be sent: what they depend on was not applied, or is not ready."""
        named = {each for item in items for each in item.desired.options.depends_on}
        if not named:
            return {}
        bad = {each: f"waits for {each}, which was not applied" for each in named if self._not_applied(each)}
        unready = self.ready.unready(self._done.values(), named - bad.keys())
        bad |= {each: f"waits for {each}, which is not ready" for each in unready}
        return {
            item.desired.id: bad[each] for item in items for each in reversed(item.desired.options.depends_on)
            if each in bad
        }  # fmt: skip

    def _not_applied(self, object_id: ObjectId) -> bool:
        sent = self._done.get(object_id)
        missing = object_id in self.absent or object_id not in self.ready.desired
        return missing or (sent is not None and sent.change.action in _NOT_APPLIED)

    def _unserved(self, items: Sequence[Send]) -> dict[ObjectId, str]:
        """Why some objects of the last stage must not be sent: a Service that they name has no ready endpoint."""
        named = {item.desired.id: servers(item.desired.data) for item in items}
        services = {each for some in named.values() for each in some if self._answers(each)}
        if not services or self.lost.is_set():
            return {}
        with Servers(self.connection, services) as watched:
            self.ready.until(lambda: not watched.unserved(), self._done.values())
            unserved = watched.unserved()
        return {
            object_id: f"waits for {each}, which has no ready endpoint"
            for object_id, some in named.items() for each in sorted(some & unserved, reverse=True)
        }  # fmt: skip

    def _answers(self, service: ObjectId) -> bool:
        wanted = self.ready.desired.get(service)
        return has_endpoints(wanted.data) if wanted is not None else answers_by_endpoints(self.connection, service)

    def _hold(self, items: Iterable[Send], reasons: Mapping[ObjectId, str]) -> list[Send]:
        """Note what is held, with what the inventory said of it; returns the others."""
        others = []
        for item in items:
            reason = reasons.get(item.desired.id)
            if reason is None:
                others.append(item)
            else:
                self._note(Sent(Change(item.desired.id, Action.HELD, reason), item.entry))
        return others

    def _note(self, sent: Sent) -> None:
        self._done[sent.change.id] = sent
        self.on_sent(sent)

    def _send(self, sends: Iterable[Send]) -> None:
        """Stage by stage; for CRDs and namespaces it is waited until they can be used."""
        for stage, group in groupby(sends, key=lambda item: item.desired.stage):
            items = list(group)
            reasons = self._unserved(items) if stage is Stage.LAST else {}
            if self.stop.is_set():
                return
            items = self._hold(items, reasons)
            with self.gate(self._total - len(self._done)):
                results = self._bundle(items)
            if stage <= Stage.NAMESPACES:
                self.new_kinds = self.new_kinds or stage is Stage.CRDS
                self._wait_usable(results)

    def _bundle(self, items: Sequence[Send]) -> list[Sent]:
        def one(item: Send) -> None:
            if self.stop.is_set():
                return
            if self.lost.is_set():
                sent = unsent(item, "the cluster is out of reach")
            else:
                sent = self._patient(item) if self.new_kinds else send(self.connection, item, self.policy, self.stop)
            if sent.unreachable:
                self.lost.set()
            self._note(sent)

        if len(items) == 1:
            one(items[0])
        elif items:
            with ThreadPoolExecutor(max_workers=min(THREADS, len(items))) as pool:
                list(pool.map(one, items))
        return [self._done[item.desired.id] for item in items if item.desired.id in self._done]

    def _patient(self, item: Send) -> Sent:
        """An established CRD is served a moment later, and a changed schema later still: try again for a while."""
        deadline = time.monotonic() + _CRD_LAG
        pause = 0.05
        while True:
            sent = send(self.connection, item, self.policy, self.stop)
            if not sent.kind_lags or time.monotonic() > deadline or self.stop.wait(pause):
                return sent
            pause *= 1.5

    def _wait_usable(self, results: Sequence[Sent]) -> None:
        """CRDs established and namespaces active before what needs them; a failure shows at what needs them."""
        waiting = {
            sent.change.id: self.ready.desired[sent.change.id].resource
            for sent in results
            if sent.answer is not None and not settled(sent.answer)
        }
        if waiting:
            wait(self.connection, waiting, selector=self.ready.selector, timeout=_STAGE_TIMEOUT, stop=self.stop)
