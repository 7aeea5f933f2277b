"""Reads what `helm template` printed: whose template each document is, and which are hooks or tests."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from renderers.api import Rendered
from renderers.manifest import Manifest
from renderers.printed import parse_printed

#: helm begins each document so; the path is the chart's name and the template in it.
_SOURCE = re.compile(r"^---\n# Source: (.+)\n", re.MULTILINE)

HOOK = "helm.sh/hook"
_TESTS = {"test", "test-success"}


def read_output(text: str, unit: str) -> Rendered:
    """The documents in helm's order, which is its order of installing. `unit` is the chart's folder.

    Raises ManifestError naming the template.
    """
    manifests: list[Manifest] = []
    hooks: list[Manifest] = []
    tests: list[Manifest] = []
    warnings: list[str] = []
    for file, documents in _by_template(text, unit):
        parsed, doubts = parse_printed(documents, file=file, unit=unit)
        warnings += doubts
        for manifest in parsed:
            events = _events(manifest)
            (tests if events and events <= _TESTS else hooks if events else manifests).append(manifest)
    return Rendered(tuple(manifests), tuple(hooks), tuple(tests), tuple(warnings))


def _by_template(text: str, unit: str) -> Iterator[tuple[str, str]]:
    before, *pairs = _SOURCE.split(text)
    yield unit, before
    for source, documents in zip(pairs[::2], pairs[1::2], strict=True):
        _, _, inside = source.partition("/")
        yield (PurePosixPath(unit) / inside).as_posix(), documents


def _events(manifest: Manifest) -> set[str]:
    return {event.strip() for event in str(manifest.annotations.get(HOOK, "")).split(",")} - {""}
