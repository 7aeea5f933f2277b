"""What templates can do: the sandboxed environment and its filters."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from jinja2 import BaseLoader, StrictUndefined, Undefined
from jinja2.exceptions import FilterArgumentError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from renderers.jinja.names import referred
from renderers.manifest import dump, load_text

EXTENSIONS = ("jinja2.ext.do", "jinja2.ext.loopcontrols")


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Strict on undefined names; no template reaches Python's insides or changes a value that was given to it."""

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            extensions=EXTENSIONS,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            cache_size=1000,
        )
        self.filters |= FILTERS

    def join_path(self, template: str, parent: str) -> str:
        """The name of a template that another one names."""
        return referred(template, parent)


def _to_yaml(value: Any) -> str:
    return dump(_plain(value)).removesuffix("\n")


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, indent=indent)


def _from_yaml(text: str) -> Any:
    documents = load_text(text, file="from_yaml").documents
    return documents[0].data if documents else None


def _plain(value: Any) -> Any:
    """Only data: what a template defines may also be a tuple or a generator."""
    if isinstance(value, Undefined):
        _fail(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return [_plain(item) for item in value]


def _fail(value: Undefined) -> NoReturn:
    str(value)  # a strict one raises, and says its name
    raise UndefinedError


def _required(value: Any, message: str = "a required value is missing") -> Any:
    if isinstance(value, Undefined) or value in (None, ""):
        raise FilterArgumentError(message)
    return value


def _quote(value: Any) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def _regex_replace(text: str, pattern: str, replacement: str = "") -> str:
    return re.sub(pattern, replacement, text)


FILTERS: dict[str, Callable[..., Any]] = {
    "to_yaml": _to_yaml,
    "to_json": _to_json,
    "from_yaml": _from_yaml,
    "from_json": json.loads,
    "b64encode": lambda value: base64.b64encode(str(value).encode()).decode(),
    "b64decode": lambda value: base64.b64decode(value, validate=True).decode(),
    "sha256": lambda value: hashlib.sha256(str(value).encode()).hexdigest(),
    "quote": _quote,
    "regex_replace": _regex_replace,
    "required": _required,
}
