"""Decrypts the files of a unit's private copy with the real `sops`, which sees one file and the keys and no more."""

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from msgspec import json

from renderers.api import Decryption, Limits, Rendered, RenderError
from renderers.boundary import shown
from renderers.sandbox import private_folder
from renderers.sops.encrypted import Encrypted, is_encrypted, look_at, own_keys_only, own_lines_only
from renderers.sops.keys import dearmored, public_names
from renderers.tool import ToolError, run

_ADD_KEY = "give the App a private key for it (decryption.secretRef), or encrypt it for one that the App has"
_EXIT_CODE = re.compile(r"failed with exit code (\d+)")
#: Exit codes of sops (cmd/sops/codes).
_NO_KEY, _WRONG_MAC = 128, 51


def decrypt_inputs(
    root: Path,
    files: Iterable[Path],
    keys: Decryption,
    *,
    limits: Limits,
    named: Collection[Path] = (),
) -> tuple[Path, ...]:
    """Replace each encrypted one of the files, regular files of a private copy, by its plain text; answer which.

    A file that no key opens is an error, but in a chart, where it stays as it is unless it is one of `named` (the
    values files of options): few charts use all that lies in them. Raises RenderError that names the file, the keys
    that it is encrypted for and those that there are, all by their public names; and for a file that was changed
    after its encryption. No value is ever in a message. `root` is what names are relative to.
    """
    files = set(files)
    charts = {file.parent for file in files if file.name == "Chart.yaml"}
    found = [(file, encrypted) for file in sorted(files) if (encrypted := look_at(file)) is not None]
    if not found:
        return ()
    done = []
    with private_folder() as private:
        sops = _Sops(private, keys, limits)
        for file, encrypted in found:
            needed = file in named or charts.isdisjoint(file.parents)
            if sops.decrypt(file, encrypted, name=shown(file, root), needed=needed):
                done.append(file)
    return tuple(done)


def refuse_encrypted(rendered: Rendered) -> None:
    """Raise RenderError that names each object which SOPS encrypted and nobody decrypted."""
    left = [m for m in (*rendered.manifests, *rendered.hooks, *rendered.tests) if is_encrypted(m.data)]
    if left:
        raise RenderError(
            f"{', '.join(f'{manifest.id} ({manifest.origin})' for manifest in left)}: still encrypted by SOPS",
            where=str(left[0].origin),
            hint=_ADD_KEY,
        )


class _Sops:
    """The keys, in a folder of their own that goes with them, and sops runs there."""

    def __init__(self, private: Path, keys: Decryption, limits: Limits) -> None:
        self._private, self._keys, self._limits = private, keys, limits
        self._has = {"age": bool(keys.age), "pgp": bool(keys.pgp)}
        age, pgp = private / "age.txt", private / "gnupg"
        age.write_text("\n".join([*keys.age, ""]), "utf-8")
        pgp.mkdir(mode=0o700)
        # Where this file is, sops reads it itself and needs neither gpg nor an agent (pgp/keysource.go).
        (pgp / "secring.gpg").write_bytes(b"".join(map(dearmored, keys.pgp)))
        self._variables = {"SOPS_AGE_KEY_FILE": str(age), "GNUPGHOME": str(pgp)}

    def decrypt(self, file: Path, encrypted: Encrypted, *, name: str, needed: bool) -> bool:
        """Whether the file is decrypted now. Raises RenderError where it is needed and cannot be."""
        fits = any(encrypted.own[kind] and self._has[kind] for kind in encrypted.own)
        content = file.read_bytes()
        if encrypted.others and fits:
            if not encrypted.metadata:
                content = own_lines_only(content)
            elif "key_groups" in encrypted.metadata:
                fits = False
            else:
                probe = json.encode({"sops": own_keys_only(encrypted.metadata)})
                fits = self._run(probe, "json") != _NO_KEY
        code = self._run(content, encrypted.format) if fits else _NO_KEY
        if code == 0:
            file.unlink()  # whatever else has a name for the same content keeps it
            file.write_bytes((self._private / "file").read_bytes())
            return True
        if code != _NO_KEY:
            cause = "it was changed after it was encrypted" if code == _WRONG_MAC else f"sops ends with {code}"
            raise RenderError(f"{name} cannot be decrypted: {cause}", where=name, hint="encrypt it anew with sops")
        if needed:
            raise self._no_key(name, encrypted)
        return False

    def _run(self, content: bytes, form: str) -> int:
        """sops's exit code; the result is in `file`. What sops says may quote the content, and is dropped."""
        file = self._private / "file"
        file.write_bytes(content)
        arguments = ["decrypt", "--in-place", "--input-type", form, "--output-type", form, str(file)]
        try:
            run("sops", arguments, private=self._private, limits=self._limits, variables=self._variables)
        except ToolError as e:
            code = _EXIT_CODE.search(e.message)
            return int(code[1]) if code else 1
        return 0

    def _no_key(self, name: str, encrypted: Encrypted) -> RenderError:
        given = ", ".join(public_names(self._keys)) or "none"
        message = f"{name} is encrypted for {', '.join(encrypted.names) or 'nobody'}, and the keys given are: {given}"
        if encrypted.others:
            message += ". Keys of a service are not used, as a render has no network"
        return RenderError(message, where=name, hint=_ADD_KEY)
