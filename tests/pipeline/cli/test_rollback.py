"""`trimtab rollback`: where to, what is rejected, and what is said when it cannot be."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from played import COMMIT, Apps, past, said

from pipeline.cli.rollback import way_back
from pipeline.control.resource import HEAD, REJECTED_ANNOTATION, ROLLBACK_ANNOTATION, SYNC_ANNOTATION
from pipeline.errors import InputError

Trimtab = Callable[..., Any]
A, B, C = COMMIT["a"], COMMIT["b"], COMMIT["c"]


def _app(status: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "namespace": "x", "generation": 1}, "spec": {}, "status": status}


def _failed_whole(commit: str) -> dict[str, Any]:
    return past(commit, "RenderFailed") | {"healthy": False, "counts": {}}


@pytest.mark.parametrize(
    ("status", "to"),
    [
        (said(commit="c", history=[past("c"), past("b"), past("a")]), B),
        (said("False", "NotReady", commit="c", history=[past("c", "NotReady", created=1), past("b")]), B),
        (said(commit="c", history=[past("c"), past("b", "NotReady", created=1), past("a")]), A),
        # A render that failed left the App at b, and c is what was tried: b is where to stay.
        (said("False", "RenderFailed", commit="b", history=[_failed_whole("c"), past("b"), past("a")]), B),
        # Rolled back already: git is still at c.
        (said(commit="b", history=list(map(past, "bcba")), rollback={"to": B, "rejected": C}), A),
    ],
    ids=["well", "not ready", "passes over the bad", "failed whole", "twice"],
)  # fmt: skip
def test_without_a_commit_the_last_good_one_is_gone_back_to(status: dict[str, Any], to: str) -> None:
    assert way_back(_app(status), "") == to


def test_a_commit_is_named_by_its_beginning_or_in_full() -> None:
    app = _app(said(commit="c", history=[past("c"), past("b"), past("a")]))
    assert way_back(app, "aa") == A
    assert way_back(app, "d" * 40) == "d" * 40
    assert way_back(app, "d" * 64) == "d" * 64


def test_a_version_of_a_chart_is_named_as_it_is_though_another_begins_with_it() -> None:
    versions = {version: f"{version}@sha256:{digit * 64}" for version, digit in (("1.2.0", "0"), ("1.2.01", "1"))}
    history = [past("c") | {"commit": commit} for commit in versions.values()]
    app = _app(said(commit="c", history=history) | {"commit": f"1.2.7@sha256:{'7' * 64}"})
    assert way_back(app, "1.2.0") == versions["1.2.0"]
    assert way_back(app, versions["1.2.01"]) == versions["1.2.01"]
    with pytest.raises(InputError, match=r"2 commits begin with 1\.2"):
        way_back(app, "1.2")


@pytest.mark.parametrize(
    ("status", "wanted", "words"),
    [
        (said(commit="c", history=[past("c")]), "", r"no earlier commit that was well(.|\n)*cccccccccccc"),
        (said(commit="c", history=[past("c"), past("a")]), "f00", r"no commit begins with f00(.|\n)*aaaaaaaaaaaa"),
        (said(commit="c", history=[past("c"), past("a")]), "cc", "cccccccccccc is the commit that a rollback leaves"),
        ({}, "", "was not synced yet"),
    ],
)
def test_where_there_is_no_way_back_the_history_is_listed(status: dict[str, Any], wanted: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        way_back(_app(status), wanted)


def test_a_beginning_that_fits_two_commits_is_told() -> None:
    two = [past("a"), past("a") | {"commit": "a" * 39 + "b"}]
    with pytest.raises(InputError, match="2 commits begin with aaa"):
        way_back(_app(said(commit="c", history=two)), "aaa")


def test_a_rollback_is_asked_for_in_one_write_and_followed(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    apps.say(said(commit="b", history=[past("b"), past("a")]))
    back = said(
        reason="RolledBack", commit="a", history=[past("a", configured=1), past("b"), past("a")],
        rollback={"to": A, "rejected": B},
    )  # fmt: skip
    with apps.answering(back):
        result = trimtab("rollback", "shop", "-n", apps.namespace)
    assert result.code == 0, result.err
    asked = apps.annotations()
    assert (asked[ROLLBACK_ANNOTATION], asked[REJECTED_ANNOTATION]) == (A, HEAD)
    assert "It stays until git moves on, or trimtab rollback shop" in result.err

    with apps.answering(said(commit="b", rollback=None)):
        assert trimtab("rollback", "shop", "-n", apps.namespace, "--cancel").code == 0
    assert set(apps.annotations()) == {SYNC_ANNOTATION}
    result = trimtab("rollback", "shop", "-n", apps.namespace, "--cancel")
    assert (result.code, "is not rolled back" in result.out) == (0, True)


def test_a_rollback_that_git_has_overtaken_is_no_success(trimtab: Trimtab, apps: Apps) -> None:
    apps.make()
    apps.say(said(commit="b", history=[past("b"), past("a")]))
    with apps.answering(said(commit="c", history=[past("c"), past("b"), past("a")])):
        result = trimtab("rollback", "shop", "-n", apps.namespace, "-o", "json")
    assert result.code == json.loads(result.out)["exitCode"] == 1
    assert "git has moved on past the rejected commit" in result.err
