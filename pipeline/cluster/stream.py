"""Answers that do not end (watches): read line by line in one thread, ended at once from another."""

import threading
import weakref
from collections.abc import Iterator

from pipeline.cluster.wire import Wire


class Stream:
    """The lines of an answer that does not end. To be read once, by one thread; `close` may come from any."""

    def __init__(self, wire: Wire, lines: Iterator[bytes]) -> None:
        self._wire = wire
        self._lines = lines

    def __iter__(self) -> Iterator[bytes]:
        """Each line as it comes.

        Ends when the server ends it, the connection breaks, or `close` was called.
        """
        try:
            yield from self._lines
        except OSError:
            return
        finally:
            self._wire.close()

    def close(self) -> None:
        """End it; a read that waits in another thread ends at once."""
        self._wire.abort()


class Streams:
    """The streams that are open, by the event that shall end them.

    One thread an event, as long as it is not set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._open: dict[threading.Event, weakref.WeakSet[Stream]] = {}

    def add(self, stream: Stream, stop: threading.Event) -> None:
        """Close the stream as soon as `stop` is set."""
        with self._lock:
            known = stop in self._open
            self._open.setdefault(stop, weakref.WeakSet()).add(stream)
            closed = self._closed
        if closed:
            stream.close()
        elif not known:
            threading.Thread(target=self._watch, args=(stop,), name="trimtab-stop", daemon=True).start()

    def close(self) -> None:
        """Close all of them, and each that is added from now on."""
        with self._lock:
            self._closed = True
            streams = [stream for group in self._open.values() for stream in group]
        for stream in streams:
            stream.close()

    def _watch(self, stop: threading.Event) -> None:
        stop.wait()
        with self._lock:
            streams = list(self._open.pop(stop))
        for stream in streams:
            stream.close()
