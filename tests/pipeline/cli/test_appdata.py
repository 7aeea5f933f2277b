"""How an App stands, from its resource: pure."""

from typing import Any

import pytest
from played import held, said

from pipeline.cli.appdata import exit_code_of, state_of
from pipeline.cli.output import age


def _app(status: dict[str, Any], generation: int = 1, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "shop", "namespace": "x", "generation": generation}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        ("True", "Succeeded", 0),
        ("True", "RolledBack", 0),
        ("False", "NotReady", 1),
        ("False", "ApplyFailed", 1),
        ("False", "RenderFailed", 1),
        ("False", "RefNotFound", 1),
        ("False", "DependencyNotReady", 1),
        ("Unknown", "Suspended", 1),
        ("False", "PruneHeld", 3),
        ("False", "PartlyApplied", 4),
        ("False", "SourceUnreachable", 5),
        ("False", "AuthenticationFailed", 5),
        ("False", "HostKeyUnknown", 5),
    ],
)
def test_the_exit_code_is_the_outcome(status: str, reason: str, code: int) -> None:
    assert exit_code_of(_app(said(status, reason))) == code


@pytest.mark.parametrize(
    ("app", "state"),
    [
        (_app(said()), "Ready"),
        (_app(said("False", "NotReady")), "NotReady"),
        (_app(said("Unknown", "Waiting")), "Unknown"),
        (_app({}), "Unknown"),
        (_app(said("False", "PruneHeld", held=held("d", "ConfigMap/x"))), "Held"),
        (_app(said(held=held("d", "ConfigMap/x")), suspend=True), "Suspended"),
        (_app(said() | {"observedGeneration": 1}, generation=2), "Unknown"),
        (_app(said("False", "RenderFailed") | {"observedGeneration": 1}, generation=2), "NotReady"),
        (_app({"conditions": "nonsense"}), "Unknown"),
    ],
)
def test_the_state_is_one_word(app: dict[str, Any], state: str) -> None:
    assert state_of(app) == state


def test_an_age_is_said_as_kubectl_says_it() -> None:
    assert age("") == ""
    assert age("2999-01-01T00:00:00Z") == "0s"
    assert age("2001-01-01T00:00:00Z").endswith("d")
