"""What flags and an App say of a render, and how steps become the options of a renderer."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from renderers.api import (
    Capabilities,
    Decryption,
    Fetcher,
    HelmOptions,
    JinjaOptions,
    KustomizeOptions,
    Limits,
    NoFetcher,
    RenderError,
    RenderRequest,
)
from renderers.boundary import KEEP_INSIDE, real, shown
from renderers.keys import Index
from renderers.settings import HelmStep, JinjaStep, RenderStep, ValuesFrom, VarsFrom

#: Who says an App's own steps, in messages.
THE_APP = "the App"
#: `name:path`, a file of another source of the App.
_ELSEWHERE = re.compile(r"([a-z0-9](?:[-a-z0-9]*[a-z0-9])?):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How a folder is rendered: what flags say, and below that the App's steps.

    Renderer, release name and values are for the unit at the folder itself, and win over its
    `.trimtab.yaml`; the rest is for every unit. `name` is the App's; empty: none.

    `sources` are the roots (absolute, resolved) of the App's further sources by their names; `values_from` and
    `vars_from` what its ConfigMaps and Secrets hold: one that is missing and optional is not in there. `decryption`
    opens what SOPS encrypted, and `fetcher` brings what the App allows from elsewhere. `explain` asks for
    `Unit.uses`. `index` are git's ids of the checkout's files: with it, a cache knows what changed without reading.
    """

    renderer: str = ""
    recursive: bool = True
    name: str = ""
    namespace: str = "default"
    capabilities: Capabilities = field(default_factory=Capabilities)
    limits: Limits = field(default_factory=Limits)
    helm: HelmOptions = field(default_factory=HelmOptions)
    kustomize: KustomizeOptions = field(default_factory=KustomizeOptions)
    is_upgrade: bool = False
    notes: bool = False
    explain: bool = False
    steps: tuple[RenderStep, ...] = ()
    sources: Mapping[str, Path] = field(default_factory=dict)
    values_from: Mapping[ValuesFrom, bytes] = field(default_factory=dict, repr=False)
    vars_from: Mapping[VarsFrom, Mapping[str, str]] = field(default_factory=dict, repr=False)
    decryption: Decryption = field(default_factory=Decryption)
    fetcher: Fetcher = field(default_factory=NoFetcher, compare=False)
    index: Index | None = field(default=None, repr=False, compare=False)


def helm_options(step: HelmStep, by: str, request: RenderRequest, options: RenderOptions) -> HelmOptions:
    """A helm step as options of one chart; `by` says who wrote it: THE_APP, or a `.trimtab.yaml` by its name.

    Raises RenderError for a file that leads out or is not there, and for values that were not read.
    """
    sources = options.sources if by == THE_APP else {}
    return HelmOptions(
        release_name=step.release_name,
        value_files=tuple(_file(text, by, request, sources, "values file") for text in step.value_files),
        value_texts=tuple(_values(ref, by, options) for ref in step.values_from if _given(ref, options)),
        values=step.values,
        set=step.set,
        set_string=step.set_string,
        set_file=tuple(_set_file(text, by, request, sources) for text in step.set_file),
        include_crds=step.include_crds,
    )


def jinja_options(step: JinjaStep, by: str, request: RenderRequest) -> JinjaOptions:
    """A jinja step as options of one folder. Raises RenderError for a file that leads out or is not there."""
    return JinjaOptions(
        tuple(_file(text, by, request, {}, "values file") for text in step.value_files), values=step.values
    )


def _given(ref: ValuesFrom, options: RenderOptions) -> bool:
    return ref in options.values_from or not ref.optional


def _values(ref: ValuesFrom, by: str, options: RenderOptions) -> tuple[str, bytes]:
    name = f"{ref.kind} {ref.name}, key {ref.values_key}"
    if ref not in options.values_from:
        raise _not_read(name, by)
    return name, options.values_from[ref]


def _not_read(what: str, by: str) -> RenderError:
    return RenderError(f"{what} was not read, which needs a cluster", where=by, hint="mark it optional, or do without")


def _set_file(text: str, by: str, request: RenderRequest, sources: Mapping[str, Path]) -> tuple[str, Path]:
    key, equals, path = text.partition("=")
    if not key or not equals:
        raise RenderError(f"setFile {text!r} is no KEY=PATH", where=by, hint="write setFile: [config=files/app.conf]")
    return key, _file(path, by, request, sources, "file")


def _file(text: str, by: str, request: RenderRequest, sources: Mapping[str, Path], what: str) -> Path:
    """A file that a step names: inside the checkout and relative to the unit, or inside another source."""
    root, folder, path, place = request.root, request.folder, text, shown(request.folder, request.root)
    if elsewhere := _ELSEWHERE.fullmatch(text):
        name, path = elsewhere.groups()
        if name not in sources:
            raise RenderError(
                f"the {what} {text} is of a source {name}, which the App does not have",
                where=by, hint=f"it has {', '.join(sorted(sources)) or 'none'}: spec.sources; only an App may name one",
            )  # fmt: skip
        root = folder = sources[name]
        place = f"the source {name}"
    file = real(folder / path)
    if path.startswith("/") or not file.is_relative_to(root):
        raise RenderError(f"the {what} {text} leads out of the checkout", where=by, hint=KEEP_INSIDE)
    if not os.path.isfile(file):  # noqa: PTH113 - raises nothing, whatever the text
        raise RenderError(
            f"the {what} {text} does not exist", where=by, hint=f"it is relative to {place}; is it committed?"
        )
    return file
