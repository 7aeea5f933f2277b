"""The words that the code can say, found in its source: reasons of conditions, labels and annotations, managers."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import get_args

from harness import REPOSITORY

import pipeline
import renderers
from pipeline.errors import TrimtabError
from pipeline.source.reasons import Reason

#: What ends a command or a process, or is said of one object, and never ends a turn of an App.
_NO_CONDITION = {"Immutable", "InstallFailed", "LeaseLost", "NoAnswer"}
#: Where reasons stand among other words: truths, types of conditions, and what is said of one object.
_REASONS_STAND_IN = ("pipeline/control/depends.py", "pipeline/control/status.py")
_NO_REASON = {"True", "False", "Unknown", "SourceReady", "Synced", "Healthy", "Refused"}


def reasons() -> set[str]:
    """Every reason that a condition of an App can have, but for the API server's own words."""
    words = {kind.reason for kind in _errors() if isinstance(vars(kind).get("reason"), str)} | set(get_args(Reason))
    for file, tree in _sources():
        nodes = list(ast.walk(tree))
        words |= {_text(n.value) for n in nodes if isinstance(n, ast.Assign) and _ends_with(n.targets[0], "reason")}
        words |= {_text(n.value) for n in nodes if isinstance(n, ast.keyword) and n.arg == "reason"}
        if file in _REASONS_STAND_IN:
            words |= {text for text in map(_text, nodes) if re.fullmatch(r"(?:[A-Z][a-z]+)+", text)}
    return words - _NO_CONDITION - _NO_REASON - {""}


def marks() -> set[str]:
    """Every label, annotation and finalizer of ours, by its full name."""
    texts = {_text(node) for _, tree in _sources() for node in ast.walk(tree)}
    return {text for text in texts if re.fullmatch(r"trimtab\.dev/[a-z-]+", text)}


def managers() -> set[str]:
    """Every field manager that has a fixed name."""
    found = set()
    for _, tree in _sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "manager":
                found.add(_text(node.value))
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                found |= {_text(node.value)} if _ends_with(target, "MANAGER") else set()
    return found - {""}


def _errors() -> Iterator[type[TrimtabError]]:
    for package in (pipeline, renderers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    todo: list[type[TrimtabError]] = [TrimtabError]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        if kind.__module__.split(".")[0] in ("pipeline", "renderers"):
            yield kind


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for package in ("pipeline", "renderers"):
        for file in sorted((REPOSITORY / package).rglob("*.py")):
            yield str(file.relative_to(REPOSITORY)), ast.parse(file.read_text())


def _ends_with(target: ast.expr, word: str) -> bool:
    name = target.id if isinstance(target, ast.Name) else target.attr if isinstance(target, ast.Attribute) else ""
    return name.endswith(word)


def _text(node: ast.AST | None) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
