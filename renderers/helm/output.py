"""Reads what `helm template` printed: whose template each document is, and which are hooks or tests."""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from renderers.api import Rendered
from renderers.manifest import Manifest, load_text
from renderers.printed import parse_printed

#: helm begins each document so; the path is the chart's name and the template in it.
_SOURCE = re.compile(r"^---\n# Source: (.+)\n", re.MULTILINE)

#: Where a document may be a list, which is taken apart.
_LIST = re.compile(r"\bkind[\"']?\s*:\s*[\"']?\w*List\b")

HOOK = "helm.sh/hook"
_TESTS = {"test", "test-success"}


def read_output(text: str, unit: str, sources: Mapping[str, str]) -> Rendered:
    """The documents in helm's order, which is its order of installing.

    `unit` is the chart's folder; `sources` are the places of charts by helm's paths for them. A hook that is also a
    test is among the hooks. Raises ManifestError naming the template.
    """
    manifests: list[Manifest] = []
    hooks: list[Manifest] = []
    tests: list[Manifest] = []
    warnings: list[str] = []
    for file, is_crd, documents in _by_template(text, unit, sources):
        parsed, doubts = parse_printed(documents, file=file, unit=unit)
        warnings += doubts
        # helm hands crds/ out as it is, and runs nothing of it.
        events = set() if is_crd or not parsed else _events(parsed[0], documents)
        (tests if events and events <= _TESTS else hooks if events else manifests).extend(parsed)
    return Rendered(tuple(manifests), tuple(hooks), tuple(tests), tuple(warnings))


def template_place(source: str, sources: Mapping[str, str]) -> tuple[str, str]:
    """The path of a template from the checkout, and its path in its own chart."""
    parts = source.split("/")
    for end in range(len(parts) - 1, 0, -1):
        place = sources.get("/".join(parts[:end]))
        if place is not None:
            inside = "/".join(parts[end:])
            return (PurePosixPath(place) / inside).as_posix(), inside
    return source, source.partition("/")[2]


def _by_template(text: str, unit: str, sources: Mapping[str, str]) -> Iterator[tuple[str, bool, str]]:
    before, *pairs = _SOURCE.split(text)
    yield unit, False, before
    for source, documents in zip(pairs[::2], pairs[1::2], strict=True):
        place, inside = template_place(source, sources)
        yield place, inside.startswith("crds/"), documents


def _events(first: Manifest, document: str) -> set[str]:
    """When helm would run what a template printed. Of a list, its own annotations count and not those of its items."""
    annotations = first.annotations
    if _LIST.search(document):
        data = load_text(document, file=first.origin.file).documents[0].data
        metadata = data.get("metadata") if str(data.get("kind")).endswith("List") else None
        annotations = (metadata or {}).get("annotations") or {} if "items" in data else annotations
    return {event.strip().lower() for event in str(annotations.get(HOOK, "")).split(",")} - {""}
