"""The table of truth: what the real kubectl reads in each of the texts that `yamlcases` makes.

    python tests/support/yamltruth.py --update      ask the kubectl on PATH about every text, and write the table anew

Read the difference before it is committed. Most tests need no kubectl for it; one asks again whether it still holds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from yamlcases import BASE, HEAD, TYPE, cases

TABLE = Path(__file__).parent.parent / "renderers" / "manifest" / "truth.json"

#: What kubectl reads in a text: its objects, or None where it refuses.
Outcome = list[Any] | None


def whole(group: str, text: str) -> bytes:
    """The file that a case of the table is. `texts` are whole already: a character is a byte there."""
    if group == "texts":
        return text.encode("latin-1")
    frames = {
        "values": f"{HEAD}x: {text}\n",
        "keys": f"{HEAD}x:\n  {text}: v\n",
        "bodies": HEAD + text,
        "metadata": f"{TYPE}metadata: {text}\n",
    }
    return frames[group].encode("utf-8", "surrogatepass")


def ask(texts: Sequence[bytes]) -> list[Outcome]:
    """What kubectl reads in each of the files, all in one call.

    Behind each stands one that gives an object and then an error: both mark in kubectl's output where a file ends.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, text in enumerate(texts):
            (folder / f"{number:06}.yaml").write_bytes(text)
            (folder / f"{number:06}z.yaml").write_text("apiVersion: v1\nkind: End\nmetadata: {name: end}\n---\n[\n")
        command = ["kubectl", "annotate", "--local", "-f", name, "probe=1", "-o", "json"]
        run = subprocess.run(command, capture_output=True, check=False, timeout=600)
    outcomes: list[Outcome] = [[]]
    for data in _values(run.stdout.decode()):
        if data["kind"] == "End":
            outcomes.append([])
            continue
        metadata = data["metadata"] or {}
        metadata.get("annotations", {}).pop("probe", None)
        if metadata.get("annotations") == {}:
            del metadata["annotations"]
        outcomes[-1].append(data)
    assert len(outcomes) == len(texts) + 1, run.stderr[-2000:]
    # A single error has a word before it; what stands before the first newline belongs to the mark before it.
    errors = "\n" + run.stderr.decode().removeprefix("error: ")
    for number in range(len(texts)):
        before, mark, errors = errors.partition(f"error parsing {name}/{number:06}z.yaml: ")
        assert mark, before[-2000:]
        if before.partition("\n")[2].strip():
            outcomes[number] = None
    return outcomes[:-1]


def _values(text: str) -> Iterator[Any]:
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        data, position = decoder.raw_decode(text, position)
        yield data
        while position < len(text) and text[position].isspace():
            position += 1


def same(one: Any, other: Any) -> bool:
    """Equal in value and in type, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def load() -> dict[str, dict[str, Outcome]]:
    """The committed table by group and text, with what is left out of it for brevity."""
    return {
        group: {
            text: found and [data if "kind" in data else BASE | data for data in found] for text, found in row.items()
        }
        for group, row in json.loads(TABLE.read_text()).items()
    }


def write() -> None:
    """Ask kubectl, and write the table: one case a line."""
    lines = []
    for group, texts in cases().items():
        outcomes = ask([whole(group, text) for text in texts])
        rows = (f"{_json(text)}: {_json(_brief(found))}" for text, found in zip(texts, outcomes, strict=True))
        lines.append(f"{_json(group)}: {{\n" + ",\n".join(rows) + "\n}")
    TABLE.write_text("{" + ",\n".join(lines) + "}\n")


def _brief(found: Outcome) -> Outcome:
    """Without what `BASE` says of an object."""
    is_base = [BASE.items() <= data.items() for data in found or ()]
    if found is None or not all(is_base):
        return found
    return [{key: value for key, value in data.items() if key not in BASE} for data in found]


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))


def main() -> int:
    """Write the table where that is asked for."""
    parser = argparse.ArgumentParser(description="The table of what kubectl reads in YAML.")
    parser.add_argument("--update", action="store_true", required=True, help="ask kubectl and write the table anew")
    parser.parse_args()
    write()
    print(f"{sum(map(len, cases().values()))} texts in {TABLE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
