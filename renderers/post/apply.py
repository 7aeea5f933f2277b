"""Applies post steps in their order: runs of those that kustomize does, and substitutions between them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from types import MappingProxyType
from typing import Any

from renderers.api import Limits, Rendered
from renderers.manifest import Manifest
from renderers.post.build import build
from renderers.post.carry import Carrier, restored_object
from renderers.post.layers import Layer, layers_of
from renderers.post.substitute import substitute, variables_of
from renderers.settings import RenderStep, Steps, VarsFrom

#: kustomize compares each object with every other: a thousand take it seconds, a hundred milliseconds.
_BATCH = 150

#: The objects that are left, by their place among all that was rendered.
_Objects = Mapping[int, Manifest]


def apply_post(
    rendered: Rendered,
    steps: Steps,
    *,
    limits: Limits,
    variables: Mapping[VarsFrom, Mapping[str, str]] = MappingProxyType({}),
    where: str = "",
) -> Rendered:
    """Manifests, hooks and tests after the steps: each stays what it is, with its origin and its place in the order.

    `variables` is what each `from` of a substitution holds; `where` is the file whose steps these are, empty for an
    App. Raises RenderError that names the step's field (`render[2].patches[0]`), and ManifestError for what is no
    object any more. A patch that fits no object is a warning.
    """
    if not steps.post:
        return rendered
    objects: _Objects = dict(enumerate(chain(rendered.manifests, rendered.hooks, rendered.tests)))
    warnings = list(rendered.warnings)
    begin = f"{where}: render" if where else "render"
    first = 1 if steps.renderer else 0
    numbered = ((f"{begin}[{number}]", step) for number, step in enumerate(steps.post, first))
    for substitutes, some in groupby(numbered, key=lambda item: item[1].substitute is not None):
        if substitutes:
            for field, step in some:
                values = variables_of(step, variables, field=field)
                objects = substitute(objects, values, field=field, limits=limits)
        else:
            objects, doubts = _kustomized(objects, list(some), limits)
            warnings += doubts
    first_hook = len(rendered.manifests)
    first_test = first_hook + len(rendered.hooks)
    return replace(
        rendered,
        manifests=tuple(manifest for place, manifest in objects.items() if place < first_hook),
        hooks=tuple(manifest for place, manifest in objects.items() if first_hook <= place < first_test),
        tests=tuple(manifest for place, manifest in objects.items() if place >= first_test),
        warnings=tuple(warnings),
    )


def _kustomized(
    objects: _Objects, steps: Sequence[tuple[str, RenderStep]], limits: Limits
) -> tuple[_Objects, list[str]]:
    """The objects after steps that kustomize does, and what to warn of."""
    carrier = Carrier()
    layers = [layer for field, step in steps for layer in layers_of(step, field, carrier)]
    touched = {p: manifest for p, manifest in objects.items() if any(layer.may_change(manifest) for layer in layers)}
    found, left, jobs = set[int](), dict[int, Manifest](), list(_jobs(touched, layers))
    for job, wanted in jobs:
        built = build(job, layers, carrier, limits=limits)
        found |= built.found
        left |= {p: _renewed(objects[p], data) for p, data in built.objects.items() if p in wanted}
    gone = touched.keys() - left.keys()
    result = {p: left.get(p, manifest) for p, manifest in objects.items() if p not in gone}
    warnings = []
    for number, layer in enumerate(layers):
        if layer.target is None or number in found:
            continue
        if gone:  # it may have found what is deleted: ask again, with nothing behind it
            asked = [*layers[:number], replace(layer, content={"patches": []})]
            if any(number in build(job, asked, carrier, limits=limits).found for job, _ in jobs):
                continue
        warnings.append(f"{layer.field}: there is no object for the patch ({layer.whom})")
    return result, warnings


def _renewed(old: Manifest, data: dict[str, Any]) -> Manifest:
    """The old manifest itself where nothing changed."""
    value = restored_object(data, old.data)
    return old if value is old.data else Manifest.of(value, old.origin)


def _jobs(objects: _Objects, layers: Sequence[Layer]) -> Iterator[tuple[_Objects, set[int]]]:
    """What goes through kustomize together, and what of it counts.

    kustomize takes no id twice, and a hook may have the id of another: those come later, among the same others.
    """
    rounds: list[dict[tuple[str, ...], int]] = []
    for place, manifest in objects.items():
        key = (manifest.api_version, manifest.id.kind, manifest.id.namespace or "default", manifest.id.name)
        free = next((each for each in rounds if key not in each), None)
        if free is None:
            rounds.append(free := {})
        free[key] = place
    for turn in rounds:
        places = list(turn.values())
        if all(layer.alone for layer in layers):
            for start in range(0, len(places), _BATCH):
                some = places[start : start + _BATCH]
                yield {place: objects[place] for place in some}, set(some)
        else:
            together = sorted(({**rounds[0], **turn}).values())
            yield {place: objects[place] for place in together}, set(places)
