"""How texts are cut into documents, and what errors and warnings say. What values are: test_truth.py."""

import pytest

from renderers.manifest import Loaded, ManifestError, load_text

DOCUMENTS = {
    "": [],
    "\n# only a comment": [],
    "---\n---\n\nnull\n---\n~\n---": [],
    "a: 1\n---\nb: 2\n--- # comment\nc: 3": [{"a": 1}, {"b": 2}, {"c": 3}],
    "a: 1\n...\n# the end\n---\nb: 2\n": [{"a": 1}, {"b": 2}],
    "\ufeffa: 1": [{"a": 1}],
    "a: |\r\n  x\r\n  y\r\nb: 1\r\n": [{"a": "x\ny\n", "b": 1}],
    "a: |\n  x": [{"a": "x\n"}],
    "a: b\rc: d\n": [{"a": "b", "c": "d"}],
    "a: >\n  x\n  y\n\n  z\n": [{"a": "x y\nz\n"}],
    "a: {b: c}\nd:\t1\n": [{"a": {"b": "c"}, "d": 1}],
    '{"a": 1}{"a": 2}\n{"a": 3}': [{"a": 1}, {"a": 2}, {"a": 3}],
    '{"a": 1}\n---\nb: 2\n': [{"a": 1}, {"b": 2}],
    "{a: y}": [{"a": True}],
    '{"a": [1.0, 1e3, -0, 9223372036854775808, 0.5, "y"]}': [{"a": [1, 1000, 0, 9223372036854776000, 0.5, "y"]}],
    '{"a": "\\ud800 \\ud83d\\ude00"}': [{"a": "\ufffd 😀"}],
    '[{"a": 1}]': [[{"a": 1}]],
    '{"a": 1} null\n{"a": 2}\n\t': [{"a": 1}, {"a": 2}],
    "\t{a: 1}": [{"a": 1}],
    "a: 1\n---\n\ufeffb: 2\n": [{"a": 1}, {"b": 2}],
    "p: &x [1]\nq: *x\nr: &x [2]\ns: *x\n": [{"p": [1], "q": [1], "r": [2], "s": [2]}],
}

#: The text, then line and column, then a part of the message.
ERRORS = [
    ("a: 1\n b: 2\n", "2:3", "mapping values are not allowed"),
    ("a:\n\t- x\n", "2:1", "cannot start any token"),
    ("a: [1\nb: 2\n", "2:2", "from line 1"),
    ("a: 'x\n", "2:1", "unexpected end of stream"),
    ("a: 1\nb: \x07\n", "2", "control characters"),
    ("a: {{ .Values.a }}\n", "1:5", "a map or a list as a key"),
    ("a: .inf\n", "1:4", "infinity"),
    ("a: 1\n? .nan\n: -.INF\n", "3:3", "infinity"),
    ("~: a\n", "1:1", "null as a key"),
    ("{: a}\n", "1:2", "node content"),
    ("18446744073709551615: a\n", "1:1", "past 64 bits"),
    ("[a]: b\n", "1:1", "a map or a list as a key"),
    ("--- {a: 1}\n", "1:4", "separates documents"),
    ("a: 1\n---b\n", "2:4", "separates documents"),
    ("a: 1\n...\nb: 2\n", "3", "drop the rest"),
    ("{a: 1}\n{b: 2}\n", "2", "drop the rest"),
    ("{a: 1}\nb: 2\n", "2", "drop the rest"),
    ("a: *b\n", "1:4", "names no anchor"),
    ("a: &a [*a]\n", "1:8", "inside what it names"),
    ("<<: 1\n", "1:1", "<< takes a map"),
    ("x: &x [{a: 1}]\n<<: *x\n", "2:1", "<< takes a map"),
    ("a: !!int x\n", "1:4", "the tag !!int"),
    ("a: !!binary x\n", "1:4", "no base64"),
    ("a: !!timestamp x\n", "1:4", "the tag !!timestamp"),
    ('{"a": 1}{"a": 2}\n{"a": }', "2:7", "no JSON here"),
    ('{"a": 1e400}', "1", "too large"),
    ("a: 1\n---\nb: 2\n\ufeffc: 3\n", "4:1", "byte order mark"),
    ("\ufeff\ufeff\ufeffa: 1\n", "1:1", "byte order mark"),
    ("a: !b,c 1\n", "1:6", "expected whitespace"),
    ("a: [b:{c}]\n", "1:6", "unexpected ':'"),
    ('a: "\\q"\n', "1:5", "unknown escape"),
]


def data_of(loaded: Loaded) -> list[object]:
    return [document.data for document in loaded.documents]


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_text_is_cut_into_documents_where_kubectl_cuts_it(text: str) -> None:
    assert data_of(load_text(text, file="f")) == DOCUMENTS[text]


@pytest.mark.parametrize(("text", "place", "message"), ERRORS)
def test_what_kubectl_refuses_is_an_error_with_place_and_hint(text: str, place: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_text(text, file="dir/f.yaml")
    assert caught.value.where == f"dir/f.yaml:{place}"
    assert message in caught.value.message
    assert caught.value.hint
    assert "<unicode string>" not in str(caught.value)


def test_lines_count_over_all_documents_and_what_stands_before() -> None:
    loaded = load_text("# c\na: 1\n---\n\nb: 2\n", file="f", line_offset=10)
    assert [document.line for document in loaded.documents] == [12, 15]
    with pytest.raises(ManifestError) as caught:
        load_text("a: 1\n---\nb: [\n", file="f", line_offset=10)
    assert caught.value.where == "f:14:1"


def test_json_values_know_their_lines() -> None:
    loaded = load_text('{"a": [\n1]}\n\n{"b": 2} {"c": 3}\n', file="f")
    assert [document.line for document in loaded.documents] == [1, 4, 4]


def test_a_key_that_stands_twice_wins_with_a_warning() -> None:
    loaded = load_text("a: 1\nb:\n  c: 1\n  c: 2\n", file="f.yaml")
    assert data_of(loaded) == [{"a": 1, "b": {"c": 2}}]
    assert loaded.warnings == ("f.yaml:4: the key 'c' stands twice in one map; the last one wins",)


def test_a_key_that_stands_twice_in_json_is_a_warning_too() -> None:
    loaded = load_text('\n{"a": 1, "a": 2}', file="f.json")
    assert data_of(loaded) == [{"a": 2}]
    assert loaded.warnings == ("f.json:2: the key 'a' stands twice in one object; the last one wins",)


def test_a_merge_that_hides_a_key_is_a_warning_and_a_key_that_hides_a_merge_is_none() -> None:
    assert load_text("<<: {a: 1}\na: 2\n", file="f").warnings == ()
    (warning,) = load_text("a: 2\n<<: {a: 1}\n", file="f").warnings
    assert warning.startswith("f:2: the key 'a' stands before <<")


def test_many_warnings_are_counted_and_not_kept() -> None:
    warnings = load_text("a: 1\n" * 500, file="f").warnings
    assert len(warnings) == 101
    assert warnings[-1] == "f: 399 more warnings are not shown"


def test_what_kubectl_escapes_and_libyaml_does_not_is_read_wherever_it_stands() -> None:
    text = """a: "it\\'s \\\\' \\"it\\'s\\""\nb: 'C:\\'\nc: it\\'s\nd: [x:, "\\'", it's:, {y:}]\n"""
    assert data_of(load_text(text, file="f")) == [
        {"a": "it's \\' \"it's\"", "b": "C:\\", "c": "it\\'s", "d": ["x:", "'", "it's:", {"y:": None}]}
    ]


def test_bytes_that_are_no_utf8_are_replaced_with_a_warning() -> None:
    loaded = load_text(b"a: 1\nb: \xff\n", file="f")
    assert data_of(loaded) == [{"a": 1, "b": "\ufffd"}]
    assert loaded.warnings[0].startswith("f:2: ")


def test_utf16_with_a_mark_is_read() -> None:
    assert data_of(load_text("a: é\n".encode("utf-16"), file="f")) == [{"a": "é"}]


def test_aliases_are_copies() -> None:
    (data,) = data_of(load_text("a: &x {b: [1]}\nc: *x\n", file="f"))
    data["a"]["b"].append(2)  # type: ignore[index]
    assert data["c"] == {"b": [1]}  # type: ignore[index]


def test_an_error_shows_no_value() -> None:
    with pytest.raises(ManifestError) as caught:
        load_text("password: !!int hunter2\n", file="f")
    assert "hunter2" not in str(caught.value)
