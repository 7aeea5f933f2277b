"""From a checkout to rendered manifests: the App's render steps in the renderers' words."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pipeline.app import App
from pipeline.cluster.session import Session
from pipeline.given import Given
from pipeline.source.checkout import Checkout
from renderers.api import Capabilities, Fetcher, NoFetcher, Rendered
from renderers.cache import RenderCache
from renderers.options import RenderOptions
from renderers.tree import render_tree


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a render needs beside the checkout.

    The App's further sources by name, what it is given, who fetches; `cache` has what was rendered before.
    """

    sources: Mapping[str, Checkout] = field(default_factory=dict)
    given: Given = field(default_factory=Given)
    fetcher: Fetcher = field(default_factory=NoFetcher)
    cache: RenderCache | None = None


def capabilities_of(session: Session) -> Capabilities:
    """What a chart may ask of the target cluster: its version and what it serves."""
    return Capabilities(session.version, session.discovery.api_versions())


def render_app(app: App, checkout: Checkout, options: RenderOptions, supplies: Supplies | None = None) -> Rendered:
    """Render the App's folder of the checkout.

    `options` are what the command line says; the App's own steps, name, target namespace and supplies are added here.
    Raises RenderError or ManifestError, and then nothing was rendered.
    """
    supplies = supplies or Supplies()
    return render_tree(
        checkout.root,
        checkout.folder,
        replace(
            options,
            name=app.name,
            namespace=app.spec.target.namespace,
            steps=app.spec.render,
            sources={name: source.folder for name, source in supplies.sources.items()},
            values_from=supplies.given.values,
            vars_from=supplies.given.variables,
            decryption=supplies.given.decryption,
            fetcher=supplies.fetcher,
            index=checkout.index,
        ),
        supplies.cache,
    )


def left_out(rendered: Rendered) -> tuple[str, ...]:
    """Warnings that name the hooks and tests of charts, which a sync does not run."""
    return tuple(
        f"{manifest.origin}: {kind} {manifest.id} is left out: a sync does not run Helm's {kind}s"
        for kind, manifests in (("hook", rendered.hooks), ("test", rendered.tests))
        for manifest in manifests
    )
