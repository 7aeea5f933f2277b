"""The renderer: `helm template` of a chart, without network, cluster or anything outside the checkout."""

from dataclasses import replace
from pathlib import Path

from renderers.api import Inputs, Rendered, RenderError, RenderRequest
from renderers.boundary import shown
from renderers.files import read_inside
from renderers.helm.chart import Chart, load_chart
from renderers.helm.dependencies import Local, Remote, complete, find_needs, put
from renderers.helm.files import check_files, check_listed
from renderers.helm.messages import HINTS, placed, said, without_noise
from renderers.helm.notes import NOTES, SHOW_ONLY, added_notes, read_notes
from renderers.helm.output import read_output
from renderers.helm.uses import uses
from renderers.helm.values import Values
from renderers.inputs import MAX_FILE, folder_inputs
from renderers.sandbox import private_folder
from renderers.tool import Output, run

__all__ = ["fits", "inputs", "name", "render", "uses"]

name = "helm"

#: A schema's errors are for all values of all charts at once, and all are wanted.
_MESSAGE_LINES = 2000


def fits(folder: Path) -> bool:
    """Whether the folder has a Chart.yaml."""
    return (folder / "Chart.yaml").is_file()


def inputs(request: RenderRequest) -> Inputs:
    """The chart's folder with all that its links lead to, and the charts that it depends on.

    Raises RenderError for a link or schema that leads out, and for dependencies that cannot be had.
    """
    root, parts = request.root, [folder_inputs(request.folder, request.root)]
    needs: tuple[Local | Remote, ...] = ()
    if _names_dependencies(request.folder, root):
        needs = tuple(find_needs(load_chart(request.folder, root), request.folder, request).all())
    for need in needs:
        if isinstance(need, Local):
            parts.append(folder_inputs(need.folder, root))
        else:
            check_files(need.fetched.folder, need.fetched.root)
    files = frozenset[Path]().union(*(part.files for part in parts))
    links = frozenset[Path]().union(*(part.links for part in parts))
    check_listed(sorted(files | links), root)
    fetched = {need.fetched.id: need.fetched for need in needs if isinstance(need, Remote)}
    return Inputs(files, links, tuple(fetched.values()), tools=("helm",))


def render(request: RenderRequest) -> Rendered:
    """Render the chart in its private copy, where its dependencies are put into charts/. `lookup` finds nothing.

    Raises RenderError (helm's own message) and ManifestError naming the template.
    """
    unit = shown(request.folder, request.root)
    chart = load_chart(request.folder, request.root)
    needs = find_needs(chart, request.folder, request)
    chart = complete(chart, needs, request.root)
    with put(needs, request.folder / "charts", request.root):
        output = _template(request, chart)
        rendered = read_output(output.text, unit, chart.sources())
        notes = _notes(request, chart) if request.notes else ()
    lines = (said(line) for line in output.warnings)
    return replace(
        rendered,
        notes=notes,
        warnings=(
            *needs.all_warnings(),
            *dict.fromkeys(f"{unit}: helm: {line}" for line in lines if line),
            *rendered.warnings,
        ),
    )


def _names_dependencies(folder: Path, root: Path) -> bool:
    """Whether the chart may depend on others: seen without reading YAML."""
    if (folder / "requirements.yaml").exists():
        return True
    return b"dependencies" in read_inside(folder / "Chart.yaml", root, limit=MAX_FILE)


def _notes(request: RenderRequest, chart: Chart) -> tuple[tuple[str, str], ...]:
    """The notes by the unit. They take a run of their own, with a template more."""
    if NOTES not in chart.files:
        return ()
    with added_notes(request.folder, chart.name):
        notes = read_notes(_template(request, chart, SHOW_ONLY).text, chart.place)
    return ((chart.place, notes),) if notes else ()


def _template(request: RenderRequest, chart: Chart, *more: str) -> Output:
    with private_folder() as private:
        values = Values.of(request.helm, private=private, root=request.root)
        arguments = [
            "template",
            f"--namespace={request.namespace}",
            f"--kube-version={request.capabilities.kube_version}",
            *(f"--api-versions={version}" for version in request.capabilities.api_versions),
            "--include-crds" if all(options.include_crds for options in request.helm) else "--skip-crds",
            *(["--is-upgrade"] if request.is_upgrade else []),
            *values.flags,
            *more,
            "--",
            next((o.release_name for o in reversed(request.helm) if o.release_name), request.name),
            str(request.folder),
        ]
        try:
            return run(
                "helm", arguments, private=private, limits=request.limits, root=request.root, where=chart.place,
                hints=HINTS, message_lines=_MESSAGE_LINES,
            )  # fmt: skip
        except RenderError as e:
            raise _explained(e, chart, values) from e


def _explained(error: RenderError, chart: Chart, values: Values) -> RenderError:
    """helm's error with paths from the checkout, and for a schema's: where the values come from."""
    message = placed(values.named(without_noise(error.message)), chart.sources())
    if "meet the specifications of the schema" in message and values.sources():
        message += f"\nThe values are those of the chart, and of {', '.join(values.sources())}."
    return error.retold(message, where=error.where)
