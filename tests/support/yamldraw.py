"""Texts drawn at random out of what has a meaning in YAML; the same source of chance gives the same texts."""

import random

_BREAKS = ("\n", "\n", "\n", "\r\n", "\n\n")
_LEAVES = (
    "1", "y", "a", "'b'", '"c"', "*a", "*b", "&e 1", "&e y", "null", "~", "!!str y", "1.5", "&e {c: d}", "!!int 3",
    "2.0",
)  # fmt: skip
_LETTERS = " \n\t:#-'\"\\|>{}[],&*!%@`?~0e.=<ax\r"


def letters(draw: random.Random) -> str:
    """A few characters, hardly ever a value."""
    return "".join(draw.choices(_LETTERS, k=draw.randint(2, 7)))


def body(draw: random.Random) -> str:
    """Three keys: nested maps and lists, blocks and quotes, with what may stand before each. Mostly valid."""
    return f"p: &a {{c: 1, d: 2}}\nq: &b [1, *a]\nx:{_block(draw, 1, 0)}"


def _block(draw: random.Random, indent: int, depth: int) -> str:
    pad = " " * indent
    kind = draw.random() if depth < 4 else 0.0
    if kind < 0.3:
        return f" {_flow(draw, depth)}\n"
    if kind < 0.5:
        return "\n" + "".join(f"{pad}-{_block(draw, indent + 2, depth + 1)}" for _ in range(draw.randint(1, 3)))
    if kind < 0.65:
        head = draw.choice((" |", " >", " |-", " >-", " |+", " >+", " |2", " >1+", " | # c", " &e |", " !!str >"))
        lines = (draw.choice(("a", "# c", "", "b: c", "- x", "\t", "a\tb", "  ", "'", "é")) for _ in range(4))
        return f"{head}\n" + "".join(f"{pad}{' ' * draw.randint(0, 3)}{line}{draw.choice(_BREAKS)}" for line in lines)
    if kind < 0.75:
        inside = "".join(draw.choices(("a", "b ", " ", f"\n{pad} ", "\n", "''", "\\\\", "\\n", " #", ":"), k=5))
        quote = draw.choice(("'", '"'))
        return f" {quote}{inside}{quote}\n"
    keys = draw.sample(("a", "b", "'q'", "7", "? k\n" + pad, "&f z", "!!str 8", "<<", "y", "1.5"), k=draw.randint(1, 4))
    return "\n" + "".join(f"{pad}{key}:{_block(draw, indent + draw.choice((1, 2, 4)), depth + 1)}" for key in keys)


def _flow(draw: random.Random, depth: int) -> str:
    kind = draw.random() if depth < 4 else 0.0
    if kind < 0.4:
        return draw.choice(_LEAVES)
    inner = [_flow(draw, depth + 1) for _ in range(draw.randint(0, 3))]
    if kind < 0.6:
        return f"[{draw.choice((', ', ',')).join(inner)}]"
    keys = draw.sample(("a", "b", "'<<'", "7", "y", "1.5", "&f k", "!!str 8", "a b", '"9"', "c", "<<"), k=len(inner))
    body = ", ".join(f"{key}: {value}" for key, value in zip(keys, inner, strict=True))
    return f"{draw.choice(('', '', '&a ', '!!map '))}{{{body}}}"
