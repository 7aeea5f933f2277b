"""Looks for texts that break the reader of YAML: a crash, a hang, an odd exception, data that does not come back.

    python tests/fuzz/fuzz_yaml.py --minutes 60 [--seed 1] [--kubectl]

Each text is made from the seed and its number alone. A child reads them, under limits of memory and of time; what it
dies of is found by the number that it noted last. Findings go to standard output, the texts to `--findings`. With
`--kubectl`, small texts are also held against the kubectl on PATH. Not a test, and not collected as one.
"""

import argparse
import itertools
import mmap
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from yamldraw import body
from yamltruth import ask, load, same, whole

from renderers.manifest import ManifestError, check_metadata, dump_all, load_text, parse_documents

MEMORY = 3 << 30
#: Seconds of CPU for one text, which is read three times: beyond, it is a finding; and no end at all.
SLOW, PATIENCE = 10.0, 30.0
LARGEST = 1 << 20

_TOKENS = (
    b" ", b"  ", b"\n", b"\n  ", b"\n- ", b"- ", b": ", b":", b"? ", b"{", b"}", b"[", b"]", b", ", b"#", b" # ",
    b"&a ", b"*a", b"*a, ", b"!!str ", b"!!int ", b"!x ", b"!!binary ", b"<<: ", b"<<: *a\n", b"<<: [*a, *a]", b"'",
    b'"', b"''", b"\\", b"\\'", b"\\x", b"\\u12", b"\\U", b"|", b">", b"|+9", b"\n---\n", b"---", b"\n...\n", b"\t",
    b"\r", b"\r\n", b"\0", b"\x07", b"\x7f", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xc2\x85", b"\xe2\x80\xa8",
    b"\xed\xa0\x80", b"\xff", b"\xf0\x9f\x98\x80", b"%YAML 1.1\n", b"%TAG ! x\n", b"@", b"`", b"1", b"0x", b"1e9",
    b".inf", b".nan", b"~", b"y", b"9" * 30, b"0644", b"{{", b"}}", b"items: ", b"kind: List\n", b"apiVersion: v1\n",
    b'{"a":', b'"a",', b"a: &a [*a",
)  # fmt: skip
#: What makes a deep or a long text of a short one.
_REPEATED = (
    b"[", b"{", b"- ", b"? ", b"&a ", b"*a ", b"!!x ", b"[[", b"{a: ", b'{"a":', b"[{", b"a: [", b"'a':", b"? - ",
    b"- ? ", b"[*a,", b"a:\n ", b"-\n ", b"---\n", b"--- a\n", b"a\n---\n", b"{}", b'{"a":1}', b"null\n", b"'", b'"',
    b"'' ", b"\\", b"\\'", b"\"\\'\" ", b"- \"\\'\"\n", b"#", b"\n", b"\r", b"\t", b" ", b",", b":", b"|\n", b">\n",
    b"%", b"!", b"0", b"9", b"1_", b"a", b"<<: {a: 1}\n", b"&a a: *a\n", b"\xef\xbb\xbf", b"\xff", b"\xe2\x80\xa8",
    b"...\n", b"a: 1\n", b"x,",
)  # fmt: skip


def texts() -> list[bytes]:
    """What is mutated: every text of the table of truth, in its order."""
    return [whole(group, text) for group, row in load().items() for text in row]


def made(seed: int, number: int, known: list[bytes]) -> bytes:
    """The text of that number."""
    draw = random.Random(f"{seed}:{number}")
    kind = draw.random()
    if kind < 0.05:
        return bomb(draw)
    if kind < 0.15:
        part = draw.choice(_REPEATED)
        times = draw.randint(1, (LARGEST >> draw.randint(0, 12)) // len(part) + 1)
        return draw.choice((b"", b"a: ", b"a: &a 1\n", b"[", b"x: ")) + part * times
    text = whole("bodies", body(draw)) if kind < 0.4 else draw.choice(known)
    for _ in range(draw.randint(1, 5)):
        text = mutated(text, draw, known)
    return text[:LARGEST]


def mutated(text: bytes, draw: random.Random, known: list[bytes]) -> bytes:
    """The text after one small change, or one that makes it much longer."""
    start, end = sorted((draw.randint(0, len(text)), draw.randint(0, len(text))))
    match draw.randint(0, 7):
        case 0 | 1 | 2:
            return text[:start] + draw.choice(_TOKENS) + text[start:]
        case 3:
            return text[:start] + text[min(end, start + draw.randint(1, 9)) :]
        case 4:
            return text[:start] + text[start:end] * draw.randint(2, 4) + text[end:]
        case 5:
            return text[:start] + draw.choice(known)[-draw.randint(1, 60) :]
        case 6:
            return text[:start] + draw.randbytes(draw.randint(1, 3)) + text[start:]
    if draw.random() < 0.9 or start == end:
        return text + b"\n---\n" + draw.choice(known)
    times = draw.randint(2, max(3, min(20_000, LARGEST // (end - start)) >> draw.randint(0, 12)))
    return text[:start] + text[start:end] * times + text[end:]


def bomb(draw: random.Random) -> bytes:
    """Anchors that stand for anchors that stand for anchors, in lists, maps and merges."""
    width, depth = draw.randint(1, 40), draw.randint(1, 300)
    forms = (
        "a{i}: &a{i} [{all}]\n",
        "a{i}: &a{i} {{<<: [{all}]}}\n",
        "a{i}: &a{i} {{b: [{all}]}}\n",
        "- &a{i} [{all}]\n",
    )
    form = draw.choice(forms)
    lines = [form.format(i=0, all=draw.choice(("x", "{a: 1}", "{a: [1, 2]}")))]
    lines += [form.format(i=i, all=", ".join([f"*a{i - 1}"] * width)) for i in range(1, depth)]
    return "".join(lines).encode()[:LARGEST]


def fault(text: bytes) -> str:
    """What is wrong with how the text is read; empty where nothing is."""
    start = time.process_time()
    try:
        documents = [document.data for document in load_text(text, file="f.yaml").documents]
        again = [document.data for document in load_text(dump_all(documents), file="f.yaml").documents]
        if not same(again, documents):
            return "what is dumped is not what was loaded"
        parse_documents(text, file="f.yaml", unit=".")
    except ManifestError as e:
        if not re.match(r"f\.yaml:\d+", e.where):
            return f"an error without a line: {e}"
        if not e.hint:
            return f"an error without a hint: {e}"
    except Exception as e:  # noqa: BLE001 - this is what is looked for
        return f"{type(e).__name__}: {str(e)[:200]}"
    taken = time.process_time() - start
    return f"{taken:.1f} s" if taken > SLOW else ""


def child(seed: int, first: int, notes: Path) -> None:
    """Read texts until killed: the number at hand stands in the first bytes of `notes`, behind it a finding."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    known, parent = texts(), int(notes.name.partition("-")[2])
    with notes.open("r+b") as file, mmap.mmap(file.fileno(), 4096) as shared:
        for number in itertools.takewhile(lambda _: os.getppid() == parent, itertools.count(first)):
            text = made(seed, number, known)
            shared[:8] = number.to_bytes(8, "little")
            if found := fault(text):
                shared[8:1032] = found.encode("utf-8", "replace")[:1024].ljust(1024, b"\0")
                os._exit(3)


def differences(seed: int, number: int, count: int, known: list[bytes]) -> list[tuple[int, str]]:
    """Small texts that kubectl reads otherwise; not those of which our own warnings or errors say why."""
    numbers = [n for n in range(number, number + count) if len(made(seed, n, known)) < 5000]
    try:
        outcomes = ask([made(seed, n, known) for n in numbers])
    except (AssertionError, ValueError, subprocess.TimeoutExpired) as e:
        return [(number, f"kubectl gave no answers from here on: {e!r:.300}")]
    found = []
    for n, theirs in zip(numbers, outcomes, strict=True):
        ours: list[Any] | None = None
        message = ""
        try:
            manifests, warnings = parse_documents(made(seed, n, known), file="f", unit=".")
            for manifest in manifests:
                check_metadata(manifest)
            ours = [manifest.data for manifest in manifests]
            message = " ".join(warnings)
        except ManifestError as e:
            message = e.message
        lenient = theirs is None and ours is not None and re.search(rb"\?|\\/", made(seed, n, known))
        if not same(ours, theirs) and not lenient and not any(reason in message for reason in _CHOSEN):
            found.append((n, f"kubectl: {theirs!r:.150}, ours: {ours!r:.150} {message}"))
    return found


#: Where ours differs on purpose, or kubectl takes one of two keys by chance.
_CHOSEN = (
    "stands twice", "stands before <<", "drop the rest", "byte order mark", "has no metadata", "has no apiVersion",
    "null as a key", "whitespace or line break", "nested more than", "Kubernetes does not allow", "generateName",
)  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Keep a child at work for the time given; how many findings there were."""
    known, end, findings = texts(), time.monotonic() + options.minutes * 60, 0
    options.findings.mkdir(parents=True, exist_ok=True)
    notes = options.findings / f"notes-{os.getpid()}"
    next_text, next_word = 0, 0.0

    def report(number: int, what: str) -> None:
        nonlocal findings
        findings += 1
        path = options.findings / f"{options.seed}-{number}.yaml"
        path.write_bytes(made(options.seed, number, known))
        print(f"FOUND {path} ({path.stat().st_size} bytes): {what}", flush=True)

    while time.monotonic() < end:
        notes.write_bytes(next_text.to_bytes(8, "little").ljust(4096, b"\0"))
        arguments = ["--child", str(next_text), "--seed", str(options.seed), "--notes", str(notes)]
        process = subprocess.Popen([sys.executable, __file__, *arguments])
        number, since = next_text, 0.0
        try:
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.2)
                at = int.from_bytes(notes.read_bytes()[:8], "little")
                if at != number:
                    number, since = at, _cpu(process.pid)
                if _cpu(process.pid) - since > PATIENCE:
                    report(number, f"no end after {PATIENCE} s")
                    break
                if time.monotonic() > next_word:
                    print(f"{time.strftime('%H:%M:%S')} {number} texts, {findings} findings", flush=True)
                    next_word = time.monotonic() + 60
                    if options.kubectl:
                        for odd, what in differences(options.seed, number, 1500, known):
                            report(odd, what)
        finally:
            process.kill()
            status = process.wait()
        noted = notes.read_bytes()
        number = int.from_bytes(noted[:8], "little")
        if status == 3:
            report(number, noted[8:1032].rstrip(b"\0").decode())
        elif status != -signal.SIGKILL:
            report(number, f"the process died: {status}")
        next_text = number + 1
    print(f"END {next_text} texts, {findings} findings", flush=True)
    return findings


def _cpu(pid: int) -> float:
    """The CPU seconds that a process has used; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Exit 1 where something was found."""
    parser = argparse.ArgumentParser(description="Looks for texts that break the reader of YAML.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kubectl", action="store_true", help="also hold small texts against kubectl")
    parser.add_argument("--findings", type=Path, default=Path(tempfile.gettempdir()) / "trimtab-fuzz-yaml")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--notes", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.seed, options.child, options.notes)
        return 0
    return 1 if run(options) else 0


if __name__ == "__main__":
    sys.exit(main())
