"""What kustomize's `helmCharts` may do: render a chart of the checkout, or one that was fetched, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from renderers.api import RenderError
from renderers.boundary import KEEP_INSIDE
from renderers.kustomize.fields import find, slots, text_of
from renderers.kustomize.reach import is_path
from renderers.kustomize.remote import brief

#: `types.makeHelmChartFromHca`: the fields of `helmChartInflationGenerator`, and what they are in `helmCharts`.
_OLD_CHART = {
    "chartName": "name",
    "chartVersion": "version",
    "chartRepoUrl": "repo",
    "values": "valuesFile",
    "valuesLocal": "valuesInline",
    "valuesMerge": "valuesMerge",
    "releaseName": "releaseName",
}
_OLD_SETTINGS = {"chartHome": "chartHome", "helmHome": "configHome"}


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart that kustomize has helm render. `place` is where it looks for it, relative to the kustomization."""

    name: str
    version: str
    repository: str
    place: str


def chart_of(field: str, chart: Any, settings: Any, *, enabled: bool) -> Chart:
    """The chart that `field` names. `settings` is what holds `chartHome` and `configHome`.

    Where kustomize looks for a chart: `HelmChartInflationGenerator.absChartHome`. Raises RenderError where helm may
    not be run, and for what would make it do more than render a chart.
    """
    if not enabled:
        raise RenderError(
            f"{field} needs helm, and kustomize may not run it",
            hint="--enable-helm allows it, or `kustomize: {enableHelm: true}` in .trimtab.yaml",
        )
    for setting, value in find(settings, "configHome"):
        if value != "":
            raise RenderError(
                f"{field}: {setting} would give helm settings and plug-ins from the repository",
                hint="remove it: no code of a repository is run",
            )
    if text_of(chart, "releaseName").startswith("-"):
        # kustomize hands it to helm as it is, and helm would take it for a flag, such as --post-renderer.
        raise RenderError(f"{field}.releaseName begins with a dash", hint="give it the name of a release")
    name, version, repository = text_of(chart, "name"), text_of(chart, "version"), text_of(chart, "repo")
    for what, text in (("name", name), ("version", version)):
        # kustomize makes paths of both, one of a file that it writes.
        if "/" in text or text in (".", ".."):
            raise RenderError(
                f"{field}.{what} is {brief(text)!r}, which is a path", hint=f"give the chart's {what} alone"
            )
    if name.startswith("-"):
        raise RenderError(f"{field}.name begins with a dash", hint="give it the chart's name")
    home = text_of(settings, "chartHome") or "charts"
    if home.startswith("/"):
        raise RenderError(f"{field}: chartHome {home} is an absolute path", hint=KEEP_INSIDE)
    place = f"{home}/{name}-{version}/{name}" if version and repository else f"{home}/{name}"
    if not is_path(place):
        raise RenderError(f"{field} would be at {brief(place)!r}, which is no path", hint="take odd characters out")
    return Chart(name, version, repository, place)


def modernize(data: Any) -> None:
    """Turn `helmChartInflationGenerator` into `helmCharts` and `helmGlobals`, as kustomize does, in place.

    `types.FixKustomization`: the last home wins, and only where the globals are not given.
    """
    old = list(slots(data, "helmChartInflationGenerator[]"))
    if not old or not isinstance(data, dict):
        return
    charts = [slot.value for slot in old]
    new = [_renamed(chart, _OLD_CHART) for chart in charts]
    settings = {key: value for chart in charts for key, value in _renamed(chart, _OLD_SETTINGS).items() if value}
    given = [value for _, value in find(data, "helmCharts")]
    for key in [key for key in data if key.casefold() in ("helmchartinflationgenerator", "helmcharts")]:
        del data[key]
    data["helmCharts"] = [*(given[0] if given and isinstance(given[0], list) else []), *new]
    if settings and not list(find(data, "helmGlobals")):
        data["helmGlobals"] = settings


def _renamed(chart: Any, names: Mapping[str, str]) -> dict[str, Any]:
    return {new: value for old, new in names.items() for _, value in find(chart, old)}
