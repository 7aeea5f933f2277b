"""What a renderer is: the protocol, what it is asked, what it answers, and how it fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from renderers.manifest import Manifest, TrimtabError

#: What a render believes of Kubernetes where no cluster and no flag says otherwise.
DEFAULT_KUBE_VERSION = "v1.36.3"

#: What to do about anything that is not in the checkout.
ALLOW_REMOTE = (
    "copy it into the repository, or list the beginning of its URL in allowRemote of the App's render step "
    "(--allow-remote)"
)


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
class Fetched:
    """What a fetcher brought: a chart or another repository, as a folder that nobody changes.

    `root` is its boundary and `folder` lies in it, both absolute and resolved. `url` has no credentials in it;
    `version` is the resolved one (a chart's version, a ref); `id` names exactly this content (`sha256:…`, a commit).
    """

    url: str
    version: str
    id: str
    root: Path
    folder: Path


class Fetcher(Protocol):
    """Brings what lies outside the checkout, as far as the App lists it: all that a render may know of a network."""

    def chart(self, repository: str, name: str, version: str) -> Fetched:
        """The unpacked chart of a chart repository (`https://…`) or registry (`oci://…`, without the chart's name).

        `version` is one or a range, as helm reads it; empty: the newest. Raises TrimtabError where the App does not
        list it, and where it cannot be had.
        """
        ...

    def base(self, url: str) -> Fetched:
        """The folder that a remote base of kustomize names (`https://host/repo//folder?ref=v1`). Raises the same."""
        ...


class NoFetcher:
    """Brings nothing: what a render uses where nobody gives it another one."""

    def chart(self, repository: str, name: str, version: str) -> Fetched:  # noqa: ARG002 - the protocol's
        """Raise RenderError, naming the chart."""
        raise RenderError(
            f"the chart {name} would be fetched from {repository}, and a render uses no network", hint=ALLOW_REMOTE
        )

    def base(self, url: str) -> Fetched:
        """Raise RenderError, naming the base."""
        raise RenderError(f"{url} is remote, and a render uses no network", hint=ALLOW_REMOTE)


@dataclass(frozen=True, slots=True)
class HelmOptions:
    """How a chart is rendered; the words are Helm's. A renderer of other units ignores them.

    `value_files` are absolute paths, in Helm's order (the last wins); `value_texts` are YAML from elsewhere by a name
    for messages, and win over them; then `values`, then `set`, `set_string` and `set_file` as `K=V` in Helm's syntax,
    of which the last as key and absolute path. `release_name` empty: the request's name.
    """

    release_name: str = ""
    value_files: tuple[Path, ...] = ()
    value_texts: tuple[tuple[str, bytes], ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    set: tuple[str, ...] = ()
    set_string: tuple[str, ...] = ()
    set_file: tuple[tuple[str, Path], ...] = ()
    include_crds: bool = True


@dataclass(frozen=True, slots=True)
class KustomizeOptions:
    """How a kustomization is built. `enable_helm`: allow `helmCharts` (kustomize's `--enable-helm`)."""

    enable_helm: bool = False


@dataclass(frozen=True, slots=True)
class JinjaOptions:
    """What templates see. `value_files` are absolute paths of YAML or JSON (the last wins); `values` win over them."""

    value_files: tuple[Path, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decryption:
    """The private keys that open files which SOPS encrypted: age identities, and armored OpenPGP keys."""

    age: tuple[str, ...] = field(default=(), repr=False)
    pgp: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One unit to render.

    `root` is the boundary (absolute, resolved): no file outside it may be read. `folder` is the unit (absolute,
    inside root). `files` are the files of a plain unit, absolute, in order; empty for other renderers. `name` is
    the release name where the options give none; `namespace` is handed to helm only. `helm` and `jinja` are options
    by who says them, the last wins: `.trimtab.yaml`, the App, flags; but helm merges all values files and `values`
    first, and then all `set`s. `is_upgrade` is Helm's `.Release.IsUpgrade`; `notes` asks for Helm's NOTES too,
    `explain` for `Unit.uses`. `plugin` are the options of a plug-in's renderer, as its step gives them. `decryption`
    and `fetcher` are not for renderers to keep: two requests with the same question get the same answer.
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
    jinja: tuple[JinjaOptions, ...] = ()
    plugin: Mapping[str, Any] = field(default_factory=dict)
    is_upgrade: bool = False
    notes: bool = False
    explain: bool = False
    decryption: Decryption = field(default_factory=Decryption)
    fetcher: Fetcher = field(default_factory=NoFetcher, compare=False)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The closed set of a unit: all that its render may read, and nothing else will be there.

    `files` are regular files (absolute, resolved, inside the root), `links` the symbolic links by which they are
    reached (absolute, each with all links *above* it resolved), `fetched` what comes from outside the checkout.
    `written` are files by their places (absolute, inside the root) that are laid out with this content, which follows
    from `files` and `fetched`, instead of the checkout's.
    `tools` are the programs that are run. `whole`: the unit may read anything in the checkout; then `files` and
    `links` are not looked at.
    """

    files: frozenset[Path] = frozenset()
    links: frozenset[Path] = frozenset()
    fetched: tuple[Fetched, ...] = ()
    written: Mapping[Path, bytes] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """Something that a unit makes use of and a person should know of, with its place (`file:line`).

    `kind` is `lookup`, `random`, `time`, `capability`, `tpl` (templates in values) or `network`; `what` is the
    function, or what is asked for.
    """

    kind: str
    what: str
    where: str


@dataclass(frozen=True, slots=True)
class Unit:
    """What became of one unit, for `render --explain`: paths relative to the checkout, `inputs` sorted."""

    folder: str
    renderer: str
    inputs: tuple[str, ...] = ()
    fetched: tuple[Fetched, ...] = ()
    uses: tuple[Use, ...] = ()
    cached: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a unit (or a whole App: see `renderers.tree`) came to.

    `hooks` are Helm hooks other than tests, `tests` are Helm tests: never mixed with the manifests. `warnings`
    are sentences for people, each with its place. `notes` are Helm's NOTES, by unit. `units` say what was rendered.
    """

    manifests: tuple[Manifest, ...]
    hooks: tuple[Manifest, ...] = ()
    tests: tuple[Manifest, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()
    units: tuple[Unit, ...] = ()


class Renderer(Protocol):
    """A renderer is a module or object with these; it may run a tool, and never touches a cluster or git."""

    #: The word for `--renderer` and for `.trimtab.yaml`.
    name: str

    def fits(self, folder: Path) -> bool:
        """Whether the folder (absolute) is a unit of this renderer by what it contains, without reading content."""
        ...

    def inputs(self, request: RenderRequest) -> Inputs:
        """All that the render may read. The unit is then laid out with just this in a private folder.

        Raises RenderError for what may not be read (it leads out of the checkout, is remote and not allowed), and
        ManifestError for what is no YAML.
        """
        ...

    def render(self, request: RenderRequest) -> Rendered:
        """Turn the unit into manifests. Raises RenderError or ManifestError; never returns a part.

        Called with a request whose paths are those of the private folder; `shown(path, request.root)` is the name
        that people know.
        """
        ...

    def uses(self, request: RenderRequest) -> tuple[Use, ...]:
        """What `render --explain` should say of the unit, read from its files without running anything."""
        ...


def uses_nothing(request: RenderRequest) -> tuple[Use, ...]:  # noqa: ARG001 - the protocol's
    """The `uses` of a renderer that has nothing to say there."""
    return ()
