"""SOPS: a unit's private copy is decrypted there by the real sops, and nothing is left of a key or a value."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest

from renderers.api import Decryption, HelmOptions, Limits, Rendered, RenderError
from renderers.manifest import load_text, parse_documents
from renderers.registry import renderer
from renderers.sandbox import Walls
from renderers.sops import decrypt_inputs, refuse_encrypted
from renderers.sops.encrypted import look_at
from renderers.sops.keys import public_names
from renderers.unit import render_unit

#: Stands in every text that is encrypted here, and may be nowhere afterwards but in the decrypted file.
VALUE = "correct-horse-battery-staple"

SECRET = f"""\
apiVersion: v1
kind: Secret
metadata:
    name: login
stringData:
    password: {VALUE}
"""
TEXTS = {
    "secret.yaml": SECRET,
    "two.yml": f"{SECRET}---\n{SECRET.replace('login', 'other')}",
    "secret.json": json.dumps(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"p": VALUE}}
    ),
    "values.env": f"USER=me\nPASSWORD={VALUE}\n",
    "settings.ini": f"[login]\npassword = {VALUE}\n",
    "key.pem": f"-----BEGIN-----\n{VALUE}\n-----END-----\n",
    "registry.encrypted": f'{{"auths": {{"r": "{VALUE}"}}}}\n',
}


@dataclass(frozen=True)
class Age:
    """An age key: what is public, and what is not."""

    recipient: str
    identity: str

    @property
    def keys(self) -> Decryption:
        return Decryption(age=(self.identity,))


def new_age() -> Age:
    text = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    public = next(line.split()[-1] for line in text.splitlines() if "public key" in line)
    return Age(public, text)


@pytest.fixture(scope="module")
def age() -> Age:
    return new_age()


@pytest.fixture(scope="module")
def other_age() -> Age:
    return new_age()


@dataclass(frozen=True)
class Pgp:
    """An OpenPGP key in a GnuPG home of its own."""

    home: Path
    fingerprint: str
    armored: bytes


def gpg(home: Path, *arguments: str) -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    return subprocess.run([*command, *arguments], capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def pgp() -> Iterator[Pgp]:
    home = Path(tempfile.mkdtemp(prefix="gpg-"))  # its sockets need a short path
    gpg(home, "--quick-gen-key", "trimtab@example.com", "future-default", "default", "never")
    listing = gpg(home, "--with-colons", "--list-keys").decode()
    fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr"))
    yield Pgp(home, fingerprint, gpg(home, "--armor", "--export-secret-keys"))
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    shutil.rmtree(home)


def encrypt(file: Path, *arguments: str, text: str = SECRET, **environment: str) -> Path:
    file.write_text(text)
    form = [] if file.suffix in {".yaml", ".yml", ".json", ".env", ".ini"} else ["--input-type", "binary"]
    command = ["sops", "encrypt", *form, *arguments, "--in-place", str(file)]
    subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)
    assert VALUE not in file.read_text()
    return file


def decrypt(file: Path, keys: Decryption, *others: Path) -> bool:
    done = decrypt_inputs(file.parent, [file, *others], keys, limits=Limits())
    assert done in ((), (file,))
    return bool(done)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "unit"
    place.mkdir()
    return place


@pytest.mark.parametrize("name", TEXTS)
def test_each_format_comes_back_as_it_was(folder: Path, age: Age, name: str) -> None:
    text = TEXTS[name]
    file = encrypt(folder / name, "--age", age.recipient, text=text)
    assert decrypt(file, age.keys)
    if name.endswith((".yaml", ".yml", ".json")):
        before, after = (load_text(content, file="f").documents for content in (text, file.read_text()))
        assert [document.data for document in after] == [document.data for document in before]
    else:
        assert file.read_text() == text


def test_a_file_that_is_no_text_is_decrypted(folder: Path, age: Age) -> None:
    file = folder / "trust.jks"
    file.write_bytes(content := bytes(range(256)))
    command = ["sops", "encrypt", "--input-type", "binary", "--age", age.recipient, "--in-place", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    assert decrypt(file, age.keys)
    assert file.read_bytes() == content


def test_a_pgp_key_decrypts_without_gpg(folder: Path, pgp: Pgp) -> None:
    file = encrypt(folder / "secret.yaml", "--pgp", pgp.fingerprint, GNUPGHOME=str(pgp.home))
    assert decrypt(file, Decryption(pgp=(pgp.armored,)))
    assert VALUE in file.read_text()


def test_only_some_fields_may_be_encrypted(folder: Path, age: Age) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient, "--encrypted-regex", "^stringData$")
    assert "kind: Secret" in file.read_text()
    assert decrypt(file, age.keys)
    assert load_text(file.read_text(), file="f").documents[0].data == load_text(SECRET, file="f").documents[0].data


@pytest.mark.parametrize("key", ["first", "second", "pgp"])
def test_any_of_several_recipients_will_do(folder: Path, age: Age, other_age: Age, pgp: Pgp, key: str) -> None:
    recipients = f"{age.recipient},{other_age.recipient}"
    file = encrypt(folder / "secret.yaml", "--age", recipients, "--pgp", pgp.fingerprint, GNUPGHOME=str(pgp.home))
    keys = {"first": age.keys, "second": other_age.keys, "pgp": Decryption(pgp=(pgp.armored,))}[key]
    assert decrypt(file, keys)
    assert VALUE in file.read_text()


def test_what_is_not_encrypted_is_not_touched_and_needs_no_sops(
    folder: Path, without_tools: Callable[..., None]
) -> None:
    without_tools("sops")
    file = folder / "plain.yaml"
    file.write_text("sops: ENC[ lastmodified\n")
    (folder / "template.yaml").write_text("{{ sops }} ENC[ lastmodified mac: {{\n")
    assert decrypt_inputs(folder, folder.iterdir(), Decryption(), limits=Limits()) == ()


def test_without_a_key_the_error_names_file_and_recipient(folder: Path, age: Age) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient)
    before = file.read_bytes()
    with pytest.raises(RenderError) as caught:
        decrypt(file, Decryption())
    assert caught.value.where == "secret.yaml"
    assert caught.value.message == (f"secret.yaml is encrypted for {age.recipient}, and the keys given are: none")
    assert file.read_bytes() == before


def test_with_a_wrong_key_the_error_names_both_by_their_public_names(
    folder: Path, age: Age, other_age: Age, pgp: Pgp
) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient)
    with pytest.raises(RenderError) as caught:
        decrypt(file, Decryption(age=(other_age.identity,), pgp=(pgp.armored,)))
    assert f"{other_age.recipient}, PGP {pgp.fingerprint}" in caught.value.message
    assert "SECRET" not in str(caught.value)


def test_without_a_key_a_charts_own_files_stay_and_its_named_ones_are_errors(
    folder: Path, age: Age, other_age: Age
) -> None:
    (folder / "Chart.yaml").write_text("name: c\n")
    (folder / "files").mkdir()
    file = encrypt(folder / "files" / "secret.yaml", "--age", age.recipient)
    before = file.read_bytes()
    files = [folder / "Chart.yaml", file]
    assert decrypt_inputs(folder, files, other_age.keys, limits=Limits()) == ()
    assert file.read_bytes() == before
    with pytest.raises(RenderError, match="files/secret.yaml is encrypted for age1"):
        decrypt_inputs(folder, files, other_age.keys, limits=Limits(), named=[file])
    assert decrypt_inputs(folder, files, age.keys, limits=Limits()) == (file,)


def test_another_name_of_the_same_content_is_not_decrypted(folder: Path, age: Age) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient)
    (folder / "other").hardlink_to(file)
    assert decrypt(file, age.keys)
    assert VALUE not in (folder / "other").read_text()


def test_what_an_operator_decrypts_in_the_cluster_is_left_to_it(folder: Path, age: Age) -> None:
    text = SECRET.replace("v1", "isindir.github.com/v1alpha3").replace("Secret", "SopsSecret")
    file = encrypt(folder / "secret.yaml", "--age", age.recipient, "--encrypted-regex", "^stringData$", text=text)
    assert not decrypt(file, age.keys)
    manifests, _ = parse_documents(file.read_text(), file="secret.yaml", unit=".")
    refuse_encrypted(Rendered(manifests))


@pytest.mark.parametrize("change", ["kind: Secret", "name: login"])
def test_a_file_that_was_changed_is_refused(folder: Path, age: Age, change: str) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient, "--encrypted-regex", "^stringData$")
    file.write_text(changed := file.read_text().replace(change, f"{change}s"))
    with pytest.raises(RenderError, match="changed after it was encrypted") as caught:
        decrypt(file, age.keys)
    assert VALUE not in str(caught.value)
    assert file.read_text() == changed


def test_a_value_moved_to_another_field_is_refused(folder: Path, age: Age) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient)
    file.write_text(file.read_text().replace("password:", "visible:"))
    with pytest.raises(RenderError, match="secret.yaml cannot be decrypted") as caught:
        decrypt(file, age.keys)
    assert VALUE not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", ["secret.yaml", "values.env", "settings.ini", "key.pem"])
def test_a_key_of_a_service_is_passed_over(folder: Path, age: Age, name: str) -> None:
    file = encrypt(folder / name, "--age", age.recipient, text=TEXTS[name])
    add_vault(file)
    assert decrypt(file, age.keys)
    assert VALUE in file.read_text()


@pytest.mark.parametrize("name", ["secret.yaml", "values.env", "key.pem"])
def test_a_service_is_never_asked_even_without_walls(
    folder: Path, age: Age, other_age: Age, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("renderers.tool.walls_here", Walls)
    file = encrypt(folder / name, "--age", age.recipient, text=TEXTS[name])
    with Listener() as vault:
        add_vault(file, vault.url)
        with pytest.raises(RenderError, match="HashiCorp Vault.*no network"):
            decrypt(file, other_age.keys)
        with pytest.raises(RenderError, match="HashiCorp Vault.*no network"):
            decrypt(file, Decryption())
    assert vault.asked == 0


class Listener:
    """Counts who connects to a port of this machine."""

    def __enter__(self) -> Self:
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._count)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _count(self) -> None:
        with suppress(OSError):
            while True:
                self._socket.accept()[0].close()
                self.asked += 1


def add_vault(file: Path, url: str = "http://127.0.0.1:9") -> None:
    """One more key that could open the file, as sops writes it."""
    key = {
        "vault_address": url,
        "engine_path": "e",
        "key_name": "k",
        "created_at": "2024-01-01T00:00:00Z",
        "enc": "v:x",
    }
    text = file.read_text()
    if file.suffix in {".env", ".ini"}:
        begin = "sops_" if file.suffix == ".env" else ""
        lines = [f"{begin}hc_vault__list_0__map_{name}={value}\n" for name, value in key.items()]
        text += "".join(lines)
    elif file.suffix == ".yaml":
        text = text.replace("\nsops:\n", f"\nsops:\n    hc_vault: [{json.dumps(key)}]\n")
    else:
        data = json.loads(text)
        data["sops"]["hc_vault"] = [key]
        text = json.dumps(data)
    file.write_text(text)


def test_key_groups_are_for_their_threshold(folder: Path, age: Age, other_age: Age) -> None:
    groups = [{"age": [each.recipient]} for each in (age, other_age)]
    rules = {"creation_rules": [{"shamir_threshold": 2, "key_groups": groups}]}
    (folder / ".sops.yaml").write_text(json.dumps(rules))
    file = folder / "secret.yaml"
    file.write_text(SECRET)
    subprocess.run(["sops", "encrypt", "--in-place", str(file)], cwd=folder, check=True, capture_output=True)
    with pytest.raises(RenderError, match=f"{age.recipient}, {other_age.recipient}"):
        decrypt(file, age.keys)
    assert decrypt(file, Decryption(age=(age.identity, other_age.identity)))


def test_settings_of_sops_in_the_repository_change_nothing(folder: Path, age: Age) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient)
    (folder / ".sops.yaml").write_text("creation_rules: [{path_regex: '[', kms: x}]\nstores: 1\n")
    assert decrypt(file, age.keys)


def test_a_key_that_is_none_is_said_without_it(folder: Path, age: Age) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient)
    with pytest.raises(RenderError, match="no OpenPGP private key") as caught:
        decrypt(file, Decryption(pgp=(b"-----BEGIN hidden",)))
    assert "hidden" not in str(caught.value)
    with pytest.raises(RenderError, match="an age identity of another kind") as caught:
        decrypt(file, Decryption(age=("hidden",)))
    assert "hidden" not in str(caught.value)


def test_hostile_recipients_do_not_reach_a_message(folder: Path, age: Age) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient)
    file.write_text(file.read_text().replace(age.recipient, '"age1\\e[31m\\n' + "x" * 9999 + '"'))
    with pytest.raises(RenderError) as caught:
        decrypt(file, Decryption())
    assert len(str(caught.value)) < 500


def test_public_names_are_those_of_the_tools(age: Age, pgp: Pgp) -> None:
    binary = gpg(pgp.home, "--export-secret-keys")
    assert public_names(Decryption(age=(age.identity,), pgp=(pgp.armored, binary))) == [
        age.recipient, f"PGP {pgp.fingerprint}", f"PGP {pgp.fingerprint}"
    ]  # fmt: skip


def test_nothing_is_left_and_no_command_line_has_a_key_or_a_value(
    folder: Path, age: Age, pgp: Pgp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    files = [encrypt(folder / f"s{n}.yaml", "--age", age.recipient) for n in range(3)]
    places = [Path("/dev/shm"), tmp_path]
    before = [set(place.iterdir()) for place in places]
    seen, stop = set[bytes](), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for entry in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    if b"sops" in (line := (entry / "cmdline").read_bytes()):
                        seen.add(line)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        decrypt_inputs(folder, files, Decryption(age=(age.identity,), pgp=(pgp.armored,)), limits=Limits())
    finally:
        stop.set()
        watcher.join()
    assert seen
    assert not any(word in line for line in seen for word in (b"AGE-SECRET", b"PRIVATE KEY", VALUE.encode()))
    left = [set(place.iterdir()) - old for place, old in zip(places, before, strict=True)]
    assert not [path for new in left for path in new if is_ours(path)]


def is_ours(path: Path) -> bool:
    """Whether a folder holds what this test decrypts: others run beside it."""
    return any(file.name == "age.txt" for file in path.rglob("*")) if path.is_dir() else False


def test_an_object_that_is_still_encrypted_is_refused(folder: Path, age: Age) -> None:
    file = encrypt(folder / "secret.yaml", "--age", age.recipient, "--encrypted-regex", "^stringData$")
    encrypted, _ = parse_documents(file.read_text(), file="secret.yaml", unit=".")
    plain, _ = parse_documents(SECRET, file="plain.yaml", unit=".")
    refuse_encrypted(Rendered(plain))
    for rendered in (Rendered(encrypted), Rendered(plain, hooks=encrypted), Rendered(plain, tests=encrypted)):
        with pytest.raises(RenderError, match=r"Secret/login \(secret.yaml:1\): still encrypted by SOPS"):
            refuse_encrypted(rendered)


UNITS = {
    "yaml": {"secret.yaml": SECRET},
    "kustomize": {
        "kustomization.yaml": "secretGenerator: [{name: login, envs: [secret.env]}]\n",
        "secret.env": f"password={VALUE}\n",
    },
    "helm": {
        "Chart.yaml": "apiVersion: v2\nname: c\nversion: 1.0.0\n",
        "templates/secret.yaml": SECRET.replace(VALUE, "{{ .Values.password }}"),
        "secret.yaml": f"password: {VALUE}\n",
    },
}


@pytest.mark.parametrize("name", UNITS)
def test_each_renderer_reads_the_plain_text_and_the_checkout_stays_encrypted(
    repository: Any, age: Age, name: str
) -> None:
    repository.write(UNITS[name])
    file = next(path for path in repository.root.iterdir() if path.stem == "secret")
    encrypt(file, "--age", age.recipient, text=UNITS[name][file.name])
    before = repository.seen()
    request = repository.request(
        files=(file,) if name == "yaml" else (),
        helm=(HelmOptions(value_files=(file,)),) if name == "helm" else (),
        decryption=age.keys,
    )
    (secret,) = render_unit(renderer(name), request).manifests
    texts = [*secret.data.get("stringData", {}).values()]
    texts += [base64.b64decode(text).decode() for text in secret.data.get("data", {}).values()]
    assert texts == [VALUE]
    assert repository.seen() == before
    with pytest.raises(RenderError, match=f"secret.* is encrypted for {age.recipient}"):
        render_unit(renderer(name), replace(request, decryption=Decryption()))


def test_a_file_is_known_by_its_content_where_its_name_says_nothing(folder: Path, age: Age) -> None:
    for name, form in {
        "secret.yaml": "yaml",
        "values.env": "dotenv",
        "settings.ini": "ini",
        "key.pem": "binary",
    }.items():
        file = encrypt(folder / name, "--age", age.recipient, text=TEXTS[name])
        found = look_at(file.rename(folder / f"{name}.encrypted"))
        assert found is not None
        assert found.format == form
