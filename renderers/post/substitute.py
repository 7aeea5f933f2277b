"""`${VAR}` in the texts of objects: strict, once, and a text stays a text unless it asks for something else.

Forms: `${VAR}`, `${VAR:-default}` and `${VAR:=default}` (the same: for a variable that is undefined or empty), and
before the default a type, for a value that is nothing but this: `${VAR:number}`, `${VAR:bool:-true}`. Before a brace,
`$$` is a `$`; `$VAR`, `$(VAR)` and every other `$` stay. Keys stay too, and so do objects that say so.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from renderers.api import Limits, RenderError
from renderers.manifest import Manifest, load_text
from renderers.settings import RenderStep, VarsFrom

#: Annotations or labels that keep an object as it is, where they say `disabled`. The second is Flux's.
OPT_OUT = ("trimtab.dev/substitute", "kustomize.toolkit.fluxcd.io/substitute")

_OPENING = re.compile(r"(?<!\$)(\$++)\{")
_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::(number|bool))?(?::[-=]([^{}]*))?\}")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?")  # as JSON has them
_SIMPLE_KEY = re.compile(r"[\w-]+")
#: How many places an error names.
_NAMED = 50
_HINT = (
    "define what is missing under vars, or give a default (${NAME:-text}); write $${ where ${ is meant, or keep an "
    f'object out of it by the annotation {OPT_OUT[0]}: "disabled"'
)


def variables_of(step: RenderStep, sources: Mapping[VarsFrom, Mapping[str, str]], *, field: str) -> Mapping[str, str]:
    """The variables of a substitution, those of `vars` last.

    Raises RenderError for a source that is not there and not optional.
    """
    variables: dict[str, str] = {}
    if step.substitute is None:
        return variables
    for number, source in enumerate(step.substitute.from_):
        if source not in sources and not source.optional:
            raise RenderError(
                f"the {source.kind} {source.name} with variables is not there",
                where=f"{field}.substitute.from[{number}]",
                hint="create it in the App's namespace, or mark it as optional",
            )
        variables |= sources.get(source, {})
    return {**variables, **step.substitute.vars}


def substitute(
    objects: Mapping[int, Manifest], variables: Mapping[str, str], *, field: str, limits: Limits
) -> Mapping[int, Manifest]:
    """The objects with the values of variables in them; a value is not looked through again.

    Raises one RenderError that names every undefined variable and every other form, with object and field and never
    with a value; and ManifestError where an object is none any more.
    """
    field = f"{field}.substitute"
    turn = _Turn(variables, limits.output)
    data = {place: manifest.data if _opted_out(manifest) else turn.of(manifest) for place, manifest in objects.items()}
    if turn.room < 0:
        raise RenderError(
            f"the values of variables come to more than {limits.output >> 20} MiB",
            where=field,
            hint="use large values less often",
        )
    if turn.problems:
        named = [f"{problem} in {place}" for place, problem in list(turn.problems)[:_NAMED]]
        if more := len(turn.problems) - len(named):
            named.append(f"and {more} more")
        raise RenderError("\n  ".join(["these cannot be substituted:", *named]), where=field, hint=_HINT)
    return {
        place: manifest if data[place] is manifest.data else Manifest.of(data[place], manifest.origin)
        for place, manifest in objects.items()
    }


def _opted_out(manifest: Manifest) -> bool:
    labels = manifest.data["metadata"].get("labels")
    said = [manifest.annotations, labels if isinstance(labels, Mapping) else {}]
    return any(texts.get(name) == "disabled" for texts in said for name in OPT_OUT)


class _ProblemError(Exception):
    """Why a form has no value, as `X is not defined`."""


class _Turn:
    """One substitution over many objects. `room` is how many characters of values there may still be.

    `problems` are pairs of a place and what is wrong there.
    """

    def __init__(self, variables: Mapping[str, str], room: int) -> None:
        self.problems: dict[tuple[str, str], None] = {}
        self.room = room
        self._variables = variables

    def of(self, manifest: Manifest) -> Any:
        """The object's data: the same one where it has no variable."""
        return self._walk(manifest.data, manifest, "")

    def _walk(self, value: Any, manifest: Manifest, path: str) -> Any:
        if isinstance(value, str):
            return self._text(value, manifest, path) if "${" in value else value
        if isinstance(value, Mapping):
            made = {key: self._walk(item, manifest, _below(path, key)) for key, item in value.items()}
            return made if any(made[key] is not item for key, item in value.items()) else value
        if isinstance(value, list):
            items = [self._walk(item, manifest, f"{path}[{index}]") for index, item in enumerate(value)]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        return value

    def _text(self, text: str, manifest: Manifest, path: str) -> Any:
        parts: list[str] = []
        position = 0
        while self.room >= 0 and (opening := _OPENING.search(text, position)):
            dollars = len(opening[1])
            parts += text[position : opening.start()], "$" * (dollars // 2)
            position = opening.end()
            if dollars % 2 == 0:
                parts.append("{")
                continue
            form = _FORM.match(text, position)
            try:
                value = self._value(form)
                if form and form[2]:
                    return _typed(value, form, alone=opening[0] + form[0] == text)
            except _ProblemError as e:
                self.problems[f"{manifest.id} ({manifest.origin}), {path}", str(e)] = None
            else:
                self.room -= len(value)
                parts.append(value)
            position = form.end() if form else position
        return "".join([*parts, text[position:]])

    def _value(self, form: re.Match[str] | None) -> str:
        if form is None:
            raise _ProblemError("a form that is neither ${NAME} nor ${NAME:-default}")
        name, default = form[1], form[3]
        value = self._variables.get(name, "")
        if not value and default is not None:
            return default
        if name not in self._variables:
            raise _ProblemError(f"{name}, which is not defined,")
        return value


def _typed(value: str, form: re.Match[str], *, alone: bool) -> bool | int | float:
    """A number or boolean, as kubectl reads it."""
    if not alone:
        raise _ProblemError(f"{form[1]} as a {form[2]} within a longer text")
    if form[2] == "bool" and value in ("true", "false"):
        return value == "true"
    if form[2] == "number" and _NUMBER.fullmatch(value):
        number = load_text(value, file="").documents[0].data
        if isinstance(number, int | float):
            return number
    raise _ProblemError(f"{form[1]}, whose value is no {form[2]},")


def _below(path: str, key: str) -> str:
    if not _SIMPLE_KEY.fullmatch(key):
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key
