"""The process that runs templates: reads a task, prints the texts or what is wrong as JSON. Limited from outside."""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, TemplateError, TemplateNotFound, TemplateSyntaxError

from renderers.jinja.environment import TemplateEnvironment


def main(task: str) -> None:
    """Run the task in that file, and print `{"texts": {...}}` or `{"error": ..., "where": ...}`."""
    wanted = json.loads(Path(task).read_text(encoding="utf-8"))
    json.dump(answer(Path(wanted["root"]), wanted["templates"], wanted["values"]), sys.stdout)


def answer(root: Path, templates: list[str], values: dict[str, Any]) -> dict[str, Any]:
    """The text of each template by its name, or the first error with its place."""
    environment = TemplateEnvironment(FileSystemLoader(root, followlinks=True))
    texts = {}
    for name in templates:
        try:
            texts[name] = environment.get_template(name).render(values)
        except Exception as error:  # noqa: BLE001 - a template can make any of Python's errors
            return {"error": _sentence(error), "where": _where(error, root, name)}
    return {"texts": texts}


def _sentence(error: Exception) -> str:
    if isinstance(error, TemplateSyntaxError):
        return f"this is no Jinja template: {error.message}"
    if isinstance(error, TemplateNotFound):
        return f"the template {error.name} is not there: names are relative to the template that includes it"
    if isinstance(error, MemoryError):
        return "the template needs more memory than a render may use"
    if isinstance(error, RecursionError):
        return "the template includes or calls itself without end"
    text = str(error) if isinstance(error, TemplateError) else f"{type(error).__name__}: {error}"
    return f"the template cannot be rendered: {text}"


def _where(error: Exception, root: Path, name: str) -> str:
    """File and line: the last frame that is in a template."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.name or name}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(root):
            return f"{path.relative_to(root).as_posix()}:{frame.lineno}"
    return name
