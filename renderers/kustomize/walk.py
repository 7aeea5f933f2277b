"""One walk over a kustomization and all that it refers to: each reference is looked at before kustomize follows one.

What must hold: a reference is local or was fetched, exists, and with all its links followed lies inside its boundary.
kustomize's own rule (a single file lies below the folder of its kustomization) stays kustomize's to say.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderers.api import Inputs, RenderError, RenderRequest
from renderers.boundary import KEEP_INSIDE, real
from renderers.helm.files import check_files
from renderers.kustomize.charts import chart_of, modernize
from renderers.kustomize.fields import (
    ENTRIES,
    FILES,
    FOLDERS,
    PLUGIN_FILES,
    PLUGINS,
    FileFields,
    Slot,
    each,
    find,
)
from renderers.kustomize.plugins import built_in, inline
from renderers.kustomize.reach import Place, Reach
from renderers.kustomize.references import kustomization_files
from renderers.kustomize.remote import Elsewhere, is_remote
from renderers.kustomize.rewriting import Plugin, Rewriting

#: A kustomization with no more than this makes what its files say.
_ADDS_NOTHING = {"apiVersion", "kind", "metadata", "resources"}


@dataclass(frozen=True, slots=True)
class _Kustomization:
    """A kustomization that is looked at. `plugins_of`: what it makes are plug-ins of that one."""

    at: Place
    plugins_of: Place | None = None


def walk(request: RenderRequest) -> Inputs:
    """The closed set of a kustomization.

    Raises RenderError naming file, field and reference for one that is missing, absolute or leads out, for a chart
    or plug-in that may not be run, and one error for all that is remote and not fetched; ManifestError for a file
    that is no YAML.
    """
    return _Walk(request).inputs()


class _Walk:
    def __init__(self, request: RenderRequest) -> None:
        self._fetcher = request.fetcher
        self._helm_allowed = request.kustomize.enable_helm
        self._reach = Reach(request.root)
        self._rewriting = Rewriting()
        self._elsewhere = Elsewhere()
        self._tools = ["kustomize"]
        self._todo = [_Kustomization(Place(self._reach.checkout, real(request.folder)))]
        self._file = ""

    def inputs(self) -> Inputs:
        seen = set[_Kustomization]()
        while self._todo:
            current = self._todo.pop()
            if current not in seen:
                seen.add(current)
                self._kustomization(current)
        self._elsewhere.raise_refused()
        self._rewriting.write(self._reach)
        return self._reach.inputs(*self._tools)

    def _kustomization(self, current: _Kustomization) -> None:
        source, folder = current.at.source, current.at.folder
        for file in kustomization_files(folder):
            self._file = source.shown(file)
            if not real(file).is_relative_to(folder) and real(file).is_relative_to(source.root):
                continue  # for kustomize there is none
            try:
                documents = self._reach.documents(file, source)
                # kustomize reads the first one only.
                data = _unshared(documents[0]) if documents else None
                if isinstance(data, dict):
                    self._document(data, current)
                    self._rewriting.kustomization(source.at(folder) / file.name, data)
            except RenderError as e:
                raise e.retold(e.message, where=e.where or self._file) from e

    def _document(self, data: dict[str, Any], current: _Kustomization) -> None:
        at, plugins_of = current.at, current.plugins_of
        modernize(data)
        settings = next((value for _, value in find(data, "helmGlobals")), None)
        for field, chart in find(data, "helmCharts[]"):
            self._chart(field, chart, settings, at)
        self._files(data, FILES, at)
        for slot in each(data, PLUGINS):
            self._plugin(slot, at, base=at)
        for slot in each(data, FOLDERS):
            self._entry(slot, at)
        if plugins_of and set(data) - _ADDS_NOTHING:
            self._made_plugins(plugins_of)
        for slot in each(data, ENTRIES):
            if plugins_of:
                self._plugin(slot, at, base=plugins_of)
            else:
                self._entry(slot, at)

    def _made_plugins(self, base: Place) -> None:
        """A kustomization changes plug-ins before they are used: they may refer to anything below theirs."""
        if self._helm_allowed:
            raise RenderError(
                "this makes plug-ins, and with --enable-helm it may only name their files, as resources: it could "
                "turn anything into a chart's options",
                hint="name the files of the plug-ins, or leave --enable-helm out",
            )
        self._reach.take_folder(base.folder, base.source)

    def _files(self, data: Any, fields: FileFields, at: Place, plugin: Plugin | None = None, within: str = "") -> None:
        """The single files that a kustomization, or the configuration of a plug-in, refers to."""
        for slot, text in _named(data, fields, within):
            if text == "":
                continue  # for kustomize to judge
            if isinstance(text, str) and is_remote(text, at.folder):
                self._elsewhere.refuse_file(slot.name, text, self._file)
                continue
            path, target = self._reach.resolve(slot.name, text, at)
            if target.is_dir():
                raise RenderError(f"{slot.name} refers to {text}, which is a folder and not a file")
            self._reach.take(path, at.source)
            self._rewriting.use(slot, at, path, target, plugin)

    def _entry(self, slot: Slot, at: Place, *, plugins_of: Place | None = None) -> None:
        """A file or another kustomization."""
        text = slot.value
        if text == "":
            return
        if isinstance(text, str) and is_remote(text, at.folder):
            self._base(slot, at, plugins_of)
            return
        path, target = self._reach.resolve(slot.name, text, at)
        if not target.is_dir():
            self._reach.take(path, at.source)
            self._rewriting.use(slot, at, path, target)
        elif kustomization_files(target):
            self._todo.append(_Kustomization(Place(at.source, target), plugins_of))
        else:
            raise RenderError(
                f"{slot.name} refers to the folder {text}, which has no kustomization.yaml",
                hint="name the files in it one by one, or add a kustomization.yaml that does",
            )

    def _base(self, slot: Slot, at: Place, plugins_of: Place | None) -> None:
        """A kustomization of another repository: kustomize gets the place where it is laid out."""
        url = slot.value
        fetched = self._elsewhere.base(slot.name, url, self._file, lambda: self._fetcher.base(url))
        if fetched is None:
            return
        if not kustomization_files(fetched.folder):
            raise RenderError(f"{slot.name} refers to {url}, which has no kustomization.yaml", hint="check the folder")
        there = Place(self._reach.fetched(fetched), fetched.folder)
        slot.set(os.path.relpath(there.source.at(there.folder), at.source.at(at.folder)))
        self._todo.append(_Kustomization(there, plugins_of))

    def _plugin(self, slot: Slot, at: Place, *, base: Place) -> None:
        """A plug-in's configuration; its own references are relative to `base`, the kustomization that uses it."""
        documents = inline(slot.value)
        to: Path | Slot = slot
        if not documents:
            if not isinstance(slot.value, str) or slot.value == "" or is_remote(slot.value, at.folder):
                self._entry(slot, at, plugins_of=base)
                return
            path, file = self._reach.resolve(slot.name, slot.value, at)
            if file.is_dir():
                self._entry(slot, at, plugins_of=base)
                return
            documents, to = self._reach.documents(path, at.source), at.source.at(file)
        # With helm, a plug-in that another reading of its YAML makes a chart could have helm read anything.
        plugin = self._rewriting.plugin([_unshared(data) for data in documents], to, rewritten=self._helm_allowed)
        for data in built_in(slot.name, plugin.documents):
            kind = str(data.get("kind"))
            field = f"{slot.name} {kind}"
            if kind == "HelmChartInflationGenerator":
                self._chart(field, data, data, base)
            self._files(data, PLUGIN_FILES.get(kind, FileFields()), base, plugin, field)

    def _chart(self, field: str, data: Any, settings: Any, at: Place) -> None:
        chart = chart_of(field, data, settings, enabled=self._helm_allowed)
        if "helm" not in self._tools:
            self._tools.append("helm")
        source = at.source
        place = self._reach.follow(Path(os.path.normpath(at.folder / chart.place)), source)
        if place is None:
            raise RenderError(f"{field}: the chart {chart.place} leads out of {source.name}", hint=KEEP_INSIDE)
        if os.path.isdir(place):  # noqa: PTH112 - raises nothing, whatever the name
            check_files(place, source.root)
            self._reach.take_folder(place, source)
        elif not chart.repository:
            raise RenderError(f"{field}: the chart {chart.name} is not there", hint=f"commit it as {chart.place}")
        else:
            fetched = self._elsewhere.fetch(
                field,
                chart.repository,
                self._file,
                lambda: self._fetcher.chart(chart.repository, chart.name, chart.version),
            )
            if fetched is not None:
                check_files(fetched.folder, fetched.root)
                self._reach.copy(fetched, source.at(place))


def _named(data: Any, fields: FileFields, within: str) -> Iterator[tuple[Slot, Any]]:
    """The slots, each with what stands for a path in it."""
    yield from ((slot, slot.value) for slot in each(data, fields.paths, within))
    for slot in each(data, fields.keyed, within):
        has_key = isinstance(slot.value, str) and "=" in slot.value
        yield slot, slot.value.partition("=")[2] if has_key else slot.value
    yield from ((slot, slot.value) for slot in each(data, fields.or_texts, within) if not inline(slot.value))


def _unshared(data: Any) -> Any:
    """A copy in which what an alias repeats is there as often."""
    if isinstance(data, dict):
        return {key: _unshared(value) for key, value in data.items()}
    return [_unshared(item) for item in data] if isinstance(data, list) else data
