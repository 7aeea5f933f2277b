"""Tags as semantic versions: which one a range means. Pure."""

import re
from collections.abc import Iterable
from typing import Any

from pipeline.location import version_range


def by_version(tags: Iterable[str]) -> list[tuple[Any, str]]:
    """The tags that are versions, with or without a leading `v`, highest first, each after its version."""
    from semantic_version import Version  # type: ignore[import-untyped]  # noqa: PLC0415 - see location

    versions = []
    for tag in tags:
        try:
            versions.append((Version(re.sub(r"^[vV](?=\d)", "", tag)), tag))
        except ValueError:
            continue
    # Build metadata has no rank, nor has the `v`: the name decides, so that the answer is always the same.
    return sorted(versions, key=lambda entry: (entry[0].precedence_key[:4], entry[1]), reverse=True)


def highest(tags: Iterable[str], text: str) -> str:
    """The tag with the highest version in the range; empty where there is none. Raises SourceError for a bad range.

    A prerelease counts only when the range names one of the same version, as for npm.
    """
    wanted = version_range(text)
    return next((tag for version, tag in by_version(tags) if version in wanted), "")
