"""The App and its parts: the one model behind a file, flags and (later) the custom resource. No I/O beyond text.

Field names and defaults are the ones of the resource `apps.trimtab.dev`; a field that nothing serves yet is not
here, and an unknown field is an error.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from pipeline.errors import InputError

API_VERSION = "trimtab.dev/v1alpha1"
#: Where the inventory is kept, and the namespace of an App made by flags.
DEFAULT_NAMESPACE = "trimtab-system"

#: RFC 1123 label: an App's name becomes part of labels and of object names.
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str, *, what: str) -> float:
    """Seconds of a Go duration such as `5m`, `1m30s` or `500ms`; a bare number is refused, as Go does.

    Raises InputError that names `what`.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        raise InputError(f"{what} is {text!r}, which is no duration", hint="write a number with a unit: 30s, 5m, 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What every part of an App is: immutable, strict about unknown fields, camelCase in YAML."""


class GitSource(_Part):
    """A git repository, the ref to follow (one of branch, tag, commit; none: the remote's HEAD) and a folder in it."""

    url: str
    branch: str = ""
    tag: str = ""
    commit: str = ""
    path: str = "."


class Source(_Part):
    """Where the checkout comes from."""

    git: GitSource


class HelmStep(_Part):
    """Options of the helm renderer. `value_files` are relative to the unit's folder, as in git."""

    release_name: str = ""
    value_files: tuple[str, ...] = ()
    values: Mapping[str, Any] = {}
    set: tuple[str, ...] = ()
    set_string: tuple[str, ...] = ()
    include_crds: bool = msgspec.field(default=True, name="includeCRDs")


class KustomizeStep(_Part):
    """Options of the kustomize renderer."""

    enable_helm: bool = False


class YamlStep(_Part):
    """Options of the plain YAML renderer."""

    recursive: bool = True


class RenderStep(_Part):
    """One entry of `render`: exactly one renderer with its options."""

    helm: HelmStep | None = None
    kustomize: KustomizeStep | None = None
    yaml: YamlStep | None = None


class Target(_Part):
    """Where the objects go: the namespace of what names none, and whether to create it when it is missing."""

    namespace: str = "default"
    create_namespace: bool = False


class Guard(_Part):
    """A prune of at least `at_least` objects that is more than `percent` of the inventory waits for approval."""

    percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 50
    at_least: Annotated[int, msgspec.Meta(ge=0)] = 10


class Prune(_Part):
    """What happens to objects that left the set."""

    enabled: bool = True
    after: Literal["healthy", "applied"] = "healthy"
    adopted: bool = False
    allow_empty: bool = False
    guard: Guard = Guard()


class Wait(_Part):
    """Whether a sync waits for health, and how long (a Go duration)."""

    enabled: bool = True
    timeout: str = "5m"


class Adopt(_Part):
    """Deployers (helm, argocd, flux, kapp, kluctl) whose objects this App may take over."""

    from_: tuple[Literal["helm", "argocd", "flux", "kapp", "kluctl"], ...] = msgspec.field(default=(), name="from")


class Spec(_Part):
    """What the user wants of an App."""

    source: Source | None = None
    render: tuple[RenderStep, ...] = ()
    target: Target = Target()
    interval: str = "5m"
    prune: Prune = Prune()
    wait: Wait = Wait()
    conflicts: Literal["take", "yield", "fail"] = "take"
    deletion_policy: Literal["prune", "release"] = "prune"
    adopt: Adopt = Adopt()


class Metadata(_Part):
    """The part of an object's metadata that an App file may carry."""

    name: Name
    namespace: str = DEFAULT_NAMESPACE


class App(_Part):
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
