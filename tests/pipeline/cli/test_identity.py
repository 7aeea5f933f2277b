"""`trimtab identity`, and the Secret behind it."""

import base64
import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.cluster.connection import Connection
from pipeline.control.identity import DEPLOY_KEY_SECRET, ensure_identity, read_identity
from pipeline.errors import InputError, SourceError
from pipeline.source.sshkey import generate

Trimtab = Callable[..., Any]


def _secret(control_plane: Any, namespace: str, **data: bytes) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": DEPLOY_KEY_SECRET}, "data": encoded}
    control_plane.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(secret))


def test_the_key_is_made_once_whoever_comes_first(connection: Connection, namespace: str) -> None:
    assert read_identity(connection, namespace, DEPLOY_KEY_SECRET) is None
    with ThreadPoolExecutor(4) as threads:
        made = list(
            threads.map(lambda _: ensure_identity(connection, namespace, DEPLOY_KEY_SECRET, "ed25519"), range(4))
        )
    assert len(set(made)) == 1
    assert read_identity(connection, namespace, DEPLOY_KEY_SECRET) == made[0]


def test_a_secret_without_a_key_is_told(connection: Connection, control_plane: Any, namespace: str) -> None:
    _secret(control_plane, namespace, token=b"secret-value")
    with pytest.raises(SourceError, match=f"Secret {namespace}/{DEPLOY_KEY_SECRET}: ") as raised:
        ensure_identity(connection, namespace, DEPLOY_KEY_SECRET, "ed25519")
    assert raised.value.reason == "SecretInvalid"
    assert "secret-value" not in str(raised.value)


def test_an_unknown_kind_of_key_makes_no_secret(connection: Connection, namespace: str) -> None:
    with pytest.raises(InputError, match="dsa"):
        ensure_identity(connection, namespace, DEPLOY_KEY_SECRET, "dsa")
    assert read_identity(connection, namespace, DEPLOY_KEY_SECRET) is None


def test_only_the_public_key_goes_to_standard_output(
    trimtab: Trimtab, connection: Connection, namespace: str, tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(ensure_identity(connection, namespace, DEPLOY_KEY_SECRET, "ed25519"))
    (tmp_path / "key").chmod(0o600)
    result = trimtab("identity", "-n", namespace)
    assert result.code == 0, result.err
    public = subprocess.run(["ssh-keygen", "-y", "-f", tmp_path / "key"], capture_output=True, text=True, check=True)
    assert result.out.split()[:2] == public.stdout.split()[:2]
    assert result.out.count("\n") == 1
    (tmp_path / "line").write_text(result.out)
    shown = subprocess.run(["ssh-keygen", "-lf", tmp_path / "line"], capture_output=True, text=True, check=True)
    assert f"fingerprint: {shown.stdout.split()[1]}" in result.err
    assert "GitHub: Settings → Deploy keys" in result.err
    assert "GitLab: Settings → Repository → Deploy keys" in result.err
    data = json.loads(trimtab("identity", "-n", namespace, "-o", "json").out)
    assert data == {
        "publicKey": result.out.strip(), "fingerprint": shown.stdout.split()[1],
        "secret": f"{namespace}/{DEPLOY_KEY_SECRET}",
    }  # fmt: skip


def test_before_the_first_start_it_is_said_who_makes_the_key(
    trimtab: Trimtab, control_plane: Any, namespace: str
) -> None:
    result = trimtab("identity", "-n", namespace)
    assert (result.code, result.out) == (2, "")
    assert "the controller makes the key at its first start" in result.err


def test_a_new_key_takes_the_place_of_the_old_one_with_all_that_belongs_to_it(
    trimtab: Trimtab, control_plane: Any, namespace: str
) -> None:
    old = generate("ed25519", comment="old")
    _secret(
        control_plane, namespace, **{"ssh-privatekey": old, "identity.pub": b"ssh-ed25519 old", "known_hosts": b"h"}
    )
    before = trimtab("identity", "-n", namespace).out
    result = trimtab("identity", "-n", namespace, "--regenerate", "--ssh-key-type", "ecdsa-p256")
    assert result.code == 0, result.err
    assert result.out.startswith("ecdsa-sha2-nistp256 ")
    assert "the old one stops working" in result.err
    assert trimtab("identity", "-n", namespace).out == result.out != before
    kept = json.loads(control_plane.kubectl("get", "secret", DEPLOY_KEY_SECRET, "-n", namespace, "-o", "json"))["data"]
    assert set(kept) == {"identity", "known_hosts"}


def test_a_person_is_asked_before_the_key_is_replaced(
    on_terminal: Callable[..., Any], connection: Connection, namespace: str
) -> None:
    key = ensure_identity(connection, namespace, DEPLOY_KEY_SECRET, "ed25519")
    declined = on_terminal("identity", "-n", namespace, "--regenerate", answer="n")
    assert (declined.code, declined.out) == (1, "")
    assert read_identity(connection, namespace, DEPLOY_KEY_SECRET) == key
    agreed = on_terminal("identity", "-n", namespace, "--regenerate", answer="y")
    assert agreed.code == 0
    assert agreed.out.startswith("ssh-ed25519 ")
    assert read_identity(connection, namespace, DEPLOY_KEY_SECRET) != key
