"""Charts: from a chart's name and range of versions to one version, and from that to its files."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipeline.app import ChartSource, check_place
from pipeline.errors import SourceError
from pipeline.location import redacted
from pipeline.source.charts.index import Entry
from pipeline.source.charts.pin import Pin
from pipeline.source.charts.place import reference_of
from pipeline.source.charts.store import Store
from pipeline.source.credentials import Credentials

if TYPE_CHECKING:
    from pipeline.source.charts.registry import Registries
    from pipeline.source.charts.repository import Repositories

#: A download may take this many times the limit of a question.
_DOWNLOAD = 10.0


class Charts:
    """The charts that this process reads, unpacked below `cache`. For any number of threads at once.

    Processes may share the folder. `timeout` is in seconds, of silence; an answer may take ten times that. What one
    credential may read is not given to another, though the digest be the same.
    """

    def __init__(self, cache: Path, *, timeout: float = 60.0) -> None:
        self._cache = cache
        self._timeout = timeout
        self._store = Store(cache / "charts")

    def resolve(self, chart: ChartSource, credentials: Credentials | None = None) -> Pin:
        """The version that the source is at now, as helm would choose it. Asks the network; a poll costs little.

        Raises SourceError for what is not allowed or not there, SourceUnreachableError when nobody answers.
        """
        check_place(chart)
        credentials = credentials or Credentials()
        if chart.oci:
            return self._registries.find(reference_of(chart.oci), chart.version, credentials)
        entry = self._entry(chart, chart.version, credentials)
        if entry.urls[0].startswith("oci://"):
            # An index may send on to a registry, which is another server: it is asked without credentials.
            return self._registries.find(reference_of(entry.urls[0]), "", Credentials(), name=chart.name)
        pin = Pin(chart.name, entry.version, entry.digest, redacted(entry.urls[0]))
        return pin if entry.digest else self._bring(chart, pin, entry, credentials)[0]

    def fetched(self, chart: ChartSource, pin: Pin, credentials: Credentials | None = None) -> Path:
        """The folder of the chart's files (resolved), which nobody changes. Asks nobody when it is in the cache.

        It stays for a day from this call. Raises as `resolve`, and SourceError for a package that has another digest
        than the pin, or that is no chart.
        """
        check_place(chart)
        credentials = credentials or Credentials()
        shelf = _shelf(chart, credentials)
        if found := self._store.find(shelf, pin):
            return found
        with self._store.making(shelf, pin, timeout=self._timeout * _DOWNLOAD):
            if found := self._store.find(shelf, pin):
                return found
            entry = None
            if not chart.oci and not pin.url.startswith("oci://"):
                entry = self._entry(chart, pin.version, credentials)
            return self._bring(chart, pin, entry, credentials)[1]

    @cached_property
    def _servers(self) -> "tuple[Repositories, Registries]":
        """What asks the network, which who has all in the cache does not owe the import of."""
        from pipeline.source.charts.registry import Registries  # noqa: PLC0415 - see above
        from pipeline.source.charts.repository import Repositories  # noqa: PLC0415
        from pipeline.source.charts.web import Web  # noqa: PLC0415

        web = Web(self._timeout)
        return Repositories(web, self._cache / "indexes"), Registries(web)

    @property
    def _repositories(self) -> "Repositories":
        return self._servers[0]

    @property
    def _registries(self) -> "Registries":
        return self._servers[1]

    def _entry(self, chart: ChartSource, version: str, credentials: Credentials) -> Entry:
        return self._repositories.find(chart.repo, chart.name, version, credentials, shelf=_shelf(chart, credentials))

    def _bring(self, chart: ChartSource, pin: Pin, entry: Entry | None, credentials: Credentials) -> tuple[Pin, Path]:
        """Download and unpack; a pin without a digest gets the one of what came."""
        with self._store.new_file() as file:
            digest = self._download(chart, pin, entry, credentials, file)
            if pin.digest not in {"", digest}:
                raise SourceError(
                    f"{pin.url} has another content than it should: {digest} instead of {pin.digest}",
                    hint="was the version published anew? Then its index must be too; else ask who runs the server",
                )
            pin = Pin(pin.name, pin.version, digest, pin.url)
            return pin, self._store.put(_shelf(chart, credentials), pin, file)

    def _download(
        self, chart: ChartSource, pin: Pin, entry: Entry | None, credentials: Credentials, file: IO[bytes]
    ) -> str:
        if entry is not None:
            return self._repositories.download(chart.repo, entry.urls, credentials, file)
        reference = reference_of(chart.oci or pin.url)
        return self._registries.download(reference, pin.digest, credentials if chart.oci else Credentials(), file)


def _shelf(chart: ChartSource, credentials: Credentials) -> str:
    """A name for whose the chart is: of one URL and one owner of credentials, as for mirrors."""
    identity = f"{chart.url}\n{credentials.scope or credentials.digest}"
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
