"""The loader and the dumper beside the real kubectl: the same text has to be the same data for both."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from renderers.manifest import ManifestError, dump, dump_all, load_text

Reads = Callable[[str | bytes], list[Any] | None]

_NUMBERS = (
    "0", "7", "08", "0644", "0o17", "0O17", "0x1F", "0b11", "0B11", "1_0", "1.0", "1.50", ".5", "1.", "1e3", "1E-3",
    "1e400", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "1e21",
    "12:30", "2020-01-01", "0777777777777777777777777", "0xFFFFFFFFFFFFFFFF", "1_0.5_0", "16777217.0",
)  # fmt: skip
_WORDS = ("y", "yes", "n", "no", "on", "off", "true", "false", "null", "nan", "inf", ".Infinity", "=", "<<x", "-.nan")


def scalars() -> list[str]:
    """About 300 plain scalars that look like something, and none that kubectl refuses as a value."""
    signed = [sign + number for sign, number in itertools.product(("", "-", "+"), _NUMBERS)]
    cased = [form for word in _WORDS for form in (word, word.upper(), word.title(), word[:1] + word[1:].upper())]
    draw = random.Random(1)
    drawn = ["".join(draw.choices("0123456789_+-.eExob", k=draw.randint(1, 7))) for _ in range(250)]
    fine = {text for text in signed + cased + drawn if not text.startswith("---") and text not in ("-", "...")}
    return sorted(fine | {"~", "0b-11", "0b+11", "-0b-11", ".1_0", "1__0", "0_8", "1e1_0"})


def nasty_texts() -> list[str]:
    """Strings of what has a meaning in YAML."""
    draw = random.Random(2)
    alphabet = " \n\t:#-'\"\\|>{}[],&*!%@`?~0e.=<ax\r\x00\x07\x7f\x85\u2028\ufeffé😀\ue000\uffff"
    drawn = ["".join(draw.choices(alphabet, k=draw.randint(1, 6))) for _ in range(400)]
    return [
        *drawn,
        "",
        " ",
        "\n",
        "a\n",
        "a\n\n",
        "\na",
        " a\nb\n",
        "\ta\nb",
        "a\n  ",
        "---",
        "--- a",
        "...",
        "k" * 3000,
    ]


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def differing(one: dict[str, Any], other: dict[str, Any], texts: list[str]) -> list[Any]:
    return [(t, a, b) for t, a, b in zip(texts, one["list"], other["list"], strict=True) if not same(a, b)]


def test_plain_scalars_are_the_same_values(kubectl_reads: Reads, head: str) -> None:
    texts = scalars()
    assert len(texts) > 300
    text = head + "list:\n" + "".join(f"- {scalar}\n" for scalar in texts)
    (ours,) = load_text(text, file="f").documents
    (theirs,) = kubectl_reads(text) or ()
    assert differing(ours.data, theirs, texts) == []


def test_plain_scalars_are_the_same_keys(kubectl_reads: Reads, head: str) -> None:
    refused = ("null", "~", "18446744073709551615", "9223372036854775808", "0xffffffffffffffff")
    texts = [text for text in scalars() if text.lower() not in refused]
    text = head + "list:\n" + "".join(f"- {scalar}: 1\n" for scalar in texts)
    (ours,) = load_text(text, file="f").documents
    (theirs,) = kubectl_reads(text) or ()
    assert differing(ours.data, theirs, texts) == []


def test_what_was_dumped_is_the_same_for_kubectl(kubectl_reads: Reads, head: str) -> None:
    texts = list(dict.fromkeys(scalars() + nasty_texts()))
    numbers = [0, -1, 2**62, 1.5, -0.1, 1e21, 1e-7, 1e300, True, False, None, {}, []]
    data = {
        **load_text(head, file="f").documents[0].data,
        "list": texts,
        "numbers": numbers,
        "keys": {text: [text] for text in texts},
        "nested": [[[text], {"a": text, "b": [{"c": text}]}] for text in texts],
    }
    (theirs,) = kubectl_reads(dump(data)) or ()
    assert differing(data, theirs, texts) == []
    assert same(theirs, data)


def test_several_dumped_documents_are_the_same_for_kubectl(kubectl_reads: Reads, head: str) -> None:
    base = load_text(head, file="f").documents[0].data
    documents = [{**base, "text": text} for text in ("a\n\n", "a\n", "---\na\n", "\n", "a")]
    assert kubectl_reads(dump_all(documents)) == documents


@pytest.mark.parametrize(
    "tail",
    [
        "x: [a:b, {a:b}, {\"a\":b}, [a: b], {a, b}, [a, ]]\n",
        "x: {? a : b, ? c}\n",
        "x:\n- - - a\n    - b\n",
        "x:\n- a\n",
        "x: a b\n  c d\n\n  e\n",
        "x: \"a\n\n  b\\\n  c\"\n",
        "x: |2\n   a\ny: |+\n  a\n\nz: >-\n  a\n   b\n  c\n",
        "x: {1e3: a, 0644: b, on: c, 1.5: d, 2020-01-01: f, .inf: g}\n",
        "x: {<<: {a: 1}, a: 0}\ny: {a: 0, <<: {a: 1}}\n",
        "x: &x {a: 1}\ny: {<<: *x, b: *x}\nz: [*x, &x 2, *x]\n",
        "x: &a [&a b, *a]\n",
        "x: [&a 1.0, *a, &b 9223372036854775808, *b, &c y, *c, {*a : *a, *c : *c}]\n",
        "x: [&k y, {*k : v}]\n",
        "x: [! 12, !!str 12, !!int '12', !!float 1, !!bool 'y', !!binary 4oI=, !!set {a}, !mine 1, !!merge 1]\n",
        "x: 1\nx: 2\n",
        "x: a\rw: b\n",
        "x: 1\n--- # comment\napiVersion: v1\nkind: Probe\nmetadata: {name: other}\n",
        "x: 1\n...\n# end\n",
        "? " + "k" * 2000 + "\n: b\n",
        "x:\ta\ny: {\n\ta: b}\n",
        "x: a\ufeffb\n",
    ],
)  # fmt: skip
def test_structure_is_the_same(kubectl_reads: Reads, head: str, tail: str) -> None:
    theirs = kubectl_reads(head + tail)
    assert theirs is not None
    assert same([document.data for document in load_text(head + tail, file="f").documents], theirs)


@pytest.mark.parametrize(
    "text",
    [
        '{"apiVersion":"v1","kind":"Probe","metadata":{"name":"a"},"x":[1.0,1e3,-0,-0.0,9223372036854775808,"\\ud800"]}',
        '{"apiVersion":"v1","kind":"Probe","metadata":{"name":"a"}}\n'  # noqa: ISC004 - one text in two lines
        "---\napiVersion: v1\nkind: Probe\nmetadata: {name: b}\n",
        '{"apiVersion":"v1","kind":"Probe","metadata":{"name":"a"}} \n' * 2,
        '{"apiVersion":"v1","kind":"Probe","metadata":{"name":"a"},}',
        "\ufeff# mark\r\napiVersion: v1\r\nkind: Probe\r\nmetadata: {name: a}\r\nx: |\r\n  a\r\n  b\r\n",
        "apiVersion: v1\nkind: Probe\nmetadata: {name: a}\nx: é\n".encode("utf-16"),
        b"apiVersion: v1\nkind: Probe\nmetadata: {name: a}\nx: \xff \xe2\x82 b\n",
        "---\n---\n# c\n---\nnull\n---\napiVersion: v1\nkind: Probe\nmetadata: {name: a}\n---\n",
    ],
)
def test_the_text_as_a_whole_is_the_same(kubectl_reads: Reads, text: str | bytes) -> None:
    theirs = kubectl_reads(text)
    assert theirs
    assert same([document.data for document in load_text(text, file="f").documents], theirs)


@pytest.mark.parametrize(
    "tail",
    [
        "x: .inf\n", "~: a\n", "18446744073709551615: a\n", "[a]: b\n", "--- {a: b}\n", "----\n", "x: *a\n",
        "x: &x [*x]\n", "<<: 1\n", "x: &x [{a: 1}]\n<<: *x\n", "x: !!int y\n", "x: !!binary y\n", "x: 'a\n",
        "\tx: a\n", "x: \x07\n", "x: {{ .Values.x }}\n", "a: b: c\n", "k" * 1025 + ": b\n",
    ],
)  # fmt: skip
def test_what_kubectl_refuses_is_refused(kubectl_reads: Reads, head: str, tail: str) -> None:
    assert kubectl_reads(head + tail) is None
    with pytest.raises(ManifestError):
        load_text(head + tail, file="f")
