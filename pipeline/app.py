"""The App and its parts: the one model behind a file, flags and (later) the custom resource, and its rules.

Field names and defaults are the ones of the resource `apps.trimtab.dev`; a field that nothing serves yet is not
here, and an unknown field is an error.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from pipeline.errors import InputError
from pipeline.location import check_commit, check_ref, normal_path, transport_of
from renderers.manifest import load_text
from renderers.settings import RenderStep

API_VERSION: Final = "trimtab.dev/v1alpha1"
#: Where the inventory is kept, and the namespace of an App made by flags.
DEFAULT_NAMESPACE = "trimtab-system"

#: RFC 1123 label: names become part of labels and of object names. `\Z`, because `$` lets a last line break pass.
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z", max_length=63)]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 366 * 24 * 3600.0
_SHORTEST_INTERVAL = 0.1


def parse_duration(text: str, *, what: str) -> float:
    """Seconds of a Go duration such as `5m`, `1m30s` or `500ms`, at most a year; a bare number is refused, as by Go.

    Raises InputError that names `what`.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        raise InputError(f"{what} is {text!r}, which is no duration", hint="write a number with a unit: 30s, 5m, 1h30m")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise InputError(f"{what} is {text!r}, which is more than a year", hint="give less")
    return seconds


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What every part of an App is: immutable, strict about unknown fields, camelCase in YAML."""


class GitSource(_Part, frozen=True):
    """A git repository, the ref to follow (one of branch, tag, commit; none: the remote's HEAD) and a folder in it."""

    url: str
    branch: str = ""
    tag: str = ""
    commit: str = ""
    path: str = "."


class Source(_Part, frozen=True):
    """Where the checkout comes from."""

    git: GitSource


class Target(_Part, frozen=True):
    """Where the objects go: the namespace of what names none, and whether to create it when it is missing."""

    namespace: Name = "default"
    create_namespace: bool = False


class Guard(_Part, frozen=True):
    """A prune of at least `at_least` objects that is more than `percent` of the inventory waits for approval."""

    percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 50
    at_least: Annotated[int, msgspec.Meta(ge=0)] = 10


class Prune(_Part, frozen=True):
    """What happens to objects that left the set."""

    enabled: bool = True
    after: Literal["healthy", "applied"] = "healthy"
    adopted: bool = False
    allow_empty: bool = False
    guard: Guard = Guard()


class Wait(_Part, frozen=True):
    """Whether a sync waits for health, and how long (a Go duration)."""

    enabled: bool = True
    timeout: str = "5m"


class Adopt(_Part, frozen=True):
    """Deployers (helm, argocd, flux, kapp, kluctl) whose objects this App may take over."""

    from_: tuple[Literal["helm", "argocd", "flux", "kapp", "kluctl"], ...] = msgspec.field(default=(), name="from")


class Spec(_Part, frozen=True):
    """What the user wants of an App."""

    source: Source | None = None
    render: tuple[RenderStep, ...] = ()
    target: Target = Target()
    interval: str = "5m"
    prune: Prune = Prune()
    wait: Wait = Wait()
    conflicts: Literal["take", "yield", "fail"] = "take"
    adopt: Adopt = Adopt()


class Metadata(_Part, frozen=True):
    """The part of an object's metadata that an App file may carry; labels and annotations are for people."""

    name: Name
    namespace: Name = DEFAULT_NAMESPACE
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class App(_Part, frozen=True):
    """One thing to keep in sync. `str()` is `namespace/name`."""

    metadata: Metadata
    spec: Spec = Spec()
    api_version: Literal["trimtab.dev/v1alpha1"] = API_VERSION
    kind: Literal["App"] = "App"

    @property
    def name(self) -> str:
        """The App's name."""
        return self.metadata.name

    def __str__(self) -> str:
        return f"{self.metadata.namespace}/{self.metadata.name}"


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
        check(app)
    except InputError as e:
        e.where = e.where or where
        raise
    return app


def check(app: App) -> None:
    """Hold the App to every rule, whether it was made by a file or by flags. Raises InputError that names the field."""
    _converted(msgspec.to_builtins(app))
    if parse_duration(app.spec.interval, what="the interval") < _SHORTEST_INTERVAL:
        raise InputError(f"the interval is {app.spec.interval!r}, which is too short", hint="give at least 100ms")
    parse_duration(app.spec.wait.timeout, what="wait.timeout")
    if app.spec.source is not None:
        check_source(app.spec.source.git)


def check_source(git: GitSource) -> None:
    """Raise InputError for several refs, or a URL, ref, commit or path of a form that is not allowed. Asks nobody."""
    given = [kind for kind in ("branch", "tag", "commit") if getattr(git, kind)]
    if len(given) > 1:
        raise InputError(f"source.git names {' and '.join(given)}", hint="choose one of branch, tag and commit")
    transport_of(git.url)
    normal_path(git.path)
    if git.commit:
        check_commit(git.commit)
    elif given:
        check_ref(given[0], git.branch or git.tag)


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
            value = value[part]
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
