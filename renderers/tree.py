"""Renders a whole folder: finds its units, gives each its options, renders them side by side, and merges the results.

All or nothing: where one unit fails there is no result.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from renderers.api import (
    Capabilities,
    HelmOptions,
    KustomizeOptions,
    Limits,
    Rendered,
    Renderer,
    RenderError,
    RenderRequest,
)
from renderers.boundary import KEEP_INSIDE, real, shown
from renderers.detect import Unit, find_units
from renderers.kustomize.references import kustomization_files, referenced_folders
from renderers.manifest import TrimtabError
from renderers.registry import renderer
from renderers.settings import FILE_NAME, HelmStep, RenderStep, Steps, load_settings
from renderers.tool import kill_running
from renderers.unit import render_unit


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How a folder is rendered: what flags say, and below that the App's steps.

    Renderer, release name and values are for the unit at the folder itself, and win over its `.trimtab.yaml`;
    capabilities, limits, `kustomize` and `helm.include_crds` are for every unit. `name` is the App's; empty: none.
    """

    renderer: str = ""
    recursive: bool = True
    name: str = ""
    namespace: str = "default"
    capabilities: Capabilities = field(default_factory=Capabilities)
    limits: Limits = field(default_factory=Limits)
    helm: HelmOptions = field(default_factory=HelmOptions)
    kustomize: KustomizeOptions = field(default_factory=KustomizeOptions)
    steps: tuple[RenderStep, ...] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    """One unit with the renderer that renders it."""

    renderer: Renderer
    request: RenderRequest

    def attempt(self) -> Rendered | TrimtabError:
        """The result, or why there is none."""
        try:
            return render_unit(self.renderer, self.request)
        except TrimtabError as e:
            return e


def render_tree(root: Path, folder: Path, options: RenderOptions) -> Rendered:
    """Everything that a folder comes to: units sorted by folder, and in each the order of its tool.

    `root` is the boundary, and `folder` lies in it. Raises the RenderError or ManifestError of the first unit that
    fails, which says how many others did; RenderError for options that fit no unit.
    """
    root, folder = real(root), real(folder)
    results = _side_by_side(list(_jobs(root, folder, options)))
    failed = [result for result in results if isinstance(result, TrimtabError)]
    if failed:
        raise _first_of(failed)
    done = [result for result in results if isinstance(result, Rendered)]
    return Rendered(
        tuple(chain.from_iterable(result.manifests for result in done)),
        tuple(chain.from_iterable(result.hooks for result in done)),
        tuple(chain.from_iterable(result.tests for result in done)),
        tuple(chain.from_iterable(result.warnings for result in done)),
        tuple(chain.from_iterable(result.notes for result in done)),
        tuple(chain.from_iterable(result.units for result in done)),
    )


def boundary_of(folder: Path) -> Path:
    """The boundary of a local folder: the git checkout that holds it.

    Outside git: the folder that holds it and every kustomization that those below it refer to, so that `../base`
    works as it does for kustomize. Absolute and resolved.
    """
    folder = real(folder.absolute())
    for place in (folder, *folder.parents):
        if (place / ".git").exists():
            return place
    reached = {folder}
    todo = list(_kustomizations_below(folder))
    while todo:
        references = referenced_folders(todo.pop(), Path("/")) - reached
        reached |= references
        todo += references
    return Path(os.path.commonpath(reached))


def _kustomizations_below(folder: Path) -> Iterator[Path]:
    todo = [folder]
    while todo:
        current = todo.pop()
        if kustomization_files(current):
            yield current
        with suppress(OSError), os.scandir(current) as entries:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            todo += [Path(entry.path) for entry in folders if not entry.name.startswith(".")]


def _jobs(root: Path, folder: Path, options: RenderOptions) -> Iterator[_Job]:
    step = _step(options)
    recursive = options.recursive and (step is None or step.yaml is None or step.yaml.recursive)
    chosen = options.renderer or (step.renderer if step else "")
    units = find_units(root, folder, renderer=chosen, recursive=recursive)
    if _is_for_one_chart(options.helm) and Unit(folder, "helm") not in units:
        raise RenderError(
            f"values or a release name are given, and {shown(folder, root)} is no chart itself",
            hint="give the chart's own folder, or write the options into a .trimtab.yaml beside each Chart.yaml",
        )
    for unit in units:
        own = unit.folder == folder
        steps = _steps_of(unit, root, step if own else None)
        request = RenderRequest(
            root=root,
            folder=unit.folder,
            name=options.name if own and options.name else unit.folder.name,
            namespace=options.namespace,
            files=unit.files,
            capabilities=options.capabilities,
            limits=options.limits,
        )
        flags = options.helm if own else HelmOptions(include_crds=options.helm.include_crds)
        layers = (_helm_options(step.helm, by, request) for by, step in steps if step.helm)
        enable_helm = any(step.kustomize.enable_helm for _, step in steps if step.kustomize)
        yield _Job(
            renderer(unit.renderer),
            replace(
                request,
                helm=(*layers, flags),
                kustomize=KustomizeOptions(enable_helm or options.kustomize.enable_helm),
            ),
        )


def _step(options: RenderOptions) -> RenderStep | None:
    """The App's step, unless a flag names another renderer."""
    step = Steps.of(options.steps, where="the App").renderer
    return step if step is not None and options.renderer in ("", step.renderer) else None


def _steps_of(unit: Unit, root: Path, app: RenderStep | None) -> list[tuple[str, RenderStep]]:
    """What says options of this unit's renderer, lowest first, and who says it."""
    if unit.renderer == "yaml":
        return []
    settings = load_settings(unit.folder, root=root).renderer
    said = [(shown(unit.folder / FILE_NAME, root), settings), ("the App", app)]
    return [(by, step) for by, step in said if step is not None and step.renderer == unit.renderer]


def _is_for_one_chart(helm: HelmOptions) -> bool:
    return bool(helm.release_name or helm.value_files or helm.values or helm.set or helm.set_string)


def _helm_options(step: HelmStep, by: str, request: RenderRequest) -> HelmOptions:
    return HelmOptions(
        release_name=step.release_name,
        value_files=tuple(_value_file(text, by, request) for text in step.value_files),
        values=step.values,
        set=step.set,
        set_string=step.set_string,
        include_crds=step.include_crds,
    )


def _value_file(text: str, by: str, request: RenderRequest) -> Path:
    """A values file that the repository or the App names: inside the boundary, relative to the unit."""
    file = real(request.folder / text)
    if text.startswith("/") or not file.is_relative_to(request.root):
        raise RenderError(f"the values file {text} leads out of the checkout", where=by, hint=KEEP_INSIDE)
    if not os.path.isfile(file):  # noqa: PTH113 - raises nothing, whatever the text
        place = shown(request.folder, request.root)
        raise RenderError(
            f"the values file {text} does not exist", where=by, hint=f"it is relative to {place}; is it committed?"
        )
    return file


def _side_by_side(jobs: list[_Job]) -> Iterable[Rendered | TrimtabError]:
    """The results in the order of the jobs. The tools are processes, so threads are enough."""
    with ThreadPoolExecutor(max(1, min(len(jobs), os.cpu_count() or 1))) as pool:
        try:
            return list(pool.map(_Job.attempt, jobs))
        except (KeyboardInterrupt, SystemExit):
            pool.shutdown(wait=False, cancel_futures=True)
            kill_running()
            raise


def _first_of(failed: list[TrimtabError]) -> TrimtabError:
    first, *others = failed
    if not others:
        return first
    places = ", ".join(sorted({error.where or error.message for error in others}))
    message = f"{first.message} ({len(others)} more failed: {places})"
    return type(first)(message, where=first.where, hint=first.hint)
