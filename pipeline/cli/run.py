"""`trimtab run`: the controller. Keeps Apps in sync with their repositories until SIGTERM."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE, App, GitSource, Metadata, Prune, Source, Spec, Wait, check, parse_duration
from pipeline.app import Target as AppTarget
from pipeline.app.model import SUBDOMAIN_PATTERN
from pipeline.cli import options as opt
from pipeline.cli.packages import check_packages
from pipeline.cli.stopping import stop_on_signals
from pipeline.cluster.connection import Connection
from pipeline.control.identity import DEPLOY_KEY_SECRET
from pipeline.errors import InputError
from pipeline.source.mirror import default_cache
from pipeline.source.sshkey import KINDS

#: Where probes and Prometheus find a Pod.
_IN_POD = "0.0.0.0:8080"


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("run")(run)


def run(
    git_url: Annotated[
        str, typer.Option(help="The repository of the App that these flags make; without it only App resources count.")
    ] = "",
    name: Annotated[str, typer.Option(help="The name of the App that these flags make.")] = "default",
    git_branch: Annotated[str, typer.Option(help="The branch; default: the repository's own.")] = "",
    git_path: Annotated[str, typer.Option(help="The folder in the repository.")] = ".",
    git_poll_interval: Annotated[
        str, typer.Option(help="How often the repository is asked, and the cluster is compared with it.")
    ] = "5m",
    git_timeout: Annotated[str, typer.Option(help="How long one question to a repository may take.")] = "1m",
    target_namespace: Annotated[
        str, typer.Option(help="The namespace of objects that name none; Helm's release namespace.")
    ] = "default",
    create_namespace: opt.CreateNamespace = False,
    sync_garbage_collection: Annotated[bool, typer.Option(help="Prune what left the repository.")] = True,
    sync_timeout: Annotated[str, typer.Option(help="How long a sync waits until all is ready.")] = "5m",
    k8s_secret_name: Annotated[
        str, typer.Option(help="The Secret with the deploy key (data.identity); made at the first start.")
    ] = DEPLOY_KEY_SECRET,
    ssh_key_type: Annotated[
        str, typer.Option(help="The kind of the deploy key that is made: ed25519, rsa, ecdsa-p256 and so on.")
    ] = "ed25519",
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace", "-n", help="The controller's own namespace; default: the Pod's, else trimtab-system."
        ),
    ] = "",
    watch_namespace: Annotated[
        list[str] | None, typer.Option(help="Serve the Apps of this namespace too. Repeatable.")
    ] = None,
    watch_all_namespaces: Annotated[
        bool, typer.Option("--watch-all-namespaces", help="Serve the Apps of all namespaces.")
    ] = False,
    inventory_namespace: Annotated[
        str, typer.Option(help="Where the inventory of every App is kept; default: the controller's own namespace.")
    ] = "",
    cache_dir: Annotated[Path | None, typer.Option(help="Where mirrors of repositories are kept.")] = None,
    allow_file_urls: Annotated[
        bool, typer.Option("--allow-file-urls", help="Apps may name paths of this machine as repositories.")
    ] = False,
    concurrent_renders: Annotated[int, typer.Option(min=1, help="Apps that are rendered at the same time.")] = 2,
    concurrent_applies: Annotated[int, typer.Option(min=1, help="Apps that are applied at the same time.")] = 4,
    concurrent_waits: Annotated[int, typer.Option(min=1, help="Apps that wait for health at the same time.")] = 50,
    lease_duration: Annotated[str, typer.Option(help="How long a controller that vanished is waited for.")] = "15s",
    listen: Annotated[
        str,
        typer.Option(
            metavar="HOST:PORT",
            help="Where /healthz, /readyz and /metrics are served; default: 0.0.0.0:8080 in a Pod, else nowhere.",
        ),
    ] = "",
    log_format: Annotated[
        str, typer.Option(metavar="FORMAT", help="json or text; default: text on a terminal, else json.")
    ] = "",
    log_level: Annotated[str, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = "info",
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
) -> int:
    """Run the controller: it keeps Apps in sync with their repositories. Ends on SIGTERM.

    With --git-url it writes an App of these flags, called `default`, and serves it beside all other Apps.
    """
    # Imported late: metrics and logs take 100 ms, which no other command owes.
    from pipeline.control.controller import Controller, Settings  # noqa: PLC0415
    from pipeline.control.gates import Limits  # noqa: PLC0415
    from pipeline.observe.logs import configure, logger  # noqa: PLC0415

    check_packages()
    configure(json_lines=_json_lines(log_format), level=_level(log_level))
    if ssh_key_type not in KINDS:
        raise InputError(f"--ssh-key-type is {ssh_key_type!r}", hint=f"choose one of {', '.join(KINDS)}")
    if not re.match(SUBDOMAIN_PATTERN, k8s_secret_name):
        raise InputError(f"--k8s-secret-name is {k8s_secret_name!r}", hint="write it as `kubectl get secrets` shows it")
    home = namespace or os.environ.get("POD_NAMESPACE", "") or DEFAULT_NAMESPACE
    app = None
    if git_url:
        spec = Spec(
            source=Source(GitSource(url=git_url, branch=git_branch, path=git_path)),
            target=AppTarget(namespace=target_namespace, create_namespace=create_namespace),
            interval=git_poll_interval,
            prune=Prune(enabled=sync_garbage_collection),
            wait=Wait(timeout=sync_timeout),
        )
        app = App(Metadata(name=name, namespace=home), spec)
        check(app)
    others = tuple(watch_namespace or ())
    for each in (home, *others):
        check(App(Metadata(name="app", namespace=each)))
    settings = Settings(
        namespace=home,
        inventory_namespace=inventory_namespace or home,
        cache=cache_dir or default_cache(),
        watch=None if watch_all_namespaces else tuple(dict.fromkeys((home, *others))),
        flags_app=app,
        deploy_key=k8s_secret_name,
        key_kind=ssh_key_type,
        limits=Limits(concurrent_renders, concurrent_applies, concurrent_waits),
        listen=_address(listen or (_IN_POD if os.environ.get("POD_NAME") else "")),
        lease=max(1.0, parse_duration(lease_duration, what="--lease-duration")),
        git_timeout=parse_duration(git_timeout, what="--git-timeout"),
        file_urls=allow_file_urls,
    )
    with stop_on_signals() as stop:
        # Each App that is applied has its threads: more wires than that would only lie about.
        connection = Connection.open(kubeconfig=kubeconfig, context=context, threads=16 * concurrent_applies)
        Controller(settings, connection, logger()).run(stop)
    return 0


def _address(text: str) -> tuple[str, int] | None:
    """Host and port. Raises InputError for a text that is neither."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise InputError(f"--listen is {text!r}, which is no address", hint="write HOST:PORT: 127.0.0.1:8080, :8080")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - as `:8080` is read everywhere


def _json_lines(form: str) -> bool:
    if form not in ("", "json", "text"):
        raise InputError(f"--log-format is {form!r}", hint="choose json or text")
    return form == "json" or (not form and not sys.stderr.isatty())


def _level(level: str) -> str:
    if level not in ("debug", "info", "warning", "error"):
        raise InputError(f"--log-level is {level!r}", hint="choose debug, info, warning or error")
    return level
