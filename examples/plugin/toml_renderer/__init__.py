"""A renderer of manifests in TOML: each *.toml file of a folder is one object.

`labels` of the step's options are put on every object: `render: [plugin: {name: toml, options: {labels: {...}}}]`.
"""

import tomllib
from pathlib import Path

from renderers.api import Inputs, Rendered, RenderError, RenderRequest, uses_nothing
from renderers.boundary import shown
from renderers.inputs import folder_inputs
from renderers.manifest import Manifest, Origin

name = "toml"
uses = uses_nothing


def fits(folder: Path) -> bool:
    """Whether a TOML file lies in the folder."""
    return any(folder.glob("*.toml"))


def inputs(request: RenderRequest) -> Inputs:
    """The folder. Raises RenderError for a link that leads out of the checkout."""
    return folder_inputs(request.folder, request.root)


def render(request: RenderRequest) -> Rendered:
    """One manifest a file, in the order of their names. Raises RenderError and ManifestError."""
    unit = shown(request.folder, request.root)
    labels = request.plugin.get("labels", {})
    manifests = []
    for path in sorted(request.folder.glob("*.toml")):
        file = shown(path, request.root)
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as e:
            raise RenderError(f"this is no TOML: {e}", where=file, hint="correct the file") from e
        metadata = data.get("metadata")
        if isinstance(metadata, dict):
            metadata["labels"] = {**metadata.get("labels", {}), **labels}
        manifests.append(Manifest.of(data, Origin(unit, file)))
    return Rendered(tuple(manifests))
