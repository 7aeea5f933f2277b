"""What each unit of a render is made of and makes use of, before anything is applied (`trimtab render --explain`)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from renderers.api import Rendered, Unit, Use
from renderers.helm.output import HOOK
from renderers.manifest import Manifest
from renderers.validate.deprecations import outdated

#: Where an object's containers stand, at whatever depth.
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class Explained:
    """One unit. `hooks` are ids with their events; `outdated` are sentences, `images` sorted."""

    unit: Unit
    objects: int
    hooks: tuple[str, ...]
    tests: tuple[str, ...]
    images: tuple[str, ...]
    outdated: tuple[str, ...]

    def of(self, *kinds: str) -> tuple[Use, ...]:
        """What the unit makes use of, of these kinds."""
        return tuple(use for use in self.unit.uses if use.kind in kinds)


def explain(rendered: Rendered, version: str) -> tuple[Explained, ...]:
    """Every unit in its order, with the API versions that a Kubernetes version has deprecated or removed."""
    return tuple(_explained(unit, rendered, version) for unit in rendered.units)


def _explained(unit: Unit, rendered: Rendered, version: str) -> Explained:
    manifests, hooks, tests = (
        tuple(manifest for manifest in each if manifest.origin.unit == unit.folder)
        for each in (rendered.manifests, rendered.hooks, rendered.tests)
    )
    everything = (*manifests, *hooks, *tests)
    return Explained(
        unit,
        objects=len(manifests),
        hooks=tuple(f"{hook.id} ({hook.annotations.get(HOOK)})" for hook in hooks),
        tests=tuple(str(test.id) for test in tests),
        images=tuple(sorted({image for manifest in everything for image in _images(manifest)})),
        outdated=tuple(f"{item.manifest.id}: {item.message}" for item in outdated(everything, version)),
    )


def _images(manifest: Manifest) -> Iterator[str]:
    todo: list[Any] = [manifest.data]
    while todo:
        current = todo.pop()
        if isinstance(current, Mapping):
            for name in _CONTAINERS:
                yield from _images_in(current.get(name))
            todo += current.values()
        elif isinstance(current, list):
            todo += current


def _images_in(containers: Any) -> Iterable[str]:
    found = containers if isinstance(containers, list) else ()
    return [c["image"] for c in found if isinstance(c, Mapping) and isinstance(c.get("image"), str)]
