"""`trimtab run`: what is wrong with a flag is said before anything is asked or written."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.cli.run import _address
from pipeline.errors import InputError


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--git-url", "https://user:t0p@example.com/x.git"], "carries credentials"),
        (["--git-url", "ext::sh -c x"], "no form that is allowed"),
        (["--git-url", "https://example.com/x.git", "--git-branch", "a..b"], "the branch 'a..b'"),
        (["--git-url", "https://example.com/x.git", "--git-path", "../x"], "the path '../x'"),
        (["--git-url", "https://example.com/x.git", "--git-poll-interval", "often"], "'often', which is no duration"),
        (["--git-url", "https://example.com/x.git", "--git-poll-interval", "1ms"], "too short"),
        (["--git-url", "https://example.com/x.git", "--sync-timeout", "5"], "'5', which is no duration"),
        (["--git-url", "https://example.com/x.git", "--name", "Shop"], "'Shop', which is no name"),
        (["--git-url", "https://example.com/x.git", "--target-namespace", "-x"], "spec.target.namespace is '-x'"),
        (["--git-timeout", "soon"], "--git-timeout is 'soon'"),
        (["--lease-duration", "long"], "--lease-duration is 'long'"),
        (["--ssh-key-type", "dsa"], "--ssh-key-type is 'dsa'"),
        (["--namespace", "A"], "'A', which is no name"),
        (["--watch-namespace", "a b"], "'a b', which is no name"),
        (["--listen", "nowhere"], "--listen is 'nowhere'"),
        (["--log-format", "xml"], "--log-format is 'xml'"),
        (["--log-level", "loud"], "--log-level is 'loud'"),
        (["--concurrent-renders", "0"], "greater than or equal to 1"),
        (["--k8s-secret-name", "A_b"], "--k8s-secret-name is 'A_b'"),
    ],
)
def test_a_bad_flag_is_named_and_nothing_was_done(trimtab: Callable[..., Any], flags: list[str], says: str) -> None:
    result = trimtab("run", *flags)
    assert result.code == 2
    assert says in result.err
    assert "→" in result.err
    assert "t0p" not in result.err
    assert "Traceback" not in result.err


def test_without_a_cluster_it_says_so(trimtab: Callable[..., Any]) -> None:
    result = trimtab("run", "--git-url", "https://example.com/x.git")
    assert result.code == 5
    assert "there is no cluster to talk to" in result.err


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        (":8080", ("0.0.0.0", 8080)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:9", ("::1", 9)),
    ],
)
def test_addresses(text: str, address: tuple[str, int] | None) -> None:
    assert _address(text) == address


@pytest.mark.parametrize("text", ["8080", "host", "host:", "host:x", "host:65536"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError):
        _address(text)
