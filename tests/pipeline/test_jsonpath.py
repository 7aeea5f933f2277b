"""The JSONPath of health checks: what it finds is what kubectl finds, and what it does not know is refused."""

import json
import os
import subprocess
from typing import Any

import pytest

from pipeline.app.jsonpath import check, find, text
from pipeline.errors import InputError

BOAT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "boat", "annotations": {"sea.example/state": "afloat", "it's": "x"}},
    "status": {
        "phase": "Sailing",
        "crew": 3,
        "moored": False,
        "conditions": [
            {"type": "Ready", "status": "True", "weight": 1, "ok": True},
            {"type": "Painted", "status": "False", "weight": 2, "ok": False},
            {"type": "A == B", "status": "Unknown"},
        ],
        "ports": ["north", "south"],
        "nested": [[{"a": 1}], [{"a": 2}]],
    },
}

UNDERSTOOD = [
    "{.status.phase}",
    "{$.status.phase}",
    "{ .status.phase }",
    "{.status.crew}",
    "{.status.moored}",
    "{.status['phase']}",
    "{.metadata.annotations.sea\\.example/state}",
    "{.metadata.annotations['sea\\.example/state']}",
    "{.status.ports[0]}",
    "{.status.ports[-1]}",
    "{.status.ports[*]}",
    "{.status.conditions[*].type}",
    "{.status.nested[*][0].a}",
    '{.status.conditions[?(@.type=="Ready")].status}',
    "{.status.conditions[?(@.type=='Ready')].status}",
    '{.status.conditions[?(@.type == "Ready")].status}',
    '{.status.conditions[?(@.type!="Ready")].status}',
    '{.status.conditions[?(@.type=="A == B")].status}',
    "{.status.conditions[?(@.weight)].type}",
    "{.status.conditions[?(@.weight==2)].type}",
    "{.status.conditions[?(@.ok==true)].type}",
    '{.status.ports[?(@=="south")]}',
]


@pytest.mark.parametrize("path", UNDERSTOOD)
def test_it_finds_what_kubectl_finds(path: str) -> None:
    done = subprocess.run(
        ["kubectl", "patch", "--local", "-f", "-", "--type=merge", "-p", "{}", "-o", f"jsonpath={path}"],
        input=json.dumps(BOAT), env=dict(os.environ), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [shown for value in find(path, BOAT) if (shown := text(value)) is not None]
    assert found
    assert " ".join(found) == done.stdout


@pytest.mark.parametrize("path", [".status.phase", "{.status.phase}", "$.status.phase", " {.status.phase}\n"])
def test_braces_may_be_left_out(path: str) -> None:
    assert find(path, BOAT) == ["Sailing"]


@pytest.mark.parametrize(
    "path",
    [
        "{.status.none}", "{.status.phase.deeper}", "{.status.ports[2]}", "{.status.ports[-3]}", "{.status.phase[0]}",
        "{.status.phase[*]}", "{.status[*]}", "{.none[?(@.a==1)]}", '{.status.conditions[?(@.weight=="1")].type}',
        "{.status.conditions[?(@.ok==1)].type}", '{.status.ports[?(@.type!="x")]}',
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(path: str) -> None:
    assert find(path, BOAT) == []


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "it names no field"),
        ("{}", "it names no field"),
        ("{.}", "'.' in it is not understood"),
        ("{.status.phase", "one of its braces is missing"),
        (".status.phase}", "one of its braces is missing"),
        ("status.phase", "'status.phase' in it is not understood"),
        ("{.a}{.b}", "'}{.b' in it is not understood"),
        ("{..phase}", "'..phase' in it is not understood"),
        ("{.status.*}", "'.*' in it"),
        ("{.a[0:1]}", "'[0:1]' in it"),
        ("{.a['b','c']}", "in it is not understood"),
        ("{.a['b.c']}", "\"['b.c']\" in it"),
        ("{range .a[*]}", "'range .a[*]' in it"),
        ("{.a[?(@.b>1)]}", "the filter '@.b>1' is not understood"),
        ("{.a[?(@.b<=1)]}", "the filter '@.b<=1' is not understood"),
        ("{.a[?(@.b==c)]}", "'c' is compared with"),
        ("{.a[?(@.b==1.5)]}", "'1.5' is compared with"),
        ('{.a[?(@.b=="x" && @.c=="y")]}', "is compared with"),
        ("{.a[?(b==1)]}", "the filter 'b==1' is not understood"),
        ("{.a[?(@.b[?(@.c)])]}", "in it is not understood"),
        ("{.a.b c}", "' c' in it"),
        ("{.a[99999999999999]}", "in it is not understood"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_place(path: str, why: str) -> None:
    with pytest.raises(InputError) as error:
        check(path)
    assert why in error.value.message
    assert "{.status.phase}" in (error.value.hint or "")


@pytest.mark.parametrize("path", ["{.a[?(" + "'" * 1000, "{" + ".a" * 500 + "\\", "{.a[?(@" + "=" * 1000 + ")]}"])
def test_a_hostile_path_is_refused_at_once(path: str) -> None:
    with pytest.raises(InputError):
        check(path)


@pytest.mark.parametrize(
    ("value", "shown"), [("a", "a"), (1, "1"), (True, "true"), (1.5, "1.5"), (None, None), ({}, None), ([], None)]
)
def test_a_single_value_is_shown_as_kubectl_shows_it(value: Any, shown: str | None) -> None:
    assert text(value) == shown
