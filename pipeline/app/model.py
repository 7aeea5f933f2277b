"""The App and its parts: the one model behind the resource `apps.trimtab.dev`, a file of the same shape, and flags.

A field that nothing serves yet is not here. The descriptions are what `kubectl explain` and the reference show.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from renderers.settings import RenderStep

API_VERSION: Final = "trimtab.dev/v1alpha1"
#: Where Trimtab itself lives unless somebody says otherwise: the inventory, the deploy key, the App made by flags.
DEFAULT_NAMESPACE = "trimtab-system"

#: RFC 1123 label: names become part of labels and of object names. `\Z`, because `$` lets a last line break pass.
LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z"
#: RFC 1123 subdomain, as Secrets have it.
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?\Z"

_about = msgspec.Meta


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """What every part of an App is: immutable, strict about unknown fields, camelCase in YAML."""


class GitSource(_Part, frozen=True):
    """A git repository, the ref to follow and a folder in it."""

    url: Annotated[
        str,
        _about(
            description="The repository: https://host/path, ssh://user@host/path or user@host:path. No credentials "
            "in it: those come from secretRef.",
            min_length=1,
            max_length=2048,
        ),
    ]
    branch: Annotated[
        str, _about(description="The branch to follow. Without branch, tag, semver and commit: the default branch.")
    ] = ""
    tag: Annotated[str, _about(description="The tag to follow.")] = ""
    semver: Annotated[
        str, _about(description="A range of semantic versions, such as ~1.4 or >=1.2.0 <2.0.0: the highest tag in it.")
    ] = ""
    commit: Annotated[str, _about(description="A full commit id, which is then never left.")] = ""
    path: Annotated[str, _about(description="The folder in the repository.")] = "."


class ChartSource(_Part, frozen=True):
    """A chart of a chart repository, or of an OCI registry."""

    repo: Annotated[
        str, _about(description="The chart repository: https://host/path. No credentials in it.", max_length=2048)
    ] = ""
    name: Annotated[str, _about(description="The chart's name in that repository.", max_length=253)] = ""
    oci: Annotated[
        str, _about(description="Instead of repo and name: oci://host/path/name of a registry.", max_length=2048)
    ] = ""
    version: Annotated[
        str,
        _about(description="A version, or a range such as ~1.4 or >=1.2.0 <2.0.0. Without it: the newest release."),
    ] = ""

    @property
    def url(self) -> str:
        """Where it is asked for: the repository, or the chart in a registry."""
        return self.oci or self.repo


class SecretRef(_Part, frozen=True):
    """A Secret in the App's own namespace."""

    name: Annotated[
        str, _about(description="The Secret's name.", pattern=SUBDOMAIN_PATTERN, min_length=1, max_length=253)
    ]


#: What a source may be: somewhere outside, and what of it is followed.
Place = GitSource | ChartSource

_GIT = "A git repository."
_CHART = "Instead of git: a Helm chart of a chart repository or an OCI registry."
_OPENS = (
    "The Secret that opens the repository: an SSH key (identity, ssh-privatekey or sshPrivateKey, with known_hosts), "
    "username and password or a token (password, bearerToken), a CA (ca.crt). Without it an App in the controller's "
    "own namespace uses the controller's deploy key."
)


class Source(_Part, frozen=True):
    """Where the checkout comes from: exactly one of git and chart."""

    git: Annotated[GitSource | None, _about(description=_GIT)] = None
    secret_ref: Annotated[SecretRef | None, _about(description=_OPENS)] = None
    chart: Annotated[ChartSource | None, _about(description=_CHART)] = None

    @property
    def place(self) -> Place:
        """The one of git and chart that is named; `check` holds that it is one."""
        place = self.git or self.chart
        assert place is not None  # noqa: S101 - see above
        return place


class NamedSource(Source, frozen=True, kw_only=True):
    """A further source, of which nothing is rendered: value files name it as name:path."""

    name: Annotated[str, _about(description="Its name.", pattern=LABEL_PATTERN, min_length=1, max_length=63)]


class Decryption(_Part, frozen=True):
    """What opens files that SOPS encrypted."""

    secret_ref: Annotated[
        SecretRef,
        _about(
            description="The Secret with the private keys: data keys that end in .agekey hold age identities, those "
            "that end in .asc armored OpenPGP keys."
        ),
    ]


class Target(_Part, frozen=True):
    """Where the objects go."""

    namespace: Annotated[
        str,
        _about(
            description="The namespace of objects that name none; Helm's release namespace.",
            pattern=LABEL_PATTERN,
            min_length=1,
            max_length=63,
        ),
    ] = "default"
    create_namespace: Annotated[bool, _about(description="Create that namespace when it is missing.")] = False


class Guard(_Part, frozen=True):
    """A prune of at least `at_least` objects that is more than `percent` of the inventory waits for approval."""

    percent: Annotated[
        int, _about(description="More than this share of the inventory (0 to 100) waits.", ge=0, le=100)
    ] = 50
    at_least: Annotated[int, _about(description="Fewer objects than this never wait.", ge=0)] = 10


class Prune(_Part, frozen=True):
    """What happens to objects that left the set."""

    enabled: Annotated[bool, _about(description="Delete what left git, as far as this App created it.")] = True
    after: Annotated[
        Literal["healthy", "applied"],
        _about(description="healthy: once everything else is ready; applied: before the wait for that."),
    ] = "healthy"
    adopted: Annotated[
        bool, _about(description="Delete also what existed before this App; else that is only released.")
    ] = False
    allow_empty: Annotated[bool, _about(description="The App may render to nothing, and then everything goes.")] = False
    guard: Annotated[Guard, _about(description="How large a prune waits for `trimtab approve`.")] = Guard()


class Wait(_Part, frozen=True):
    """Whether a sync waits until what it applied is ready."""

    enabled: Annotated[bool, _about(description="Wait; without it a sync ends when all is applied.")] = True
    timeout: Annotated[str, _about(description="How long, as a Go duration (30s, 5m).")] = "5m"


Deployer = Literal["helm", "argocd", "flux", "kapp", "kluctl"]


class Adopt(_Part, frozen=True):
    """Whose objects this App may take over."""

    from_: Annotated[
        tuple[Deployer, ...], _about(description="The deployers whose marks on an object do not make it refused.")
    ] = msgspec.field(default=(), name="from")


class Match(_Part, frozen=True):
    """Whether a field of an object has one of some values."""

    json_path: Annotated[
        str, _about(description="Where, as kubectl reads it: {.status.phase}.", min_length=1, max_length=1024)
    ]
    values: Annotated[tuple[str, ...], _about(description="It matches when the field has one of these.", min_length=1)]


class HealthCheck(_Part, frozen=True):
    """What ready means for a kind that does not follow the conventions of Kubernetes."""

    api_version: Annotated[
        str, _about(description="The kind's apiVersion; its version does not matter.", min_length=1, max_length=317)
    ]
    kind: Annotated[str, _about(description="The kind.", min_length=1, max_length=63)]
    ready: Annotated[Match, _about(description="An object is ready when this matches.")]
    failed: Annotated[Match | None, _about(description="An object has failed, for good, when this matches.")] = None


class Dependency(_Part, frozen=True):
    """Another App that must be ready first."""

    name: Annotated[str, _about(description="The App's name.", pattern=LABEL_PATTERN, min_length=1, max_length=63)]
    namespace: Annotated[str, _about(description="Its namespace; without it, this App's own.")] = ""


class Spec(_Part, frozen=True):
    """What the user wants of an App."""

    source: Annotated[Source | None, _about(description="Where the manifests come from.")] = None
    sources: Annotated[
        tuple[NamedSource, ...],
        _about(description="Further sources; value files of charts name them as name:path."),
    ] = ()
    render: Annotated[
        tuple[RenderStep, ...],
        _about(description="How the folder is rendered. Without it, what lies in the folder decides."),
    ] = ()
    decryption: Annotated[
        Decryption | None, _about(description="What opens files in the repository that SOPS encrypted.")
    ] = None
    target: Annotated[Target, _about(description="Where the objects go.")] = Target()
    interval: Annotated[
        str,
        _about(description="How often the source is asked, and the cluster compared with it (a Go duration)."),
    ] = "5m"
    prune: Annotated[Prune, _about(description="What happens to objects that left the set.")] = Prune()
    wait: Annotated[Wait, _about(description="Whether a sync waits until all is ready.")] = Wait()
    conflicts: Annotated[
        Literal["take", "yield", "fail"],
        _about(description="Fields that somebody else set: take them, yield (leave them), or fail."),
    ] = "take"
    recreate: Annotated[
        Literal["never", "allowed"],
        _about(
            description="An object of which git changes an immutable field: never delete and create it again, or "
            "allow that where this App created it. trimtab.dev/recreate on the object wins. Finished Jobs are always."
        ),
    ] = "never"
    health_checks: Annotated[
        tuple[HealthCheck, ...], _about(description="What ready means for kinds that say it in a way of their own.")
    ] = ()
    adopt: Annotated[Adopt, _about(description="Whose objects this App may take over.")] = Adopt()
    depends_on: Annotated[
        tuple[Dependency, ...], _about(description="Apps that must be ready before this one is synced.")
    ] = ()
    deletion_policy: Annotated[
        Literal["prune", "release"],
        _about(description="When the App is deleted: prune what it created, or release (let live) everything."),
    ] = "prune"
    suspend: Annotated[bool, _about(description="Leave everything as it is until this is false again.")] = False


class Metadata(_Part, frozen=True):
    """The part of an object's metadata that an App file may carry; labels and annotations are for people."""

    name: Annotated[str, _about(pattern=LABEL_PATTERN, min_length=1, max_length=63)]
    namespace: Annotated[str, _about(pattern=LABEL_PATTERN, min_length=1, max_length=63)] = DEFAULT_NAMESPACE
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
