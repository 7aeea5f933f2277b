"""What the tests of this room share: asking the real kubectl how it reads a text."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

HEAD = "apiVersion: v1\nkind: Probe\nmetadata: {name: probe}\n"


def _read(text: str | bytes) -> list[Any] | None:
    """The objects that kubectl reads, None where it refuses. Without the annotation that makes it print them."""
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    command = ["kubectl", "annotate", "--local", "-f", "-", "probe=1", "-o", "json"]
    run = subprocess.run(command, input=raw, capture_output=True, check=False, timeout=60)
    if run.returncode != 0:
        assert b"error" in run.stderr, run.stderr
        return None
    decoder, output, position = json.JSONDecoder(), run.stdout.decode(), 0
    objects = []
    while position < len(output.rstrip()):
        data, position = decoder.raw_decode(output, position)
        position += len(output[position:]) - len(output[position:].lstrip())
        del data["metadata"]["annotations"]
        objects.append(data)
    return objects


@pytest.fixture(scope="session")
def kubectl_reads() -> Callable[[str | bytes], list[Any] | None]:
    """How the kubectl on PATH reads a text of objects."""
    return _read


@pytest.fixture(scope="session")
def head() -> str:
    """The lines that make an object of a text."""
    return HEAD
