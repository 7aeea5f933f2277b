"""Render steps: what an App's `render` and a folder's `.trimtab.yaml` may say, and reading the latter."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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


class HelmStep(_Part, frozen=True):
    """Options of the helm renderer."""

    release_name: Annotated[str, _about(description="Helm's release name. Without it: the App's name.")] = ""
    value_files: Annotated[
        tuple[str, ...],
        _about(description="Values files, relative to the chart's folder, as in git. The last one wins."),
    ] = ()
    values: Annotated[Mapping[str, Any], _about(description="Values, which win over the files.")] = {}
    set: Annotated[tuple[str, ...], _about(description="Values as KEY=VALUE, as helm's --set reads them.")] = ()
    set_string: Annotated[tuple[str, ...], _about(description="The same as helm's --set-string: each a text.")] = ()
    include_crds: Annotated[bool, _about(description="Also what lies in the chart's crds/ folder.")] = msgspec.field(
        default=True, name="includeCRDs"
    )


class KustomizeStep(_Part, frozen=True):
    """Options of the kustomize renderer."""

    enable_helm: Annotated[bool, _about(description="Allow helmCharts in the kustomization.")] = False


class YamlStep(_Part, frozen=True):
    """Options of the plain YAML renderer."""

    recursive: Annotated[bool, _about(description="Also the folders below.")] = True


class RenderStep(_Part, frozen=True):
    """One entry of `render`: exactly one renderer with its options."""

    helm: Annotated[HelmStep | None, _about(description="The folder is a Helm chart.")] = None
    kustomize: Annotated[KustomizeStep | None, _about(description="The folder is a kustomization.")] = None
    yaml: Annotated[YamlStep | None, _about(description="The folder has plain YAML or JSON files.")] = None

    def __post_init__(self) -> None:
        """Raise ValueError (msgspec makes it a ValidationError) for none or several renderers."""
        if sum(step is not None for step in (self.helm, self.kustomize, self.yaml)) != 1:
            raise ValueError("a render step names exactly one of helm, kustomize and yaml")

    @property
    def renderer(self) -> str:
        """The renderer's name."""
        if self.helm is not None:
            return "helm"
        return "kustomize" if self.kustomize is not None else "yaml"


class _File(_Part, frozen=True):
    """A `.trimtab.yaml`."""

    render: tuple[RenderStep, ...] = ()


def load_settings(folder: Path, *, root: Path) -> RenderStep | None:
    """The step that the folder's `.trimtab.yaml` names; None without the file or without a step in it.

    Both paths are absolute and resolved. Raises RenderError, naming file and field, for what cannot be used, and
    ManifestError for what is no YAML.
    """
    path = folder / FILE_NAME
    if not path.exists() and not path.is_symlink():
        return None
    name = shown(path, root)
    documents = load_text(read_inside(path, root, limit=_MAX_SIZE), file=name).documents
    if not documents:
        return None
    if len(documents) > 1:
        raise RenderError("the settings are several documents", where=name, hint="keep one of them")
    try:
        steps = msgspec.convert(documents[0].data, _File).render
    except msgspec.ValidationError as e:
        raise RenderError(f"the settings cannot be used: {_plain(e)}", where=name, hint=_HINT) from e
    if len(steps) > 1:
        raise RenderError(f"the settings name {len(steps)} render steps", where=name, hint="keep one of them")
    return steps[0] if steps else None


def _plain(error: msgspec.ValidationError) -> str:
    """msgspec's sentence, with the field's place in the words of the file."""
    return str(error).replace("Object contains unknown field", "there is no field").replace("$.", "").replace("`", "")
