"""Which folders are kustomizations, and which of them refer to which: enough to find units, before any is looked at."""

import os
from pathlib import Path

from renderers.api import RenderError
from renderers.boundary import real, shown
from renderers.files import read_inside
from renderers.kustomize.fields import ENTRIES, FOLDERS, PLUGINS, find
from renderers.kustomize.remote import is_remote
from renderers.manifest import ManifestError
from renderers.manifest.guard import MAX_SIZE
from renderers.manifest.load import load_text

#: kustomize's `konfig.RecognizedKustomizationFileNames`.
FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def kustomization_files(folder: Path) -> tuple[Path, ...]:
    """The files that make a folder a kustomization: one, or more, which kustomize refuses."""
    return tuple(folder / name for name in FILE_NAMES if os.path.isfile(folder / name))  # noqa: PTH113 - raises nothing


def referenced_folders(folder: Path, root: Path) -> set[Path]:
    """The kustomizations inside `root`, resolved, that the one in `folder` refers to directly.

    Raises nothing: what cannot be read refers to nothing, and the build will say what is wrong.
    """
    folders = set()
    try:
        for file in kustomization_files(folder):
            for document in load_text(read_inside(file, root, limit=MAX_SIZE), file=shown(file, root)).documents:
                for pattern in ENTRIES + FOLDERS + PLUGINS:
                    for _, text in find(document.data, pattern):
                        if isinstance(text, str) and not is_remote(text, folder) and not text.startswith("/"):
                            folders.add(real(folder / text))
    except (ManifestError, RenderError):
        pass
    return {path for path in folders if path.is_relative_to(root) and kustomization_files(path)}
