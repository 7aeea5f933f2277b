"""Go templates taken apart as far as a look at them needs: the words of each action, with their lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: text/template: an action ends at }} outside of texts; a comment is all of its action.
_TOKEN = re.compile(
    r"""
      (?P<close>\}\})
    | (?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)*')
    | (?P<field>(?:\$\w*)?(?:\.[^\W\d]\w*)+)
    | (?P<word>[^\W\d]\w*)
    | (?P<other>\$\w*|[\d.]+\w*|[()|])
    | \s+ | .
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"\{\{(?:-\s)?\s*/\*")


@dataclass(frozen=True, slots=True)
class Token:
    """A `word` (a function, a keyword), a `field` (`.Values.a`, `$.Files`), a `text` without its quotes, or `other`."""

    kind: str
    text: str
    line: int


def actions(template: str) -> Iterator[tuple[Token, ...]]:
    """The tokens of each action of a template; comments are left out, and so is an action without an end."""
    position, line, counted = 0, 1, 0
    while (start := template.find("{{", position)) >= 0:
        if comment := _COMMENT.match(template, start):
            position = template.find("*/", comment.end())
            if position < 0:
                return
            continue
        tokens: list[Token] = []
        for match in _TOKEN.finditer(template, start + 2):
            position = match.end()
            if match.lastgroup == "close":
                yield tuple(tokens)
                break
            if match.lastgroup:
                line, counted = line + template.count("\n", counted, match.start()), match.start()
                text = match[0][1:-1] if match.lastgroup == "text" else match[0]
                tokens.append(Token(match.lastgroup, text, line))
        else:
            return
