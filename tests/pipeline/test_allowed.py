"""allowRemote: a URL is below a prefix by its parts, however either is written."""

import pytest

from pipeline.allowed import is_allowed, location
from pipeline.errors import InputError


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://example.com/org/repo", "https://example.com"),
        ("https://example.com/org/repo", "https://example.com/"),
        ("https://example.com/org/repo", "https://example.com/org"),
        ("https://example.com/org/repo", "https://example.com/org/"),
        ("https://example.com/org/repo", "https://example.com/org/repo"),
        ("https://example.com/org/repo", "https://example.com/org/repo/"),
        ("https://example.com/org/repo.git", "https://example.com/org/repo"),
        ("https://example.com/org/repo", "https://example.com/org/repo.git"),
        ("https://EXAMPLE.com:443/org/repo", "https://example.com/org"),
        ("https://example.com/o%72g/repo", "https://example.com/org"),
        ("https://example.com//org/repo", "https://example.com/org"),
        ("git@example.com:org/repo", "ssh://git@example.com/org"),
        ("ssh://git@example.com:22/org/repo", "git@example.com:org/"),
        ("oci://example.com:5000/team/app", "oci://example.com:5000/team"),
        ("file:///srv/git/a.git", "file:///srv/git"),
    ],
)
def test_what_is_below(url: str, prefix: str) -> None:
    assert is_allowed(url, [prefix])


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("https://example.com/organ/repo", "https://example.com/org"),
        ("https://example.com/org", "https://example.com/org/repo"),
        ("https://example.com.evil.com/org", "https://example.com"),
        ("https://evil.com/https://example.com/org", "https://example.com/org"),
        ("https://example.com:8443/org/repo", "https://example.com/org"),
        ("http://example.com/org/repo", "https://example.com/org"),
        ("ssh://git@example.com/org/repo", "https://example.com/org"),
        ("oci://example.com/org/repo", "https://example.com/org"),
        ("https://example.com/ORG/repo", "https://example.com/org"),
    ],
)
def test_what_is_not_below(url: str, prefix: str) -> None:
    assert not is_allowed(url, [prefix])


def test_nothing_is_allowed_where_nothing_is_listed() -> None:
    assert not is_allowed("https://example.com/a/b", [])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/org/../other",
        "https://example.com/org/./repo",
        "https://example.com/org/%2e%2e/other",
        "https://example.com/org/%2E./other",
        "https://example.com/org%2Frepo",
        "https://example.com/org/%252e%252e/other",
        "https://example.com/org\\..\\other",
        "https://example.com/org/%00",
        "https://example.com/org?ref=x",
        "https://example.com/org#x",
        "https://me:s3cr3t@example.com/org",
        "https://s3cr3t@example.com/org",
        "https://example.com@evil.com/org",
        "https:///org",
        "https:example.com/org",
        "//example.com/org",
        "example.com/org",
        "ftp://example.com/org",
        "file://host/srv",
        "ssh://me:s3cr3t@example.com/org",
        "",
    ],
)
def test_what_may_mean_several_places_or_carries_credentials_is_refused(url: str) -> None:
    with pytest.raises(InputError) as caught:
        location(url)
    assert "s3cr3t" not in str(caught.value)
    with pytest.raises(InputError):
        is_allowed("https://example.com/org", [url])
