"""What may name a URL, a ref, a commit and a path."""

import pytest

from pipeline.errors import SourceError
from pipeline.location import (
    chart_transport_of,
    check_chart_name,
    check_commit,
    check_ref,
    deploy_keys_page,
    normal_path,
    redacted,
    short,
    transport_of,
)  # fmt: skip


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("https://example.com/team/shop.git", "https"),
        ("https://example.com:8443/scm/~me/@team/shop", "https"),
        ("https://[::1]/x", "https"),
        ("ssh://git@example.com/team/shop.git", "ssh"),
        ("ssh://example.com:22/~/shop.git", "ssh"),
        ("git@example.com:team/shop.git", "ssh"),
        ("org-1234@example.com:/abs/shop.git", "ssh"),
        ("file:///srv/git/shop.git", "file"),
        ("file:///srv/my%20git/shop.git", "file"),
        ("/srv/my git/shop.git", "file"),
    ],
)
def test_allowed_urls(url: str, transport: str) -> None:
    assert transport_of(url) == transport
    assert redacted(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "", " ", "shop", "../shop", "./shop", "C:/shop", "example.com:shop.git",
        "http://example.com/x", "http://127.0.0.1/x", "git://example.com/x", "ftp://example.com/x",
        "https://example.com", "https:///x", "HTTPS://example.com/x", "https:/example.com/x",
        "ext::sh -c true", "fd::3", "git@ext::sh -c true", "transport::https://example.com/x",
        "-oProxyCommand=true", "--upload-pack=true", "ssh://-oProxyCommand=true/x", "ssh://git@-oProxyCommand=true/x",
        "git@-oProxyCommand=true:x", "-git@example.com:x", "git@example.com:-x",
        "git@example.com:", "https://-x/y", "ssh://git@exa mple.com/x", "https://example.com/a b",
        "https://example.com/x\n", "https://example.com/x\0", "\thttps://example.com/x", "file:///x\n", "/x\ny",
        "file://example.com/x", "file://~/x", "file:x", "https://example.com:port/x", "https://ex%61mple.com/x",
    ],
)  # fmt: skip
def test_refused_urls(url: str) -> None:
    with pytest.raises(SourceError, match=r"no form that is allowed\n.*use https://host/path"):
        transport_of(url)


def test_an_option_as_a_user_name() -> None:
    with pytest.raises(SourceError):
        transport_of("ssh://-lroot@example.com/x")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:s3cret@example.com/x", "https://example.com/x"),
        ("https://s3cret@example.com/x", "https://example.com/x"),
        ("https://me:s3/cr@et@example.com/x", "https://example.com/x"),
        ("https://me:s3?cr#et@example.com/x", "https://example.com/x"),
        ("https://me:s3 cr\net@example.com/x", "https://example.com/x"),
        ("http://me:s3cret@example.com/x", "http://example.com/x"),
        ("ssh://git:s3cret@example.com/x", "ssh://example.com/x"),
        ("git:s3cret@example.com:x", "example.com:x"),
        ("https://example.com/x?private_token=s3cret", "https://example.com/x"),
        ("https://example.com/x#s3cret", "https://example.com/x"),
    ],
)
def test_credentials_in_a_url_are_refused_and_not_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown
    with pytest.raises(SourceError, match="carries credentials or a query") as caught:
        transport_of(url)
    for part in ("s3", "cr", "et"):
        assert part not in str(caught.value).partition("carries")[0].replace("secret", "")


@pytest.mark.parametrize("name", ["main", "feature/a-b", "v1.2.3", "release_1", "ümlaut", "a@b", "x.locks"])
def test_allowed_refs(name: str) -> None:
    check_ref("branch", name)


@pytest.mark.parametrize(
    "name",
    [
        "", "-x", "--upload-pack=true", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "/a", "a/",
        "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "@", "a@{1}", "a\nb", "a\n", "a\0", "a\x7f",
        "refs/heads/main",
    ],
)  # fmt: skip
def test_refused_refs(name: str) -> None:
    with pytest.raises(SourceError):
        check_ref("branch", name)


def test_a_full_ref_says_what_to_write() -> None:
    with pytest.raises(SourceError, match="write main"):
        check_ref("branch", "refs/heads/main")


@pytest.mark.parametrize(
    "commit", ["", "abc1234", "HEAD", "g" * 40, "A" * 40, "a" * 41, "a" * 40 + "\n", "-" + "a" * 39]
)
def test_refused_commits(commit: str) -> None:
    with pytest.raises(SourceError, match="no full commit id"):
        check_commit(commit)


def test_full_commit_ids() -> None:
    check_commit("a" * 40)
    check_commit("0" * 64)


@pytest.mark.parametrize(
    ("path", "normal"),
    [("", "."), (".", "."), ("./", "."), ("a/b/", "a/b"), ("./a//b", "a/b"), ("a/../b", "b"), ("..a/b", "..a/b")],
)
def test_paths_are_made_normal(path: str, normal: str) -> None:
    assert normal_path(path) == normal


@pytest.mark.parametrize("path", ["..", "../a", "a/../../b", "/", "/etc", "//etc", "a\nb", "a\0b"])
def test_refused_paths(path: str) -> None:
    with pytest.raises(SourceError, match="does not lie in the repository"):
        normal_path(path)


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("git@github.com:team/shop.git", "https://github.com/team/shop/settings/keys/new"),
        ("ssh://git@github.com/team/shop.git", "https://github.com/team/shop/settings/keys/new"),
        ("ssh://git@github.com:22/team/shop", "https://github.com/team/shop/settings/keys/new"),
        ("git@gitlab.com:a/b/c.git", "https://gitlab.com/a/b/c/-/settings/repository#js-deploy-keys-settings"),
        ("git@git.example.com:team/shop.git", ""),
        ("https://github.com/team/shop.git", ""),
        ("git@github.com.evil.example:team/shop.git", ""),
    ],
)
def test_where_a_deploy_key_is_added(url: str, page: str) -> None:
    assert deploy_keys_page(url) == page


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("https://charts.example.com", "https"),
        ("https://charts.example.com:8443/stable", "https"),
        ("http://charts.svc/x", "http"),
        ("oci://registry.example.com:5000/team/app", "oci"),
    ],
)
def test_allowed_urls_of_charts(url: str, transport: str) -> None:
    assert chart_transport_of(url) == transport


@pytest.mark.parametrize(
    "url",
    [
        "charts.example.com", "ftp://example.com", "git@example.com:x", "/srv/charts", "file:///srv", "https:///x",
        "https://user:s3cr3t@example.com", "https://s3cr3t@example.com", "oci://user:s3cr3t@example.com/x",
        "https://example.com/?token=s3cr3t", "https://example.com/a b", "https://example.com\n",
    ],
)  # fmt: skip
def test_refused_urls_of_charts(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        chart_transport_of(url)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".x", "-x", "a b", "a\n"])
def test_what_no_chart_is_called(name: str) -> None:
    with pytest.raises(SourceError, match="no name of a chart"):
        check_chart_name(name)


def test_an_id_is_short_for_people() -> None:
    assert [short(each) for each in ("a" * 40, f"1.2.7@sha256:{'0' * 64}", "")] == ["a" * 12, "1.2.7", ""]
