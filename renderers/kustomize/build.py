"""The renderer: `kustomize build` of a folder whose references have all been looked at."""

from pathlib import Path

from renderers.api import Inputs, Rendered, RenderRequest, uses_nothing
from renderers.boundary import shown
from renderers.kustomize.references import check_references, kustomization_files
from renderers.printed import parse_printed
from renderers.sandbox import private_folder
from renderers.tool import find_tool, run

name = "kustomize"
uses = uses_nothing

_HINTS = {
    "is not in or below": "kustomize reads single files only below their kustomization's folder: move it there, or "
    "refer to its folder as a base",
    "cycle detected": "a kustomization may not refer to a folder above itself",
}


def fits(folder: Path) -> bool:
    """Whether the folder has a kustomization file."""
    return bool(kustomization_files(folder))


def inputs(request: RenderRequest) -> Inputs:
    """All that kustomize may read. Raises RenderError and ManifestError for a reference that it must not follow."""
    check_references(request.folder, request.root, enable_helm=request.kustomize.enable_helm)
    return Inputs(tools=("kustomize",), whole=True)


def render(request: RenderRequest) -> Rendered:
    """Build the kustomization with kustomize's own load restrictions, and without plug-ins that run code.

    Raises RenderError (a reference, or kustomize's own message) and ManifestError.
    """
    unit = shown(request.folder, request.root)
    enable_helm = request.kustomize.enable_helm
    check_references(request.folder, request.root, enable_helm=enable_helm)
    arguments = ["build", str(request.folder)]
    if enable_helm:
        arguments += ["--enable-helm", "--helm-command", str(find_tool("helm"))]
        arguments += ["--helm-kube-version", request.capabilities.kube_version]
        for version in request.capabilities.api_versions:
            arguments += ["--helm-api-versions", version]
    with private_folder() as private:
        output = run(
            "kustomize", arguments, private=private, limits=request.limits, root=request.root, where=unit, hints=_HINTS
        )
    manifests, doubts = parse_printed(output.text, file=unit, unit=unit)
    said = tuple(f"{unit}: kustomize: {line.removeprefix('# Warning: ')}" for line in output.warnings)
    return Rendered(manifests, warnings=said + doubts)
