"""The renderer: `helm template` of a chart, without network, cluster or anything outside the checkout."""

from collections.abc import Sequence
from pathlib import Path

from renderers.api import HelmOptions, Inputs, Rendered, RenderRequest, uses_nothing
from renderers.boundary import shown
from renderers.helm.files import check_files
from renderers.helm.output import read_output
from renderers.inputs import folder_inputs
from renderers.manifest.dump import dump
from renderers.sandbox import private_folder
from renderers.tool import run

name = "helm"
uses = uses_nothing

_HINTS = {
    "missing in charts/": "dependencies are not fetched: run `helm dependency update` on the chart, and commit its "
    "charts/ folder",
    "invalid release name": "choose one with --release-name, or `helm: {releaseName: ...}` in .trimtab.yaml",
    "failing loading": "a render uses no network: copy what the schema refers to into values.schema.json",
    "incompatible with Kubernetes": "--kube-version says which version the chart sees",
}


def fits(folder: Path) -> bool:
    """Whether the folder has a Chart.yaml."""
    return (folder / "Chart.yaml").is_file()


def inputs(request: RenderRequest) -> Inputs:
    """The chart's folder with all that its links lead to. Raises RenderError for a link or schema that leads out."""
    check_files(request.folder, request.root)
    return folder_inputs(request.folder, request.root, tools=("helm",))


def render(request: RenderRequest) -> Rendered:
    """Render the chart. `lookup` finds nothing, and dependencies are those in its charts/ folder.

    Raises RenderError (a link that leads out, or helm's own message) and ManifestError naming the template.
    """
    check_files(request.folder, request.root)
    unit = shown(request.folder, request.root)
    with private_folder() as private:
        arguments = [
            "template",
            f"--namespace={request.namespace}",
            f"--kube-version={request.capabilities.kube_version}",
            *(f"--api-versions={version}" for version in request.capabilities.api_versions),
            "--include-crds" if all(options.include_crds for options in request.helm) else "--skip-crds",
            *_values(request.helm, private),
            "--",
            next((o.release_name for o in reversed(request.helm) if o.release_name), request.name),
            str(request.folder),
        ]
        output = run(
            "helm", arguments, private=private, limits=request.limits, root=request.root, where=unit, hints=_HINTS
        )
    rendered = read_output(output.text, unit)
    # helm says of every link that it follows one; those that lead out are refused above.
    said = (line for line in output.warnings if "found symbolic link" not in line)
    return Rendered(
        rendered.manifests,
        rendered.hooks,
        rendered.tests,
        (*(f"{unit}: helm: {line}" for line in said), *rendered.warnings),
    )


def _values(options: Sequence[HelmOptions], private: Path) -> list[str]:
    """The flags of all values in order. helm merges files first, then `--set`, then `--set-string`."""
    files: list[Path] = []
    sets: list[str] = []
    for number, layer in enumerate(options):
        files += layer.value_files
        if layer.values:
            file = private / f"values-{number}.yaml"
            file.write_text(dump(layer.values), encoding="utf-8")
            files.append(file)
        sets += [f"--set={text}" for text in layer.set]
        sets += [f"--set-string={text}" for text in layer.set_string]
    return [f"--values={_csv(str(file))}" for file in files] + sets


def _csv(text: str) -> str:
    """One field of CSV: helm reads `--values` as a list with commas."""
    return '"' + text.replace('"', '""') + '"' if {",", '"'} & set(text) else text
