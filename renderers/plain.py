"""The renderer of plain YAML and JSON files: what `kubectl apply -f` would send, as it stands there."""

from pathlib import Path

from renderers.api import Inputs, Rendered, RenderError, RenderRequest, uses_nothing
from renderers.boundary import KEEP_INSIDE, follow, shown
from renderers.files import read_inside
from renderers.manifest import Manifest, ManifestError, check_metadata, parse_documents
from renderers.manifest.guard import MAX_SIZE

name = "yaml"

#: How the names of files with manifests end; kubectl takes the same ones from a folder.
SUFFIXES = (".yaml", ".yml", ".json")

#: How files begin that hold something else than it seems, and what that is.
_ODD = {
    b"\0GITCRYPT": "is encrypted by git-crypt",
    b"$ANSIBLE_VAULT": "is encrypted by Ansible Vault",
    b"-----BEGIN PGP MESSAGE": "is encrypted by PGP as a whole",
    b"-----BEGIN AGE ENCRYPTED": "is encrypted by age as a whole",
    b"age-encryption.org": "is encrypted by age as a whole",
    b"version https://git-lfs": "is in Git LFS, and only its pointer is here",
    b"\x1f\x8b": "is compressed",
}

uses = uses_nothing


def fits(folder: Path) -> bool:
    """Whether a manifest file may lie in the folder itself. `detect.find_units` chooses the files."""
    return any(path.suffix in SUFFIXES for path in folder.iterdir())


def inputs(request: RenderRequest) -> Inputs:
    """The files that the unit names, and the links on the way to them.

    Raises RenderError for a link that leads out of the root.
    """
    files, links = set[Path](), set[Path]()
    for path in request.files:
        place, on_the_way = follow(path, request.root)
        if not place.is_relative_to(request.root):
            raise RenderError(
                f"{shown(path, request.root)} is a link that leads out of the checkout, to {place}", hint=KEEP_INSIDE
            )
        files.add(place)
        links.update(on_the_way)
    return Inputs(frozenset(files), frozenset(links))


def render(request: RenderRequest) -> Rendered:
    """The manifests of `request.files`, in their order.

    Raises RenderError for a file that cannot be read, leads out of the root or is too large, and ManifestError for
    one that is no YAML or holds anything but Kubernetes objects (to skip it would turn a typo into a prune), or
    metadata that kubectl refuses.
    """
    unit = shown(request.folder, request.root)
    manifests: list[Manifest] = []
    warnings: list[str] = []
    size = 0
    for path in request.files:
        file = shown(path, request.root)
        text = read_inside(path, request.root, limit=MAX_SIZE)
        size += len(text)
        if size > request.limits.output:
            raise RenderError(
                f"the files of {unit} have more than {request.limits.output} bytes together",
                hint="make several Apps of it, or exclude what is no manifest with .trimtabignore",
            )
        try:
            _check_text(text, file)
            found, doubts = parse_documents(text, file=file, unit=unit)
            for manifest in found:
                check_metadata(manifest)
        except ManifestError as e:
            hint = f"{e.hint}; if {file} is no manifest, name it in .trimtabignore"
            raise ManifestError(e.message, where=e.where, hint=hint) from e
        manifests += found
        warnings += doubts
    return Rendered(tuple(manifests), warnings=tuple(warnings))


def _check_text(text: bytes, file: str) -> None:
    for start, what in _ODD.items():
        if text.startswith(start):
            raise ManifestError(f"the file {what}", where=f"{file}:1", hint="keep it as readable text, or with SOPS")
