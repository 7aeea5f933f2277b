"""Renders one unit: its closed inputs are laid out in a private folder, and its renderer sees nothing else."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from renderers.api import Inputs, Rendered, Renderer, RenderRequest, Unit
from renderers.boundary import real, shown
from renderers.cache import RenderCache
from renderers.inputs import MAX_ALL, lay_out, option_files, size_of, whole_checkout, with_options
from renderers.keys import Index, plain, unit_key
from renderers.post import apply_post
from renderers.sandbox import private_folder
from renderers.settings import Steps
from renderers.sops import decrypt_inputs, refuse_encrypted
from renderers.tool import ToolError, tool_file

#: What tools say where a file is not there.
_MISSES_A_FILE = re.compile(r"no such file|does(n't| not) exist|not found|cannot find|unable to find", re.IGNORECASE)
#: What is kept instead of a result where only the whole checkout was enough.
_NEEDS_ALL = "whole"


@dataclass(frozen=True, slots=True)
class Job:
    """One unit with its renderer, and the steps of its `.trimtab.yaml` over what that gives; `where` is that file."""

    renderer: Renderer
    request: RenderRequest
    post: Steps = field(default_factory=Steps)
    where: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What a unit came to, and the key of all that it was made of; empty without a cache.

    `reach` are the files (relative to the checkout) that alone can change it while the checkout's structure stays;
    None where something else can: another source, a fetched chart. `tools` are the programs that it takes,
    with `tool_file` of each.
    """

    rendered: Rendered
    key: str = ""
    reach: frozenset[str] | None = None
    tools: tuple[tuple[str, str], ...] = ()


def render_unit(
    renderer: Renderer, request: RenderRequest, cache: RenderCache | None = None, index: Index | None = None
) -> Rendered:
    """What the unit comes to. Raises RenderError or ManifestError; never returns a part."""
    return render_job(Job(renderer, request), cache, index).rendered


def render_job(job: Job, cache: RenderCache | None, index: Index | None) -> Done:
    """What the unit comes to after its own post steps, from the cache where all that it is made of was there before.

    Where the tool misses a file, it is asked again with the whole checkout as its inputs: it may be one that nobody
    foresaw. Raises RenderError or ManifestError; never returns a part.
    """
    request = job.request
    inputs = with_options(job.renderer.inputs(request), request)
    if inputs.whole:
        return _known_or_rendered(job, inputs, cache, index)
    key = _key(job, inputs, cache, index)
    if cache is None or cache.get(key) != _NEEDS_ALL:
        try:
            return _known_or_rendered(job, inputs, cache, index, key)
        except ToolError as error:
            if not _MISSES_A_FILE.search(error.message):
                raise
            everything = whole_checkout(inputs, request.root)
            if everything.files == inputs.files or size_of(everything) > MAX_ALL:
                raise
    done = _known_or_rendered(job, replace(inputs, whole=True), cache, index)
    if cache is not None:
        cache.put(key, _NEEDS_ALL, size=len(key))
    return done


def from_cache(rendered: Rendered) -> Rendered:
    """The same, with units that say where it came from."""
    return replace(rendered, units=tuple(replace(unit, cached=True) for unit in rendered.units))


def _known_or_rendered(job: Job, named: Inputs, cache: RenderCache | None, index: Index | None, key: str = "") -> Done:
    """`named` is what the renderer says of its inputs."""
    inputs = whole_checkout(named, job.request.root) if named.whole else named
    key = key or _key(job, inputs, cache, index)
    known = cache.get(key) if cache is not None else None
    if isinstance(known, Rendered):
        rendered = from_cache(known)
    else:
        rendered = _rendered(job, inputs, named.files)
        if cache is not None:
            cache.put_rendered(key, rendered)
    tools = tuple((tool, tool_file(tool)) for tool in _tools(job, inputs)) if cache is not None else ()
    return Done(rendered, key, _reach(inputs, job.request), tools)


def _key(job: Job, inputs: Inputs, cache: RenderCache | None, index: Index | None) -> str:
    if cache is None:
        return ""
    besides = ([plain(step, str) for step in job.post.post], job.where)
    return unit_key(job.renderer, job.request, replace(inputs, tools=_tools(job, inputs)), index, besides)


def _tools(job: Job, inputs: Inputs) -> tuple[str, ...]:
    """The programs that the unit takes; post steps are kustomize's."""
    return (*inputs.tools, "kustomize") if job.post.post and "kustomize" not in inputs.tools else inputs.tools


def _rendered(job: Job, inputs: Inputs, named: frozenset[Path]) -> Rendered:
    request = job.request
    with private_folder(size_of(inputs)) as private:
        laid_out = lay_out(inputs, request, private)
        _decrypt(inputs, named, request, laid_out)
        rendered = job.renderer.render(laid_out)
        uses = job.renderer.uses(laid_out) if request.explain else ()
    refuse_encrypted(rendered)
    rendered = apply_post(rendered, job.post, limits=request.limits, where=job.where)
    unit = Unit(
        shown(request.folder, request.root),
        job.renderer.name,
        tuple(sorted(shown(path, request.root) for path in inputs.files)),
        inputs.fetched,
        uses,
    )
    return replace(rendered, units=(unit,))


def _decrypt(inputs: Inputs, named: frozenset[Path], request: RenderRequest, laid_out: RenderRequest) -> None:
    """Decrypt what SOPS encrypted in the private copy; of a whole checkout, what is the unit's own or `named`."""
    files = {file for file in inputs.files if not inputs.whole or file in named or file.is_relative_to(request.folder)}
    options = option_files(laid_out)
    places = {laid_out.root / file.relative_to(request.root) for file in files}
    decrypt_inputs(laid_out.root, {*places, *options}, request.decryption, limits=request.limits, named=options)


def _reach(inputs: Inputs, request: RenderRequest) -> frozenset[str] | None:
    outside = any(not real(path).is_relative_to(request.root) for path in option_files(request))
    if inputs.fetched or inputs.whole or outside:
        return None
    return frozenset(shown(path, request.root) for path in inputs.files)
