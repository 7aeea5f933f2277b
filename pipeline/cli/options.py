"""The options that several commands share, and how they become an App, a checkout and a connection."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, cast

import msgspec
import typer

from pipeline.app import (
    DEFAULT_NAMESPACE,
    Adopt,
    App,
    Guard,
    Metadata,
    Source,
    Spec,
    check,
    load_app_file,
    parse_duration,
)  # fmt: skip
from pipeline.app import (
    Target as AppTarget,
)
from pipeline.cli.output import Format
from pipeline.cluster.connection import Connection
from pipeline.cluster.session import Session
from pipeline.errors import InputError
from pipeline.inventory.store import Store
from pipeline.source.checkout import Checkout
from pipeline.source.local import local_checkout
from pipeline.source.mirror import default_cache
from pipeline.source.sources import Sources

PathArgument = Annotated[
    Path | None, typer.Argument(help="A folder: in a git checkout or not. Nothing in it is written.")
]
FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="An App as a YAML file (apiVersion trimtab.dev/v1alpha1).")
]
NameOption = Annotated[str, typer.Option("--name", help="The App's name.")]
TargetNamespace = Annotated[
    str, typer.Option("--namespace", "-n", help="The namespace of objects that name none; Helm's release namespace.")
]
Kubeconfig = Annotated[
    Path | None, typer.Option(help="As for kubectl; default: KUBECONFIG, ~/.kube/config, the Pod's.")
]
Context = Annotated[str, typer.Option(help="The kubeconfig's context.")]
InventoryNamespace = Annotated[
    str, typer.Option(help="Where the inventory of every App is kept; created when it is missing.")
]
AppNamespace = Annotated[
    str, typer.Option("--namespace", "-n", help="The App's own namespace; default: the inventory's.")
]
AppArgument = Annotated[str, typer.Argument(help="The App; without it `default`, else the only one there is.")]
OwnNamespace = Annotated[str, typer.Option("--namespace", "-n", help="The App's own namespace.")]
ControllerNamespace = Annotated[
    str, typer.Option(help=f"Where the controller runs; default: the App's own namespace, or {DEFAULT_NAMESPACE}.")
]
FollowTimeout = Annotated[str, typer.Option("--timeout", help="How long to wait for the controller (30s, 5m).")]
NoFollow = Annotated[bool, typer.Option("--no-wait", help="Only ask the controller; do not wait for what comes of it.")]
Output = Annotated[Format, typer.Option("--output", "-o", help="table, json or yaml.")]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Accept that the whole App renders to nothing.")]
Conflicts = Annotated[
    str, typer.Option(help="Fields that somebody else set: take, yield (leave them) or fail.", metavar="POLICY")
]
AdoptFrom = Annotated[
    list[str] | None,
    typer.Option(help="Take over objects of helm, argocd, flux, kapp or kluctl. Repeatable.", metavar="DEPLOYER"),
]
PruneGuard = Annotated[
    str, typer.Option(help="A prune of more than PERCENT of the App, of at least N objects, waits for approval.",
                      metavar="PERCENT[,N]|off"),
]  # fmt: skip
CreateNamespace = Annotated[bool, typer.Option("--create-namespace", help="Create the target namespace.")]
Timeout = Annotated[str, typer.Option(help="How long to wait for health (30s, 5m).")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for health; prune once all is applied.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a command works on: the App, its checkout, and those of its further sources by their names."""

    app: App
    checkout: Checkout
    others: Mapping[str, Checkout] = field(default_factory=dict)


@contextmanager
def choose(
    path: Path | None, file: Path | None, name: str, namespace: str, *, home: str = DEFAULT_NAMESPACE
) -> Iterator[Chosen]:
    """The App of a path, of a file, or of both: then the path is the source, and the file says the rest.

    `namespace` is the target; `home` is the App's own namespace where no file says it.

    Raises InputError when neither is given, or an App file without a source comes without a path.
    """
    if file is None and path is None:
        raise InputError("nothing to work on", hint="give a folder, or an App file with -f app.yaml")
    app = load_app_file(file) if file else None
    if app is None:
        app = App(
            Metadata(name=name or "app", namespace=home), Spec(target=AppTarget(namespace=namespace or "default"))
        )
    else:
        if name:
            app = msgspec.structs.replace(app, metadata=msgspec.structs.replace(app.metadata, name=name))
        if namespace:
            target = msgspec.structs.replace(app.spec.target, namespace=namespace)
            app = msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, target=target))
    if path is not None and app.spec.source is not None:
        app = msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, source=None))
    check(app)
    if path is None and app.spec.source is None:
        raise InputError(f"{file} names no source", hint="give spec.source, or a folder beside -f")
    with ExitStack() as held:
        others = {source.name: held.enter_context(_checked_out(source)) for source in app.spec.sources}
        if app.spec.source is None:
            assert path is not None  # noqa: S101 - see above
            yield Chosen(app, local_checkout(path), others)
        else:
            yield Chosen(app, held.enter_context(_checked_out(app.spec.source)), others)


@contextmanager
def _checked_out(source: Source) -> Iterator[Checkout]:
    """A source as it is now, opened by what the person has."""
    sources = Sources(default_cache())
    with sources.checked_out(source.place, sources.resolve(source.place)) as checkout:
        yield checkout


def applied_spec(
    app: App,
    *,
    allow_empty: bool,
    conflicts: str,
    adopt_from: list[str],
    prune_guard: str,
    no_wait: bool,
    timeout: str,
    create_namespace: bool,
) -> App:
    """The App with what flags say instead of its own spec; a flag that was not given changes nothing."""
    spec = app.spec
    prune = spec.prune
    if allow_empty:
        prune = msgspec.structs.replace(prune, allow_empty=True)
    if prune_guard:
        prune = msgspec.structs.replace(prune, guard=_guard(prune_guard, prune.guard))
    wait = spec.wait
    if timeout:
        parse_duration(timeout, what="--timeout")
        wait = msgspec.structs.replace(wait, timeout=timeout)
    if no_wait:
        wait = msgspec.structs.replace(wait, enabled=False)
    changed = msgspec.structs.replace(
        spec,
        prune=prune,
        wait=wait,
        conflicts=_one_of("--conflicts", conflicts, ("take", "yield", "fail")) if conflicts else spec.conflicts,
        adopt=Adopt(_deployers(adopt_from)) if adopt_from else spec.adopt,
        target=msgspec.structs.replace(spec.target, create_namespace=True) if create_namespace else spec.target,
    )
    return msgspec.structs.replace(app, spec=changed)


def connect(kubeconfig: Path | None, context: str) -> Session:
    """A session with the cluster that the flags, or what kubectl would read, name."""
    return Session(Connection.open(kubeconfig=kubeconfig, context=context))


def store_of(session: Session, namespace: str, app: App | None = None) -> Store:
    """The inventories; without the right to the default namespace, the App's target namespace has them."""
    fallback = app.spec.target.namespace if app is not None and namespace == DEFAULT_NAMESPACE else ""
    return Store(session.connection, namespace, fallback)


def named(name: str, namespace: str, inventory_namespace: str) -> App:
    """The App that a command names; its spec is only in the inventory."""
    app = App(Metadata(name=name, namespace=namespace or inventory_namespace))
    check(app)
    return app


def _guard(text: str, default: Guard) -> Guard:
    if text == "off":
        return Guard(percent=100, at_least=default.at_least)
    percent, _, at_least = text.partition(",")
    if not percent.isdigit() or int(percent) > 100 or (at_least and not at_least.isdigit()):
        raise InputError(f"--prune-guard is {text!r}", hint="write PERCENT, PERCENT,N or off: --prune-guard 50,10")
    return Guard(percent=int(percent), at_least=int(at_least) if at_least else default.at_least)


def _one_of(flag: str, value: str, allowed: tuple[str, ...]) -> Literal["take", "yield", "fail"]:
    if value not in allowed:
        raise InputError(f"{flag} is {value!r}", hint=f"choose one of {', '.join(allowed)}")
    return cast("Literal['take', 'yield', 'fail']", value)


def _deployers(names: list[str]) -> tuple[Literal["helm", "argocd", "flux", "kapp", "kluctl"], ...]:
    allowed = ("helm", "argocd", "flux", "kapp", "kluctl")
    for name in names:
        if name not in allowed:
            raise InputError(f"--adopt-from is {name!r}", hint=f"choose among {', '.join(allowed)}")
    return cast("tuple[Literal['helm', 'argocd', 'flux', 'kapp', 'kluctl'], ...]", tuple(names))
