"""Carries out a plan's PATCHes: stage by stage, in parallel within one, each object's error its own."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

from pipeline.apply.send import Policy, Sent, send, unsent
from pipeline.cluster.connection import Connection
from pipeline.health.rules import settled
from pipeline.health.wait import wait
from pipeline.plan.decide import Plan, Send
from pipeline.plan.prepare import Stage

#: Hides the latency of the API server; more threads cost it more than they bring.
THREADS = 16
#: How long a new or changed CRD may take to be served, in seconds, after it says that it is established.
_CRD_LAG = 10.0
#: How long CRDs and namespaces may take to become usable, in seconds.
_STAGE_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Applier:
    """What every PATCH of one sync needs. `on_sent` is told of each object as it is done, from any thread.

    `lost` is set once the cluster gave no answer: what is left is not tried for minutes one by one.
    """

    connection: Connection
    policy: Policy
    selector: str
    stop: threading.Event
    on_sent: Callable[[Sent], None]
    lost: threading.Event = field(default_factory=threading.Event)

    def run(self, plan: Plan) -> Iterator[Sent]:
        """Send all that the plan says, in its order of stages.

        Stops between two stages when `stop` is set; what was sent by then is given, what was not is not.
        """
        new_kinds = False
        for stage, group in groupby(plan.sends, key=lambda item: item.desired.stage):
            if self.stop.is_set():
                return
            items = list(group)
            results = self._stage(items, retry_kind=new_kinds)
            yield from results
            if stage <= Stage.NAMESPACES:
                new_kinds = new_kinds or stage is Stage.CRDS
                self._wait_usable(items, results)

    def _stage(self, items: Sequence[Send], *, retry_kind: bool) -> list[Sent]:
        def one(item: Send) -> Sent | None:
            if self.stop.is_set():
                return None
            if self.lost.is_set():
                sent = unsent(item, "the cluster is out of reach")
            else:
                sent = self._patient(item) if retry_kind else send(self.connection, item, self.policy)
            if sent.unreachable:
                self.lost.set()
            self.on_sent(sent)
            return sent

        if len(items) == 1:
            results: Iterable[Sent | None] = [one(items[0])]
        else:
            with ThreadPoolExecutor(max_workers=min(THREADS, len(items))) as pool:
                results = list(pool.map(one, items))
        return [sent for sent in results if sent is not None]

    def _patient(self, item: Send) -> Sent:
        """An established CRD is served a moment later, and a changed schema later still: try again for a while."""
        deadline = time.monotonic() + _CRD_LAG
        pause = 0.05
        while True:
            sent = send(self.connection, item, self.policy)
            if not sent.kind_lags or time.monotonic() > deadline or self.stop.wait(pause):
                return sent
            pause *= 1.5

    def _wait_usable(self, items: Sequence[Send], results: Sequence[Sent]) -> None:
        """CRDs established and namespaces active before what needs them; a failure shows at what needs them."""
        resources = {item.desired.id: item.desired.resource for item in items}
        waiting = {
            sent.change.id: resources[sent.change.id]
            for sent in results
            if sent.answer is not None and not settled(sent.answer)
        }
        if waiting:
            wait(self.connection, waiting, selector=self.selector, timeout=_STAGE_TIMEOUT, stop=self.stop)
