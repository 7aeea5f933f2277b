"""What helm says, in the words and with the paths of people; the same for Helm 3 and Helm 4."""

import re
from collections.abc import Mapping

#: What to do, by a text in helm's message.
HINTS = {
    "missing in charts/": "run `helm dependency update` on the chart, and commit its charts/ folder",
    "invalid release name": "choose one with --release-name, or `helm: {releaseName: ...}` in .trimtab.yaml",
    "failing loading": "a render uses no network: copy what the schema refers to into values.schema.json",
    "incompatible with Kubernetes": "--kube-version says which version the chart sees",
    "charts are not installable": "a library chart is for other charts: exclude it with .trimtabignore",
    "don't meet the specifications of the schema": "correct the values, or the chart's values.schema.json",
}
#: Go's `log` with the file of helm's own source, and a level.
_LOG = re.compile(r"(?:[\w./]+\.go:\d+: )?(?:info: |\[?WARNING\]?: |Warning: |warning: )?(.*)", re.DOTALL)
#: Helm 4: log/slog's text.
_SLOG = re.compile(r'level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)(.*)', re.DOTALL)
#: helm says of every link that it follows one; those that lead out are refused before.
_NOISE = ("found symbolic link", "a valid Helm v3 hash was not found")
#: The same lines before an error, by Helm 3 and Helm 4.
_NOISE_BEFORE = re.compile(rf'(?:(?:[\w./]+\.go:\d+: |level=\w+ msg=")(?:{"|".join(_NOISE)})[^\n]*\n)+(?:Error: )?')


def said(line: str) -> str:
    """A line of helm's log as a sentence; empty for what nobody needs to know."""
    if slog := _SLOG.fullmatch(line):
        level, message, rest = slog.groups()
        text = _unquoted(message) + rest if level != "DEBUG" else ""
    else:
        match = _LOG.fullmatch(line)
        text = match[1] if match else line
    return "" if text.startswith(_NOISE) else text.strip()


def without_noise(message: str) -> str:
    """An error of helm without the lines that nobody needs to know of."""
    return _NOISE_BEFORE.sub("", message)


def placed(message: str, sources: Mapping[str, str]) -> str:
    """The paths that helm makes of charts' names, as paths from the checkout.

    `sources` are the places of charts by helm's paths for them (`name/charts/alias`).
    """
    for path, place in sorted(sources.items(), key=lambda item: len(item[0]), reverse=True):
        prefix = "" if place == "." else f"{place}/"
        message = re.sub(rf"(?<![\w./-]){re.escape(path)}/(?=(?:templates|crds)/)", lambda _: prefix, message)  # noqa: B023 - called at once
    return message


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
