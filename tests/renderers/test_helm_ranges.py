"""Versions and ranges as helm reads them; that helm chooses the same is held where charts are fetched."""

import pytest

from renderers.helm.ranges import RangeError, choose, is_strict, nearest, prereleases, range_of, version_of


def contains(text: str, version: str) -> bool:
    found = version_of(version)
    assert found is not None
    return found in range_of(text)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("1.2.3", "1.2.3 1.2.3+b v1.2.3", "1.2.4 1.2.3-a"),
        ("=1.2", "1.2.0 1.2.9", "1.3.0 1.1.9"),
        ("1.2", "1.2.0 1.2.9", "1.3.0"),
        ("1", "1.0.0 1.99.0", "2.0.0 0.9.0"),
        ("*", "0.0.0 9.9.9", "1.0.0-a"),
        ("1.x", "1.0.0 1.9.0", "2.0.0"),
        ("1.2.X", "1.2.9", "1.3.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
        ("~1", "1.9.9", "2.0.0"),
        ("~0.0.0", "7.0.0", "1.0.0-a"),
        ("~>1.2", "1.2.9", "1.3.0"),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0"),
        ("^0.2.3", "0.2.9", "0.3.0"),
        ("^0.0.3", "0.0.3", "0.0.4"),
        ("^0.0", "0.0.9", "0.1.0"),
        ("^0", "0.9.0", "1.0.0"),
        ("^*", "0.0.0", "0.0.1 1.0.0"),
        ("!=1.2", "1.3.0 1.1.0", "1.2.0 1.2.9"),
        ("!=1.2.3", "1.2.4", "1.2.3"),
        (">1", "2.0.0", "1.0.1 1.9.9"),
        (">1.2", "1.3.0", "1.2.9"),
        (">=1.2, <2", "1.2.0 1.9.9", "2.0.0 1.1.9"),
        (">=1.2 <2", "1.2.0 1.9.9", "2.0.0"),
        ("<=1", "1.9.9 0.1.0", "2.0.0"),
        ("<=1.2", "1.2.9", "1.3.0"),
        ("=>1 =<2", "1.0.0 2.9.0", "3.0.0"),
        ("1 - 2", "1.0.0 2.9.9", "0.9.0 3.0.0"),
        ("1.2 - 1.4 || 3.x", "1.4.9 3.1.0", "2.0.0 1.5.0"),
        (">=1.0.0-0", "1.0.0-alpha 1.0.0 2.0.0-rc.1", "0.9.0"),
        ("^1.0.0-0 || 3", "1.5.0-beta 3.0.0", "3.0.0-a"),
        ("v1.02", "1.2.0 v1.2.9", "1.3.0"),
        (">  1.2.3", "1.2.4", "1.2.3"),
        ("1.0.0-alpha.2 - 1.0.0-alpha.11", "1.0.0-alpha.10", "1.0.0-alpha.1 1.0.0-beta"),
    ],
)
def test_a_range_is_read_as_helm_reads_it(text: str, inside: str, outside: str) -> None:
    assert [version for version in inside.split() if not contains(text, version)] == []
    assert [version for version in outside.split() if contains(text, version)] == []


@pytest.mark.parametrize(
    "text",
    [
        "latest",
        "1.2.3.4",
        "~~1",
        "1..2",
        "1 ||",
        "|| 1",
        ",1",
        "1,,2",
        "1x",
        "1.2.3-",
        "V1",
        " ",
        "1.0.0-01",
        "1 " * 200,
    ],
)
def test_what_is_no_range_says_how_one_is_written(text: str) -> None:
    with pytest.raises(RangeError, match="no version and no range") as caught:
        range_of(text)
    assert "~1.4" in caught.value.hint


def test_a_long_row_of_spaces_takes_no_time() -> None:
    with pytest.raises(RangeError):
        range_of("1" + " " * 200 + "1" + " " * 40 + "!")


@pytest.mark.parametrize("text", ["", "a", "1.2.3.4", "1.0.0-01", "18446744073709551616", "1.0.0+", "-1"])
def test_what_is_no_version(text: str) -> None:
    assert version_of(text) is None


def test_precedence_is_that_of_semver() -> None:
    order = ["1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta", "1.0.0", "1.0.1", "2.0.0"]
    assert nearest(order[::-1], "") == order[::-1]


def test_the_exact_text_goes_before_the_highest() -> None:
    assert choose(["1.2.0+b", "1.2.0+a"], "1.2.0+a") == "1.2.0+a"
    assert choose(["1.9.0", "1.2", "1.2.5"], "1.2") == "1.2"


def test_without_a_version_the_newest_release() -> None:
    assert choose(["1.0.0", "2.0.0-rc.1", "1.10.0", "1.9.0", "none"], "") == "1.10.0"
    assert choose(["2.0.0-rc.1"], "") is None
    assert prereleases(["2.0.0-rc.1"], "") == ["2.0.0-rc.1"]


def test_what_is_nearest_comes_first() -> None:
    assert nearest(["3.0.0", "1.4.1", "1.4.0", "1.5.0"], "~1.4.9") == ["1.4.1", "1.4.0", "1.5.0", "3.0.0"]


def test_strict_versions_are_those_of_semver() -> None:
    assert [text for text in ("1.2.3", "1.2.3-a+b", "1.2", "v1.2.3", "01.2.3") if is_strict(text)] == [
        "1.2.3",
        "1.2.3-a+b",
    ]
