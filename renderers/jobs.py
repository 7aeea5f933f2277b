"""What is rendered in a folder, and how: its units, each with the options that its settings, the App and flags say."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from renderers.api import HelmOptions, KustomizeOptions, RenderError, RenderRequest
from renderers.boundary import shown
from renderers.detect import Found, Unit, find_units
from renderers.options import THE_APP, RenderOptions, helm_options, jinja_options
from renderers.registry import renderer
from renderers.settings import FILE_NAME, RenderStep, Steps, load_settings
from renderers.unit import Job


def units_of(root: Path, folder: Path, options: RenderOptions) -> Found:
    """The units of a folder, both resolved, as `find_units` says. Raises RenderError for options that fit none."""
    step = _step(options)
    recursive = options.recursive and (step is None or step.yaml is None or step.yaml.recursive)
    chosen = options.renderer or (step.renderer if step else "")
    found = find_units(root, folder, renderer=chosen, recursive=recursive)
    if _is_for_one_chart(options.helm) and Unit(folder, "helm") not in found.units:
        raise RenderError(
            f"values or a release name are given, and {shown(folder, root)} is no chart itself",
            hint="give the chart's own folder, or write the options into a .trimtab.yaml beside each Chart.yaml",
        )
    return found


def job_of(unit: Unit, root: Path, folder: Path, options: RenderOptions) -> Job:
    """One of the folder's units with its options.

    Raises RenderError and ManifestError for settings that cannot be used.
    """
    own = unit.folder == folder
    where = shown(unit.folder / FILE_NAME, root)
    settings = load_settings(unit.folder, root=root)
    said = [(where, settings.renderer), (THE_APP, _step(options) if own else None)]
    steps = [(by, step) for by, step in said if step is not None and step.renderer == unit.renderer]
    request = RenderRequest(
        root=root,
        folder=unit.folder,
        name=options.name if own and options.name else unit.folder.name,
        namespace=options.namespace,
        files=unit.files,
        capabilities=options.capabilities,
        limits=options.limits,
        plugin=_plugin_options(step for _, step in steps),
        is_upgrade=options.is_upgrade,
        notes=options.notes,
        explain=options.explain,
        decryption=options.decryption,
        fetcher=options.fetcher,
    )
    flags = options.helm if own else HelmOptions(include_crds=options.helm.include_crds)
    layers = (helm_options(step.helm, by, request, options) for by, step in steps if step.helm)
    enable_helm = any(step.kustomize.enable_helm for _, step in steps if step.kustomize)
    request = replace(
        request,
        helm=(*layers, flags),
        jinja=tuple(jinja_options(step.jinja, by, request) for by, step in steps if step.jinja),
        kustomize=KustomizeOptions(enable_helm or options.kustomize.enable_helm),
    )
    return Job(renderer(unit.renderer), request, Steps(settings.renderer, settings.post), where)


def passed_over(units: Iterable[Unit], root: Path) -> Iterator[str]:
    """Warnings that name templates which nobody chose to render."""
    for unit in units:
        if unit.templates:
            first, count = shown(unit.templates[0], root), len(unit.templates)
            yield (
                f"{shown(unit.folder, root)}: {count} Jinja template{'s are' if count > 1 else ' is'} passed over, "
                f"{'first ' if count > 1 else ''}{first}: choose Jinja with --renderer jinja, in the App's render, or "
                "with a .trimtab.yaml in the folder: render: [jinja: {}]"
            )


def _step(options: RenderOptions) -> RenderStep | None:
    """The App's step, unless a flag names another renderer."""
    step = Steps.of(options.steps, where=THE_APP).renderer
    return step if step is not None and options.renderer in ("", step.renderer) else None


def _plugin_options(steps: Iterable[RenderStep]) -> Mapping[str, Any]:
    """Those of the last who gives some."""
    given = [step.plugin.options for step in steps if step.plugin is not None and step.plugin.options]
    return given[-1] if given else {}


def _is_for_one_chart(helm: HelmOptions) -> bool:
    return bool(helm.release_name or helm.value_files or helm.values or helm.set or helm.set_string or helm.set_file)
