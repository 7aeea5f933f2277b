"""`${VAR}` in objects: what is replaced, by what, and what is an error."""

from textwrap import dedent
from typing import Any

import msgspec
import pytest

from renderers.api import Limits, Rendered, RenderError
from renderers.manifest import load_text, parse_documents
from renderers.post import apply_post
from renderers.settings import RenderStep, Steps, VarsFrom

VARS = {"NAME": "web", "N": "3", "V": "1.10", "EMPTY": "", "AGAIN": "${NAME}", "ON": "true", "BIG": "x" * 1000}


def substituted(data: Any, *, variables: Any = VARS, limits: Limits | None = None) -> Any:
    """The value of a ConfigMap's field after one substitution."""
    (manifest,) = rendered({"data": data}, variables=variables, limits=limits)
    return manifest["data"]


def rendered(*objects: dict[str, Any], variables: Any = VARS, limits: Limits | None = None) -> list[Any]:
    named = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}"}, **data}
        for n, data in enumerate(objects)
    ]
    texts = "\n".join(f"---\n{msgspec.json.encode(data).decode()}" for data in named)
    manifests, _ = parse_documents(texts, file="all.yaml", unit=".")
    steps = Steps(None, (msgspec.convert({"substitute": {"vars": variables}}, RenderStep),))
    result = apply_post(Rendered(manifests), steps, limits=limits or Limits())
    return [manifest.data for manifest in result.manifests]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "web"),
        ("a-${NAME}-${N}.b", "a-web-3.b"),
        ("${N}", "3"),
        ("${V}", "1.10"),
        ("${EMPTY}", ""),
        ("${MISSING:-of ${}", None),
        ("${MISSING:-a default: $1}", "a default: $1"),
        ("${MISSING:=x}", "x"),
        ("${MISSING:-}", ""),
        ("${EMPTY:-x}", "x"),
        ("${NAME:-x}", "web"),
        ("${N:number}", 3),
        ("${V:number}", 1.1),
        ("${MISSING:number:-7}", 7),
        ("${ON:bool}", True),
        ("${MISSING:bool:=false}", False),
        ("${AGAIN}", "${NAME}"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$web"),
        ("$$$${NAME}", "$${NAME}"),
        ("$NAME $(NAME) $$ $$(NAME) $1 {NAME}", "$NAME $(NAME) $$ $$(NAME) $1 {NAME}"),
    ],
)
def test_forms_and_what_they_give(text: str, value: Any) -> None:
    if value is None:
        with pytest.raises(RenderError):
            substituted({"k": text})
    else:
        result = substituted({"k": text})["k"]
        assert (type(result), result) == (type(value), value)


@pytest.mark.parametrize(
    "form",
    ["${}", "${1}", "${A B}", "${#A}", "${N-x}", "${N:+x}", "${N/a/b}", "${N:0:1}", "${N", "${N:int}", "${${N}}"],
)
def test_another_form_is_an_error_that_does_not_repeat_it(form: str) -> None:
    with pytest.raises(RenderError) as caught:
        substituted({"k": f"hidden {form} hidden"})
    assert "a form that is neither ${NAME} nor ${NAME:-default} in ConfigMap/c0 (all.yaml:2), data.k" in str(
        caught.value
    )
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NAME:number}", "NAME, whose value is no number, in "),
        ("${NAME:bool}", "NAME, whose value is no bool, in "),
        ("x${N:number}", "N as a number within a longer text in "),
        ("${N:number} ", "N as a number within a longer text in "),
        ("${MISSING:number}", "MISSING, which is not defined, in "),
    ],
)
def test_a_type_must_fit_and_stand_alone(text: str, message: str) -> None:
    with pytest.raises(RenderError) as caught:
        substituted({"k": text})
    assert message in caught.value.message
    assert "web" not in str(caught.value)


def test_every_undefined_variable_is_named_at_once_with_object_and_field() -> None:
    with pytest.raises(RenderError) as caught:
        rendered(
            {"data": {"a.b": "${ONE} ${NAME} ${ONE}"}},
            {"spec": {"list": [{"x": "${TWO}"}, "${THREE}"]}, "metadata": {"name": "x", "namespace": "n"}},
        )
    assert caught.value.where == "render[0].substitute"
    assert caught.value.message.splitlines() == [
        "these cannot be substituted:",
        '  ONE, which is not defined, in ConfigMap/c0 (all.yaml:2), data["a.b"]',
        "  TWO, which is not defined, in ConfigMap/n/x (all.yaml:4), spec.list[0].x",
        "  THREE, which is not defined, in ConfigMap/n/x (all.yaml:4), spec.list[1]",
    ]


def test_keys_and_what_is_no_text_stay() -> None:
    data = {"${NAME}": 1, "n": None, "f": 1.5, "t": True, "l": []}
    assert substituted(data) == data


def test_names_are_substituted_and_with_them_the_id() -> None:
    (result,) = rendered({"metadata": {"name": "${NAME}-c", "namespace": "${MISSING:-shop}"}})
    assert result["metadata"] == {"name": "web-c", "namespace": "shop"}


@pytest.mark.parametrize("place", ["annotations", "labels"])
@pytest.mark.parametrize("name", ["trimtab.dev/substitute", "kustomize.toolkit.fluxcd.io/substitute"])
def test_an_object_can_opt_out(place: str, name: str) -> None:
    own = {"metadata": {"name": "x", place: {name: "disabled"}}, "data": {"k": "${NOT:+this}"}}
    left, done = rendered(own, {"data": {"k": "${NAME}"}})
    assert left["data"] == {"k": "${NOT:+this}"}
    assert done["data"] == {"k": "web"}


def test_values_are_bounded() -> None:
    with pytest.raises(RenderError, match="come to more than 0 MiB"):
        substituted({"k": "${BIG}" * 100}, limits=Limits(output=50_000))


def test_a_hostile_row_of_dollars_costs_little() -> None:
    assert substituted({"k": "$" * 400_000 + "${"[:1] + "{N}"})["k"].endswith("$3")


def test_many_problems_are_counted() -> None:
    with pytest.raises(RenderError, match="and 950 more"):
        substituted({f"k{n}": "${X}" for n in range(1000)})


def test_variables_come_from_sources_in_their_order_and_vars_win() -> None:
    first, second = VarsFrom(kind="ConfigMap", name="a"), VarsFrom(kind="Secret", name="b")
    absent = VarsFrom(kind="Secret", name="c", optional=True)
    text = """
        - substitute:
            vars: {C: vars}
            from: [{kind: ConfigMap, name: a}, {kind: Secret, name: b}, {kind: Secret, name: c, optional: true}]
        """
    (document,) = load_text(dedent(text), file="s").documents
    steps = Steps.of(msgspec.convert(document.data, list[RenderStep]), where="test")
    manifests, _ = parse_documents(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {k: '${A} ${B} ${C}'}}", file="f", unit="u"
    )
    sources = {first: {"A": "a", "B": "a", "C": "a"}, second: {"B": "b", "C": "b"}}
    result = apply_post(Rendered(manifests), steps, limits=Limits(), variables=sources)
    assert result.manifests[0].data["data"] == {"k": "a b vars"}
    assert absent not in sources


def test_a_source_that_is_not_there_is_named() -> None:
    step = msgspec.convert({"substitute": {"from": [{"kind": "Secret", "name": "s"}]}}, RenderStep)
    with pytest.raises(RenderError, match="Secret s with variables is not there") as caught:
        apply_post(Rendered(()), Steps(None, (step,)), limits=Limits())
    assert caught.value.where == "render[0].substitute.from[0]"
