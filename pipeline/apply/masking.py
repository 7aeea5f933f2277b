"""Takes the values of an App's own Secrets out of what its programs say (promise 10). Pure."""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping

from pipeline.plan.prepare import Desired

#: Shorter values, such as `1` or `on`, are in every text, and are no secret.
_SHORTEST = 4


def masker(desired: Iterable[Desired]) -> Callable[[str], str]:
    """What puts `***` in the place of each value of the set's Secrets, also of one line of it, and of its base64."""
    secrets = [item for item in desired if item.id.kind == "Secret" and not item.id.group]

    def masked(text: str) -> str:
        for value in sorted(set(_values(secrets)), key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    return masked


def _values(secrets: Iterable[Desired]) -> Iterator[str]:
    for item in secrets:
        data = item.data.get("data")
        for encoded in data.values() if isinstance(data, Mapping) else ():
            try:
                value = base64.b64decode(encoded, validate=True).decode(errors="replace")
            except (binascii.Error, TypeError, ValueError):
                continue
            for part in (encoded, value, *value.splitlines()):
                if len(part.strip()) >= _SHORTEST:
                    yield part.strip()
