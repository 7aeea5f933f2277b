"""Kubernetes objects as data: ids, manifests, sets, and reading and writing YAML as kubectl does.

The lowest room, and the only one that imports `yaml`.
"""

from renderers.manifest.errors import ManifestError, TrimtabError
from renderers.manifest.manifest import Manifest, ManifestSet, Origin
from renderers.manifest.objectid import ObjectId

__all__ = ["Manifest", "ManifestError", "ManifestSet", "ObjectId", "Origin", "TrimtabError"]
