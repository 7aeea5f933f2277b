"""From a msgspec struct to a structural OpenAPI v3 schema, as a CustomResourceDefinition has it. Knows no App.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

Schema = dict[str, Any]

#: What the types do not say, by the field's place: `spec.source.git.url`, and `spec.render[]` for what is in a list.
Rules = Mapping[str, Mapping[str, Any]]


def structural(struct: type[msgspec.Struct], place: str, rules: Rules, *, defaults: bool = True) -> Schema:
    """The schema of a struct that stands at `place`; `rules` are added where they belong.

    `defaults` also says what the API server fills in: only scalars, so that a part that was left out stays out.
    """
    return _Walk(rules, defaults=defaults).struct(inspect.type_info(struct), place)


class _Walk:
    def __init__(self, rules: Rules, *, defaults: bool) -> None:
        self._rules = rules
        self._defaults = defaults
        self._of: dict[type, Callable[[Any, str], Schema]] = {
            inspect.StructType: self.struct,
            inspect.StrType: lambda info, _: {"type": "string", **_limits(info, minLength="min_length",
                                                                          maxLength="max_length", pattern="pattern")},
            inspect.IntType: lambda info, _: {"type": "integer", **_limits(info, minimum="ge", maximum="le")},
            inspect.BoolType: lambda _info, _: {"type": "boolean"},
            inspect.LiteralType: lambda info, _: {"type": "string", "enum": list(info.values)},
            inspect.VarTupleType: self._list,
            inspect.DictType: self._map,
            inspect.UnionType: self._optional,
            inspect.Metadata: self._described,
        }  # fmt: skip

    def struct(self, info: Any, place: str) -> Schema:
        fields = {field.encode_name: self._field(field, f"{place}.{field.encode_name}") for field in info.fields}
        required = [field.encode_name for field in info.fields if field.required]
        schema = {"type": "object", "description": _first_paragraph(info.cls), "properties": fields}
        return {**schema, **({"required": required} if required else {}), **self._rules.get(place, {})}

    def _field(self, field: Any, place: str) -> Schema:
        schema = self._any(field.type, place)
        if self._defaults and isinstance(field.default, str | int) and field.default != "":
            schema["default"] = field.default
        return schema

    def _any(self, info: Any, place: str) -> Schema:
        return {**self._of[type(info)](info, place), **self._rules.get(place, {})}

    def _described(self, info: Any, place: str) -> Schema:
        return {**self._any(info.type, place), **(info.extra_json_schema or {})}

    def _optional(self, info: Any, place: str) -> Schema:
        """`X | None`: a field that may be left out."""
        (only,) = (item for item in info.types if not isinstance(item, inspect.NoneType))
        return self._any(only, place)

    def _list(self, info: Any, place: str) -> Schema:
        items = self._any(info.item_type, f"{place}[]")
        return {"type": "array", "x-kubernetes-list-type": "atomic", "items": items}

    def _map(self, info: Any, place: str) -> Schema:
        if isinstance(info.value_type, inspect.AnyType):
            return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        return {"type": "object", "additionalProperties": self._any(info.value_type, f"{place}[]")}


def _limits(info: Any, **names: str) -> Schema:
    """The limits that the type has, under their OpenAPI names; Python's `\\Z` is `$` for the API server's RE2."""
    found = {name: getattr(info, attribute) for name, attribute in names.items()}
    return {
        name: value.replace(r"\Z", "$") if isinstance(value, str) else value
        for name, value in found.items()
        if value is not None
    }


def _first_paragraph(struct: type) -> str:
    return " ".join((struct.__doc__ or "").partition("\n\n")[0].split())
