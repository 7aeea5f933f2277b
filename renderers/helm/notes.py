"""NOTES: what `helm install` would print at its end. `helm template` has no way to, so a template is added for it."""

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from renderers.api import RenderError

#: helm's name for the notes in the chart's folder: only the first chart's are printed.
NOTES = "templates/NOTES.txt"
#: helm executes templates in the reverse order of their names: this one right before the notes, so that both see
#: the same values, also where a template changes some.
_ADDED = "templates/NOTES.txt.trimtab.yaml"
_KEY = "notes: "

#: What makes `helm template` print only the notes.
SHOW_ONLY = f"--show-only={_ADDED}"


@contextmanager
def added_notes(folder: Path, chart: str) -> Iterator[None]:
    """Meanwhile the private copy of a chart with that name has a template that prints the notes, as one line."""
    path, base = json.dumps(f"{chart}/{NOTES}"), json.dumps(f"{chart}/templates")
    context = f'(set (omit . "Template") "Template" (dict "Name" {path} "BasePath" {base}))'
    template = f"{_KEY}{{{{ include {path} {context} | b64enc | quote }}}}\n"
    (folder / _ADDED).write_text(template, encoding="utf-8")
    try:
        yield
    finally:
        (folder / _ADDED).unlink()


def read_notes(text: str, unit: str) -> str:
    """The notes in what helm printed, as `helm install` prints them; empty: there are none. Raises RenderError."""
    for line in text.splitlines():
        if line.startswith(_KEY):
            try:
                notes = base64.b64decode(json.loads(line.removeprefix(_KEY)), validate=True).decode()
            except (ValueError, binascii.Error) as e:
                raise RenderError("the notes are no UTF-8", where=f"{unit}/{NOTES}") from e
            # The engine does this to every template's output (`Engine.render`).
            return notes.replace("<no value>", "").strip()
    raise RenderError("helm printed no notes", where=f"{unit}/{NOTES}", hint="is `{{` written in it as text?")
