"""Texts made to hurt: each ends in an error with file and line, soon, in little memory, and without a crash."""

import subprocess
import sys

import pytest

from renderers.manifest import ManifestError, events, guard, load_text

#: Reads a text that is an expression of the argument; a crash, too much time or memory kills only this process.
_PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
from renderers.manifest import ManifestError, load_text
text = eval(sys.argv[1])
try:
    load_text(text, file="f.yaml")
except ManifestError as error:
    print(error.where, error.message)
else:
    print("loaded")
"""

_TEN = "','.join([f'*a{i - 1}'] * 10)"
#: Ten times ten times ten …: lists of aliases, and maps that merge aliases.
_LISTS = f"'a0: &a0 [x,x]\\n' + ''.join(f'a{{i}}: &a{{i}} [' + {_TEN} + ']\\n' for i in range(1, 10))"
_MERGES = f"'a0: &a0 {{x: 1}}\\n' + ''.join(f'a{{i}}: &a{{i}} {{{{<<: [' + {_TEN} + ']}}\\n' for i in range(1, 10))"


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("'[' * 300_000", "f.yaml:1:", "nested more than 100 deep"),
        ("'{a: ' * 300_000", "f.yaml:1:401", "nested more than 100 deep"),
        ("'- ' * 300_000", "f.yaml:1:201", "nested more than 100 deep"),
        ("'a: \\n' + '- ' * 300_000", "f.yaml:2:", "nested more than 100 deep"),
        ("''.join(' ' * i + 'a:\\n' for i in range(3000))", "f.yaml:101:", "nested more than 100 deep"),
        ("'{\"a\":' * 300_000", "f.yaml:1", "nested more than 100 deep"),
        ("'{\"a\":' * 150 + '1' + '}' * 150", "f.yaml:1", "nested more than 100 deep"),
        ("'a0: &a0 [x]\\n' + ''.join(f'a{i}: &a{i} [*a{i - 1}]\\n' for i in range(1, 300))", "f.yaml:100:", "nested"),
        (_LISTS, "f.yaml:4", "aliases"),
        (_MERGES, "f.yaml:4", "aliases"),
        ("'a: &a [' + 'x,' * 1000 + ']\\nb: [' + '*a,' * 300_000 + ']'", "f.yaml:2", "aliases"),
        ("'a\\n---\\n' * 200_000", "f.yaml:200001", "more than 100000 documents"),
        ("'{}' * 200_000", "f.yaml:1", "more than 100000 documents"),
        ("'{\"a\": [' + '0,' * 6_000_000", "f.yaml:1", "more than 5000000 values"),
        ("'a' * (65 << 20)", "f.yaml:1", "at most 67108864 are read"),
        ("'---\\n' * 300_000", "f.yaml:100001", "more than 100000 documents"),
        ("'{} ' + 'null ' * 200_000", "f.yaml:1", "more than 100000 documents"),
        ("'&a ' * 300_000", "f.yaml:1", "goes on behind"),
        ("'*a ' * 300_000", "f.yaml:1:1", "names no anchor"),
        ("'[&a ' * 300_000", "f.yaml:1:", "nested more than 100 deep"),
        ("'[!!x ' * 300_000", "f.yaml:1:", "nested more than 100 deep"),
        ("'- ? ' * 300_000", "f.yaml:1:", "a map or a list as a key"),
        ("'!<' + 'x' * 3_000_000", "f.yaml:1:", "no valid YAML"),
        ("'a: &' + 'x' * 3_000_000 + ' 1'", "loaded", ""),
        ("'k' * 3_000_000 + ': 1'", "f.yaml:1:", "mapping values are not allowed"),
        ("'? ' + 'k' * 3_000_000 + '\\n: 1'", "loaded", ""),
        ("'a: ' + 'v' * 30_000_000", "loaded", ""),
        ("'...\\n' * 1_000_000", "f.yaml:1:1", "no valid YAML"),
        ("'\\0' * 1_000_000", "f.yaml:1", "control characters"),
        ("'\\ufeff' * 1_000_000", "f.yaml:1:1", "byte order mark"),
        ("'a: ' + chr(0xdc00) * 1_000_000", "loaded", ""),
        ("b'\\xff' * 1_000_000", "loaded", ""),
        ("'- \"\\\\\\'\"\\n' * 300_000", "f.yaml:", "unknown escape"),
        ("('- ' + '\"\\\\\\'\" ' * 300 + '\\n---\\n') * 3_000", "f.yaml:", "did not find"),
        ("('- [' + 'a:,' * 300 + ']\\n---\\n') * 3_000", "f.yaml:", "unexpected ':'"),
        ("'[' + 'a:,' * 300_000 + ']'", "f.yaml:1:", "unexpected ':'"),
        ("'<<: {a: 1}\\n' * 100_000", "loaded", ""),
        ("'a: !!binary ' + '/' * 3_000_000", "loaded", ""),
        ("'a: 1\\n' * 100_000", "loaded", ""),
        ("'? ' * 300_000", "f.yaml:1:3", "a map or a list as a key"),
        ("'[' + \"'a':\" * 300_000", "f.yaml:1:9", "no valid YAML"),
        ("'a: ' + '1' * 1_000_000", "loaded", ""),
        ("'{\"a\": ' + '1' * 1_000_000 + '}'", "f.yaml:1", "too large"),
    ],
)  # fmt: skip
def test_a_hostile_text_is_an_error_and_no_crash(text: str, where: str, message: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, text], capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr[-500:]
    assert run.stdout.startswith(where)
    assert message in run.stdout


def test_values_are_counted_also_where_they_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_NODES", 1000)
    with pytest.raises(ManifestError, match="values") as caught:
        load_text("a: 1\n---\n" + "- []\n" * 1000, file="f")
    assert caught.value.where == "f:1000"


def test_as_deep_as_allowed_is_read() -> None:
    text = "[" * guard.MAX_DEPTH + "]" * guard.MAX_DEPTH
    assert load_text(text, file="f").documents
    with pytest.raises(ManifestError):
        load_text(f"[{text}]", file="f")


def test_aliases_in_usual_numbers_are_read() -> None:
    text = "base: &base {cpu: 1, memory: 2}\n" + "".join(f"a{i}: *base\n" for i in range(2000))
    assert len(load_text(text, file="f").documents[0].data) == 2001
