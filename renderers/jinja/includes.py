"""What templates include, as far as their texts say it. Runs nothing of them."""

from jinja2 import Environment, TemplateSyntaxError, meta

from renderers.api import RenderError
from renderers.jinja.environment import EXTENSIONS


def included(text: bytes, name: str) -> list[str | None]:
    """What a template includes, imports or extends; None where only running it tells.

    `name` is what people call it. Raises RenderError for what is no template.
    """
    environment = Environment(extensions=EXTENSIONS)  # noqa: S701 - parses only
    try:
        return list(meta.find_referenced_templates(environment.parse(text.decode(errors="replace"))))
    except TemplateSyntaxError as e:
        raise RenderError(
            f"this is no Jinja template: {e.message}", where=f"{name}:{e.lineno}", hint="correct the template"
        ) from e
    except RecursionError as e:
        raise RenderError("the template is nested too deeply", where=name, hint="simplify it") from e
