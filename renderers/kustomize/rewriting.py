"""What is laid out otherwise than it stands in the repository: kustomizations, and plug-ins where need be.

A kustomization is laid out as it was read here, so that no other reading of a doubtful YAML can refer elsewhere, and
with the places of what was fetched. Where the same file is also wanted as it is (a ConfigMap of it), there is a copy.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderers.files import read_inside
from renderers.inputs import MAX_FILE
from renderers.kustomize.fields import Slot
from renderers.kustomize.reach import Place, Reach
from renderers.manifest.dump import dump_all

#: Beside a kustomization in the private copy: files as they are that are rewritten in their own places.
_COPIES = ".trimtab-copies"


@dataclass(slots=True)
class Plugin:
    """Documents that configure plug-ins, at a place in the private copy or in a text of a kustomization.

    They are left as they stand, because kustomize takes some scalars otherwise than they are read here (`yes` is a
    text there), unless they have to be `rewritten`.
    """

    documents: list[Any]
    to: Path | Slot
    rewritten: bool


@dataclass(frozen=True, slots=True)
class _Use:
    """A file that is wanted as it is, by the slot that names it; links lead from `path` to `target`."""

    slot: Slot
    at: Place
    path: Path
    target: Path
    plugin: Plugin | None


class Rewriting:
    """Collects documents, which may still be changed, and uses of files; `write` puts all in its place."""

    def __init__(self) -> None:
        self._kustomizations: dict[Path, Any] = {}
        self._plugins: list[Plugin] = []
        self._uses: list[_Use] = []

    def kustomization(self, place: Path, data: dict[str, Any]) -> None:
        """Have a kustomization laid out at a place."""
        self._kustomizations[place] = data

    def plugin(self, documents: list[Any], to: Path | Slot, *, rewritten: bool) -> Plugin:
        """Have the configuration of plug-ins laid out, where it is or gets `rewritten`."""
        plugin = Plugin(documents, to, rewritten)
        self._plugins.append(plugin)
        return plugin

    def use(self, slot: Slot, at: Place, path: Path, target: Path, plugin: Plugin | None = None) -> None:
        """A slot, in the configuration of a plug-in or in a kustomization, names a file that is wanted as it is."""
        self._uses.append(_Use(slot, at, path, target, plugin))

    def write(self, reach: Reach) -> None:
        """Have everything laid out. Raises RenderError for a file that cannot be read."""
        files = {plugin.to for plugin in self._plugins if plugin.rewritten and isinstance(plugin.to, Path)}
        rewritten = self._kustomizations.keys() | files
        for number, use in enumerate(self._uses):
            if not rewritten.isdisjoint((use.at.source.at(use.path), use.at.source.at(use.target))):
                self._copy(number, use, reach)
        for plugin in self._plugins:
            text = dump_all(plugin.documents)
            if plugin.rewritten and isinstance(plugin.to, Slot):
                plugin.to.set(text)
            elif plugin.rewritten and isinstance(plugin.to, Path):
                reach.written[plugin.to] = text.encode()
        for place, data in self._kustomizations.items():
            reach.written[place] = dump_all([data]).encode()

    def _copy(self, number: int, use: _Use, reach: Reach) -> None:
        source = use.at.source
        copy = f"{_COPIES}/{number}/{use.path.name}"
        reach.written[source.at(use.at.folder) / copy] = read_inside(use.target, source.root, limit=MAX_FILE)
        key, equals, _ = use.slot.value.rpartition("=")
        use.slot.set(f"{key}{equals}{copy}")
        if use.plugin:
            use.plugin.rewritten = True
