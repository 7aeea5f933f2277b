"""The renderer: `kustomize build` of a folder whose references have all been looked at."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from renderers.api import Inputs, Rendered, RenderRequest, uses_nothing
from renderers.boundary import shown
from renderers.kustomize.origins import asked, is_asked, is_observed, matched, taken_off, told
from renderers.kustomize.references import kustomization_files
from renderers.kustomize.walk import walk
from renderers.manifest import ManifestError
from renderers.printed import parse_printed
from renderers.sandbox import private_folder
from renderers.tool import ToolError, find_tool, run

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
    return walk(request)


def render(request: RenderRequest) -> Rendered:
    """Build the kustomization with kustomize's own load restrictions, and without plug-ins that run code.

    Raises RenderError (kustomize's own message) and ManifestError.
    """
    folder, root = request.folder, request.root
    if is_asked(folder):
        built = _build(request)
        return replace(built, manifests=told(built.manifests, folder, root))
    asking: Rendered | None = None
    with asked(folder), suppress(ToolError, ManifestError):
        asking = _build(request)
    if asking is not None and not is_observed(root):
        return replace(asking, manifests=taken_off(told(asking.manifests, folder, root)))
    built = _build(request)
    if asking is None:
        return built
    return replace(built, manifests=matched(built.manifests, told(asking.manifests, folder, root)))


def _build(request: RenderRequest) -> Rendered:
    unit = shown(request.folder, request.root)
    arguments = ["build", str(request.folder)]
    programs = ("helm",) if request.kustomize.enable_helm else ()
    if programs:
        arguments += ["--enable-helm", "--helm-command", str(find_tool("helm"))]
        arguments += ["--helm-kube-version", request.capabilities.kube_version]
        for version in request.capabilities.api_versions:
            arguments += ["--helm-api-versions", version]
    with private_folder() as private:
        output = run(
            "kustomize",
            arguments,
            private=private,
            limits=request.limits,
            root=request.root,
            where=unit,
            hints=_HINTS,
            programs=programs,
        )
    manifests, doubts = parse_printed(output.text, file=unit, unit=unit)
    said = tuple(f"{unit}: kustomize: {line.removeprefix('# Warning: ')}" for line in output.warnings)
    return Rendered(manifests, warnings=said + doubts)
