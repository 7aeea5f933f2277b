"""Schemas of kinds: read from the OpenAPI document of a Kubernetes release and from CRDs, made strict as the API is."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs

from renderers.api import RenderError
from renderers.manifest import Manifest
from renderers.validate.deprecations import release_of

#: Group, version and kind.
Kind = tuple[str, str, str]
Schema = dict[str, Any]

_REF = "#/definitions/"
_PREFIX = "io.k8s.apimachinery.pkg."
_META = f"{_PREFIX}apis.meta.v1.ObjectMeta"
_ANY: Schema = {}
#: What the document says less of than the API server takes (their `UnmarshalJSON` and `OpenAPISchemaType` in Go).
_LENIENT: Mapping[str, Schema] = {
    f"{_PREFIX}util.intstr.IntOrString": {"type": ["integer", "string"]},
    f"{_PREFIX}api.resource.Quantity": {"type": ["string", "number"]},
    f"{_PREFIX}runtime.RawExtension": {"type": "object"},
    f"{_PREFIX}apis.meta.v1.FieldsV1": {"type": "object"},
    **{
        f"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.{name}": _ANY
        for name in ("JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray")
    },
}
#: Keywords of a CRD's schema that mean in JSON Schema what they mean there.
_KEYWORDS = (
    "type", "enum", "required", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "uniqueItems",
)  # fmt: skip


class Schemas:
    """The schemas of one Kubernetes release. `kinds` are those that it serves."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = document["definitions"]
        self.kinds: dict[Kind, str] = {}
        for name, definition in self._definitions.items():
            for kind in definition.get("x-kubernetes-group-version-kind", ()):
                self.kinds[kind["group"], kind["version"], kind["kind"]] = name

    @property
    def groups(self) -> frozenset[str]:
        """The API groups that the release serves."""
        return frozenset(group for group, _, _ in self.kinds)

    def of(self, kind: Kind) -> Schema | None:
        """The JSON Schema of a kind, with all that it refers to; None for a kind that the release does not have."""
        name = self.kinds.get(kind)
        return None if name is None else self.closed({"$ref": _REF + name})

    def of_crd(self, schema: Mapping[str, Any]) -> Schema:
        """The JSON Schema of a custom resource from `openAPIV3Schema`: its metadata is as of any object."""
        made = _structural(schema)
        known = made.setdefault("properties", {})
        known |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"$ref": _REF + _META}}
        return self.closed(made)

    def closed(self, schema: Schema) -> Schema:
        """A schema together with the definitions that it reaches."""
        found: dict[str, Schema] = {}
        todo = list(_references(schema))
        while todo:
            name = todo.pop()
            if name not in found:
                found[name] = _strict(name, self._definitions[name])
                todo += _references(found[name])
        return {**schema, "definitions": found}


def load_schemas(place: Path | None, version: str) -> Schemas:
    """The schemas of a Kubernetes version such as `v1.36.3`.

    `place` is `swagger.json` of api/openapi-spec in the Kubernetes repository, or a folder that holds it; None: where
    Go keeps the module k8s.io/kubernetes, at any patch of the same minor. Raises RenderError for one that is not
    there or is no such document.
    """
    file = _file(place) if place is not None else _in_module_cache(version)
    try:
        return Schemas(json.loads(file.read_bytes()))
    except OSError as e:
        raise RenderError(f"the schemas {file} cannot be read: {e.strerror}", hint="check --schemas") from e
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
        raise RenderError(
            f"{file} is no OpenAPI document of Kubernetes", hint="give api/openapi-spec/swagger.json of its repository"
        ) from e


def crd_schemas(manifests: Iterable[Manifest], schemas: Schemas) -> dict[Kind, Schema | None]:
    """The kinds that CRDs among the manifests define; None where a version has no schema."""
    found: dict[Kind, Schema | None] = {}
    for manifest in manifests:
        if manifest.id.kind != "CustomResourceDefinition":
            continue
        for kind, schema in _versions(manifest.data.get("spec")):
            found[kind] = schemas.of_crd(schema) if schema is not None else None
    return found


def _versions(spec: Any) -> Iterator[tuple[Kind, Mapping[str, Any] | None]]:
    """Of a CRD's spec that may be any data: that it is wrong is said elsewhere."""
    if not isinstance(spec, Mapping) or not isinstance(spec.get("names"), Mapping):
        return
    group, kind = str(spec.get("group")), str(spec["names"].get("kind"))
    versions = spec.get("versions")
    for version in versions if isinstance(versions, list) else ():
        if not isinstance(version, Mapping):
            continue
        part = version.get("schema")
        schema = part.get("openAPIV3Schema") if isinstance(part, Mapping) else None
        yield (group, str(version.get("name")), kind), schema if isinstance(schema, Mapping) else None


def _references(schema: Any) -> Iterator[str]:
    todo = [schema]
    while todo:
        current = todo.pop()
        if isinstance(current, dict):
            if isinstance(current.get("$ref"), str):
                yield current["$ref"].removeprefix(_REF)
            todo += current.values()
        elif isinstance(current, list):
            todo += current


def _strict(name: str, definition: Mapping[str, Any]) -> Schema:
    """A definition with unknown fields refused."""
    return _LENIENT[name] if name in _LENIENT else _converted(definition)


def _converted(schema: Mapping[str, Any]) -> Schema:
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    made: Schema = {key: schema[key] for key in ("type", "required", "enum") if key in schema}
    properties = schema.get("properties")
    if properties is not None:
        made["properties"] = {key: _converted(value) for key, value in properties.items()}
        made["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), Mapping):
        made["additionalProperties"] = _converted(schema["additionalProperties"])
    if "items" in schema:
        made["items"] = _converted(schema["items"])
    return made


def _structural(schema: Mapping[str, Any]) -> Schema:
    """A CRD's schema, which the API server also reads only in part (structural schemas, KEP-1979)."""
    made: Schema = {key: schema[key] for key in _KEYWORDS if schema.get(key) is not None}
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and _is_regex(pattern):
        made["pattern"] = pattern
    properties = schema.get("properties")
    more = schema.get("additionalProperties")
    if isinstance(properties, Mapping):
        made["properties"] = {str(k): _structural(v) for k, v in properties.items() if isinstance(v, Mapping)}
    if schema.get("x-kubernetes-embedded-resource"):
        made.setdefault("properties", {})
        made["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _ANY}
    if isinstance(more, Mapping):
        made["additionalProperties"] = _structural(more)
    elif "properties" in made and more is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    if isinstance(schema.get("items"), Mapping):
        made["items"] = _structural(schema["items"])
    return made | _combined(schema)


def _combined(schema: Mapping[str, Any]) -> Schema:
    made: Schema = {}
    for word in ("allOf", "anyOf", "oneOf"):
        if isinstance(schema.get(word), list):
            made[word] = [_logical(part) for part in schema[word] if isinstance(part, Mapping)]
    if isinstance(schema.get("not"), Mapping):
        made["not"] = _logical(schema["not"])
    return made


def _logical(schema: Mapping[str, Any]) -> Schema:
    """Below allOf and its kin fields are only looked at, not declared: there no field is unknown."""
    made = _structural(schema)
    todo = [made]
    while todo:
        current = todo.pop()
        if current.get("additionalProperties") is False:
            del current["additionalProperties"]
        todo += [value for value in (current.get("properties") or {}).values() if isinstance(value, dict)]
        todo += [
            current[word] for word in ("items", "not", "additionalProperties") if isinstance(current.get(word), dict)
        ]
    return made


def _is_regex(pattern: str) -> bool:
    """Whether the pattern can be matched in linear time, as Go's can; another one is better left out."""
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return True


def _file(place: Path) -> Path:
    for file in (place, place / "swagger.json", place / "api" / "openapi-spec" / "swagger.json"):
        if file.is_file():
            return file
    raise RenderError(f"no schemas are at {place}", hint="give api/openapi-spec/swagger.json of Kubernetes' repository")


def _in_module_cache(version: str) -> Path:
    """Where `go mod download` puts the module: GOMODCACHE, else pkg/mod in GOPATH (`go help environment`)."""
    minor = "v{}.{}".format(*release_of(version))
    caches = [Path(place) for place in (os.environ.get("GOMODCACHE"),) if place]
    caches += [Path(place, "pkg", "mod") for place in os.environ.get("GOPATH", "").split(":") if place]
    for cache in (*caches, Path.home() / "go" / "pkg" / "mod"):
        found = list(cache.glob(f"k8s.io/kubernetes@{minor}.*/api/openapi-spec/swagger.json"))
        exact = [file for file in found if f"@{version}/" in file.as_posix()]
        if found:
            return (exact or sorted(found))[-1]
    raise RenderError(
        f"there are no schemas of Kubernetes {minor}",
        hint=f"give --schemas FILE, which is api/openapi-spec/swagger.json of Kubernetes' repository at {version}; or "
        f"run `go mod download k8s.io/kubernetes@{version}`, which puts it where it is looked for",
    )
