"""A row of JSON values, read as Go's JSON decoder reads them for kubectl."""

import json
import re
from collections.abc import Iterator
from typing import Any

from renderers.manifest.guard import MAX_DEPTH, Reading
from renderers.manifest.events import clip
from renderers.manifest.scalars import number

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


def json_values(text: str, reading: Reading) -> Iterator[tuple[Any, int, int]]:
    """Each value with its first line and the position behind it.

    Ends where the text ends, or is no JSON and may still be YAML, which is so until two values were read. Raises
    ManifestError for anything else.
    """
