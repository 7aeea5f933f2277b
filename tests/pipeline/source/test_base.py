"""Remote bases: what a URL in a kustomization means, as kustomize reads it."""

import pytest

from pipeline.app import GitSource
from pipeline.errors import SourceError
from pipeline.source.base import Base, parse_base

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "url", "path", "ref"),
    [
        ("https://example.com/org/repo", "https://example.com/org/repo", ".", ""),
        ("https://example.com/org/repo/a/b?ref=v1", "https://example.com/org/repo", "a/b", "v1"),
        ("https://example.com/org/repo//a/b?ref=v1", "https://example.com/org/repo", "a/b", "v1"),
        ("https://example.com/a/b/c//d", "https://example.com/a/b/c", "d", ""),
        ("https://example.com/a/b/c.git/d", "https://example.com/a/b/c.git", "d", ""),
        ("https://example.com/a/b.git?version=v2", "https://example.com/a/b.git", ".", "v2"),
        ("https://example.com/a/b?version=v2&ref=v3", "https://example.com/a/b", ".", "v3"),
        ("https://example.com/a/b?submodules=false&timeout=10s", "https://example.com/a/b", ".", ""),
        ("HTTPS://example.com/a/b", "https://example.com/a/b", ".", ""),
        ("https://example.com:8443/a/b/c", "https://example.com:8443/a/b", "c", ""),
        ("https://example.com/o/p/_git/repo/a", "https://example.com/o/p/_git/repo", "a", ""),
        ("ssh://git@example.com:22/a/b//c", "ssh://git@example.com:22/a/b", "c", ""),
        ("git@example.com:a/b//c?ref=main", "git@example.com:a/b", "c", "main"),
        ("git@example.com:a/b.git/c", "git@example.com:a/b.git", "c", ""),
        ("github.com/org/repo/a?ref=main", "https://github.com/org/repo", "a", "main"),
        ("GitHub.com/org/repo", "https://github.com/org/repo", ".", ""),
        ("github.com:org/repo", "https://github.com/org/repo", ".", ""),
        ("git@github.com/org/repo", "git@github.com:org/repo", ".", ""),
        ("ssh://git@github.com/org/repo//a", "git@github.com:org/repo", "a", ""),
        ("git::https://example.com/a/b", "https://example.com/a/b", ".", ""),
        ("file:///srv/git/a.git//b", "file:///srv/git/a.git", "b", ""),
        ("file:///srv/git/a/b", "file:///srv/git/a/b", ".", ""),
    ],
)
def test_the_forms(text: str, url: str, path: str, ref: str) -> None:
    assert parse_base(text) == Base(url, path, ref)


@pytest.mark.parametrize(
    "text",
    [
        "base",
        "../base",
        "/srv/git/base",
        "",
        "https://example.com/only",
        "https://example.com",
        "http://example.com/a/b",
        "https://user:s3cr3t@example.com/a/b",
        "https://s3cr3t@example.com/a/b",
        "https://example.com/a/b//../../etc",
        "https://example.com/a/b//c/../../d",
        "git@example.com:-oProxyCommand=x/b",
        "ext::sh -c x",
        "--upload-pack=x",
    ],
)
def test_what_is_no_base_is_refused_without_its_credentials(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_base(text)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("ref", "sources"),
    [
        ("", [{}]),
        ("HEAD", [{}]),
        ("v1", [{"tag": "v1"}, {"branch": "v1"}]),
        ("refs/heads/main", [{"branch": "main"}]),
        ("refs/tags/v1", [{"tag": "v1"}]),
        (COMMIT, [{"commit": COMMIT}]),
    ],
)
def test_a_ref_is_a_tag_before_it_is_a_branch(ref: str, sources: list[dict[str, str]]) -> None:
    url = "https://example.com/a/b"
    assert Base(url, "x", ref).sources == tuple(GitSource(url, path="x", **source) for source in sources)
