"""What kustomize's `helmCharts` may do: render a chart that lies in the checkout, and nothing else."""

import os
from pathlib import Path
from typing import Any

from renderers.api import RenderError
from renderers.boundary import KEEP_INSIDE, real
from renderers.helm.files import check_files
from renderers.kustomize.fields import find, text_of


def check_chart(field: str, chart: Any, settings: Any, *, folder: Path, root: Path, enabled: bool) -> None:
    """Raise RenderError unless the chart is there, inside the checkout, and its options are only that.

    `settings` is what holds `chartHome` and `configHome`; `folder` is the kustomization's, `root` the checkout's,
    both resolved. Where kustomize looks for a chart: `HelmChartInflationGenerator.absChartHome`.
    """
    if not enabled:
        raise RenderError(
            f"{field} needs helm, and kustomize may not run it",
            hint="--enable-helm allows it, or `kustomize: {enableHelm: true}` in .trimtab.yaml",
        )
    for setting, _ in find(settings, "configHome"):
        raise RenderError(
            f"{field}: {setting} would give helm settings and plug-ins from the repository",
            hint="remove it: no code of a repository is run",
        )
    name, version, repository = text_of(chart, "name"), text_of(chart, "version"), text_of(chart, "repo")
    if text_of(chart, "releaseName").startswith("-"):
        # kustomize hands it to helm as it is, and helm would take it for a flag, such as --post-renderer.
        raise RenderError(f"{field}.releaseName begins with a dash", hint="give it the name of a release")
    home = text_of(settings, "chartHome") or "charts"
    if home.startswith("/"):
        raise RenderError(f"{field}: chartHome {home} is an absolute path", hint=KEEP_INSIDE)
    place = folder / home / (f"{name}-{version}" if version and repository else "") / name
    if not real(place).is_relative_to(root):
        raise RenderError(f"{field}: the chart {name} in {home} leads out of the checkout", hint=KEEP_INSIDE)
    if not os.path.isdir(place):  # noqa: PTH112 - raises nothing, whatever the name
        vendored = place.relative_to(folder).as_posix()
        cause = f"would be fetched from {repository}, and a render uses no network" if repository else "is not there"
        raise RenderError(f"{field}: the chart {name} {cause}", hint=f"commit the chart as {vendored}")
    check_files(place, root)
