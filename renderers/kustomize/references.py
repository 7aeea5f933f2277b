"""Looks at every file reference of a kustomization, and of those it refers to, before kustomize follows one.

What must hold: a reference is local, exists, and with all its links followed lies inside the checkout. kustomize's
own rule (a single file lies below the folder of its kustomization) stays kustomize's to say.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderers.api import RenderError
from renderers.boundary import KEEP_INSIDE, real, shown
from renderers.files import read_inside
from renderers.kustomize.charts import check_chart
from renderers.kustomize.fields import find
from renderers.manifest import ManifestError
from renderers.manifest.guard import MAX_SIZE
from renderers.manifest.load import load_text

#: kustomize's `konfig.RecognizedKustomizationFileNames`.
FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

#: A file or another kustomization; of `types.Kustomization`, as all below.
_ENTRIES = ("resources[]", "bases[]", "components[]")
#: One file.
_FILES = (
    "crds[]",
    "configurations[]",
    "openapi.path",
    "patches[].path",
    "patchesJson6902[].path",
    "replacements[].path",
    "configMapGenerator[].env",
    "configMapGenerator[].envs[]",
    "secretGenerator[].env",
    "secretGenerator[].envs[]",
    "helmCharts[].valuesFile",
    "helmCharts[].additionalValuesFiles[]",
)
#: One file, as `key=path` or `path`.
_KEYED_FILES = ("configMapGenerator[].files[]", "secretGenerator[].files[]")
#: The configuration of a built-in plug-in: a file, another kustomization that makes it, or the YAML itself.
_PLUGINS = ("generators[]", "transformers[]", "validators[]")
#: The same files in the configuration of a built-in plug-in, whatever its kind.
_PLUGIN_FILES = ("path", "paths[]", "replacements[].path", "env", "envs[]", "valuesFile", "additionalValuesFiles[]")

#: What kustomize takes for an URL (its loader and `git.NewRepoSpecFromURL`), and any other scheme.
_REMOTE = re.compile(r"git::|[a-z][a-z0-9+.-]*://|https?:|(www\.)?github\.com[/:]", re.IGNORECASE)
#: The same for `git@host:path`; a file may have such a name.
_REMOTE_UNLESS_FILE = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*@[^/]*[:/]")


@dataclass(frozen=True, slots=True)
class _Kustomization:
    """A kustomization that is looked at. `folder` is resolved. `plugins_of`: what it makes are plug-ins of that one."""

    folder: Path
    plugins_of: Path | None = None


def kustomization_files(folder: Path) -> tuple[Path, ...]:
    """The files that make a folder a kustomization: one, or more, which kustomize refuses."""
    return tuple(folder / name for name in FILE_NAMES if os.path.isfile(folder / name))  # noqa: PTH113 - raises nothing


def referenced_folders(folder: Path, root: Path) -> set[Path]:
    """The kustomizations inside `root`, resolved, that the one in `folder` refers to directly.

    Raises nothing: what cannot be read refers to nothing, and the build will say what is wrong.
    """
    folders = set()
    try:
        for file in kustomization_files(folder):
            for document in _documents(file, root):
                for pattern in _ENTRIES + _PLUGINS:
                    for _, text in find(document, pattern):
                        if isinstance(text, str) and not _is_remote(text, folder) and not text.startswith("/"):
                            folders.add(real(folder / text))
    except (ManifestError, RenderError):
        pass
    return {path for path in folders if path.is_relative_to(root) and kustomization_files(path)}


def check_references(folder: Path, root: Path, *, enable_helm: bool) -> None:
    """Follow every reference from the kustomization in `folder`.

    Raises RenderError naming file, field and reference for one that is remote, missing, absolute or leads out of
    `root` (resolved), and for a chart that kustomize would fetch; ManifestError for a file that is no YAML.
    """
    todo, seen = [_Kustomization(real(folder))], set[_Kustomization]()
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += _Check(current, root, enable_helm=enable_helm).folders()


class _Check:
    """The references of one kustomization."""

    def __init__(self, kustomization: _Kustomization, root: Path, *, enable_helm: bool) -> None:
        self.folder = kustomization.folder
        self.plugins_of = kustomization.plugins_of
        self.root = root
        self.enable_helm = enable_helm
        self.file = shown(self.folder, root)

    def folders(self) -> Iterator[_Kustomization]:
        """Check all of it; what comes out are the kustomizations that it refers to."""
        for file in kustomization_files(self.folder):
            self.file = shown(file, self.root)
            for document in _documents(file, self.root):
                try:
                    yield from self._document(document)
                except RenderError as e:
                    raise RenderError(e.message, where=e.where or self.file, hint=e.hint) from e

    def _document(self, data: Any) -> Iterator[_Kustomization]:
        self._charts(data)
        self._files(data)
        for pattern in _PLUGINS:
            for field, text in find(data, pattern):
                yield from self._plugin(field, text, self.folder)
        for pattern in _ENTRIES:
            for field, text in find(data, pattern):
                if self.plugins_of:
                    yield from self._plugin(field, text, self.plugins_of)
                else:
                    yield from self._entry(field, text, plugins_of=None)

    def _charts(self, data: Any) -> None:
        for field, _ in find(data, "helmChartInflationGenerator[]"):
            raise RenderError(
                f"{field} is a form that kustomize has given up", hint="`kustomize edit fix` turns it into helmCharts"
            )
        settings = next((value for _, value in find(data, "helmGlobals")), None)
        for field, chart in find(data, "helmCharts[]"):
            check_chart(field, chart, settings, folder=self.folder, root=self.root, enabled=self.enable_helm)

    def _files(self, data: Any) -> None:
        for pattern in _FILES:
            for field, text in find(data, pattern):
                self._file(field, text, self.folder)
        for pattern in _KEYED_FILES:
            for field, text in find(data, pattern):
                self._file(field, _without_key(text), self.folder)
        for field, text in find(data, "patchesStrategicMerge[]"):
            if not _inline(text):
                self._file(field, text, self.folder)

    def _entry(self, field: str, text: Any, *, plugins_of: Path | None) -> Iterator[_Kustomization]:
        target = self._resolve(field, text, self.folder)
        if target is None or not target.is_dir():
            return
        if not kustomization_files(target):
            raise RenderError(
                f"{field} refers to the folder {text}, which has no kustomization.yaml",
                hint="name the files in it one by one, or add a kustomization.yaml that does",
            )
        yield _Kustomization(target, plugins_of)

    def _plugin(self, field: str, text: Any, base: Path) -> Iterator[_Kustomization]:
        """A plug-in's configuration; its own references are relative to `base`, the kustomization that uses it."""
        documents = _inline(text)
        if not documents:
            target = self._resolve(field, text, self.folder)
            if target is None:
                return
            if target.is_dir():
                if self.enable_helm:
                    # Patches there could turn anything into a chart's options, where nothing here would see them.
                    raise RenderError(
                        f"{field} refers to the folder {text}, and with --enable-helm only files may stand there",
                        hint="name the files of the plug-ins, or leave --enable-helm out",
                    )
                yield from self._entry(field, text, plugins_of=base)
                return
            documents = _documents(target, self.root)
        for data in _expanded(documents):
            if data.get("apiVersion") == "builtin":
                self._builtin(f"{field} {data.get('kind')}", data, base)

    def _builtin(self, field: str, data: Any, base: Path) -> None:
        if data.get("kind") == "HelmChartInflationGenerator":
            check_chart(field, data, data, folder=base, root=self.root, enabled=self.enable_helm)
        for pattern in _PLUGIN_FILES:
            for inner, text in find(data, pattern):
                if pattern != "paths[]" or not _inline(text):
                    self._file(f"{field}.{inner}", text, base)
        for inner, text in find(data, "files[]"):
            self._file(f"{field}.{inner}", _without_key(text), base)

    def _file(self, field: str, text: Any, base: Path) -> None:
        target = self._resolve(field, text, base)
        if target is not None and target.is_dir():
            raise RenderError(f"{field} refers to {text}, which is a folder and not a file")

    def _resolve(self, field: str, text: Any, base: Path) -> Path | None:
        """The file or folder, links followed; None for an empty text, which kustomize itself judges."""
        if not isinstance(text, str):
            raise RenderError(f"{field} is no text, so it can name no file", hint="put it in quotes")
        if not text:
            return None
        reference = f"{field} refers to {_brief(text)}"
        if _is_remote(text, base):
            raise RenderError(
                f"{reference}, which is remote, and a render uses no network",
                hint="copy it into the repository, and refer to the copy",
            )
        if text.startswith("/"):
            raise RenderError(f"{reference}, which is an absolute path", hint=KEEP_INSIDE)
        target = real(base / text)
        if not target.is_relative_to(self.root):
            raise RenderError(f"{reference}, which leads out of the checkout", hint=KEEP_INSIDE)
        if not os.path.exists(target):  # noqa: PTH110 - raises nothing, whatever the text
            raise RenderError(
                f"{reference}, which does not exist",
                hint=f"paths are relative to {shown(base, self.root)}; is the file committed?",
            )
        return target


def _documents(file: Path, root: Path) -> list[Any]:
    loaded = load_text(read_inside(file, root, limit=MAX_SIZE), file=shown(file, root))
    return [document.data for document in loaded.documents]


def _is_remote(text: str, base: Path) -> bool:
    if _REMOTE.match(text):
        return True
    return bool(_REMOTE_UNLESS_FILE.match(text)) and not os.path.isfile(base / text)  # noqa: PTH113 - raises nothing


def _brief(text: str) -> str:
    """The reference for people: a URL may hold a password, and what should have been an inline patch is long."""
    text = re.sub(r"//[^/@\s]*@", "//", text)
    line = text.partition("\n")[0]
    return text if len(text) <= 200 and line == text else f"{line[:200]}…"


def _without_key(text: Any) -> Any:
    return text.partition("=")[2] if isinstance(text, str) and "=" in text else text


def _inline(text: Any) -> list[Any]:
    """The documents of a text that is YAML of objects itself; none where it is a path. kustomize tries the same way."""
    if not isinstance(text, str):
        return []
    try:
        documents = [document.data for document in load_text(text, file="").documents]
    except ManifestError:
        return []
    return documents if any(isinstance(data, dict) for data in documents) else []


def _expanded(documents: list[Any]) -> Iterator[dict[str, Any]]:
    """The objects, and those in lists of objects."""
    for data in documents:
        if isinstance(data, dict):
            yield data
            items = data.get("items")
            if isinstance(items, list):
                yield from _expanded(items)
