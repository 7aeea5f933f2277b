"""Renders an App in its turn, but only when something that it is made of is new."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.app import App, parse_duration
from pipeline.control.followed import opener
from pipeline.control.memory import Render, Turn
from pipeline.control.shared import Shared
from pipeline.errors import TrimtabError
from pipeline.fetching import Fetching, allowed_by
from pipeline.given import Given, is_given, read_given
from pipeline.observe.logs import Logger
from pipeline.rendering import Supplies, capabilities_of, left_out, render_app
from pipeline.source.checkout import Checkout
from renderers.api import Rendered
from renderers.options import RenderOptions

#: What was fetched is asked for anew after this part of the interval: each turn comes a little early or late.
_STALE = 0.8


@dataclass(frozen=True, slots=True)
class Material:
    """What an App is rendered from: its checkout, and those of its further sources by name."""

    app: App
    checkout: Checkout
    others: Mapping[str, Checkout] = field(default_factory=dict)


def render(shared: Shared, turn: Turn, material: Material, log: Logger) -> Rendered:
    """The same material for the same cluster renders to the same; only something new is rendered anew.

    Raises TrimtabError, and then nothing was rendered.
    """
    app, memory, capabilities = material.app, turn.memory, capabilities_of(shared.session)
    given = read_given(shared.connection, app) if is_given(app) else Given()
    others = tuple((name, other.commit) for name, other in sorted(material.others.items()))
    made_of = (material.checkout.commit, others, memory.generation, capabilities, given.digest)
    last = memory.rendered
    if turn.moment.request:
        memory.pins.expire()
    memory.pins.seconds = parse_duration(app.spec.interval, what="spec.interval") * _STALE
    with Fetching(shared.sources, allowed_by(app), opener(app, turn.key, shared), memory.pins) as fetching:
        if last is not None and last.made_of == made_of and (not last.used or fetching.unchanged(last.used)):
            shared.metrics.rendered("cached")
            return last.rendered
        supplies = Supplies(material.others, given, fetching, shared.cache)
        try:
            rendered = render_app(app, material.checkout, RenderOptions(capabilities=capabilities), supplies)
        except TrimtabError:
            shared.metrics.rendered("failed")
            raise
        memory.pins.keep(fetching.used)
        memory.rendered = Render(made_of, fetching.used, rendered)
    cached = bool(rendered.units) and all(unit.cached for unit in rendered.units)
    shared.metrics.rendered("cached" if cached else "ok")
    for text in (*rendered.warnings, *left_out(rendered)):
        log.warning("render", warning=text)
    return rendered
