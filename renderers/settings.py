"""Render steps: what an App's `render` and a folder's `.trimtab.yaml` may say, and reading the latter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from renderers.api import RenderError
from renderers.boundary import shown
from renderers.files import read_inside
from renderers.manifest import load_text

#: The file in a folder that says how to render it.
FILE_NAME = ".trimtab.yaml"
_MAX_SIZE = 1 << 20
_about = msgspec.Meta
_HINT = "it looks like this: render: [helm: {valueFiles: [values-prod.yaml]}]"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Immutable, strict about unknown fields, camelCase in YAML."""


class ValuesFrom(_Part, frozen=True):
    """Values out of a ConfigMap or Secret in the App's namespace."""

    kind: Annotated[Literal["ConfigMap", "Secret"], _about(description="ConfigMap or Secret.")]
    name: Annotated[str, _about(description="Its name.", min_length=1, max_length=253)]
    values_key: Annotated[str, _about(description="The data key that holds the values file.")] = "values.yaml"
    optional: Annotated[bool, _about(description="It may be missing.")] = False


_ALLOW = (
    "Beginnings of URLs of {what} that may be fetched (https://charts.example.com/, oci://registry.example.com/team/). "
    "Only an App may say so, not a file in the repository."
)


class HelmStep(_Part, frozen=True):
    """Options of the helm renderer."""

    release_name: Annotated[str, _about(description="Helm's release name. Without it: the App's name.")] = ""
    value_files: Annotated[
        tuple[str, ...],
        _about(
            description="Values files, relative to the chart's folder, as in git; name:path is a file of the source of "
            "that name. The last one wins."
        ),
    ] = ()
    values_from: Annotated[
        tuple[ValuesFrom, ...],
        _about(description="Values files in ConfigMaps and Secrets of the App's namespace, which win over valueFiles."),
    ] = ()
    values: Annotated[Mapping[str, Any], _about(description="Values, which win over the files.")] = {}
    set: Annotated[tuple[str, ...], _about(description="Values as KEY=VALUE, as helm's --set reads them.")] = ()
    set_string: Annotated[tuple[str, ...], _about(description="The same as helm's --set-string: each a text.")] = ()
    set_file: Annotated[
        tuple[str, ...], _about(description="KEY=PATH: the value is the file's text, as helm's --set-file reads it.")
    ] = ()
    include_crds: Annotated[bool, _about(description="Also what lies in the chart's crds/ folder.")] = msgspec.field(
        default=True, name="includeCRDs"
    )
    allow_remote: Annotated[
        tuple[str, ...], _about(description=_ALLOW.format(what="chart repositories and registries of dependencies"))
    ] = ()


class KustomizeStep(_Part, frozen=True):
    """Options of the kustomize renderer."""

    enable_helm: Annotated[bool, _about(description="Allow helmCharts in the kustomization.")] = False
    allow_remote: Annotated[
        tuple[str, ...], _about(description=_ALLOW.format(what="remote bases and chart repositories"))
    ] = ()


class YamlStep(_Part, frozen=True):
    """Options of the plain YAML renderer."""

    recursive: Annotated[bool, _about(description="Also the folders below.")] = True


class JinjaStep(_Part, frozen=True):
    """Options of the Jinja renderer."""

    value_files: Annotated[
        tuple[str, ...],
        _about(description="YAML or JSON files with values, relative to the folder. The last one wins."),
    ] = ()
    values: Annotated[Mapping[str, Any], _about(description="Values, which win over the files.")] = {}


class PluginStep(_Part, frozen=True):
    """A renderer that somebody installed beside Trimtab."""

    name: Annotated[str, _about(description="The plug-in's name.", min_length=1)]
    options: Annotated[Mapping[str, Any], _about(description="What the plug-in is told.")] = {}


class Selector(_Part, frozen=True):
    """Which objects a patch changes: all that is given must fit; texts are regular expressions, as for kustomize."""

    group: Annotated[str, _about(description="The API group.")] = ""
    version: Annotated[str, _about(description="The API version.")] = ""
    kind: Annotated[str, _about(description="The kind.")] = ""
    name: Annotated[str, _about(description="The name.")] = ""
    namespace: Annotated[str, _about(description="The namespace.")] = ""
    label_selector: Annotated[str, _about(description="Labels, as kubectl's -l.")] = ""
    annotation_selector: Annotated[str, _about(description="Annotations, written as labels are.")] = ""


class Patch(_Part, frozen=True):
    """One patch, as kustomize's `patches`."""

    patch: Annotated[str, _about(description="A strategic merge patch or a JSON 6902 patch, as YAML.", min_length=1)]
    target: Annotated[
        Selector | None, _about(description="Which objects. Without it: the one that the patch names.")
    ] = None


class Image(_Part, frozen=True):
    """One image to replace, as kustomize's `images`."""

    name: Annotated[str, _about(description="The image as it stands there, without tag.", min_length=1)]
    new_name: Annotated[str, _about(description="Its new name.")] = ""
    new_tag: Annotated[str, _about(description="Its new tag.")] = ""
    digest: Annotated[str, _about(description="Its new digest (sha256:…), instead of a tag.")] = ""


class Labels(_Part, frozen=True):
    """Labels to add, as kustomize's `labels`."""

    pairs: Annotated[Mapping[str, str], _about(description="The labels.")]
    include_selectors: Annotated[bool, _about(description="Also in selectors and templates.")] = False
    include_templates: Annotated[bool, _about(description="Also in templates.")] = False


class VarsFrom(_Part, frozen=True):
    """Variables out of a ConfigMap or Secret in the App's namespace: each key is one."""

    kind: Annotated[Literal["ConfigMap", "Secret"], _about(description="ConfigMap or Secret.")]
    name: Annotated[str, _about(description="Its name.", min_length=1, max_length=253)]
    optional: Annotated[bool, _about(description="It may be missing.")] = False


class SubstituteStep(_Part, frozen=True):
    """Replaces ${VAR} in texts; a variable that is nowhere defined is an error, and $${VAR} stays as ${VAR}."""

    vars: Annotated[Mapping[str, str], _about(description="Variables, which win over those of `from`.")] = {}
    from_: Annotated[
        tuple[VarsFrom, ...], _about(description="Variables out of ConfigMaps and Secrets; the last one wins.")
    ] = msgspec.field(default=(), name="from")


#: The renderers, by the names of their fields in a step.
_RENDERERS = ("helm", "kustomize", "yaml", "jinja", "plugin")


class RenderStep(_Part, frozen=True):
    """One entry of `render`: one renderer with its options, or one thing to do to what was rendered."""

    helm: Annotated[HelmStep | None, _about(description="The folder is a Helm chart.")] = None
    kustomize: Annotated[KustomizeStep | None, _about(description="The folder is a kustomization.")] = None
    yaml: Annotated[YamlStep | None, _about(description="The folder has plain YAML or JSON files.")] = None
    jinja: Annotated[JinjaStep | None, _about(description="The folder has Jinja templates (*.yaml.j2).")] = None
    plugin: Annotated[PluginStep | None, _about(description="The folder is rendered by a plug-in.")] = None
    patches: Annotated[tuple[Patch, ...], _about(description="Patches, as kustomize's.")] = ()
    images: Annotated[tuple[Image, ...], _about(description="Images to replace, as kustomize's.")] = ()
    namespace: Annotated[str, _about(description="The namespace of all objects, as kustomize's.")] = ""
    labels: Annotated[tuple[Labels, ...], _about(description="Labels to add, as kustomize's.")] = ()
    annotations: Annotated[
        Mapping[str, str], _about(description="Annotations to add, as kustomize's commonAnnotations.")
    ] = {}
    name_prefix: Annotated[str, _about(description="What stands before each name, as kustomize's.")] = ""
    name_suffix: Annotated[str, _about(description="What stands behind each name, as kustomize's.")] = ""
    substitute: Annotated[SubstituteStep | None, _about(description="${VAR} becomes the variable's value.")] = None

    def __post_init__(self) -> None:
        """Raise ValueError (msgspec makes it a ValidationError) for none or several in one step."""
        # A renderer without options is given all the same; an empty text, list or map is not.
        if sum(bool(getattr(self, name)) for name in self.__struct_fields__) != 1:
            raise ValueError(f"a render step names exactly one of {', '.join(STEP_FIELDS)}")

    @property
    def renderer(self) -> str:
        """The renderer's name; empty for a step over what was rendered."""
        if self.plugin is not None:
            return self.plugin.name
        return next((name for name in _RENDERERS if getattr(self, name) is not None), "")


#: What a step may name, as YAML writes it.
STEP_FIELDS = tuple(field.encode_name for field in msgspec.structs.fields(RenderStep))


class _File(_Part, frozen=True):
    """A `.trimtab.yaml`."""

    render: tuple[RenderStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of an App or a folder: at most one renderer, and then what is done to its output, in order."""

    renderer: RenderStep | None = None
    post: tuple[RenderStep, ...] = ()

    @classmethod
    def of(cls, steps: Sequence[RenderStep], *, where: str) -> "Steps":
        """Take them apart. Raises RenderError for a renderer that is not the first step."""
        for number, step in enumerate(steps):
            if step.renderer and number:
                raise RenderError(
                    f"render step {number + 1} is the renderer {step.renderer}, and only the first step may be one",
                    where=where,
                    hint="keep one renderer, and put it first",
                )
        if steps and steps[0].renderer:
            return cls(steps[0], tuple(steps[1:]))
        return cls(None, tuple(steps))


def load_settings(folder: Path, *, root: Path) -> Steps:
    """The steps that the folder's `.trimtab.yaml` names; none without the file.

    Both paths are absolute and resolved. Raises RenderError, naming file and field, for what cannot be used or is
    only an App's to say, and ManifestError for what is no YAML.
    """
    path = folder / FILE_NAME
    if not path.exists() and not path.is_symlink():
        return Steps()
    name = shown(path, root)
    documents = load_text(read_inside(path, root, limit=_MAX_SIZE), file=name).documents
    if not documents:
        return Steps()
    if len(documents) > 1:
        raise RenderError("the settings are several documents", where=name, hint="keep one of them")
    try:
        steps = msgspec.convert(documents[0].data, _File).render
    except msgspec.ValidationError as e:
        raise RenderError(f"the settings cannot be used: {_plain(e)}", where=name, hint=_HINT) from e
    for step in steps:
        for field in _only_an_app_says(step):
            raise RenderError(
                f"{field} is for an App to say, not for a file in the repository", where=name, hint="move it to the App"
            )
    return Steps.of(steps, where=name)


def _only_an_app_says(step: RenderStep) -> Iterator[str]:
    """What would let a repository reach the network, or the Secrets beside the App."""
    if step.helm is not None and step.helm.allow_remote:
        yield "helm.allowRemote"
    if step.helm is not None and step.helm.values_from:
        yield "helm.valuesFrom"
    if step.kustomize is not None and step.kustomize.allow_remote:
        yield "kustomize.allowRemote"
    if step.substitute is not None and step.substitute.from_:
        yield "substitute.from"


def _plain(error: msgspec.ValidationError) -> str:
    """msgspec's sentence, with the field's place in the words of the file."""
    return str(error).replace("Object contains unknown field", "there is no field").replace("$.", "").replace("`", "")
