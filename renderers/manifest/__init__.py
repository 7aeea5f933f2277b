"""Kubernetes objects as data: ids, manifests, sets, and reading and writing YAML as kubectl does.

The lowest room, and the only one that imports `yaml`.
"""

from renderers.manifest.dump import dump, dump_all
from renderers.manifest.errors import ManifestError, TrimtabError
from renderers.manifest.load import Document, Loaded, load_text
from renderers.manifest.manifest import Manifest, ManifestSet, Origin
from renderers.manifest.metadata import check_metadata
from renderers.manifest.objectid import ObjectId
from renderers.manifest.parse import parse_documents

__all__ = [
    "Document",
    "Loaded",
    "Manifest",
    "ManifestError",
    "ManifestSet",
    "ObjectId",
    "Origin",
    "TrimtabError",
    "check_metadata",
    "dump",
    "dump_all",
    "load_text",
    "parse_documents",
]
