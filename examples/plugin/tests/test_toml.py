"""The plug-in keeps the contract of a renderer. Run it with pytest, trimtab and the plug-in installed."""

from pathlib import Path

import toml_renderer

from renderers.testing import RendererContract


class TestToml(RendererContract):
    renderer = toml_renderer
    example = Path(__file__).parents[1] / "example"
    options = {"labels": {"team": "a"}}
