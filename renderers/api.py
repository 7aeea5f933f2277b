"""What a renderer is: the protocol, what it is asked, what it answers, and how it fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from renderers.manifest import Manifest, TrimtabError

#: What a render believes of Kubernetes where no cluster and no flag says otherwise.
DEFAULT_KUBE_VERSION = "v1.36.3"


class RenderError(TrimtabError):
    """A unit could not be rendered. Permanent: the same inputs give the same error."""

    exit_code = 2
    reason = "RenderFailed"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one tool's run may use. A hostile chart must hurt its own sync only.

    `wall` and `cpu` in seconds, `memory` (address space) and `output` (standard output) in bytes.
    """

    wall: float = 120.0
    cpu: int = 60
    memory: int = 4 << 30
    output: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the target cluster can do, as Helm's `.Capabilities` sees it.

    `kube_version` like `v1.36.3`; `api_versions` like `apps/v1` and `apps/v1/Deployment`, empty: helm's own list.
    """

    kube_version: str = DEFAULT_KUBE_VERSION
    api_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HelmOptions:
    """How a chart is rendered; the words are Helm's. A renderer of other units ignores them.

    `value_files` are absolute paths, in Helm's order (the last wins); `values` are merged over them, then `set`
    and `set_string` as `K=V` in Helm's syntax. `release_name` empty: the request's name.
    """

    release_name: str = ""
    value_files: tuple[Path, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    set: tuple[str, ...] = ()
    set_string: tuple[str, ...] = ()
    include_crds: bool = True


@dataclass(frozen=True, slots=True)
class KustomizeOptions:
    """How a kustomization is built. `enable_helm`: allow `helmCharts` (kustomize's `--enable-helm`)."""

    enable_helm: bool = False


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One unit to render.

    `root` is the boundary (absolute, resolved): no file outside it may be read. `folder` is the unit (absolute,
    inside root). `files` are the files of a plain unit, absolute, in order; empty for other renderers. `name` is
    the release name where the options give none; `namespace` is handed to helm only. `helm` are options by who says
    them, the last wins: `.trimtab.yaml`, the App, flags.
    """

    root: Path
    folder: Path
    name: str
    namespace: str
    files: tuple[Path, ...] = ()
    capabilities: Capabilities = Capabilities()
    limits: Limits = Limits()
    helm: tuple[HelmOptions, ...] = ()
    kustomize: KustomizeOptions = KustomizeOptions()


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a unit (or a whole App: see `renderers.tree`) came to.

    `hooks` are Helm hooks other than tests, `tests` are Helm tests: never mixed with the manifests. `warnings`
    are sentences for people, each with its place.
    """

    manifests: tuple[Manifest, ...]
    hooks: tuple[Manifest, ...] = ()
    tests: tuple[Manifest, ...] = ()
    warnings: tuple[str, ...] = ()


class Renderer(Protocol):
    """A renderer is a module or object with these; it may run a tool, and never touches a cluster or git."""

    #: The word for `--renderer` and for `.trimtab.yaml`.
    name: str

    def fits(self, folder: Path) -> bool:
        """Whether the folder (absolute) is a unit of this renderer by what it contains, without reading content."""
        ...

    def render(self, request: RenderRequest) -> Rendered:
        """Turn the unit into manifests. Raises RenderError or ManifestError; never returns a part."""
        ...
