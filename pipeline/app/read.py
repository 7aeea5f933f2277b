"""An App from a file or from the API server, and what is wrong with one, in words for people."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from pipeline.app.model import API_VERSION, App
from pipeline.app.rules import check_spec
from pipeline.errors import InputError
from renderers.manifest import load_text

#: What of the API server's metadata an App keeps.
_METADATA = ("name", "namespace", "labels", "annotations")


def load_app_file(path: Path) -> App:
    """The App in a YAML file, read as kubectl reads it, but for what kubectl only warns of.

    Raises InputError that names file and field, and ManifestError for what is no YAML.
    """
    where = str(path)
    try:
        text = path.read_bytes()
    except OSError as e:
        raise InputError(
            f"the App file cannot be read: {e.strerror}", where=where, hint="check the path after -f"
        ) from e
    loaded = load_text(text, file=where)
    if loaded.warnings:
        raise InputError(
            f"the App file is doubtful: {loaded.warnings[0]}", hint="write it in a way that has one meaning"
        )
    if len(loaded.documents) != 1:
        raise InputError(
            f"the file holds {len(loaded.documents)} documents, and an App file is one",
            where=where,
            hint="one file an App",
        )
    data = loaded.documents[0].data
    if not isinstance(data, dict) or (data.get("apiVersion"), data.get("kind")) != (API_VERSION, "App"):
        raise InputError(
            "the file is no App", where=where, hint=f"an App file says apiVersion: {API_VERSION} and kind: App"
        )
    try:
        app = _converted(data)
        check_spec(app)
    except InputError as e:
        e.where = e.where or where
        raise
    return app


def app_of_resource(resource: Mapping[str, Any]) -> App:
    """The App in an object of the API server: its status and the server's own metadata are left out.

    Raises InputError that names the field; a resource without a source is an error.
    """
    metadata = {key: resource["metadata"][key] for key in _METADATA if key in resource["metadata"]}
    app = _converted(
        {
            "apiVersion": resource["apiVersion"],
            "kind": resource["kind"],
            "metadata": metadata,
            "spec": resource.get("spec") or {},
        }
    )
    check_spec(app)
    if app.spec.source is None:
        raise InputError("the field spec.source is missing", hint="add it: source: {git: {url: ..., branch: main}}")
    return app


def check(app: App) -> None:
    """Hold the App to every rule, whether it was made by a file or by flags. Raises InputError that names the field."""
    _converted(msgspec.to_builtins(app))
    check_spec(app)


def _converted(data: Any) -> App:
    """Plain data as an App. Raises InputError in the file's words."""
    try:
        return msgspec.convert(data, App)
    except msgspec.ValidationError as e:
        raise _in_our_words(str(e), data) from e


def _in_our_words(text: str, data: Any) -> InputError:
    """msgspec's sentence ("<what> - at `$.<place>`") with the field's full name, its rule, and what may stand there."""
    what, _, place = text.partition(" - at `$")
    place = place.strip(".`")
    parts = re.findall(r"[^.\[\]]+", place)
    if named := re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", what, re.DOTALL):
        field = ".".join(filter(None, (place, named[2])))
        if named[1] == "missing required":
            return InputError(f"the field {field} is missing", hint="add it")
        return InputError(f"there is no field {field}", hint=f"the fields there are: {', '.join(_fields(App, parts))}")
    if "regex" in what or "length" in what:
        value = data
        for part in parts:
            value = value[int(part) if isinstance(value, list) else part]
        if place.endswith("url"):
            return InputError(f"{place} is {value!r}, which is no URL", hint="write https://host/path or git@host:path")
        return InputError(
            f"{place} is {value!r}, which is no name",
            hint="lower-case letters, digits and dashes, at most 63 (a DNS label)",
        )
    return InputError(f"{place or 'the App'} cannot be used: {what.replace('`', '')}", hint="correct the field")


def _fields(kind: Any, place: list[str]) -> list[str]:
    """The names of the fields at a place of the model; list indexes in `place` are passed over."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(_struct_in(kind))}
    names = [part for part in place if part in fields or not part.isdigit()]
    return _fields(fields[names[0]], names[1:]) if names else sorted(fields)


def _struct_in(kind: Any) -> Any:
    """The struct in a type such as `Source | None` or `tuple[RenderStep, ...]`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next(filter(None, map(_struct_in, get_args(kind))), None)
