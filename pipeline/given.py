"""What an App is given by ConfigMaps and Secrets of its own namespace: values, variables, keys."""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.app import App
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.errors import InputError
from pipeline.inventory.store import CONFIG_MAPS, SECRETS
from renderers.api import Decryption
from renderers.settings import ValuesFrom, VarsFrom

_PGP = re.compile(rb"-----BEGIN PGP PRIVATE KEY BLOCK-----")


@dataclass(frozen=True, slots=True)
class Given:
    """The content, none of it shown by `repr`: what is missing and optional is not in there."""

    values: Mapping[ValuesFrom, bytes] = field(default_factory=dict, repr=False)
    variables: Mapping[VarsFrom, Mapping[str, str]] = field(default_factory=dict, repr=False)
    decryption: Decryption = field(default_factory=Decryption, repr=False)

    @property
    def digest(self) -> str:
        """A hash of all of it, by which a change is noticed. Not for any log: short values can be guessed from it."""
        content = (
            [(ref.kind, ref.name, ref.values_key, value) for ref, value in self.values.items()],
            [(ref.kind, ref.name, sorted(found.items())) for ref, found in self.variables.items()],
            self.decryption.age,
            self.decryption.pgp,
        )
        return hashlib.sha256(repr(content).encode()).hexdigest()


def is_given(app: App) -> bool:
    """Whether the App names anything of the kind, so that a cluster must be asked."""
    return bool(app.spec.decryption or next(_values(app), None) or next(_variables(app), None))


def read_given(connection: Connection, app: App) -> Given:
    """Read it. Raises InputError (ValuesNotFound, SecretNotFound, SecretInvalid) that names the object; ApiError."""
    reader = _Reader(connection, app.metadata.namespace)
    values: dict[ValuesFrom, bytes] = {}
    for ref in _values(app):
        data = reader.data(ref.kind, ref.name)
        if data is not None and ref.values_key in data:
            values[ref] = data[ref.values_key]
        elif not ref.optional:
            raise reader.missing(ref, ref.values_key if data is not None else "")
    variables: dict[VarsFrom, Mapping[str, str]] = {}
    for names in _variables(app):
        data = reader.data(names.kind, names.name)
        if data is not None:
            variables[names] = {key: reader.text(names, key, value) for key, value in data.items()}
        elif not names.optional:
            raise reader.missing(names)
    return Given(values, variables, _decryption(reader, app))


def decryption_of(data: Mapping[str, bytes], *, where: str) -> Decryption:
    """The private keys in a Secret's data: age identities in `*.agekey`, OpenPGP keys in `*.asc`.

    Raises InputError (SecretInvalid), which names keys of the Secret and no value.
    """
    age: list[str] = []
    pgp: list[bytes] = []
    for key, value in sorted(data.items()):
        if key.endswith(".agekey"):
            found = identities(value.decode(errors="replace"))
            if not found:
                raise InputError(f"{where}: the key {key} holds no age identity", hint=_AGE, reason="SecretInvalid")
            age += found
        elif key.endswith(".asc"):
            if not _PGP.search(value):
                raise InputError(
                    f"{where}: the key {key} holds no armored OpenPGP private key", hint=_ASC, reason="SecretInvalid"
                )
            pgp.append(value)
    if not age and not pgp:
        names = ", ".join(sorted(data)) or "none"
        raise InputError(
            f"{where} has no key that opens anything: its keys are {names}",
            hint=f"{_AGE}; {_ASC}",
            reason="SecretInvalid",
        )
    return Decryption(tuple(age), tuple(pgp))


def identities(text: str) -> list[str]:
    """The age identities in a text, one a line; comments are left out."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line.startswith("AGE-SECRET-KEY-")]


_AGE = "give an age identity under a key that ends in .agekey: it begins with AGE-SECRET-KEY-"
_ASC = "give a key as `gpg --export-secret-keys --armor` prints it under a key that ends in .asc"


class _Reader:
    """Reads each object once."""

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._read: dict[tuple[str, str], Mapping[str, bytes] | None] = {}

    def data(self, kind: str, name: str) -> Mapping[str, bytes] | None:
        """All data, decoded; None where there is no such object."""
        if (kind, name) not in self._read:
            self._read[kind, name] = self._fetch(kind, name)
        return self._read[kind, name]

    def place(self, kind: str, name: str) -> str:
        return f"{kind} {self._namespace}/{name}"

    def missing(self, ref: ValuesFrom | VarsFrom, key: str = "") -> InputError:
        place = self.place(ref.kind, ref.name)
        what = f"{place}, which the App's render steps name, " + (f"has no key {key}" if key else "does not exist")
        return InputError(what, hint="create it, correct the step, or mark it optional", reason="ValuesNotFound")

    def text(self, ref: VarsFrom, key: str, value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError as e:
            place = self.place(ref.kind, ref.name)
            raise InputError(
                f"{place}: the value of {key} is no text", hint="take it out", reason="ValuesNotFound"
            ) from e

    def _fetch(self, kind: str, name: str) -> Mapping[str, bytes] | None:
        resource = SECRETS if kind == "Secret" else CONFIG_MAPS
        try:
            found = objects.get(self._connection, resource, self._namespace, name)
        except ApiError as error:
            if not error.forbidden:
                raise
            raise InputError(
                f"{self.place(kind, name)} may not be read: {error.message}", hint=error.hint, reason="ValuesForbidden"
            ) from error
        if found is None:
            return None
        data = found.get("data") or {}
        if kind == "Secret":
            return {key: base64.b64decode(value) for key, value in data.items()}
        binary = {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
        return {**{key: value.encode() for key, value in data.items()}, **binary}


def _values(app: App) -> Iterator[ValuesFrom]:
    for step in app.spec.render:
        if step.helm is not None:
            yield from step.helm.values_from


def _variables(app: App) -> Iterator[VarsFrom]:
    for step in app.spec.render:
        if step.substitute is not None:
            yield from step.substitute.from_


def _decryption(reader: _Reader, app: App) -> Decryption:
    if app.spec.decryption is None:
        return Decryption()
    name = app.spec.decryption.secret_ref.name
    where = reader.place("Secret", name)
    data = reader.data("Secret", name)
    if data is None:
        raise InputError(
            f"{where}, which opens encrypted files, does not exist",
            hint="create it, or correct spec.decryption.secretRef",
            reason="SecretNotFound",
        )
    return decryption_of(data, where=where)
