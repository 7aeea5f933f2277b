"""Connections that end: a server that sends its headers byte by byte holds no thread for longer than the limit.

urllib3 has a limit of silence only, which each byte begins anew.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


def pools_that_end_after(seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """What a PoolManager takes as `pool_classes_by_scheme`: the headers of an answer must be there after so long."""

    class Plain(HTTPConnection):
        def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
            with _ended_after(seconds, self.sock):
                return super().getresponse()

    class Secure(HTTPSConnection):
        def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]
            with _ended_after(seconds, self.sock):
                return super().getresponse()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


@contextmanager
def _ended_after(seconds: float, connection: socket.socket | None) -> Iterator[None]:
    """Raises TimeoutError: headers that end with their connection would pass for a whole answer."""
    late = threading.Event()

    def end() -> None:
        late.set()
        with suppress(OSError):
            if connection is not None:
                connection.shutdown(socket.SHUT_RDWR)

    clock = threading.Timer(seconds, end)
    clock.daemon = True
    clock.start()
    try:
        yield
    finally:
        clock.cancel()
        if late.is_set():
            raise TimeoutError("the headers took too long")
