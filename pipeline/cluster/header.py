"""How a header line of a request is written, for all who write one."""


def header(name: str, value: str) -> str:
    """One header line. White space within becomes one space: a token's file may end in a newline."""
    return f"{name}: {' '.join(value.split())}\r\n"
