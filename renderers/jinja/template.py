"""The renderer: Jinja templates (`*.yaml.j2`) and the plain files beside them, in the order of their names."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from renderers import plain
from renderers.api import Inputs, JinjaOptions, Rendered, RenderError, RenderRequest, uses_nothing
from renderers.boundary import KEEP_INSIDE, follow, shown
from renderers.files import read_inside
from renderers.jinja.names import TEMPLATES, referred
from renderers.manifest import Manifest, load_text
from renderers.manifest.guard import MAX_SIZE
from renderers.printed import parse_printed
from renderers.sandbox import private_folder
from renderers.tool import run

name = "jinja"
uses = uses_nothing

_HINT = "correct the template, or give the value with values or valueFiles of the jinja step"
#: Where Python's own modules and those of its packages lie.
_PYTHON = (f"{sys.base_prefix}/lib", f"{sys.prefix}/lib")
#: One template, in bytes: templates are parsed in this process to see what they include.
_MAX_TEMPLATE = 1 << 20


def fits(folder: Path) -> bool:
    """Whether the folder has a template. That alone chooses nothing: kubectl would pass templates over."""
    return any(path.name.endswith(TEMPLATES) for path in folder.iterdir())


def inputs(request: RenderRequest) -> Inputs:
    """The unit's files, and what its templates include, as far as their texts say it; else the whole checkout.

    Raises RenderError for a template that is too large or no Jinja, or that includes what lies outside the checkout.
    """
    # Imported late: a command that renders no template owes nothing for Jinja.
    from renderers.jinja.includes import included  # noqa: PLC0415

    root, todo = request.root, _templates(request)
    seen, links = set(todo), set[Path]()
    whole = False
    while todo:
        template = todo.pop()
        name_of_it = shown(template, root)
        for text in included(read_inside(template, root, limit=_MAX_TEMPLATE), name_of_it):
            if text is None:
                whole = True
                continue
            place = Path(os.path.normpath(root / referred(text, name_of_it)))
            target, on_the_way = follow(place, root) if place.is_relative_to(root) else (place, ())
            if not target.is_relative_to(root):
                raise RenderError(
                    f"it includes {text}, which leads out of the checkout", where=name_of_it, hint=KEEP_INSIDE
                )
            links.update(on_the_way)
            # What is not there is for the template to say: an include may be marked `ignore missing`.
            if target.is_file() and target not in seen:
                seen.add(target)
                todo.append(target)
    return Inputs(frozenset(request.files) | seen, frozenset(links), whole=whole)


def render(request: RenderRequest) -> Rendered:
    """Render the templates, and read the plain files beside them but for the value files.

    Raises RenderError that names a template and its line, and ManifestError for what is no manifest.
    """
    unit = shown(request.folder, request.root)
    given = {path for options in request.jinja for path in options.value_files}
    texts = _rendered(_templates(request), request, unit)
    manifests: list[Manifest] = []
    warnings: list[str] = []
    for path in request.files:
        file = shown(path, request.root)
        if path in given or (path.name.endswith(TEMPLATES) and file not in texts):
            continue
        if file in texts:
            found, doubts = parse_printed(texts[file], file=file, unit=unit)
        else:
            plain_file = plain.render(replace(request, files=(path,)))
            found, doubts = plain_file.manifests, plain_file.warnings
        manifests += found
        warnings += doubts
    return Rendered(tuple(manifests), warnings=tuple(warnings))


def _templates(request: RenderRequest) -> list[Path]:
    """The templates that are manifests; one whose name begins with `_` is only there to be included."""
    return [file for file in request.files if file.name.endswith(TEMPLATES) and not file.name.startswith("_")]


def _rendered(templates: Sequence[Path], request: RenderRequest, unit: str) -> Mapping[str, str]:
    """The text of each template, by its name for people."""
    if not templates:
        return {}
    with private_folder() as private:
        task = private / "task.json"
        task.write_text(
            json.dumps(
                {
                    "root": str(request.root),
                    "templates": [shown(path, request.root) for path in templates],
                    "values": _values(request),
                }
            ),
            encoding="utf-8",
        )
        # The worker may list and read this package alone of what lies beside it.
        package, library = Path(__file__).parents[1], private / "lib"
        library.mkdir()
        (library / package.name).symlink_to(package)
        program = (
            "import sys; sys.path.insert(0, sys.argv[1]); from renderers.jinja.worker import main; main(sys.argv[2])"
        )
        output = run(
            sys.executable, ["-I", "-c", program, str(library), str(task)],
            private=private, limits=request.limits, root=request.root, where=unit,
            reads=[package, *map(Path, (*_PYTHON, sys.prefix + "/pyvenv.cfg"))],
        )  # fmt: skip
    answer = json.loads(output.text)
    if "error" in answer:
        raise RenderError(answer["error"], where=answer["where"], hint=_HINT)
    texts: Mapping[str, str] = answer["texts"]
    return texts


def _values(request: RenderRequest) -> dict[str, Any]:
    """What templates see: the App and the cluster, and over them the values; maps are merged, as Helm merges them."""
    values: dict[str, Any] = {
        "app": {"name": request.name, "namespace": request.namespace},
        "capabilities": {
            "kubeVersion": request.capabilities.kube_version,
            "apiVersions": list(request.capabilities.api_versions),
        },
    }
    for options in request.jinja:
        for layer in _layers(options, request.root):
            _merge(values, layer)
    return values


def _layers(options: JinjaOptions, root: Path) -> list[Mapping[str, Any]]:
    layers: list[Mapping[str, Any]] = []
    for path in options.value_files:
        name = shown(path, root)
        boundary = root if path.is_relative_to(root) else path.parent
        for document in load_text(read_inside(path, boundary, limit=MAX_SIZE), file=name).documents:
            if not isinstance(document.data, dict):
                raise RenderError("a values file holds no map", where=name, hint="write key: value lines")
            layers.append(document.data)
    return [*layers, options.values]


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        known = into.get(key)
        if isinstance(known, dict) and isinstance(value, Mapping):
            _merge(known, value)
        else:
            into[key] = _copied(value)


def _copied(value: Any) -> Any:
    """Merging changes maps, and those of the options belong to others."""
    return {key: _copied(item) for key, item in value.items()} if isinstance(value, Mapping) else value
