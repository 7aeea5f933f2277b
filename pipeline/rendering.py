"""From a checkout to rendered manifests: the App's render steps in the renderers' words."""

from dataclasses import replace

from pipeline.app import App
from pipeline.cluster.session import Session
from pipeline.source.checkout import Checkout
from renderers.api import Capabilities, Rendered
from renderers.tree import RenderOptions, render_tree


def capabilities_of(session: Session) -> Capabilities:
    """What a chart may ask of the target cluster: its version and what it serves."""
    return Capabilities(session.version, session.discovery.api_versions())


def render_app(app: App, checkout: Checkout, options: RenderOptions) -> Rendered:
    """Render the App's folder of the checkout.

    `options` are what the command line says; the App's own steps, name and target namespace are added here. Raises
    RenderError or ManifestError, and then nothing was rendered.
    """
    return render_tree(
        checkout.root,
        checkout.folder,
        replace(options, name=app.name, namespace=app.spec.target.namespace, steps=app.spec.render),
    )


def left_out(rendered: Rendered) -> tuple[str, ...]:
    """Warnings that name the hooks and tests of charts, which a sync does not run."""
    return tuple(
        f"{manifest.origin}: {kind} {manifest.id} is left out: a sync does not run Helm's {kind}s"
        for kind, manifests in (("hook", rendered.hooks), ("test", rendered.tests))
        for manifest in manifests
    )
