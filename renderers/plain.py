"""The renderer of plain YAML and JSON files: what `kubectl apply -f` would send, as it stands there."""

from pathlib import Path

from renderers.api import Inputs, Rendered, RenderError, RenderRequest, uses_nothing
from renderers.boundary import shown
from renderers.files import read_inside
from renderers.manifest import Manifest, ManifestError, parse_documents
from renderers.manifest.guard import MAX_SIZE

name = "yaml"

#: How the names of files with manifests end; kubectl takes the same ones from a folder.
SUFFIXES = (".yaml", ".yml", ".json")

uses = uses_nothing


def fits(folder: Path) -> bool:
    """Whether a manifest file may lie in the folder itself. `detect.find_units` chooses the files."""
    return any(path.suffix in SUFFIXES for path in folder.iterdir())


def inputs(request: RenderRequest) -> Inputs:
    """The files that the unit names."""
    return Inputs(frozenset(request.files))


def render(request: RenderRequest) -> Rendered:
    """The manifests of `request.files`, in their order.

    Raises RenderError for a file that cannot be read, leads out of the root or is too large, and ManifestError for
    one that is no YAML or holds anything but Kubernetes objects: to skip it would turn a typo into a prune.
    """
    unit = shown(request.folder, request.root)
    manifests: list[Manifest] = []
    warnings: list[str] = []
    size = 0
    for path in request.files:
        file = shown(path, request.root)
        text = read_inside(path, request.root, limit=MAX_SIZE)
        size += len(text)
        if size > request.limits.output:
            raise RenderError(
                f"the files of {unit} have more than {request.limits.output} bytes together",
                hint="make several Apps of it, or exclude what is no manifest with .trimtabignore",
            )
        try:
            found, doubts = parse_documents(text, file=file, unit=unit)
        except ManifestError as e:
            hint = f"{e.hint}; if {file} is no manifest, name it in .trimtabignore"
            raise ManifestError(e.message, where=e.where, hint=hint) from e
        manifests += found
        warnings += doubts
    return Rendered(tuple(manifests), warnings=tuple(warnings))
