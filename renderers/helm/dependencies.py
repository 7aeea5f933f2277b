"""A chart's dependencies that are not in its charts/ folder: found, brought, and packed as helm packs them.

`helm dependency` itself is never run: it would write where the repository says.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from renderers.api import Fetched, RenderError, RenderRequest
from renderers.boundary import KEEP_INSIDE, files_inside, real, shown
from renderers.files import read_inside
from renderers.helm.archives import UNPACKED, pack
from renderers.helm.chart import Chart, Dependency, load_chart
from renderers.helm.lock import locked
from renderers.helm.ranges import range_of, version_of
from renderers.inputs import fetched_folder
from renderers.manifest import TrimtabError

_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9._]*")
#: How many folders all dependencies may come from: each chart of a chain may name the next one several times.
_MAX_LOCAL = 200
_MAX_CHAIN = 20
_VENDOR = "run `helm dependency update` on the chart and commit its charts/ folder"


@dataclass(frozen=True, slots=True)
class Local:
    """A dependency in another folder of the checkout, and what that one needs in turn."""

    name: str
    folder: Path
    chart: Chart
    needs: "Needs"


@dataclass(frozen=True, slots=True)
class Remote:
    """A dependency that was fetched."""

    name: str
    fetched: Fetched


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be put into a chart's charts/ folder. `warnings` name what helm renders without."""

    charts: tuple[Local | Remote, ...] = ()
    warnings: tuple[str, ...] = ()

    def all(self) -> Iterator[Local | Remote]:
        """These and what they need in turn."""
        for need in self.charts:
            yield need
            if isinstance(need, Local):
                yield from need.needs.all()

    def all_warnings(self) -> tuple[str, ...]:
        """The warnings of these and of what they need in turn."""
        below = (need.needs.all_warnings() for need in self.charts if isinstance(need, Local))
        return (*self.warnings, *(warning for warnings in below for warning in warnings))


@dataclass(frozen=True, slots=True)
class _Failure:
    """A dependency that cannot be had."""

    dependency: Dependency
    error: TrimtabError

    def __str__(self) -> str:
        asked = f"{self.dependency.name} {self.dependency.version}".strip()
        source = f" from {self.dependency.repository}" if self.dependency.repository else ""
        return f"{asked}{source}: {self.error.message}"


def find_needs(chart: Chart, folder: Path, request: RenderRequest) -> Needs:
    """What the chart in `folder` depends on and does not have.

    Raises RenderError naming all that cannot be had, each with the reason, and for a lock that is out of date; the
    error of a fetcher as it is when it may pass.
    """
    found, failed = _Search(request).find(chart, folder, (real(folder),))
    if failed:
        raise _not_there(chart, failed)
    return Needs(found)


@contextmanager
def put(needs: Needs, charts: Path, root: Path) -> Iterator[None]:
    """Meanwhile they lie in a charts/ folder of the private copy of a checkout, which is `root`.

    Raises RenderError where there can be no such folder.
    """
    if not needs.charts:
        yield
        return
    if charts.exists() and not charts.is_dir():
        raise RenderError(f"{shown(charts, root)} is not a folder", hint="helm keeps a chart's dependencies there")
    is_new = not charts.exists()
    packed = dict(_packed(need, root) for need in needs.charts)
    # What lies there under the same name is another chart.
    files = {charts / (f"needed-{name}" if (charts / name).exists() else name): data for name, data in packed.items()}
    charts.mkdir(exist_ok=True)
    for file, data in files.items():
        file.write_bytes(data)
    try:
        yield
    finally:
        for file in files:
            file.unlink()
        if is_new:
            charts.rmdir()


def complete(chart: Chart, needs: Needs, root: Path | None) -> Chart:
    """The chart with what it needs among its subcharts. `root` is the private copy; None: there is no such."""
    return replace(chart, subcharts=(*chart.subcharts, *(_as_chart(need, chart, root) for need in needs.charts)))


def _as_chart(need: Local | Remote, parent: Chart, root: Path | None) -> Chart:
    if isinstance(need, Local):
        return complete(need.chart, need.needs, root)
    folder = fetched_folder(root, need.fetched) if root else need.fetched.folder
    chart = load_chart(folder, root or need.fetched.root, archive=True)
    prefix = "" if parent.place == "." else f"{parent.place}/"
    return chart.moved(f"{prefix}charts/{need.name}")


def _packed(need: Local | Remote, root: Path) -> tuple[str, bytes]:
    """The name and the content of the archive that `helm dependency build` would make or fetch."""
    if isinstance(need, Local):
        files = _read(need.chart)
        files |= {f"charts/{name}": data for name, data in (_packed(inner, root) for inner in need.needs.charts)}
        return f"{need.name}-{need.chart.version}.tgz", pack(need.name, files)
    folder = fetched_folder(root, need.fetched)
    files = {
        file.relative_to(folder).as_posix(): read_inside(file, root, limit=UNPACKED)
        for file in files_inside(folder, root)
    }
    return f"{need.name}-{need.fetched.version}.tgz", pack(need.name, files)


def _read(chart: Chart) -> dict[str, bytes]:
    """All files of a chart, as far as helm would take so many."""
    files, left = dict[str, bytes](), UNPACKED
    for name, read in chart.files.items():
        files[name] = read()
        left -= len(files[name])
        if left < 0:
            raise RenderError(
                f"the chart has more than {UNPACKED >> 20} MiB, and helm takes no more", where=chart.place
            )
    return files


@dataclass(slots=True)
class _Search:
    """Looks for what a chart depends on, and for what that depends on; `path` is the folders that led there."""

    request: RenderRequest
    folders: int = 0

    def find(
        self, chart: Chart, folder: Path, path: tuple[Path, ...]
    ) -> tuple[tuple[Local | Remote, ...], list[_Failure]]:
        """What can be had, and what cannot."""
        names = {dependency.name for dependency in chart.missing()}
        found: list[Local | Remote] = []
        failed: list[_Failure] = []
        for dependency in locked(chart) if names else ():
            if dependency.name not in names:
                continue
            try:
                found.append(self._need(dependency, folder, path))
            except TrimtabError as e:
                if e.temporary:
                    raise
                failed.append(_Failure(dependency, e))
        return tuple(found), failed

    def _need(self, dependency: Dependency, folder: Path, path: tuple[Path, ...]) -> Local | Remote:
        name, repository = dependency.name, dependency.repository
        if not _NAME.fullmatch(name):
            raise RenderError("this is no name of a chart", hint="correct it in Chart.yaml")
        if not repository:
            raise RenderError("it has no repository", hint="commit it into the charts/ folder, or give it a repository")
        if repository.startswith("file://"):
            return self._local(dependency, folder, path)
        if repository.startswith(("@", "alias:")):
            raise RenderError(
                "only somebody's own helm knows what this repository is",
                hint=f"write its URL into Chart.yaml, or {_VENDOR}",
            )
        return Remote(name, self.request.fetcher.chart(repository, name, dependency.version))

    def _local(self, dependency: Dependency, folder: Path, path: tuple[Path, ...]) -> Local:
        root, text = self.request.root, dependency.repository.removeprefix("file://")
        place = real(folder / text)
        name = shown(place, root)
        if text.startswith("/") or not place.is_relative_to(root):
            raise RenderError("it leads out of the checkout", hint=KEEP_INSIDE)
        if not (place / "Chart.yaml").is_file():
            raise RenderError(f"there is no chart in {name}", hint="correct the path in Chart.yaml")
        if place in path:
            raise RenderError(f"{name} depends on itself", hint="take one of the dependencies out")
        self.folders += 1
        if self.folders > _MAX_LOCAL or len(path) > _MAX_CHAIN:
            raise RenderError("too many charts depend on each other", hint="depend on fewer, or on each once")
        chart = load_chart(place, root)
        if chart.name != dependency.name:
            raise RenderError(f"the chart in {name} is called {chart.name}", hint="write the same name in both")
        version = version_of(chart.version)
        if chart.version != dependency.version and (version is None or version not in range_of(dependency.version)):
            raise RenderError(
                f"the chart in {name} has the version {chart.version}, and {dependency.version} is wanted",
                hint="correct one of the two",
            )
        try:
            found, failed = self.find(chart, place, (*path, place))
        except RenderError as e:
            return Local(dependency.name, place, chart, Needs((), (f"{name}: {e.message}",)))
        # helm packs the folder as it is: only what the first chart depends on must be there.
        warnings = (f"{name}: helm renders it without a chart that it depends on: {failure}" for failure in failed)
        return Local(dependency.name, place, chart, Needs(found, tuple(warnings)))


def _not_there(chart: Chart, failed: list[_Failure]) -> RenderError:
    hints = dict.fromkeys(failure.error.hint for failure in failed if failure.error.hint)
    first = "a chart that it depends on is" if len(failed) == 1 else f"{len(failed)} charts that it depends on are"
    return RenderError(
        f"{first} not in its charts/ folder: " + "; ".join(map(str, failed)),
        where=chart.place,
        hint="; or ".join((_VENDOR, *(hint for hint in hints if _VENDOR not in hint))),
    )
