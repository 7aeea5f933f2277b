"""The public halves of private keys: what an error may name. Nothing here keeps or prints a private one."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

from renderers.api import Decryption, RenderError

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_ARMOR = re.compile(rb"-----BEGIN PGP PRIVATE KEY BLOCK-----(.*?)-----END PGP PRIVATE KEY BLOCK-----", re.DOTALL)
#: Of each algorithm of a public key packet: what follows (RFC 9580, section 5.5.5). An `m` is a big number, `o` an
#: object identifier or another field with its length before it, a number so many bytes.
_FIELDS = {1: "mm", 2: "mm", 3: "mm", 16: "mmm", 17: "mmmm", 18: "omo", 19: "om", 22: "om"} | {
    25: "32", 26: "56", 27: "32", 28: "57"
}  # fmt: skip
_SECRET_KEY, _SECRET_SUBKEY = 5, 7


def public_names(keys: Decryption) -> list[str]:
    """What the keys are called in public: age recipients and OpenPGP fingerprints, as `age1…` and `PGP ABCD…`."""
    names = [age_recipient(line) for identity in keys.age for line in identity.splitlines() if _is_identity(line)]
    for key in keys.pgp:
        names += [f"PGP {fingerprint}" for fingerprint in list(fingerprints(dearmored(key)))[:1]]
    return names


def age_recipient(identity: str) -> str:
    """The recipient (`age1…`) of an identity (`AGE-SECRET-KEY-1…`); of another kind of identity only that it is one."""
    # Imported late: only an error names keys.
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey  # noqa: PLC0415

    try:
        secret = _bech32_bytes(identity.strip())
        public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    except ValueError:
        return "an age identity of another kind"
    return _bech32("age", public)


def dearmored(key: bytes) -> bytes:
    """An OpenPGP private key, armored or not, as packets. Raises RenderError for what is none."""
    blocks = _ARMOR.findall(key)
    try:
        packets = b"".join(
            base64.b64decode(
                re.sub(rb"\s", b"", re.split(rb"\r?\n\s*\r?\n", block, maxsplit=1)[1].partition(b"\n=")[0])
            )
            for block in blocks
        )
    except (IndexError, binascii.Error):
        packets = b""
    if not blocks and key[:1] and key[0] & 0x80:
        packets = key
    if not any(fingerprints(packets)):
        raise RenderError(
            "a key for decryption is no OpenPGP private key",
            hint="`gpg --export-secret-keys --armor FINGERPRINT` prints one; it may have no passphrase",
        )
    return packets


def fingerprints(packets: bytes) -> Iterator[str]:
    """The fingerprints of the private keys and subkeys of version 4 in a row of OpenPGP packets."""
    position = 0
    while position < len(packets):
        tag, start, end = _packet(packets, position)
        body = packets[start:end]
        if tag in (_SECRET_KEY, _SECRET_SUBKEY) and len(body) > 6 and body[0] == 4 and body[5] in _FIELDS:
            public = body[: _public_length(body)]
            yield hashlib.sha1(b"\x99" + len(public).to_bytes(2, "big") + public).hexdigest().upper()  # noqa: S324 - RFC 9580
        position = end


def _is_identity(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _bech32_bytes(text: str) -> bytes:
    """The bytes of an age identity, its checksum not looked at: age itself does. Raises ValueError."""
    prefix, _, data = text.lower().rpartition("1")
    if prefix != "age-secret-key-":
        raise ValueError
    bits = "".join(f"{_BECH32.index(letter):05b}" for letter in data[:-6])
    return int(bits[:256], 2).to_bytes(32, "big")


def _bech32(prefix: str, data: bytes) -> str:
    """BIP 173."""
    bits = "".join(f"{byte:08b}" for byte in data)
    values = [int(bits[start : start + 5].ljust(5, "0"), 2) for start in range(0, len(bits), 5)]
    head = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    sum_ = _polymod([*head, *values, 0, 0, 0, 0, 0, 0]) ^ 1
    check = [(sum_ >> 5 * (5 - place)) & 31 for place in range(6)]
    return f"{prefix}1" + "".join(_BECH32[value] for value in values + check)


def _polymod(values: list[int]) -> int:
    sum_ = 1
    for value in values:
        top = sum_ >> 25
        sum_ = (sum_ & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            sum_ ^= generator if (top >> place) & 1 else 0
    return sum_


def _packet(data: bytes, position: int) -> tuple[int, int, int]:
    """Tag, begin and end of a packet's body (RFC 9580, section 4.2); what is no packet ends the row."""
    first, rest = data[position], data[position + 1 : position + 6]
    if first & 0xC0 == 0xC0:
        tag, length = first & 0x3F, rest[0] if rest else 0
        if length < 192:
            size, header = length, 2
        elif length < 224:
            size, header = ((length - 192) << 8) + int.from_bytes(rest[1:2], "big") + 192, 3
        else:
            size, header = int.from_bytes(rest[1:5], "big"), 6
    else:
        tag, kind = (first >> 2) & 0xF, first & 3
        if not first & 0x80 or kind == 3:
            return 0, len(data), len(data)
        size, header = int.from_bytes(rest[: 1 << kind], "big"), 1 + (1 << kind)
    return tag, position + header, position + header + size


def _public_length(body: bytes) -> int:
    """How much of a secret key packet is the public key."""
    position, fields = 6, _FIELDS[body[5]]
    if fields.isdigit():
        return position + int(fields)
    for field in fields:
        if field == "m":
            position += 2 + (int.from_bytes(body[position : position + 2], "big") + 7) // 8
        else:
            position += 1 + int.from_bytes(body[position : position + 1], "big")
    return position
