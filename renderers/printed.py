"""Manifests from what a tool printed: their lines are the output's, so no origin has one."""

from dataclasses import replace

from renderers.manifest import Manifest, Origin
from renderers.manifest.parse import parse_documents


def parse_printed(text: str, *, file: str, unit: str) -> tuple[tuple[Manifest, ...], tuple[str, ...]]:
    """As `parse_documents`; errors and warnings say `file (rendered)` with the line in the printed text."""
    manifests, warnings = parse_documents(text, file=f"{file} (rendered)", unit=unit)
    return tuple(replace(manifest, origin=Origin(unit, file)) for manifest in manifests), warnings
