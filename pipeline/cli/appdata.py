"""An App as data: what its resource and its inventory say together. Decides how it stands; prints nothing."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.app.status import Condition, Past, Status, status_of
from pipeline.cli.apps import full_name
from pipeline.inventory.record import Record
from pipeline.plan.model import Action
from pipeline.result import HELD

#: Reasons that mean: the source is out of reach, for us or at all.
_UNREACHABLE = frozenset({
    "AuthenticationFailed", "CertificateUntrusted", "ClusterUnreachable", "HostKeyChanged", "HostKeyUnknown",
    "RepositoryNotFound", "SourceUnreachable",
})  # fmt: skip
_NO_CONDITION = Condition("Ready", "Unknown", "NotServed", "no controller has looked at this App yet")
_NOT_ACTED_ON = Condition("Ready", "Unknown", "SpecChanged", "the spec was changed, and no sync has followed it yet")


def ready_of(resource: Mapping[str, Any]) -> Condition:
    """The condition Ready; Unknown where no controller has spoken of this App, or not of its present spec."""
    status = status_of(resource)
    ready = status.condition("Ready")
    if ready is None:
        return _NO_CONDITION
    behind = status.observed_generation < resource["metadata"].get("generation", 0)
    return _NOT_ACTED_ON if behind and ready.status == "True" else ready


def state_of(resource: Mapping[str, Any]) -> str:
    """Ready, NotReady, Held (a prune waits for approval), Suspended or Unknown."""
    if (resource.get("spec") or {}).get("suspend"):
        return "Suspended"
    if status_of(resource).held is not None:
        return "Held"
    return {"True": "Ready", "False": "NotReady"}.get(ready_of(resource).status, "Unknown")


def state_of_record(record: Record) -> str:
    """The same for an App that only an inventory knows."""
    if record.held:
        return "Held"
    return "Ready" if record.outcome.ok else "NotReady"


def exit_code_of(resource: Mapping[str, Any]) -> int:
    """What a command that followed a sync to its end exits with.

    0 ready; 1 not ready, or failed as a whole; 3 held; 4 some objects failed and others were applied; 5 the source
    is out of reach.
    """
    ready = ready_of(resource)
    if ready.status == "True":
        return 0
    if ready.reason in _UNREACHABLE:
        return 5
    return {"PartlyApplied": 4, "PruneHeld": HELD}.get(ready.reason, 1)


def app_data(resource: Mapping[str, Any] | None, record: Record | None, *, objects: bool) -> dict[str, Any]:
    """One App as data, from its resource, its inventory, or both. The keys are a promise.

    app, state (Ready, NotReady, Held, Suspended, Unknown), commit, url, ref, path, targetNamespace, message, at (the
    last sync that changed something, RFC 3339), counts (of that sync, by action), held (ids), objectCount;
    with `objects`: objects (id, standing, uid), in the order of ids.
    Of an App that has a resource also: conditions, problems, sources and history (as in its status), heldDigest,
    heldCount, warnings, rollback (to, rejected; null where there is none), suspended, deleting, dependsOn, inventory.
    """
    data = _of_record(record) if record is not None else {}
    if resource is not None:
        data |= _of_resource(resource, record)
    if objects:
        entries = sorted(record.entries.values(), key=lambda entry: entry.id) if record is not None else ()
        data["objects"] = [
            {"id": str(entry.id), "standing": str(entry.standing), "uid": entry.uid} for entry in entries
        ]
    return data


def past_data(past: Past) -> dict[str, Any]:
    """One sync of the history as data: at, commit, reason, message, healthy, counts. The keys are a promise."""
    return {
        "at": past.at,
        "commit": past.commit,
        "reason": past.reason,
        "message": past.message,
        "healthy": past.healthy,
        "counts": dict(past.counts),
    }


def counts_text(counts: Mapping[str, int]) -> str:
    """`2 created, 1 pruned`, in the order of `Action`; what was not changed is left out."""
    shown = [action for action in Action if action is not Action.UNCHANGED and counts.get(action)]
    return ", ".join(f"{counts[action]} {action}" for action in shown)


def held_objects(status: Status, record: Record | None) -> list[str]:
    """The ids of all that is held: the status has the first of them, the inventory has all."""
    if status.held is None:
        return []
    if record is not None and record.held_digest == status.held.digest:
        return list(record.held)
    return list(status.held.objects)


def _of_record(record: Record) -> dict[str, Any]:
    return {
        "app": record.app,
        "state": state_of_record(record),
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


def _of_resource(resource: Mapping[str, Any], record: Record | None) -> dict[str, Any]:
    status, spec = status_of(resource), resource.get("spec") or {}
    source = spec.get("source") or {}
    git, chart = source.get("git") or {}, source.get("chart") or {}
    last = status.history[0] if status.history else None
    recorded = record.outcome if record is not None else None
    held = status.held
    return {
        "app": full_name(resource),
        "state": state_of(resource),
        "commit": status.commit or (record.commit if record is not None else ""),
        "url": git.get("url") or chart.get("oci") or chart.get("repo", ""),
        "ref": status.ref or _wanted_ref(git, chart),
        "path": git.get("path", "."),
        "targetNamespace": (spec.get("target") or {}).get("namespace", "default"),
        "message": ready_of(resource).message,
        "at": last.at if last else (recorded.at if recorded else ""),
        "counts": dict(last.counts if last else (recorded.counts if recorded else {})),
        "held": held_objects(status, record),
        "heldCount": held.count if held else 0,
        "heldDigest": held.digest if held else "",
        "objectCount": len(record.entries) if record is not None else status.objects,
        "conditions": [msgspec.to_builtins(condition) for condition in status.conditions],
        "problems": [msgspec.to_builtins(problem) for problem in status.problems],
        "warnings": list(status.warnings),
        "sources": [msgspec.to_builtins(source) for source in status.sources],
        "history": [past_data(past) for past in status.history],
        "rollback": msgspec.to_builtins(status.rollback) if status.rollback else None,
        "suspended": bool(spec.get("suspend")),
        "deleting": "deletionTimestamp" in resource["metadata"],
        "dependsOn": list(spec.get("dependsOn") or ()),
        "inventory": status.inventory,
    }


def _wanted_ref(git: Mapping[str, Any], chart: Mapping[str, Any]) -> str:
    """What the spec follows, in the words of the status."""
    if chart:
        name = chart.get("name") or str(chart.get("oci", "")).rpartition("/")[2]
        return f"chart {name} {chart.get('version', '')}".rstrip()
    return next((f"{kind} {git[kind]}" for kind in ("branch", "tag", "semver", "commit") if git.get(kind)), "")
