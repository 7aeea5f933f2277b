"""SSH keys: made, opened whatever form they come in, shown as a public line and a fingerprint."""

import hashlib
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, SourceError
from pipeline.source.reasons import with_reason

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

KINDS = ("ed25519", "rsa", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521")
_RSA_BITS = 4096
_MAGIC = b"openssh-key-v1\0"
_PUBLIC = ("ssh-", "ecdsa-sha2-", "sk-", "-----BEGIN PUBLIC KEY", "---- BEGIN SSH2 PUBLIC KEY")
#: What ssh-keygen writes is 16 or 24; each takes milliseconds on purpose, and a key may come from anybody.
_MOST_ROUNDS = 1000
#: "-----BEGIN" in base64.
_BASE64 = "LS0tLS1CRUdJTi"


def generate(kind: str = "ed25519", *, comment: str) -> bytes:
    """A new private key in OpenSSH's format, without a passphrase. Raises InputError for a kind not in KINDS."""
    # Imported here and below: it takes 40 ms, which who renders a plain folder does not owe.
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    curves: dict[str, ec.EllipticCurve] = {
        "ecdsa-p256": ec.SECP256R1(),
        "ecdsa-p384": ec.SECP384R1(),
        "ecdsa-p521": ec.SECP521R1(),
    }
    if kind not in KINDS:
        raise InputError(f"{kind!r} is no kind of SSH key", hint=f"choose one of {', '.join(KINDS)}")
    key: PrivateKeyTypes
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    elif kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    else:
        key = ec.generate_private_key(curves[kind])
    return _commented(_openssh(key), comment)


@lru_cache(maxsize=256)  # opening a key with a passphrase takes 150 ms on purpose, and each poll needs it
def opened(private: str, passphrase: str = "") -> str:
    """The private key as ssh reads it: OpenSSH's format, no passphrase. Line ends and the last line break are mended.

    Takes OpenSSH's format, PKCS#1, PKCS#8 and SEC1 in PEM; a passphrase that is not needed is not looked at.
    Raises SourceError (SecretInvalid) that says what it is instead of such a key.
    """
    return _openssh(_loaded(private, passphrase)).decode()


def public_line(private: bytes, *, comment: str, passphrase: str = "") -> str:
    """The public half as a line of authorized_keys, such as `ssh-ed25519 AAAA… comment`. Raises as `opened`."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    key = _loaded(private.decode(errors="replace"), passphrase).public_key()
    line = key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return f"{line} {comment}".rstrip()


def fingerprint(public: str) -> str:
    """The fingerprint of a public line, as `ssh-keygen -lf` prints it: `SHA256:…`."""
    digest = hashlib.sha256(b64decode(public.split()[1])).digest()
    return f"SHA256:{b64encode(digest).decode().rstrip('=')}"


def _loaded(private: str, passphrase: str) -> Any:
    """The key, of a kind that ssh knows; typed loosely, because cryptography's unions hold kinds that it does not."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
        load_ssh_private_key,
    )

    text = "\n".join(line.strip() for line in private.strip().splitlines()) + "\n"
    _refuse_others(text)
    load = load_ssh_private_key if "BEGIN OPENSSH" in text else load_pem_private_key
    data = text.encode()
    try:
        try:
            # Whether an RSA key's numbers fit together takes 300 ms to find out, and ssh finds out itself.
            key: object = load(data, None, unsafe_skip_rsa_key_validation=True)
        except TypeError:
            if not passphrase:
                raise _invalid(
                    "the SSH key has a passphrase", "add it to the Secret as `password`, or use a key without one"
                ) from None
            key = load(data, passphrase.encode(), unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm as e:
        raise _invalid("the SSH key is of a kind that is not supported", f"use one of {', '.join(KINDS)}") from e
    except ValueError as e:
        if passphrase:
            raise _invalid("the passphrase does not open the SSH key", "check `password` in the Secret") from e
        raise _invalid(
            "the SSH key is damaged, or no private key", "give all of it, from -----BEGIN … to END …-----"
        ) from e
    if not isinstance(key, ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise _invalid("the SSH key is of a kind that is not supported", f"use one of {', '.join(KINDS)}")
    return key


def _refuse_others(text: str) -> None:
    """Raise SourceError for what people take for a private key, and for a key that nobody should try to open."""
    if text.startswith(_PUBLIC):
        raise _invalid("the SSH key is a public key", "put the private half there: the file without .pub")
    if text.startswith(_BASE64):
        raise _invalid("the SSH key is in base64 twice", "encode it once under `data`, or put it under `stringData`")
    if text.startswith("PuTTY-User-Key-File"):
        raise _invalid("the SSH key is PuTTY's", "convert it: puttygen KEY.ppk -O private-openssh -o identity")
    if "BEGIN OPENSSH" in text and _rounds(text) > _MOST_ROUNDS:
        raise _invalid("the SSH key takes too long to open", f"ssh-keygen -p -a 24, at most {_MOST_ROUNDS} rounds")


def _rounds(text: str) -> int:
    """How often the passphrase's function has to be applied; 0 where there is none, or nobody can read it.

    Source: PROTOCOL.key of OpenSSH: cipher, name of the function, its options (salt, rounds).
    """
    try:
        blob = b64decode("".join(text.strip().splitlines()[1:-1]))
    except ValueError:
        return 0
    at = len(_MAGIC)
    for _ in range(2):
        at += 4 + int.from_bytes(blob[at : at + 4], "big")
    salt = at + 4
    rounds = salt + 4 + int.from_bytes(blob[salt : salt + 4], "big")
    return int.from_bytes(blob[rounds : rounds + 4], "big") if int.from_bytes(blob[at : at + 4], "big") else 0


def _openssh(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat  # noqa: PLC0415

    try:
        form: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    except ValueError as e:
        raise _invalid("the SSH key is of a kind that is not supported", f"use one of {', '.join(KINDS)}") from e
    return form


def _commented(key: bytes, comment: str) -> bytes:
    """The same key with a comment, which cryptography leaves empty: the last field before a padding of 1, 2, 3 …

    Source: PROTOCOL.key of OpenSSH.
    """
    begin, *body, end = key.decode().strip().splitlines()
    blob = b64decode("".join(body))
    at = len(_MAGIC)
    for number in range(4):  # cipher, kdf, its options; after the number of keys, the public key
        at += 4 * (number == 3)
        at += 4 + int.from_bytes(blob[at : at + 4], "big")
    private = blob[at + 4 :]
    private = private[: len(private) - private[-1] - 4]
    private += len(comment.encode()).to_bytes(4, "big") + comment.encode()
    private += bytes(range(1, -len(private) % 8 + 1))
    coded = b64encode(blob[:at] + len(private).to_bytes(4, "big") + private).decode()
    lines = (coded[start : start + 70] for start in range(0, len(coded), 70))
    return "\n".join((begin, *lines, end, "")).encode()


def _invalid(message: str, hint: str) -> SourceError:
    return with_reason(SourceError(message, hint=hint), "SecretInvalid")
