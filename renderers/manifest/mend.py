"""What kubectl's YAML library reads and libyaml refuses, written so that libyaml reads it too.

`"it\\'s"` is `it's`, and `[a:, b]` has the text `a:`. Both stand in manifests that people keep.
"""

import re
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.events import StreamEndEvent

from renderers.manifest.guard import MAX_NODES, Reading

_SUSPECTS = ("\\'", ":,", ":]", ":}")
#: What is left of a double-quoted scalar, and an escape in it.
_REST = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def mended(text: str, reading: Reading) -> str:
    """The text of one document; as it is where nothing is to be done.

    Only libyaml knows what stands in quotes or in brackets, and it stops at each: it reads once more for every scalar,
    as long as `reading` allows.
    """
    while any(suspect in text for suspect in _SUSPECTS) and reading.may_repeat(len(text)):
        error = _refusal(text)
        if error is None or error.problem_mark is None:
            break
        at: int = error.problem_mark.index
        if text.startswith("\\'", at):
            start, end = at, _REST.match(text, at).end()  # type: ignore[union-attr]  # it may be empty
            scalar = _ESCAPE.sub(lambda escape: "'" if escape[1] == "'" else escape[0], text[start:end])
        elif error.problem == "found unexpected ':'" and text[at + 1] in ",]}" and error.context_mark:
            start, end = error.context_mark.index, at + 1
            scalar = "'" + text[start:end].replace("'", "''") + "'"
        else:
            break
        text = text[:start] + scalar + text[end:]
    return text


def _refusal(text: str) -> yaml.MarkedYAMLError | None:
    following: Any = CParser(text).get_event
    try:
        for _ in range(2 * MAX_NODES):  # a value has at most two events
            if type(following()) is StreamEndEvent:
                break
    except yaml.MarkedYAMLError as e:
        return e
    except yaml.YAMLError:
        pass
    return None
