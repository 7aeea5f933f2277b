"""Renders a whole folder: its units side by side, and their results as one. All or nothing: one fails, all fail.

With a cache, only what is new: see `render_tree`.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from renderers.api import Rendered
from renderers.boundary import real, shown
from renderers.cache import RenderCache
from renderers.detect import Found, Unit
from renderers.jobs import job_of, passed_over, units_of
from renderers.keys import Index, digest, plain
from renderers.kustomize.references import FILE_NAMES, kustomization_files, referenced_folders
from renderers.manifest import TrimtabError
from renderers.options import THE_APP, RenderOptions
from renderers.post import apply_post
from renderers.referring import References, references_of
from renderers.settings import Steps
from renderers.tool import kill_running, tool_file
from renderers.unit import Done, Job, from_cache, render_job

#: Bytes that a path of an index or a unit's reach takes, about.
_PATH = 200


_NOTHING = Rendered(())


@dataclass(frozen=True, slots=True)
class _Tree:
    """What a folder was at a commit: what was found (in the checkout at `root`), and what each unit was made of."""

    index: Index
    root: Path
    found: Found
    done: tuple[Done, ...]


@dataclass(frozen=True, slots=True)
class _Before:
    """What is found in a folder, as it was at another commit, with the results that still hold."""

    found: Found
    done: tuple[Done | None, ...]


def render_tree(root: Path, folder: Path, options: RenderOptions, cache: RenderCache | None = None) -> Rendered:
    """Everything that a folder comes to: units sorted by folder, and in each the order of its tool.

    `root` is the boundary, and `folder` lies in it. With a cache, a unit is rendered only when something that it is
    made of is new; where `options.index` says what the files are, too, and an earlier one is known whose folders are
    the same, units that reach no changed file are not even looked at.

    Raises the RenderError or ManifestError of the first unit that fails, which says how many others did; RenderError
    for options that fit no unit.
    """
    root, folder = real(root), real(folder)
    index = options.index
    key = digest("tree", shown(folder, root), plain(options, str)) if cache is not None and index is not None else ""
    before = _as_before(cache, key, index, root) if cache is not None and index is not None else None
    found = before.found if before else units_of(root, folder, options)
    units = found.units
    known = before.done if before else (None,) * len(units)
    jobs = [job_of(unit, root, folder, options) for unit, done in zip(units, known, strict=True) if done is None]
    new = iter(_side_by_side(jobs, cache, index))
    results = [done or next(new) for done in known]
    failed = [result for result in results if isinstance(result, TrimtabError)]
    if failed:
        raise _first_of(failed)
    all_done = tuple(result for result in results if isinstance(result, Done))
    if cache is not None and index is not None:
        _remember(cache, key, _Tree(index, root, found, all_done))
    return _with_post(_merged(all_done, passed_over(units, root)), all_done, options, cache)


def boundary_of(folder: Path) -> Path:
    """The boundary of a local folder: the git checkout that holds it.

    Outside git: the folder that holds it and every kustomization that those below it refer to, so that `../base`
    works as it does for kustomize. Absolute and resolved.
    """
    folder = real(folder.absolute())
    for place in (folder, *folder.parents):
        if (place / ".git").exists():
            return place
    reached = {folder}
    todo = list(_kustomizations_below(folder))
    while todo:
        references = referenced_folders(todo.pop(), Path("/")) - reached
        reached |= references
        todo += references
    return Path(os.path.commonpath(reached))


def _kustomizations_below(folder: Path) -> Iterator[Path]:
    todo = [folder]
    while todo:
        current = todo.pop()
        if kustomization_files(current):
            yield current
        with suppress(OSError), os.scandir(current) as entries:
            folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            todo += [Path(entry.path) for entry in folders if not entry.name.startswith(".")]


def _as_before(cache: RenderCache, key: str, index: Index, root: Path) -> "_Before | None":
    """The units of a commit with the same folders, each with its result where that cannot have changed."""
    tree = cache.get(key)
    if not isinstance(tree, _Tree):
        return None
    changed = index.changed_since(tree.index)
    if changed is None:
        return None
    found = _moved(tree.found, tree.root, root)
    # Who refers to whom makes units; nothing else in a kustomization does.
    for path in changed:
        folder = (root / path).parent
        is_known = path.rpartition("/")[2] in FILE_NAMES and folder in found.references
        if is_known and references_of(folder, root) != found.references[folder]:
            return None
    same_tool: dict[str, bool] = {}
    known: list[Done | None] = []
    for done in tree.done:
        rendered = None
        for name, file in done.tools:
            same_tool.setdefault(name, tool_file(name) == file)
        if done.reach is not None and changed.isdisjoint(done.reach) and all(same_tool[name] for name, _ in done.tools):
            rendered = cache.get(done.key)
        known.append(replace(done, rendered=from_cache(rendered)) if isinstance(rendered, Rendered) else None)
    return _Before(found, tuple(known))


def _moved(found: Found, old: Path, new: Path) -> Found:
    """The same in another checkout."""

    begin = len(str(old).rstrip("/"))

    def moved(path: Path) -> Path:
        return Path(f"{new}{str(path)[begin:]}")

    if old == new:
        return found
    return Found(
        tuple(
            Unit(moved(unit.folder), unit.renderer, tuple(map(moved, unit.files)), tuple(map(moved, unit.templates)))
            for unit in found.units
        ),
        {
            moved(folder): References(frozenset(map(moved, each.folders)), frozenset(map(moved, each.charts)))
            for folder, each in found.references.items()
        },
    )


def _remember(cache: RenderCache, key: str, tree: _Tree) -> None:
    paths = len(tree.index.ids) + sum(len(done.reach or ()) for done in tree.done)
    # The results are entries of their own.
    light = tuple(replace(done, rendered=_NOTHING) for done in tree.done)
    cache.put(key, replace(tree, done=light), size=_PATH * paths)


def _merged(all_done: Sequence[Done], warnings: Iterable[str]) -> Rendered:
    rendered = [done.rendered for done in all_done]
    return Rendered(
        tuple(chain.from_iterable(each.manifests for each in rendered)),
        tuple(chain.from_iterable(each.hooks for each in rendered)),
        tuple(chain.from_iterable(each.tests for each in rendered)),
        (*warnings, *chain.from_iterable(each.warnings for each in rendered)),
        tuple(chain.from_iterable(each.notes for each in rendered)),
        tuple(chain.from_iterable(each.units for each in rendered)),
    )


def _with_post(
    rendered: Rendered, all_done: Sequence[Done], options: RenderOptions, cache: RenderCache | None
) -> Rendered:
    """The whole after the App's own post steps."""
    steps = Steps.of(options.steps, where=THE_APP)
    if not steps.post:
        return rendered
    key = ""
    if cache is not None:
        made_of = [done.key for done in all_done], plain(options.vars_from, str), plain(options.steps, str)
        key = digest("post", *made_of, tool_file("kustomize"), plain(options.limits, str))
        known = cache.get(key)
        if isinstance(known, Rendered):
            return replace(known, units=rendered.units)
    done = apply_post(rendered, steps, limits=options.limits, variables=options.vars_from)
    if cache is not None:
        cache.put_rendered(key, done)
    return done


def _side_by_side(jobs: Sequence[Job], cache: RenderCache | None, index: Index | None) -> Sequence[Done | TrimtabError]:
    """The results in the order of the jobs. The tools are processes, so threads are enough."""

    def attempt(job: Job) -> Done | TrimtabError:
        try:
            return render_job(job, cache, index)
        except TrimtabError as e:
            return e

    if not jobs:
        return ()
    with ThreadPoolExecutor(min(len(jobs), os.cpu_count() or 1)) as pool:
        try:
            return list(pool.map(attempt, jobs))
        except (KeyboardInterrupt, SystemExit):
            pool.shutdown(wait=False, cancel_futures=True)
            kill_running()
            raise


def _first_of(failed: list[TrimtabError]) -> TrimtabError:
    first, *others = failed
    if not others:
        return first
    places = ", ".join(sorted({error.where or error.message for error in others}))
    message = f"{first.message} ({len(others)} more failed: {places})"
    return first.retold(message, where=first.where)
