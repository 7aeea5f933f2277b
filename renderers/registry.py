"""The built-in renderers, and those that somebody installed beside them (entry points `trimtab.renderers.v1`)."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from renderers import plain
from renderers.api import Renderer, RenderError
from renderers.helm import template
from renderers.jinja import template as jinja
from renderers.kustomize import build

#: The group of entry points. Its number is the protocol's version: `renderers.api.Renderer`.
GROUP = "trimtab.renderers.v1"
RENDERERS: Mapping[str, Renderer] = MappingProxyType({r.name: r for r in (plain, build, template, jinja)})


def renderer(name: str) -> Renderer:
    """The renderer of that name: a built-in one, else a plug-in.

    Raises RenderError for an unknown one, and for a plug-in that cannot be used.
    """
    if name in RENDERERS:
        return RENDERERS[name]
    found = plugins().get(name)
    if found is None:
        raise RenderError(
            f"there is no renderer {name!r}", hint=f"choose one of {', '.join([*RENDERERS, *sorted(plugins())])}"
        )
    return _loaded(found)


@cache
def plugins() -> Mapping[str, EntryPoint]:
    """The plug-ins that are installed, by name; one with the name of a built-in renderer is passed over."""
    return MappingProxyType({entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in RENDERERS})


@cache
def _loaded(entry: EntryPoint) -> Renderer:
    """Import a plug-in. Raises RenderError for one that does not import, or is no renderer of that name."""
    what = f"the plug-in {entry.name} ({entry.value})"
    try:
        loaded: Renderer = entry.load()
    except Exception as e:
        raise RenderError(f"{what} cannot be loaded: {type(e).__name__}: {e}", hint="install it again") from e
    missing = [part for part in ("name", "fits", "inputs", "render", "uses") if not hasattr(loaded, part)]
    if missing:
        raise RenderError(f"{what} is no renderer: it has no {', '.join(missing)}", hint="see renderers.api.Renderer")
    if loaded.name != entry.name:
        raise RenderError(f"{what} calls itself {loaded.name}", hint="the entry point's name is the renderer's")
    return loaded
