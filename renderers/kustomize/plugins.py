"""The configuration of kustomize's built-in plug-ins; every other plug-in would run code, and is refused."""

from collections.abc import Iterator, Mapping
from typing import Any

from renderers.api import RenderError
from renderers.manifest import ManifestError
from renderers.manifest.load import load_text

#: kustomize's `konfig.BuiltinPluginApiVersion`, without a group.
_BUILTIN = ("builtin", "/builtin")
#: kyaml's `runtimeutil`: a container, an executable or a Starlark script that kustomize would run.
_FUNCTIONS = ("config.kubernetes.io/function", "config.k8s.io/function")


def inline(text: Any) -> list[Any]:
    """The documents of a text that is YAML of objects itself; none where it is a path. kustomize tries the same way."""
    if not isinstance(text, str):
        return []
    try:
        documents = [document.data for document in load_text(text, file="").documents]
    except ManifestError:
        return []
    return documents if any(isinstance(data, dict) for data in documents) else []


def built_in(field: str, documents: list[Any]) -> Iterator[dict[str, Any]]:
    """The plug-ins that documents configure, also those in lists. Raises RenderError for one that runs code."""
    for data in documents:
        if not isinstance(data, dict):
            continue
        items = data.get("items")
        if str(data.get("kind")).endswith("List") and isinstance(items, list | None):
            yield from built_in(field, items or [])
            continue
        if data.get("apiVersion") not in _BUILTIN:
            raise RenderError(
                f"{field} is {_named(data)}, and no code of a repository is run",
                hint="only the generators and transformers that are built into kustomize can be used "
                f"(apiVersion: {_BUILTIN[0]})",
            )
        yield data


def _named(data: Mapping[str, Any]) -> str:
    metadata = data.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    is_function = isinstance(annotations, Mapping) and any(name in annotations for name in _FUNCTIONS)
    what = "a function" if is_function else "a plug-in"
    return f"{what} ({data.get('kind')} of {data.get('apiVersion')})"
