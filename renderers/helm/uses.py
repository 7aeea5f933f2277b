"""What a chart's templates make use of that is not in its values: the cluster, chance, the clock, the network."""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from renderers.api import RenderRequest, Use
from renderers.helm.chart import Chart, load_chart
from renderers.helm.dependencies import Needs, complete, find_needs
from renderers.helm.tokens import Token, actions
from renderers.manifest import TrimtabError

#: Functions of Sprig and of helm whose result is another one each time.
_RANDOM = {
    "bcrypt", "encryptAES", "genCA", "genCAWithKey", "genPrivateKey", "genSelfSignedCert", "genSelfSignedCertWithKey",
    "genSignedCert", "genSignedCertWithKey", "htpasswd", "randAlpha", "randAlphaNum", "randAscii", "randBytes",
    "randInt", "randNumeric", "shuffle", "uuidv4",
}  # fmt: skip
_TIME = {"now", "ago"}
#: They take the present time where they are given no time.
_DATES = {"date", "dateInZone", "date_in_zone", "htmlDate", "htmlDateInZone"}
_GIVEN_A_TIME = {*_TIME, "toDate", "mustToDate", "dateModify", "date_modify", "mustDateModify", "must_date_modify"}
_KINDS = {
    **dict.fromkeys(_RANDOM, "random"),
    **dict.fromkeys(_TIME, "time"),
    "lookup": "lookup",
    "tpl": "tpl",
    "getHostByName": "network",
}
_CAPABILITIES = ".Capabilities"


def uses(request: RenderRequest) -> tuple[Use, ...]:
    """What the templates of the chart and of all below it name, each with its place; nothing is run.

    A dependency that cannot be had is left out. Raises RenderError for an archive that cannot be read.
    """
    chart = load_chart(request.folder, request.root)
    try:
        needs = find_needs(chart, request.folder, request)
    except TrimtabError:
        needs = Needs()
    found = (use for part in complete(chart, needs, None).tree() for use in _chart_uses(part))
    return tuple(dict.fromkeys(found))


def _chart_uses(chart: Chart) -> Iterator[Use]:
    prefix = "" if chart.place == "." else f"{chart.place}/"
    for name, read in chart.files.items():
        if name.startswith("templates/"):
            for action in actions(read().decode(errors="replace")):
                for kind, what, line in _action_uses(action):
                    yield Use(kind, what, f"{prefix}{name}:{line}")


def _action_uses(action: Sequence[Token]) -> Iterator[tuple[str, str, int]]:
    words = {token.text for token in action if token.kind == "word"}
    for number, token in enumerate(action):
        texts = [other.text for other in takewhile(lambda other: other.kind == "text", action[number + 1 :])]
        if token.kind == "word" and token.text in _KINDS:
            yield _KINDS[token.text], " ".join([token.text, *texts[: 2 * (token.text == "lookup")]]), token.line
        elif token.kind == "word" and token.text in _DATES and not words & _GIVEN_A_TIME:
            yield "time", token.text, token.line
        elif token.kind == "field":
            # Often handed on, as `.context.Capabilities`.
            before, found, asked = token.text.partition(_CAPABILITIES)
            if found and asked[:1] in ("", ".") and ".Values" not in before:
                yield (
                    "capability",
                    " ".join([asked[1:] or "Capabilities", *texts[: asked.endswith(".Has")]]),
                    token.line,
                )
