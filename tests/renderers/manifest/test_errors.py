"""Errors: what one keeps when it is told in other words."""

import pytest

from renderers.manifest import TrimtabError


class PassingError(TrimtabError):
    temporary = True
    exit_code = 5
    reason = "Passing"

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message, hint="wait")
        self.number = number


def test_an_error_has_the_reason_of_its_kind_unless_it_has_one_of_its_own() -> None:
    assert (TrimtabError("a").reason, TrimtabError("a", reason="Other").reason) == ("Failed", "Other")


def test_an_error_told_in_other_words_is_the_same_error() -> None:
    error = PassingError(7, "it is late")
    error.reason, error.temporary = "TooLate", False
    told = error.retold("chart: it is late", where="a.yaml")
    assert type(told) is PassingError
    assert str(told) == "a.yaml: chart: it is late\n  → wait"
    assert (told.reason, told.temporary, told.exit_code, told.number) == ("TooLate", False, 5, 7)
    assert str(error) == "it is late\n  → wait"


def test_it_can_be_raised() -> None:
    with pytest.raises(PassingError, match="other words") as caught:
        raise PassingError(1, "a").retold("other words", where="")
    assert caught.value.args == ("other words",)
