"""What goes wrong between Trimtab and an API server: each as a `strike` or an `edit` of the proxy."""

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from apiproxy import Cut, Instead

Strike = Callable[..., Instead | Cut | None]


def _status(code: int, reason: str, **details: Any) -> bytes:
    return json.dumps(
        {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
         "message": f"the tests say {reason}", "details": details}
    ).encode()  # fmt: skip


_TEXT = {"Content-Type": "text/plain"}
#: What is answered instead, before the API server has seen the request.
ANSWERS = {
    "409": Instead(409, _status(409, "Conflict")),
    "429": Instead(429, b"Too many requests, please try again later.\n", {"Retry-After": "1", **_TEXT}),
    "500": Instead(500, _status(500, "InternalError")),
    "503": Instead(503, b"upstream connect error", _TEXT),
    "504": Instead(504, _status(504, "Timeout", retryAfterSeconds=1)),
}  # fmt: skip


@dataclass
class Faults:
    """Strikes at requests by chance; the same seed strikes at the same numbers.

    `kinds` are keys of ANSWERS (409 for writes only), or: `delay`; `drop` (the request is lost), `lost` (its answer is
    lost), `late` (it is carried out, and answered 500), `cut` (its answer ends in the middle, a watch in its first
    event).
    `share` of all requests are struck, and never more than `most` in a row: even a bad network lets something through.
    """

    kinds: tuple[str, ...]
    seed: int = 0
    share: float = 0.25
    most: int = 2
    struck: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._after: dict[int, str] = {}

    def __call__(self, number: int, method: str, path: str, *, after: bool = False) -> Instead | Cut | None:
        if after:
            return self._answered(number)
        with self._lock:
            kind = self._chance.choice(self.kinds)
            hit = self._chance.random() < self.share and self._in_a_row < self.most
            hit = hit and (kind != "409" or method != "GET")
            self._in_a_row = self._in_a_row + 1 if hit else 0
            if not hit:
                return None
            self.struck.append(f"{kind} {method} {path}")
            if kind in ("lost", "late", "cut"):
                self._after[number] = kind
                return None
        if kind == "delay":
            time.sleep(0.3)  # a slow network is what this is about
            return None
        return Cut() if kind == "drop" else ANSWERS[kind]

    def _answered(self, number: int) -> Instead | Cut | None:
        with self._lock:
            kind = self._after.pop(number, "")
        return {"": None, "lost": Cut(), "late": ANSWERS["500"], "cut": Cut(after=20)}[kind]


class Stale:
    """A proxy's `edit`: reads are answered as they were when `old` was set, as far as they were asked before.

    As an API server does whose cache is behind (kubernetes/kubernetes#59848). `matter` says of which paths.
    """

    def __init__(self, matter: Callable[[str], bool] = lambda _: True) -> None:
        self._matter = matter
        self._answers: dict[str, Instead] = {}
        self.old = False
        self.served: list[str] = []

    def __call__(self, method: str, path: str, answer: Instead) -> Instead:
        if method != "GET" or not self._matter(path):
            return answer
        key = _without_paging(path)
        if not self.old:
            self._answers[key] = answer
        elif key in self._answers:
            self.served.append(path)
            return self._answers[key]
        return answer


class Unseen:
    """A proxy's `events`: those that `which` says, by type and object, never arrive."""

    def __init__(self, which: Callable[[str, dict[str, Any]], bool]) -> None:
        self._which = which
        self.dropped: list[str] = []

    def __call__(self, path: str, line: bytes) -> bytes:
        event = json.loads(line) if line else {}
        if not event or not self._which(event["type"], event["object"]):
            return line
        self.dropped.append(f"{event['type']} {event['object']['metadata'].get('name')}")
        return b""


def _without_paging(path: str) -> str:
    parts = urlsplit(path)
    query = parse_qs(parts.query)
    kept = sorted((key, *values) for key, values in query.items() if key in ("labelSelector", "fieldSelector"))
    return f"{parts.path}?{kept}"
