"""The closed table of built-in renderers."""

from collections.abc import Mapping
from types import MappingProxyType

from renderers import plain
from renderers.api import Renderer, RenderError
from renderers.helm import template
from renderers.kustomize import build

RENDERERS: Mapping[str, Renderer] = MappingProxyType({r.name: r for r in (plain, build, template)})


def renderer(name: str) -> Renderer:
    """The renderer of that name. Raises RenderError for an unknown one."""
    if name not in RENDERERS:
        raise RenderError(f"there is no renderer {name!r}", hint=f"choose one of {', '.join(RENDERERS)}")
    return RENDERERS[name]
