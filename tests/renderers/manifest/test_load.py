"""What every kind of scalar, key, document and error comes to; the expected values are written by hand."""

import pytest

from renderers.manifest import Loaded, ManifestError, load_text

SCALARS = {
    # booleans, in three spellings each
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"), False),
    **{text: text for text in ("yEs", "oN", "tRUE", "fALSE", "nULL")},
    # integers
    "0": 0, "-0": 0, "+7": 7, "1_000": 1000, "0644": 420, "-0644": -420, "0o644": 420, "0x1F": 31, "0X1f": 31,
    "0b11": 3, "-0b11": -3, "0b-11": -3, "08": 8, "09.5": 9.5, "0o8": "0o8", "0xG": "0xG", "0b2": "0b2",
    "9223372036854775807": 9223372036854775807, "-9223372036854775808": -9223372036854775808,
    "9223372036854775808": 9223372036854776000, "18446744073709551616": 18446744073709552000,
    "0xFFFFFFFFFFFFFFFFF": "0xFFFFFFFFFFFFFFFFF",
    # floats
    "1.0": 1, "-.5": -0.5, ".5": 0.5, "1.": 1, "1e3": 1000, "1.5e-3": 0.0015, "1e20": 100000000000000000000,
    "1e21": 1e21, "1e400": "1e400", "1e-400": 0, "1234567e2": 123456700, ".": ".", "1e": "1e", "Infinity": "Infinity",
    # what other readers take for times, and what else stays text
    "2020-01-01": "2020-01-01", "2020-01-01T00:00:00Z": "2020-01-01T00:00:00Z", "12:30:45": "12:30:45",
    "=": "=", "<<": "<<", "10.0.0.1": "10.0.0.1", "1.2.3": "1.2.3", "a b": "a b", "é😀": "é😀", "-.nan": "-.nan",
    # null
    "~": None, "null": None, "Null": None, "NULL": None, "": None,
    # quotes and tags
    '"y"': "y", "'0644'": "0644", '"\\u0041"': "A", "'it''s'": "it's", "! 12": "12", "!!str 12": "12",
    '!!int "12"': 12, "!!float 1": 1, '!!bool "on"': True, "!!null ''": None, "!!binary aGk=": "hi",
    "!!binary /w==": "\ufffd", "!!binary 4oI=": "\ufffd\ufffd", "!!timestamp 2020-01-01": "2020-01-01",
    "!mine 12": "12", "!!set {a, b}": {"a": None, "b": None}, "!!omap [a: 1]": [{"a": 1}],
}  # fmt: skip

KEYS = {
    "a": "a", "on": "true", "n": "false", "1": "1", "0644": "420", "0x10": "16", "-1": "-1", "1.0": "1", "1.5": "1.5",
    "0.1": "0.1", "16777217.0": "1.6777216e+07", "123456.5": "123456.5", "1234567.0": "1.234567e+06", "1e-5": "1e-05",
    "1e39": ".inf", ".inf": ".inf", "-.inf": "-.inf", ".nan": ".nan", "2020-01-01": "2020-01-01", "'1'": "1",
    "18446744073709551616": "1.8446744e+19", "!!binary aGk=": "hi", "? y\n": "true",
}  # fmt: skip

MERGES = {
    "<<: {a: 1}\nb: 2": {"a": 1, "b": 2},
    "<<: {a: 1}\na: 2": {"a": 2},
    "a: 2\n<<: {a: 1}": {"a": 1},
    "<<: [{a: 1, b: 1}, {a: 2, c: 2}]": {"a": 1, "b": 1, "c": 2},
    "x: &x {a: 1}\n<<: *x": {"x": {"a": 1}, "a": 1},
    "x: &x {a: 1}\n<<: [*x, {a: 3, b: 3}]": {"x": {"a": 1}, "a": 1, "b": 3},
    "'<<': {a: 1}": {"<<": {"a": 1}},
}

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
]


def data_of(loaded: Loaded) -> list[object]:
    return [document.data for document in loaded.documents]


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_is_what_kubectl_takes_it_for(text: str) -> None:
    (value,) = data_of(load_text(f"- {text}\n", file="f"))[0]  # type: ignore[misc]
    assert value == SCALARS[text]
    assert type(value) is type(SCALARS[text])


@pytest.mark.parametrize("text", KEYS)
def test_a_key_becomes_the_string_that_kubectl_makes_of_it(text: str) -> None:
    assert data_of(load_text(f"{text}: v\n", file="f")) == [{KEYS[text]: "v"}]


@pytest.mark.parametrize("text", MERGES)
def test_a_merge_writes_over_the_keys_before_it(text: str) -> None:
    assert data_of(load_text(text, file="f")) == [MERGES[text]]


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
