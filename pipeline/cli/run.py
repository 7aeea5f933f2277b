"""`trimtab run`: follows one repository and keeps the cluster equal to it, until SIGTERM."""

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE, App, GitSource, Metadata, Prune, Source, Spec, check
from pipeline.app import Target as AppTarget
from pipeline.cli import options as opt
from pipeline.cli.output import Format, show_result
from pipeline.cli.packages import check_packages
from pipeline.cli.stopping import stop_on_signals
from pipeline.control.follow import Follower
from pipeline.errors import TrimtabError
from pipeline.plan.model import Action
from pipeline.result import SyncResult
from pipeline.source.mirror import Mirrors, default_cache


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("run")(run)


def run(
    git_url: Annotated[str, typer.Option(help="The repository: https, ssh (git@host:path) or file.")],
    name: opt.NameOption = "default",
    git_branch: Annotated[str, typer.Option(help="The branch; default: the repository's own.")] = "",
    git_path: Annotated[str, typer.Option(help="The folder in the repository.")] = ".",
    git_poll_interval: Annotated[
        str, typer.Option(help="How often the repository is asked, and the cluster is compared with it.")
    ] = "5m",
    target_namespace: Annotated[
        str, typer.Option(help="The namespace of objects that name none; Helm's release namespace.")
    ] = "default",
    create_namespace: opt.CreateNamespace = False,
    sync_garbage_collection: Annotated[bool, typer.Option(help="Prune what left the repository.")] = True,
    once: Annotated[bool, typer.Option("--once", help="Sync once, and exit as apply does.")] = False,
    cache_dir: Annotated[Path | None, typer.Option(help="Where mirrors of repositories are kept.")] = None,
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
) -> int:
    """Follow a repository: every push reaches the cluster by itself, and drift is put back. Ends on SIGTERM."""
    check_packages()
    git = GitSource(url=git_url, branch=git_branch, path=git_path)
    spec = Spec(
        source=Source(git),
        target=AppTarget(namespace=target_namespace, create_namespace=create_namespace),
        interval=git_poll_interval,
        prune=Prune(enabled=sync_garbage_collection),
    )
    app = App(Metadata(name=name, namespace=inventory_namespace), spec)
    check(app)
    with stop_on_signals() as stop:
        session = opt.connect(kubeconfig, context)
        log = _Lines(app)
        follower = Follower(
            app, git, Mirrors(cache_dir or default_cache()), session,
            opt.store_of(session, inventory_namespace, app), log, stop,
        )  # fmt: skip
        if once:
            result = follower.once()
            show_result(result, Format.TABLE)
            return result.exit_code
        log.say(f"following {git_url} {git_branch or '(its default branch)'}, path {git_path}")
        follower.run()
        log.say("stopped")
    return 0


class _Lines:
    """One line an event on standard error; what only repeats itself is said once."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._last_sync: list[str] = []
        self._last_poll = ""
        self._lock = threading.Lock()

    def say(self, *texts: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._lock:
            sys.stderr.writelines(f"{now} app={self._app.name} {text}\n" for text in texts)
            sys.stderr.flush()

    def synced(self, result: SyncResult) -> None:
        acted = [change for change in result.changes if change.action is not Action.UNCHANGED]
        lines = [f"commit={result.commit[:12]} {result.summary}"]
        lines += [f"  {change.action} {change.id}: {change.message}".rstrip(": ") for change in acted]
        lines += [f"  not ready: {sentence}" for sentence in result.unhealthy]
        lines += ["  the sync was ended early; the next one goes on"] if result.stopped else []
        self._sync(lines)

    def failed(self, error: TrimtabError) -> None:
        self._sync([f"error: {error}"])

    def polled(self, error: TrimtabError | None) -> None:
        text = str(error) if error is not None else ""
        if text != self._last_poll:
            self._last_poll = text
            self.say(f"error: {text}" if text else "the repository answers again")

    def warned(self, text: str) -> None:
        self.say(f"warning: {text}")

    def _sync(self, lines: list[str]) -> None:
        if lines != self._last_sync:
            self._last_sync = lines
            self.say(*lines)
