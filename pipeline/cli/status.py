"""`trimtab status`: what the inventories say of every App, or of one."""

from typing import Annotated, Any

import typer

from pipeline.app import DEFAULT_NAMESPACE, App
from pipeline.cli import options as opt
from pipeline.cli.output import Format, emit, out, table, warn
from pipeline.errors import InputError
from pipeline.inventory.record import Record
from pipeline.inventory.store import Stored


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("status")(status)


def status(
    name: Annotated[str, typer.Argument(help="One App; without it, all.")] = "",
    namespace: opt.AppNamespace = "",
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="table, json or yaml.")] = Format.TABLE,
) -> int:
    """Show the Apps: commit, objects, how the last sync ended, what is held."""
    session = opt.connect(kubeconfig, context)
    store = opt.store_of(session, inventory_namespace)
    if name:
        app = opt.named(name, namespace, inventory_namespace)
        record = _one(store.load(app), app)
        if output is Format.TABLE:
            _print(record)
        else:
            emit(_data(record, objects=True), output)
        return 0
    records = [stored.record for stored in store.list() if stored.record is not None]
    records.sort(key=lambda record: record.app)
    if output is not Format.TABLE:
        emit([_data(record, objects=False) for record in records], output)
    elif not records:
        warn(f"no App has an inventory in namespace {inventory_namespace}")
    else:
        columns = ("APP", "STATE", "COMMIT", "OBJECTS", "TARGET", "AT", "LAST SYNC")
        table(columns, [_row(record) for record in records])
    return 0


def _one(stored: Stored, app: App) -> Record:
    if stored.record is not None:
        return stored.record
    if stored.damage:
        raise InputError(
            f"the inventory of App {app} is damaged: {stored.damage}",
            hint="the next sync rebuilds it from what lives; nothing is deleted for it",
        )
    raise InputError(
        f"there is no App {app}: namespace {stored.namespace} has no inventory of it",
        hint="trimtab status lists the Apps; --inventory-namespace looks elsewhere",
    )


def _state(record: Record) -> str:
    if record.held:
        return "Held"
    return "Ready" if record.outcome.ok else "NotReady"


def _row(record: Record) -> tuple[str, ...]:
    outcome = record.outcome
    commit = record.commit[:12] or "-"
    return record.app, _state(record), commit, str(len(record.entries)), record.target, outcome.at, outcome.message


def _data(record: Record, *, objects: bool) -> dict[str, Any]:
    """One App as data; the keys are a promise."""
    data: dict[str, Any] = {
        "app": record.app,
        "state": _state(record),
        "commit": record.commit,
        "url": record.url,
        "ref": record.ref,
        "path": record.path,
        "targetNamespace": record.target,
        "message": record.outcome.message,
        "at": record.outcome.at,
        "counts": dict(record.outcome.counts),
        "held": list(record.held),
        "objectCount": len(record.entries),
    }
    if objects:
        data["objects"] = [
            {"id": str(entry.id), "standing": str(entry.standing), "uid": entry.uid}
            for entry in sorted(record.entries.values(), key=lambda entry: entry.id)
        ]
    return data


def _print(record: Record) -> None:
    rows = {
        "App": record.app,
        "State": _state(record),
        "Source": f"{record.url or '(a local folder)'} {record.ref}".strip(),
        "Path": record.path,
        "Commit": record.commit or "-",
        "Target": record.target,
        "Last sync": f"{record.outcome.at} {record.outcome.message}".strip(),
    }
    console = out()
    for key, value in rows.items():
        console.print(f"{key + ':':<11}{value}", markup=False)
    for text in record.held:
        console.print(f"{'Held:':<11}{text}", markup=False)
    console.print(f"{'Objects:':<11}{len(record.entries)}", markup=False)
    for entry in sorted(record.entries.values(), key=lambda entry: entry.id):
        console.print(f"  {entry.standing:<8} {entry.id}", markup=False)
