"""Texts that a reader of YAML may get wrong, by the hundred: scalars, keys, bodies of an object, whole files."""

import itertools
import random
from collections.abc import Iterator

from yamldraw import body, letters

TYPE = "apiVersion: v1\nkind: Probe\n"
HEAD = TYPE + "metadata: {name: probe}\n"
BASE = {"apiVersion": "v1", "kind": "Probe", "metadata": {"name": "probe"}}

_JSON = '{"apiVersion":"v1","kind":"Probe","metadata":{"name":"probe"}}'
_FLOW = "{apiVersion: v1, kind: Probe, metadata: {name: probe}}"

_NUMBERS = (
    "0", "1", "1.5", "7", "09.5", "1.5e-3", "1234567e2", "08", "09", "00", "007", "0644", "0o17", "0O17", "0o8",
    "0x1F", "0X1f", "0xG", "0b11", "0B11", "0b2", "1_0", "1__0", "_1", "1_", "0_8", "0x_1F", "0_x1", "1_0.5_0", ".1_0",
    "1e1_0", "1.0", "1.50", "0.0", ".5", "1.", ".", "..", "1.2.3", "1e3", "1E3", "1e+3", "1E-3", "1.5e300", "1e400",
    "1e-400", "1e", "e1", ".e1", "5e-324", "1.7976931348623157e308", "1.7976931348623159e308", "0.1",
    "0.30000000000000004", "16777217.0", "1e15", "1e16", "1e20", "1e21", "1e22", "123456789012345680000",
    "9007199254740993", "2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551615",
    "18446744073709551616", "123456789012345678901234567890", "0777777777777777777777777", "0x7FFFFFFFFFFFFFFF",
    "0xFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFF", "0b" + "1" * 63, "0b" + "1" * 64, "0b" + "1" * 65, "1" * 500,
    "0." + "1" * 400, "12:30", "12:30:45", "190:20:30", "1:1", "2020-01-01", "2020-1-1", "2020-01-01T00:00:00Z",
    "2020-13-01", "2020-01-01 10:00:00", "2020-01-01t1:2:3.5+01:00", "2020-02-30", "0001-01-01", "1,000", "1 000",
    "1/2", "5%", "1k", "100m", "1Gi", "1e3Mi", "0x", "0b", "0o", "x1", "1x", "10.0.0.1", "::1", "1e5e6",
)  # fmt: skip
_WORDS = (
    "y", "yes", "n", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity", "none", "nil", "undefined",
    ".nan", ".inf", "+.inf", "-.inf", "-.nan", ".infinity", "~~", "~a", "=", "<<x", "yess", "on1", "t", "f",
)  # fmt: skip
_ESCAPES = "0abtnvfre \"\\N_LP'xuUsqcd1z\n\t%"
_TAGS = (
    "!!str", "!!int", "!!float", "!!bool", "!!null", "!!binary", "!!timestamp", "!!merge", "!!map", "!!seq", "!!set",
    "!!omap", "!", "!mine", "!<tag:yaml.org,2002:int>", "!<x>", "!!python/object:x", "!!unknown",
)  # fmt: skip
_TAGGED = (
    "12", "1.5", "y", "null", "''", "'12'", "aGk=", "/w==", "2020-01-01", "{a: 1}", "[a]", "18446744073709551616",
)  # fmt: skip
_BLOCKS = (
    "a", "a\nb", "a\n\nb", " a\nb", "\na", "\n\n a\nb", "a\n b\nc", "a\n\n b\n\nc\n\n", "# c", "a # c", "- x", "b: c",
    "\ta", "a\t", "---x", "...x", "'a", '"', "a\\nb", "%x", "é😀", "a\n \nb", "a  \nb", "{{ x }}", "",
)  # fmt: skip
_QUOTED = (
    "''", '""', "'it''s'", "'a\n  b'", "'a\n\n  b'", '"a\n  b"', '"a\\\n  b"', '"a \\\n  b"', '"a\n\n\n  b"', "' a '",
    '"\\ud800"', '"\\ud83d\\ude00"', '"\\U0001F600"', '"\\U00110000"', '"\\x4"', '"\\u00"', "'\\n'", "'a' b",
    '"a" # c', '"a"b', "'# no'", "'a: b'", "'\t'", '"\t"', '"it\\\'s"', '"a\\/b"', '"a\\\\\'b"', "'a\\' # \\'", '"é"',
    "'😀'", '"\x7f"', '"\x85"', '"\xa0"', '"\u2028"', "'\u2028'", '"\ue000"', '"\ufffd"', '"a\ufeffb"', '"---"',
    '"a\n---"', "'a\n  ...'",
)  # fmt: skip
_PLAIN = (
    "a", "a b", "a  b", "a\n  b", "a\n\n  b", "a#b", "a #b", "a:b", "a: b", "a :b", "a:", ":a", ": a", "-a", "- a",
    "?a", "? a", "--- a", "---a", "...", ". a", "@a", "`a", "%a", "&a", "&a b", "*a", "!a", "|a", ">a", "a|b", "a>",
    "'a", '"a', "a'", 'a"', "a'b", "[a", "a]", "a[b]", "{a", "a}", "a{b}", ",a", "a,b", "#a", "\\a", "a\\n", "a\tb",
    "\ta", "a\t", "a\xa0b", "\xa0", "a\u2028b", "a\u2028  b", "é", "😀", "日本語", "\ue000", "\x7f", "\x80", "\x85",
    "a\x07", "\x00", "\ufffe", "\ud800", "{{ .Values.x }}", "$(X)", "${X}", "<a>", "=a", "a=b", "/etc/x", "nginx:1.13",
    "http://a/b#c", "--port=80", "-", "--", "a -b", "*.example.com", "0.0.0.0/0", "a\rb", "a\r  b", "k" * 3000,
)  # fmt: skip
_FLOWS = (
    "[]", "{}", "[a]", "[a, b]", "[a,b]", "[a, ]", "[a,, b]", "[, a]", "[a", "{a}", "{a, b}", "{a: b}", "{a:b}",
    "{a: }", "{a: b, }", "{a: b,, }", '{"a":b}', "{'a':b}", "{a: {b: [c]}}", "[[], {}, [[]]]", "[a: b]", "[a: b, c]",
    "{? a : b}", "{? a, ? b}", "{? [a] : b}", "[? a]", "[a\n  , b]", "[a b\n  c]", "{a: b\n  c}", "{a: [b]: c}",
    "[{a: b}, {a: c}]", "[a #c\n  , b]", "[a]b", "{a: b}c", "[a:b, c]", "[http://a/b]", "[- a]", "[-a]", "[*.a]",
    "[a]: b", "{a: b}: c", "{a: *x}", "[&x a, *x]", "{&x a: *x}", "[&x [a], *x]", "&x [*x]", "&x {a: *x}",
    "{<<: {a: 1}}", "{<<: [{a: 1}]}", "{<<: {}}", "{<<: []}", "{<<: }", "{<<: a}", "{<<: [a]}", "{<<: [[{a: 1}]]}",
    "{'<<': {a: 1}}", "{!!merge <<: {a: 1}}", "{!!str <<: {a: 1}}", "{!!merge x: {a: 1}}", "[a:]", "[a:, b]",
    "{a:, b}", "{a:}", "[a:{b}]", "[it's:, b]", "[a\n  b:]", "[http://a:]", "[a?]", "[a?b]", "{a?: b}", "[?b]",
    "{a::b}", "[:]", "{a:'b'}", "<<", "[<<]", "{<<: {<<: {a: 1}, b: 2}, c: 3}", "{a: !!str}", "{~: a}", "{null: a}",
    "{'': a}", "{: a}", "{? : a}", "{1: a, 2: b}", "{1.0: a, 2.5: b}", "{y: a, n: b}", "[1, 1.0, '1', y, ~, 0644]",
    "{a: 1\n  b: 2}", "[\ta,\tb\t]", "{a:\tb}", "[a,\n\tb]", "[\na\n]", "[\n]",
)  # fmt: skip
_COLLECTIONS = (
    "\n- a\n- b", "\n  - a\n  - b", "\n - a\n  - b", "\n- - a\n  - - b\n- c", "\n- a: 1\n  b: 2\n- c: 3",
    "\n-\n- \n- ~", "\n- a\n-b", "\n-\ta", "\n- \ta", "\n  a: 1\n  b: 2", "\n  a: 1\n   b: 2", "\n    a: 1\n  b: 2",
    "\n  a:\n  - b\n  c: d", "\n  ? a\n  : b", "\n  ? a\n  ? b", "\n  ? - a\n  : b", "\n  ? |\n    a\n  : b",
    "\n  a: 1\n\n  # c\n\n  b: 2", "\n  # only", "\n\n  a: 1", "\n\ta: 1", "\n  a: 1\n\tb: 2",
    "\n  a: 1\t\n  b: 2 \t# c", "\n  a: &x\n    b: 1\n  c: *x", "&x\n  a: 1", "!!map\n  a: 1", "!!seq\n- a",
    "\n  a: |\n    b\n  c: >-\n    d\n    e", "\n  a: 'b\n    c'\n  d: e", "\n  a: b\n    c\n  d: e", "\n  a: b\n  c",
    "\n- a: |\n   b\n  c: d", "\n- |\n  a\n- >\n  b", "\n- ? a\n  : b", "\n- : a", "\n- {a: b}\n- [c]",
    "\n  'a': 1\n  \"b\": 2", "\n  a : 1", "\n  a  :  1", "\n  a:1", "\n  - a\n  b: c", "\n  b: c\n  - a",
)  # fmt: skip
_KEYS = (
    "a", "a b", "a.b/c", "'a'", '"a"', "'a b'", "a#b", "a-b", "-a", "?a", "é", "😀", "'1'", '"\\x41"', "''", '""',
    "! a", "!!str 1", "!!int '1'", "!!float 1", "!!bool y", "!!binary aGk=", "!!null ''", "!mine a", "&k a", "<<x",
    "=", "%a", "$a", "(a)", "a,b", "[a]", "{a: b}", "? a\n  ", "? 1\n  ", "? |\n   a\n  ", "? [a]\n  ", "? {a: b}\n  ",
    "? \n  ", "a: b", "*a ", "'a\n   b'", "a\n   b", "k" * 100, "k" * 1000, "k" * 1023, "k" * 1024, "k" * 1025,
    "é" * 512, "'" + "k" * 1021 + "'", "'" + "k" * 1023 + "'", "? " + "k" * 1500 + "\n  ",
    "? '" + "k" * 1500 + "'\n  ", "0.1", "1.10", "123456.5", "1234567.0", "12345678.9", "1e-5", "1e-4", "0.00012",
    "1e39", "-1e39", "3.4028235e38", "1e-46", "-0.0", "-0", "1e6", "999999.0", "2097152.0", "0x10", "1_000",
    "2020-01-01", "12:30", "a\t", "\ta",
)  # fmt: skip

_MERGES = (
    "x: {<<: {a: 1}, b: 2}", "x: {b: 2, <<: {a: 1}}", "x: {<<: {a: 1}, a: 2}", "x: {a: 2, <<: {a: 1}}",
    "x: {a: 0, <<: {a: 1}, a: 2}", "x: {<<: {a: 1}, <<: {a: 2, b: 2}}", "x: {<<: [{a: 1, b: 1}, {a: 2, c: 2}]}",
    "x: {<<: [{a: 1}, {b: 2}], <<: {c: 3}}", "x: &x {a: 1}\ny: {<<: *x}", "x: &x {a: 1}\ny: {<<: *x, a: 2}",
    "x: &x {a: 1}\ny: {b: 2, <<: *x}", "x: &x {a: 1}\nz: &z {a: 2, b: 2}\ny: {<<: [*x, *z]}",
    "x: &x {a: 1}\ny: {<<: [*x, {a: 3, b: 3}], c: 4}", "x: &x {a: {b: 1}}\ny: {<<: *x, a: {c: 2}}",
    "x: &x {a: 1}\ny: &y {<<: *x, b: 2}\nz: {<<: *y, c: 3}", "x: &x\n  a: 1\ny:\n  <<: *x\n  b: 2\n  <<: {c: 3}",
    "x: &x\n  a: 1\ny:\n- <<: *x\n  b: 2\n- <<: *x", "x: &x [{a: 1}]\ny: {<<: *x}", "x: &x 1\ny: {<<: *x}",
    "x: &x {a: 1}\n<<: *x", "<<: {x: 1}", "<<:\n  x: 1\n  y: 2", "<<: [{x: 1}, {z: 2}]", "<<: {kind: Other}",
    "x: {? << : {a: 1}}", "x: {<<: &m {a: 1}, b: *m}", "x: {<<: !!map {a: 1}}", "x: {&k <<: {a: 1}}", "x: &x {<<: *x}",
    "x: &x {a: 1}\ny: {<<: [*x, 1]}", "x: &x {a: 1}\ny: {<<: [[*x]]}", "x: {<<: [&m {a: 1}, *m], b: *m}", "<<: ~",
    "<<: ''", "x: &k <<\ny: {*k : {a: 1}}",
)  # fmt: skip
_ANCHORS = (
    "x: &a 1\ny: *a", "x: &a [1]\ny: *a\nz: *a", "x: &a {b: &c d}\ny: *c\nz: *a", "x: &a 1\ny: &a 2\nz: *a",
    "x: *a\ny: &a 1", "x: &a\ny: *a", "x: &a ''\ny: [*a]", "x: [&a 1.0, *a, &b 9223372036854775808, *b, &c y, *c]",
    "x: {*a : 1}\ny: &a b", "x: &a k\ny: {*a : *a}", "x: &a [k]\ny: {*a : 1}", "x: &a {k: 1}\ny: {*a : 1}",
    "x: &a [*a]", "x: &a {b: *a}", "x: &a [&a b, *a]", "x: &a-b_1 1\ny: *a-b_1", "x: &a.b 1\ny: *a.b", "x: &é 1",
    "x: *", "x: &", "x: & a", "x: &a &b 1", "x: &a !!str 1\ny: *a", "x: !!str &a 1\ny: *a", "x: &a *b", "x: *a b",
    "x: *a\n", "x: &a |\n  t\ny: *a", "&a x: *a", "&a x: 1\ny: *a", "x: [*a]\n", "x: &a .inf", "x: &a ~\ny: {*a : 1}",
    "x: &a 1\n---\n" + HEAD + "x: *a",
)  # fmt: skip
_ENDS = (
    "", "\n", "x: 1", "x: 1\n\n\n", "x: |\n  a", "x: |\n  a\n\n", "x: |+\n  a\n\n\n", "x: >-\n  a\n\n", "x: |", "x: ",
    "x:", "x: 1\n# c", "x: 1\n#", "x: 1 #c\n#c\n", "x: 1\n...", "x: 1\n...\n", "x: 1\n... # c\n", "x: 1\n...\n# c\n",
    "x: 1\n...\n...\n", "x: 1\n---", "x: 1\n---\n", "x: 1\n--- \n", "x: 1\n---\t\n", "x: 1\n--- # c\n",
    "x: 1\n---#c\n", "x: 1\n---\n---\n# c\n---\n", "x: 1\n----\n", "x: 1\n--- a\n", "x: 1\n--- |\n a\n",
    "x: 1\n--- {a: b}\n", "x: 1\n --- \ny: 2\n", "x: |\n  ---\n  a\n", "x: |\n---\n  a\n", "x: 'a\n---\n  b'\n",
    f"x: 1\n---\n{HEAD}x: 2\n", f"x: 1\n...\n---\n{HEAD}x: 2\n", f"x: 1\n---\n# c\n{HEAD}", f"x: 1\n---\r\n{HEAD}",
    f"x: 1\n---\nnull\n---\n~\n---\n{HEAD}", f"x: 1\n---\n{_JSON}\n", f"x: 1\n---\n{_FLOW}\n---\n{_JSON}",
    "x: 1\ny: [", "x: 1\n}", "x: 1\n]", "x: 1\n- a\n", "x: 1\nx: 2\n", "x: 1\n'x': 2\n", "x: {a: 1, a: 2}\n",
    "x: 1\r\ny: 2\r\n", "x: |\r\n  a\r\n  b\r\n", "x: >\r\n  a\r\n  b\r\n", "x: 'a\r\n  b'\r\n", "x: a\rb: c\n",
    "x: |\n  a\r  b\n", "x: a\x85y: 2\n", "x: a\u2028y: 2\n", "x: 1\n\ufeffy: 2\n", "x: 1\n\ufeff", "x: 1\n \ufeff",
    "\tx: 1\n", " x: 1\n", "x: 1\n\t\n", "x: 1\n \n", "x: 1\n\t# c\n", "x: 1\n# \x07\n", "# \ufeff\nx: 1\n",
    "x: 1\n%a\n", "%YAML 1.1\n", "x: %a\n", "? x\n: 1\n", "? x\n", "'x': 1\n", '"x" : 1\n', "[x]: 1\n", "{x: 1}: 1\n",
    "~: 1\n", "null: 1\n", "18446744073709551615: 1\n", "x: 1\n2: b\n", "x: !!binary 4oI=\n", "x: !!omap [a: 1]\n",
    "x: !!set {a, b}\n", "x: yEs\n", "x: |2\n   a\ny: |+\n  a\n\nz: >-\n  a\n   b\n  c\n",
    "x: {<<: {a: 1}, a: 0}\ny: {a: 0, <<: {a: 1}}\n", "x: a\rw: b\n", "x:\ta\ny: {\n\ta: b}\n", "x: a\ufeffb\n",
    "? x\n: - a\n  - b\n", "x: &x [*x]\n", "x: 'a\n", "x: \x07\n", "x: !!int 1\n", "x: !<!a> b\n", "x: !!int y\n",
    "x: !!binary y\n", "x: !!binary |\n  aGk\n  =\n", "x: !e!a b\n", "x: {{ a }}\n", "a: b: c\n", "x: - a\n",
    "x: a\n b\n", "x: a\nb\n", "x: 'a' 'b'\n", "x: .inf\n", "x: [.nan]\n", "x: {a: -.INF}\n", ".inf: 1\n",
    "x: 1\n---\n\ufeff" + HEAD, "x: 1\n--- \ufeff\n",
)  # fmt: skip


def _list(kind: str, *items: str, more: str = "") -> str:
    return f"apiVersion: v1\nkind: {kind}\n{more}items: [{', '.join(items)}]\n"


_LISTS = (
    _list("List", _FLOW), _list("List", _FLOW, _FLOW), _list("List"), _list("ConfigMapList", _FLOW),
    _list("ConfigMapList", "{metadata: {name: a}}"), _list("ConfigMapList", "{kind: Foo, metadata: {name: a}}"),
    _list("ConfigMapList", "{apiVersion: v2, metadata: {name: a}}"), _list("List", "{metadata: {name: a}}"),
    _list("List", "a"), _list("List", "[]"), _list("List", "{}"), _list("List", _FLOW, more="metadata: {name: a}\n"),
    _list("List", _FLOW, more="metadata: {resourceVersion: ''}\n"), _list("List", _FLOW, more="metadata: x\n"),
    _list("List", _FLOW, more="metadata: null\n"), _list("Probe", _FLOW),
    _list("Probe", _FLOW, more="metadata: {name: a}\n"), _list("Probe", more="metadata: {name: a}\n"),
    _list("AllowList", "b", more="metadata: {name: a}\n"),
    _list("List", "{apiVersion: v1, kind: List, items: [" + _FLOW + "]}"),
    _list("List", "{apiVersion: v1, kind: List, items: []}"),
    _list("List", "{apiVersion: v1, kind: Probe, metadata: {name: a}, items: {}}"),
    _list("List", "{apiVersion: v1, kind: Probe, metadata: {name: a}, items: null}"),
    "apiVersion: v1\nkind: List\nitems: null\n", "apiVersion: v1\nkind: List\nitems:\n",
    "apiVersion: v1\nkind: List\nitems: {}\n", "apiVersion: v1\nkind: List\nitems: a\n",
    "apiVersion: v1\nkind: List\nmetadata: {name: a}\n", f"kind: List\nitems: [{_FLOW}]\n",
    f"apiVersion: v1\nitems: [{_FLOW}]\n", f"apiVersion: 1\nkind: List\nitems: [{_FLOW}]\n",
    f"apiVersion: a/b/c\nkind: List\nitems: [{_FLOW}]\n", HEAD + "items: null\n", HEAD + "Items: [a]\n",
    HEAD + "x: {items: [a]}\n", _list("List", _FLOW) + "---\n" + HEAD,
    "apiVersion: v1\nkind: RoleList\nitems:\n- metadata:\n    name: a\n- metadata:\n    name: b\n",
    '{"apiVersion": "v1", "kind": "List", "items": [' + _JSON + "]}",
    '{"kind": "List", "apiVersion": "v1", "metadata": {}, "items": []}',
)  # fmt: skip
_STREAMS = (
    "", "\n", "# c\n", "---\n", "---\n---\n", "null\n", "~\n---\nnull\n", "a\n", "1\n", "[]\n", "- a\n", "{}\n",
    "'a'\n", "...\n", "\ufeff", "\ufeff\n", HEAD, "---\n" + HEAD, "--- \n" + HEAD, "# c\n---\n# d\n" + HEAD,
    "\n\n---\n\n" + HEAD, "%YAML 1.1\n---\n" + HEAD, "%YAML 1.2\n---\n" + HEAD, "%TAG ! tag:x,2000:\n---\n" + HEAD,
    "\ufeff" + HEAD, "\ufeff---\n" + HEAD, "\ufeff\ufeff" + HEAD, "\ufeff# c\n" + HEAD, HEAD.replace("\n", "\r\n"),
    "\ufeff" + HEAD.replace("\n", "\r\n"), HEAD.replace("\n", "\r"), HEAD.rstrip(), " " + HEAD.replace("\n", "\n "),
    "\t" + HEAD, "kind: Probe\n", "apiVersion: v1\n", "apiVersion: v1\nkind: ''\nmetadata: {name: a}\n",
    "a: b\n---\n" + HEAD, "apiVersion: v1\nkind: 1\nmetadata: {name: a}\n",
    "apiVersion: 1\nkind: Probe\nmetadata: {name: a}\n", "apiVersion: v1\nkind: Probe\nmetadata: {name: 1}\n",
    "apiVersion: v1\nkind: Probe\nmetadata: []\n", "apiVersion: a/b/c\nkind: Probe\n", _JSON, _JSON + "\n",
    _JSON + _JSON, _JSON + "\n" + _JSON + "\n", _JSON + "\n\n" + _JSON, f" {_JSON}", f"\n\n{_JSON}", f"\t{_JSON}",
    f"\xa0{_JSON}", "\ufeff" + _JSON, _JSON + "\n---\n" + HEAD, _JSON + "\n---\n" + _JSON + "\n",
    _JSON + _JSON + "\n---\n" + HEAD, _JSON + "null", _JSON + "\nnull\n" + _JSON, _JSON + "\n" + HEAD,
    _JSON + " # c\n", _JSON + "\n# c and more\n", _JSON + ",", _JSON + "}", _JSON + "\n\t", "{}", "{} {}", _FLOW,
    _FLOW + "\n", "\t" + _FLOW, "\n\t" + _FLOW, _FLOW + "\n---\n" + _JSON, _FLOW + _FLOW, "[" + _JSON + "]",
    _JSON[:-1] + ",}", _JSON[:-1], _JSON[:-1].replace('"v1"', "'v1'") + "}", HEAD + "---\n" + _JSON + _JSON,
    "# c\n" + _JSON, "# c\n" + _JSON + _JSON, "---\n" + _JSON, "--- " + _JSON,
    _JSON.replace('"v1"', '"v1","apiVersion":"v1"'), _JSON.replace(":", " : ").replace(",", " ,\n"),
)  # fmt: skip
_JSON_VALUES = (
    "1", "1.0", "-0", "-0.0", "1e3", "1E+2", "1e400", "1e-400", "01", ".5", "1.", "+1", "0x1", "9223372036854775807",
    "9223372036854775808", "-9223372036854775809", "18446744073709551616", "123456789012345678901234567890", "1e20",
    "1e21", "1e22", "0.1", "5e-324", "1.7976931348623157e308", "NaN", "Infinity", "-Infinity", "nan", "true", "false",
    "null", "True", "y", '""', '"a"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\\/"', '"\\b\\f\\n\\r\\t"',
    '"\\a"', '"\\x41"', '"\t"', '"\n"', "'a'", "a", "[]", "{}", "[1, 1.0]", "[1,]", "[,1]", "[1 2]", '{"a":1,"a":2}',
    '{"a":1,"A":2}', '{"a":1,}', '{a:1}', '{"":1}', '{"a" : [{"b":null}]}', '{"<<":{"a":1}}', '"0644"', '"é😀"',
    "/* c */ 1", "1 # c", "1_000", "--1", "1e", '"a', "[1",
)  # fmt: skip
_METADATA = (
    "{name: a}", "{name: a, namespace: b}", "{name: 1}", "{name: true}", "{name: [a]}", "{name: 1.0}",
    "{name: a, namespace: 1}", "[]", "x", "1", "{name: a, x: [1]}", "{name: a, labels: {a: b}}",
    "{name: a, labels: {a: 1}}", "{name: a, labels: {a: true}}", "{name: a, labels: {a: ''}}",
    "{name: a, labels: {a: null}}", "{name: a, labels: {a: 1.5}}", "{name: a, labels: {a: []}}",
    "{name: a, labels: {a: {}}}", "{name: a, labels: {}}", "{name: a, labels: null}", "{name: a, labels: []}",
    "{name: a, labels: x}", "{name: a, labels: {1: b, y: c}}", "{name: a, annotations: {a: b}}",
    "{name: a, annotations: {a: 1}}", "{name: a, annotations: {a: no}}", "{name: a, annotations: {a: {b: c}}}",
    "{name: a, annotations: [a]}", "{name: a, annotations: {a: 1e3}}", "{name: a, finalizers: [a]}",
    "{name: a, finalizers: []}", "{name: a, finalizers: [1]}", "{name: a, finalizers: a}",
    "{name: a, finalizers: {a: b}}", "{name: a, finalizers: [null]}", "{name: a, generateName: b}",
    "{name: a, generateName: 1}", "{name: a, uid: b}", "{name: a, uid: 1}", "{name: a, resourceVersion: '1'}",
    "{name: a, resourceVersion: 1}", "{name: a, selfLink: 1}", "{name: a, generation: 1}",
    "{name: a, generation: '1'}", "{name: a, generation: 1.5}", "{name: a, generation: 2.0}",
    "{name: a, generation: null}", "{name: a, creationTimestamp: null}",
    "{name: a, creationTimestamp: 2020-01-01T00:00:00Z}", "{name: a, creationTimestamp: 1}",
    "{name: a, creationTimestamp: {}}", "{name: a, deletionGracePeriodSeconds: 1}",
    "{name: a, deletionGracePeriodSeconds: y}", "{name: a, ownerReferences: []}", "{name: a, ownerReferences: {}}",
    "{name: a, ownerReferences: [a]}", "{name: a, ownerReferences: [{name: a, uid: b}]}",
    "{name: a, managedFields: x}", "{name: a, Labels: {a: b}}",
)  # fmt: skip


def cases() -> dict[str, list[str]]:
    """The texts by group, none twice. Values stand behind `x: `, keys before `: v`, bodies behind `HEAD`.

    Of `metadata` it is the value, and `texts` are whole files: a character standing for a byte.
    """
    scalars, draw = _scalars(), random.Random(2)
    groups = {
        "values": [
            *scalars,
            *_QUOTED,
            *_PLAIN,
            *_FLOWS,
            *_COLLECTIONS,
            *_combined(),
            *(letters(draw) for _ in range(400)),
        ],
        "keys": [*scalars, *_KEYS],
        "bodies": [*_MERGES, *_ANCHORS, *_ENDS, *(body(draw) for _ in range(250))],
        "metadata": list(_METADATA),
        "texts": [file.decode("latin-1") for file in _files()],
    }
    return {group: list(dict.fromkeys(texts)) for group, texts in groups.items()}


def _scalars() -> list[str]:
    """Plain scalars that look like something."""
    signed = [sign + number for number, sign in itertools.product(_NUMBERS, ("", "-", "+"))]
    cased = [form for word in _WORDS for form in (word, word.upper(), word.title(), word[:1] + word[1:].upper())]
    draw = random.Random(1)
    drawn = ["".join(draw.choices("0123456789_+-.eExob", k=draw.randint(1, 7))) for _ in range(250)]
    return ["~", "0b-11", "0b+11", "-0b-11", *signed, *cased, *drawn]


def _combined() -> Iterator[str]:
    """Every block with every indicator, every tag before every value, every escape with every length."""
    for head, indicator, text in itertools.product("|>", ("", "-", "+", "2", "4", "2-", "+3", " # c"), _BLOCKS):
        yield f"{head}{indicator}\n" + "\n".join(f"    {line}" if line else "" for line in text.split("\n"))
    for head in ("|0", "|9", "|10", "|+-", "|#", "|a", "| a", ">1", "|\t", "&a |", "!!str >", "! |-", "|2 # c"):
        yield f"{head}\n    a\n"
    for tag, value in itertools.product(_TAGS, _TAGGED):
        yield f"{tag} {value}"
    for character, rest in itertools.product(_ESCAPES, ("", "41", "00e9", "0001F600")):
        yield f'"a\\{character}{rest}"'


def _files() -> Iterator[bytes]:
    for text in (*_STREAMS, *_LISTS):
        yield text.encode("utf-8", "surrogatepass")
    for start, value in itertools.product(("", "# c\n"), _JSON_VALUES):
        yield f'{start}{_JSON[:-1]},"x":{value}}}'.encode()
    for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        yield (HEAD + "x: é😀\n").encode(name)
    yield from (b"\xfe\xff" + (HEAD + "x: é😀\n").encode("utf-16-be"), b"\xff\xfe", b"\xff\xfea")
    for odd in (b"\xff", b"\xe9", b"\xe2\x82 b", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"'\xff'", b"\x80"):
        yield HEAD.encode() + b"x: " + odd + b"\n"
