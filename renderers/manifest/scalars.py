"""What a YAML scalar means to kubectl: the rules of its YAML library (go.yaml.in/yaml/v2, then JSON).

They are neither YAML 1.1 nor 1.2: `y` and `on` are booleans, `0644` is 420, `12:30` and `2020-01-01` are strings.
The loader reads by them and the dumper quotes by them.
"""

import base64
import binascii
import math
import re
import struct
from decimal import Decimal

TAG = "tag:yaml.org,2002:"
Scalar = str | bool | int | float | None

#: What a plain scalar must begin with to be anything but a string (the empty one is null).
HINTS = frozenset("+-.0123456789~yYnNtTfFoO")

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_INT64 = range(-(1 << 63), 1 << 63)
_UINT64 = range(1 << 64)
#: Go's ParseInt with base 0, after the sign.
_DIGITS = (
    (re.compile(r"0[xX]([0-9a-fA-F]+)"), 16),
    (re.compile(r"0[bB]([01]+)"), 2),
    (re.compile(r"0[oO]?([0-7]+)"), 8),
    (re.compile(r"(0|[1-9][0-9]{0,19})"), 10),
)
#: The library's own second try at binary numbers lets the sign stand after the prefix.
_ODD_BINARY = re.compile(r"0b([-+][01]+)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_POINT_FLOAT = re.compile(r"\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?")
_TIMESTAMP = re.compile(
    r"\d{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12]\d|3[01])"
    r"([Tt]\d{1,2}:\d{1,2}:\d{1,2}([.,]\d+)?(Z|[-+]\d\d:\d\d)| \d{1,2}:\d{1,2}:\d{1,2}([.,]\d+)?)?"
)


def plain(text: str) -> Scalar:
    """What an unquoted scalar without a tag is.

    An int of 2^63 and more stands for Go's uint64, and a float may be infinite: `number` makes a value of either,
    `key_text` a key.
    """
    if text and text[0] not in HINTS:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "+-0123456789":
        return _number(text)
    if _POINT_FLOAT.fullmatch(text):
        return _finite(text)
    return text


def tagged(tag: str, text: str) -> Scalar:
    """What a scalar with an explicit tag is; a tag that Kubernetes has no use for leaves the text as it is.

    Raises ValueError with a sentence where the text does not fit the tag.
    """
    name = tag.removeprefix(TAG) if tag.startswith(TAG) else ""
    if name == "binary":
        try:
            data = base64.b64decode(text.replace("\r", "").replace("\n", ""), validate=True)
        except binascii.Error as e:
            raise ValueError("a !!binary value is no base64") from e
        # One U+FFFD a byte that is no UTF-8, as in Go's JSON.
        return re.sub("[\udc80-\udcff]", "\ufffd", data.decode(errors="surrogateescape"))
    if name == "timestamp" and _TIMESTAMP.fullmatch(text):
        return text
    value = plain(text)
    fits = {
        "bool": isinstance(value, bool),
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "null": value is None,
        "timestamp": False,
    }
    if name not in fits:
        return text
    if not fits[name]:
        raise ValueError(f"the value has the tag !!{name} and is none")
    return float(value) if name == "float" and isinstance(value, int) else value


def number(value: float) -> int | float:
    """The number that an API server gets: whole numbers are ints, and past 63 bits only a float's digits are kept.

    Raises ValueError for infinity and not-a-number, which JSON does not have.
    """
    if isinstance(value, int) and value in _INT64:
        return value
    value = float(value)
    if not math.isfinite(value):
        raise ValueError("infinity and not-a-number have no place in a Kubernetes object")
    if value.is_integer() and abs(value) < 1e21:
        return int(Decimal(repr(value)))
    return value


def key_text(key: Scalar) -> str:
    """The string that a map's key becomes. Raises ValueError for what has none."""
    if isinstance(key, str):
        return key
    if key is None:
        raise ValueError("a map has null as a key")
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, float):
        return _float32(key)
    if key not in _INT64:
        raise ValueError(f"a map has the key {key}, a number past 64 bits")
    return str(key)


def _number(text: str) -> Scalar:
    digits = text.replace("_", "")
    sign, rest = (digits[0], digits[1:]) if digits[0] in "+-" else ("", digits)
    for pattern, base in _DIGITS:
        if match := pattern.fullmatch(rest):
            value = int(sign + match[1], base)
            if value in _INT64 or (not sign and value in _UINT64):
                return value
            break
    if _FLOAT.fullmatch(digits):
        value_or_text = _finite(digits)
        return text if isinstance(value_or_text, str) else value_or_text
    if (match := _ODD_BINARY.fullmatch(digits)) and (value := int(match[1], 2)) in _INT64:
        return value
    return text


def _finite(text: str) -> str | float:
    """A number out of a float's range stays a string."""
    value = float(text)
    return text if math.isinf(value) else value


def _float32(value: float) -> str:
    """How Go prints a float key: the fewest digits that tell float32 values apart, `%g` style."""
    if math.isnan(value):
        return ".nan"
    try:
        single: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        single = math.copysign(math.inf, value)
    if math.isinf(single):
        return ".inf" if single > 0 else "-.inf"
    for precision in range(9):
        text = f"{single:.{precision}e}"
        if struct.pack("f", float(text)) == struct.pack("f", single):
            break
    return f"{Decimal(text):f}" if -4 <= int(text.partition("e")[2]) < 6 else text
