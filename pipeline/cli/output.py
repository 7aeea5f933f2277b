"""How commands speak: data on standard output, all else on standard error, colour only on a terminal."""

import enum
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from pipeline.errors import TrimtabError
from pipeline.location import short
from pipeline.plan.model import Action, Change
from pipeline.result import SyncResult
from renderers.manifest.dump import dump

#: SGR parameters (ECMA-48).
_COLOURS = {
    Action.CREATED: "32", Action.CONFIGURED: "33", Action.UNCHANGED: "2", Action.PRUNED: "35",
    Action.RELEASED: "36", Action.REFUSED: "31", Action.HELD: "33", Action.FAILED: "31",
}  # fmt: skip
#: Objects listed in the table of a sync; a larger App is summed up, and `-o json` has all.
_ROWS_MAX = 200


class Format(enum.StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def out() -> Console:
    """Standard output. Made anew each time: the stream may have been replaced."""
    return Console(file=sys.stdout, highlight=False, soft_wrap=True)


def err() -> Console:
    """Standard error."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """A line on standard error, as it is."""
    err().print(text, markup=False)


def warnings(texts: Iterable[str]) -> None:
    """Warnings on standard error, each once."""
    for text in dict.fromkeys(texts):
        warn(f"warning: {text}")


def error_text(error: TrimtabError) -> str:
    """One error as a person reads it."""
    return f"error: {error}"


def asks(form: Format) -> bool:
    """Whether a person is there to answer a question."""
    return form is Format.TABLE and sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str) -> bool:
    """Ask on standard error, so that standard output keeps to data. Everything but a yes is a no."""
    sys.stderr.write(f"{question} [y/N]: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def emit(data: Any, form: Format) -> None:
    """Data as JSON or YAML on standard output."""
    text = dump(data) if form is Format.YAML else json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    sys.stdout.write(text)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table on standard output: aligned columns, no frames, so that it reads well in a pipe too."""
    grid = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold", no_wrap=False)
    for row in rows:
        grid.add_row(*map(Text, row))
    # A pipe has no width; a wide one keeps every row on one line.
    console = out()
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=400)
    with console.capture() as captured:
        console.print(grid)
    sys.stdout.write("\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n")


def since(time: str) -> float:
    """Seconds since an RFC 3339 time; 0 for what is none."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds()
    except (TypeError, ValueError):
        return 0.0


def age(time: str) -> str:
    """How long ago an RFC 3339 time was, as kubectl says it: `45s`, `12m`, `5h`, `3d`; empty for no time."""
    if not time:
        return ""
    seconds = max(0, int(since(time)))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def show_result(result: SyncResult, form: Format) -> None:
    """What a sync came to: data on standard output, warnings and reasons on standard error."""
    if form is not Format.TABLE:
        emit(result_data(result), form)
        return
    warnings(result.warnings)
    shown = [change for change in result.changes if change.action is not Action.UNCHANGED]
    # Written as they are: rich takes longer for a line than the API server for an object.
    colour = out().is_terminal and not out().no_color
    sys.stdout.writelines(_line(change, colour=colour) for change in shown[:_ROWS_MAX])
    if len(shown) > _ROWS_MAX:
        sys.stdout.write(f"… and {len(shown) - _ROWS_MAX} more (-o json lists all)\n")
    sys.stdout.flush()
    told = {str(change.id) for change in result.of(Action.HELD)}
    for sentence in result.unhealthy:
        if sentence.partition(": ")[0] not in told:
            warn(f"not ready: {sentence}")
    for sentence in result.blocked:
        warn(f"held: {sentence}")
    at = f" at {short(result.commit)}" if result.commit else ""
    sys.stdout.write(f"App {result.app}{at}: {result.summary}\n")
    if result.held_digest:
        warn(f"held: this prune needs approval\n  → trimtab approve {result.app.partition('/')[2]}, or --yes")


def result_data(result: SyncResult) -> dict[str, Any]:
    """A sync's result as data; the keys are a promise."""
    return {
        "app": result.app,
        "commit": result.commit,
        "ok": result.ok,
        "exitCode": result.exit_code,
        "summary": result.summary,
        "changes": [change_data(change) for change in result.changes],
        "unhealthy": list(result.unhealthy),
        "warnings": list(result.warnings),
        "heldDigest": result.held_digest,
        "blocked": list(result.blocked),
    }


def change_data(change: Change) -> dict[str, str]:
    """One change as data."""
    return {
        "id": str(change.id),
        "kind": change.id.kind,
        "group": change.id.group,
        "namespace": change.id.namespace,
        "name": change.id.name,
        "action": str(change.action),
        "message": change.message,
    }


def _line(change: Change, *, colour: bool) -> str:
    action = f"{change.action:<10}"
    if colour:
        action = f"\x1b[{_COLOURS[change.action]}m{action}\x1b[0m"
    return f"{action} {change.id}" + (f": {change.message}" if change.message else "") + "\n"


class Shown:
    """Progress on standard error: a bar on a terminal, a line a step elsewhere (only with `verbose`)."""

    def __init__(self, *, quiet: bool = False) -> None:
        console = err()
        self._bar = Bar(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), console=console, transient=True, disable=quiet or not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, name: str, total: int = 0) -> None:
        """A step begins."""
        self._bar.reset(self._task, description=name, total=total or None)

    def done(self, change: Change) -> None:
        """One object is done."""
        del change
        self._bar.advance(self._task)

    def note(self, message: str) -> None:
        """What is waited for."""
        self._bar.update(self._task, description=f"wait: {message[:100]}")
