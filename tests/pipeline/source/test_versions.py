"""Ranges of versions: which tag they mean, and what a bad one is told."""

import pytest

from pipeline.errors import SourceError
from pipeline.location import check_range
from pipeline.source.versions import highest

_TAGS = (
    "v1.0.0", "v1.4.0", "v1.4.2", "v1.4.10", "v1.5.0-rc.1", "1.5.0-rc.2", "v2.0.0", "0.9.0", "v1.4", "latest",
    "v1.4.2.1", "release-1.9.0", "vv1.9.0", "v01.9.0", "v" + "9" * 5000 + ".0.0",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("~1.4", "v1.4.10"),
        ("^1", "v1.4.10"),
        ("1.x", "v1.4.10"),
        ("1.4", "v1.4.10"),
        (">=1.2.0 <2.0.0", "v1.4.10"),
        (">= 1.2.0, < 2.0.0", "v1.4.10"),
        (" ~ 1.4 ", "v1.4.10"),
        ("1.4.2", "v1.4.2"),
        ("=1.4.2", "v1.4.2"),
        ("*", "v2.0.0"),
        ("<1", "0.9.0"),
        ("0.9 || 1.0", "v1.0.0"),
        ("1.0.0 - 1.4.2", "v1.4.2"),
        (">=1.5.0-rc.1 <2", "1.5.0-rc.2"),
        ("^3", ""),
    ],
)
def test_the_highest_tag_in_the_range(text: str, tag: str) -> None:
    check_range(text)
    assert highest(_TAGS, text) == tag


def test_two_tags_of_one_version_are_always_the_same_one() -> None:
    tags = ["1.0.0", "v1.0.0", "v1.0.0+b", "v1.0.0+a"]
    assert highest(tags, "^1") == highest(reversed(tags), "^1")


@pytest.mark.parametrize("text", ["latest", "1.4.", "1.2.3.4", "~1.4-0", "main", "==1", "1\n2", "v"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        check_range(text)
    assert repr(text) in caught.value.message
    assert "~1.4" in caught.value.hint
