"""Chart.lock: whether it still belongs to the Chart.yaml beside it, and what it says of a dependency."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from renderers.api import RenderError
from renderers.helm.chart import Chart, Dependency, text_of

#: The fields of helm's `chart.Dependency` in their order; the repository is written even when it is empty.
_FIELDS = ("name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias")
_TEXTS = ("name", "version", "repository", "condition", "alias")


def locked(chart: Chart) -> tuple[Dependency, ...]:
    """The chart's dependencies with version and repository of its lock; as they are where it has none.

    Raises RenderError for a lock that is out of date, as `helm dependency build` does (`Manager.Build`).
    """
    lock = chart.lock
    if lock is None:
        return chart.dependencies
    pairs = list(zip(chart.dependencies, lock.dependencies, strict=False))
    # helm replaces the name of a repository by its URL before it counts: the lock has that one.
    named = [_with(d, at.repository) if d.repository.startswith(("@", "alias:")) else d for d, at in pairs]
    fits = len(pairs) == len(chart.dependencies) == len(lock.dependencies)
    if not fits or lock.digest not in _digests(chart, named, lock.dependencies):
        raise RenderError(
            f"{lock.file} is out of sync with the dependencies in Chart.yaml",
            where=chart.place,
            hint="run `helm dependency update` on the chart, and commit what it wrote",
        )
    return tuple(replace(d, version=at.version, repository=at.repository) for d, at in pairs)


def _digests(chart: Chart, wanted: Iterable[Dependency], lock: Iterable[Dependency]) -> Iterable[str]:
    """What the lock's digest may be: that of helm 3 and later, and for charts of apiVersion v1 also that of helm 2."""
    yield _digest([[_entry(d) for d in wanted], [_entry(d) for d in lock]])
    if chart.api_version == "v1":
        yield _digest({"dependencies": [_entry(d) for d in chart.dependencies]})


def _entry(dependency: Dependency) -> dict[str, Any]:
    data = dependency.data
    entry: dict[str, Any] = {key: text_of(data.get(key)) for key in _TEXTS}
    entry["tags"] = [text_of(tag) for tag in data.get("tags") or ()]
    entry["enabled"] = data.get("enabled") is True
    entry["import-values"] = data.get("import-values") or []
    return {key: entry[key] for key in _FIELDS if entry[key] or key in ("name", "repository")}


def _digest(data: Any) -> str:
    """The hash of Go's JSON, which escapes what HTML knows and sorts the keys of maps."""
    text = json.dumps(_sorted(data), ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _sorted(data: Any) -> Any:
    """The maps below `import-values` sorted by key; those of a dependency have the order of helm's fields."""
    if isinstance(data, list):
        return [_sorted(item) for item in data]
    if isinstance(data, dict):
        keys = data if "repository" in data or "dependencies" in data else sorted(data)
        return {key: _sorted(data[key]) for key in keys}
    return data


def _with(dependency: Dependency, repository: str) -> Dependency:
    return replace(dependency, repository=repository, data={**dependency.data, "repository": repository})
