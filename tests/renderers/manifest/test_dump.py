"""How data is written, and that it comes back as it was."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plaindata import DATA, as_floats

from renderers.manifest import dump, dump_all, load_text


@settings(deadline=None, database=None, max_examples=300)
@given(DATA)
def test_what_is_dumped_is_loaded_as_it_was(data: Any) -> None:
    documents = load_text(dump(data), file="f").documents
    assert as_floats([document.data for document in documents]) == as_floats([] if data is None else [data])


@settings(deadline=None, database=None, max_examples=100)
@given(st.lists(DATA.filter(lambda data: data is not None), max_size=4))
def test_several_documents_stay_several(documents: list[Any]) -> None:
    loaded = load_text(dump_all(documents), file="f").documents
    assert as_floats([document.data for document in loaded]) == as_floats(documents)


def test_the_style_is_the_one_of_kubectl() -> None:
    data = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "shop", "labels": {}, "annotations": {"description": "für 😀"}},
        "data": {"run.sh": "#!/bin/sh\nexec nginx\n", "empty": "", "none": None, "on": "y"},
        "args": ["--port=80", "-v", ["nested", {"a": 1, "b": [True]}], []],
        "image": "nginx:1.13.12",
        "json": '{"a": "b"}',
    }
    assert dump(data) == (
        "kind: ConfigMap\n"
        "apiVersion: v1\n"
        "metadata:\n"
        "  name: shop\n"
        "  labels: {}\n"
        "  annotations:\n"
        "    description: für 😀\n"
        "data:\n"
        "  run.sh: |\n"
        "    #!/bin/sh\n"
        "    exec nginx\n"
        '  empty: ""\n'
        "  none: null\n"
        '  "on": "y"\n'
        "args:\n"
        "- --port=80\n"
        "- -v\n"
        "- - nested\n"
        "  - a: 1\n"
        "    b:\n"
        "    - true\n"
        "- []\n"
        "image: nginx:1.13.12\n"
        'json: \'{"a": "b"}\'\n'
    )


@pytest.mark.parametrize(
    "text",
    ["y", "No", "on", "true", "null", "~", "08", "0o644", "1e3", "1234567e2", "1.0", "0x1F", ".5", "1_000", "12:30:45",
     "2020-01-01", "=", "<<", ".inf", "-0b1"],
)  # fmt: skip
def test_a_string_that_some_reader_takes_for_another_type_is_quoted(text: str) -> None:
    assert dump({"a": text}) == f'a: "{text}"\n'
    assert dump([text]) == f'- "{text}"\n'


@pytest.mark.parametrize(
    "text", ["a", "10.0.0.1", "nginx:1.13", "--port=80", "$(X)", "a#b", "a:b", "/etc/x", "a{b}", "_x"]
)
def test_a_string_that_nobody_misreads_stays_plain(text: str) -> None:
    assert dump({"a": text}) == f"a: {text}\n"


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("a\nb\n", "|\n  a\n  b\n"),
        ("a\nb", "|-\n  a\n  b\n"),
        ("a\n\n", "|+\n  a\n\n"),
        ("\n  a\n", "|2\n\n    a\n"),
        ("a\n\n\tb\n", "|\n  a\n\n  \tb\n"),
    ],
)
def test_a_text_of_several_lines_is_a_block(text: str, block: str) -> None:
    assert dump({"a": text}) == f"a: {block}"


def test_what_no_block_can_carry_is_escaped() -> None:
    assert dump({"a": "x\r\ny\x00\u2028"}) == 'a: "x\\r\\ny\\0\\u2028"\n'


def test_one_object_in_two_places_is_written_twice() -> None:
    shared = {"x": [1]}
    assert dump({"a": shared, "b": shared}) == "a:\n  x:\n  - 1\nb:\n  x:\n  - 1\n"


def test_nothing_is_written_for_no_documents() -> None:
    assert dump_all([]) == ""


@pytest.mark.parametrize("data", [math.inf, math.nan])
def test_what_json_has_no_number_for_is_refused(data: float) -> None:
    with pytest.raises(ValueError, match="no place in a Kubernetes object"):
        dump({"a": data})


@pytest.mark.parametrize("data", [{1: "a"}, {"a": object()}, {"a": b"x"}])
def test_what_is_no_plain_data_is_refused(data: Any) -> None:
    with pytest.raises(TypeError):
        dump(data)
