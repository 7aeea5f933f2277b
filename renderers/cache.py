"""What was rendered before, by what it was made of (`keys.py`). In memory, bounded, and never of what failed.

A rendered Secret is in here as it is in the memory of whoever renders; nothing of it is written anywhere.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from renderers.api import Rendered
from renderers.manifest import Manifest

#: What one byte of JSON takes as Python objects, about, and what an entry takes besides.
_OBJECTS = 8
_ENTRY = 2 << 10


class RenderCache:
    """Values by their keys, at most about `limit` bytes of them; what was asked for longest ago goes first.

    For all threads of a process, and all Apps: a key says everything that a value depends on.
    """

    def __init__(self, limit: int = 256 << 20) -> None:
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[int, object]] = OrderedDict()

    @property
    def entries(self) -> int:
        """How many values are kept."""
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes that are kept, about."""
        return self._size

    def get(self, key: str) -> object:
        """The value, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][1]

    def put(self, key: str, value: object, *, size: int) -> None:
        """Keep a value of about `size` bytes; one that is larger than all that may be kept is not."""
        with self._lock:
            self._size -= self._kept.pop(key, (0, None))[0]
            if size > self._limit:
                return
            self._kept[key] = (size, value)
            self._size += size
            while self._size > self._limit:
                self._size -= self._kept.popitem(last=False)[1][0]

    def put_rendered(self, key: str, rendered: Rendered) -> None:
        """Keep what a unit came to."""
        texts = [*rendered.warnings, *(text for note in rendered.notes for text in note)]
        texts += [path for unit in rendered.units for path in unit.inputs]
        manifests = (*rendered.manifests, *rendered.hooks, *rendered.tests)
        self.put(key, rendered, size=_ENTRY + 2 * sum(map(len, texts)) + _size(manifests))


def _size(manifests: Iterable[Manifest]) -> int:
    encode = msgspec.json.Encoder().encode
    buffer = bytearray()
    size = 0
    for manifest in manifests:
        buffer.clear()
        try:
            size += len(encode(manifest.data))
        except (TypeError, ValueError, OverflowError, RecursionError):  # what JSON cannot say is small, and rare
            size += len(repr(manifest.data))
    return size * _OBJECTS + _ENTRY * size // (1 << 20)
