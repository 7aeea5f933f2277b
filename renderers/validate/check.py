"""Holds manifests against schemas: unknown fields, wrong types and values, each with its path and its file."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

from renderers.manifest import Manifest
from renderers.validate.deprecations import outdated
from renderers.validate.schemas import Kind, Schema, Schemas, crd_schemas

#: Of one manifest so many problems are told, and the rest is counted.
MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the API server would not take; `path` is the field's (`spec.ports[0].port`), empty: the whole."""

    manifest: Manifest
    path: str
    message: str

    def __str__(self) -> str:
        field = f"{self.path} " if self.path else ""
        return f"{self.manifest.origin}: {self.manifest.id}: {field}{self.message}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of it. `unknown` are manifests of kinds that neither Kubernetes nor a CRD of the set defines."""

    problems: tuple[Problem, ...]
    unknown: tuple[Manifest, ...]


def validate(manifests: Iterable[Manifest], schemas: Schemas, version: str) -> Checked:
    """Hold each manifest against its kind's schema in a Kubernetes version, or in a CRD among the manifests.

    Fields that are null count as left out, as for the API server. No message has a value of a manifest in it.
    """
    everything = tuple(manifests)
    known = crd_schemas(everything, schemas)
    gone = {id(entry.manifest): entry.message for entry in outdated(everything, version) if entry.removed}
    validators: dict[Kind, jsonschema_rs.Validator | None] = {}
    problems: list[Problem] = []
    unknown: list[Manifest] = []
    for manifest in everything:
        if id(manifest) in gone:
            problems.append(Problem(manifest, "apiVersion", f"cannot be used: {gone[id(manifest)]}"))
            continue
        kind = _kind(manifest)
        if kind not in validators:
            validators[kind] = _validator(known[kind] if kind in known else schemas.of(kind))
        validator = validators[kind]
        if validator is not None:
            problems += _problems(manifest, validator)
        elif kind not in known and kind[0] in schemas.groups:
            problems.append(Problem(manifest, "apiVersion", f"cannot be used: Kubernetes {version} has no such kind"))
        elif kind not in known:
            unknown.append(manifest)
    return Checked(tuple(problems), tuple(unknown))


def _kind(manifest: Manifest) -> Kind:
    group, _, version = str(manifest.data["apiVersion"]).rpartition("/")
    return group, version, manifest.id.kind


def _validator(schema: Schema | None) -> jsonschema_rs.Validator | None:
    if schema is None:
        return None
    # Expressions without backtracking: a CRD of a repository must not be able to take forever.
    return jsonschema_rs.Draft4Validator(schema, pattern_options=jsonschema_rs.RegexOptions())


def _problems(manifest: Manifest, validator: jsonschema_rs.Validator) -> Iterator[Problem]:
    found = [
        problem for error in validator.iter_errors(_without_nulls(manifest.data)) for problem in _of(manifest, error)
    ]
    found.sort(key=lambda problem: problem.path)
    yield from found[:MAX_PROBLEMS]
    if len(found) > MAX_PROBLEMS:
        yield Problem(manifest, "", f"has {len(found) - MAX_PROBLEMS} more problems")


def _of(manifest: Manifest, error: jsonschema_rs.ValidationError) -> Iterator[Problem]:
    path = _path(error.instance_path)
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties):
        for name in error.kind.unexpected:
            yield Problem(manifest, f"{path}.{name}" if path else name, "is no field of it")
    elif isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
        yield Problem(manifest, f"{path}.{error.kind.property}" if path else error.kind.property, "is missing")
    else:
        yield Problem(manifest, path, _sentence(error))


def _sentence(error: jsonschema_rs.ValidationError) -> str:
    """What is wrong, without the value."""
    kind = error.kind
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Type):
        wanted = " or ".join(f"{'an' if word[0] in 'aio' else 'a'} {word}" for word in kind.types)
        return f"is {_name(error.instance)}, and {wanted} is wanted"
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Enum):
        return f"is none of {', '.join(map(str, kind.options))}"
    if isinstance(kind, jsonschema_rs.ValidationErrorKind.Pattern):
        return f"does not match {kind.pattern}"
    limit = getattr(kind, "limit", None)
    return f"breaks the rule {kind.name}{'' if limit is None else f' {limit}'} of its schema"


def _name(value: Any) -> str:
    match value:
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a number"
        case str():
            return "a string"
        case None:
            return "null"
        case dict():
            return "an object"
    return "an array"


def _path(parts: Iterable[str | int]) -> str:
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(item) for item in value]
    return value
