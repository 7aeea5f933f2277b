"""The built-in host keys are those that their owners publish, and ssh can read them."""

import subprocess
from pathlib import Path

import pytest

from pipeline.source.known_hosts import BUILT_IN, PUBLISHED
from pipeline.source.sshkey import fingerprint


@pytest.mark.parametrize(("published", "key"), [pair for keys in PUBLISHED.values() for pair in keys.items()])
def test_each_key_has_its_published_fingerprint(published: str, key: str) -> None:
    assert fingerprint(key) == published


@pytest.mark.parametrize("host", PUBLISHED)
def test_ssh_finds_each_host(tmp_path: Path, host: str) -> None:
    (tmp_path / "known_hosts").write_text(BUILT_IN)
    found = subprocess.run(
        ["ssh-keygen", "-l", "-F", host, "-f", tmp_path / "known_hosts"], capture_output=True, text=True, check=True
    )
    assert {word for word in found.stdout.split() if word.startswith("SHA256:")} == set(PUBLISHED[host])
