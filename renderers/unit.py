"""Renders one unit: its closed inputs are laid out in a private folder, and its renderer sees nothing else."""

from dataclasses import replace

from renderers.api import Rendered, Renderer, RenderRequest, Unit
from renderers.boundary import shown
from renderers.inputs import lay_out
from renderers.sandbox import private_folder


def render_unit(renderer: Renderer, request: RenderRequest) -> Rendered:
    """What the unit comes to. Raises RenderError or ManifestError; never returns a part."""
    inputs = renderer.inputs(request)
    if inputs.whole:
        rendered = renderer.render(request)
    else:
        with private_folder() as private:
            rendered = renderer.render(lay_out(inputs, request, private))
    unit = Unit(
        shown(request.folder, request.root),
        renderer.name,
        tuple(sorted(shown(path, request.root) for path in inputs.files)),
        inputs.fetched,
    )
    return replace(rendered, units=(unit,))
