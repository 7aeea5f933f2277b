"""Deletes and releases, one by one, on the real API server."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from harness import ControlPlane

from pipeline.app import Prune
from pipeline.apply.remove import Removed, Remover
from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.inventory.live import observe
from pipeline.inventory.record import Entry, Standing
from pipeline.inventory.store import CONFIG_MAPS
from pipeline.plan.decide import Leave
from pipeline.plan.model import Action
from pipeline.plan.vetoes import Verdict
from renderers.manifest import ObjectId

_MANAGER = "trimtab-shop-me"


@dataclass
class Place:
    """A namespace with ConfigMaps of an App whose owner id is `me`."""

    connection: Connection
    namespace: str
    kubectl: Callable[..., str]
    told: list[Removed] = field(default_factory=list)

    def leaving(self, name: str, verdict: Verdict = Verdict.PRUNE, **metadata: Any) -> Leave:
        object_id = ObjectId("ConfigMap", "", self.namespace, name)
        marks = {"trimtab.dev/owner": "me", "trimtab.dev/object": str(object_id)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "annotations": marks, **metadata}}
        _, answer = objects.apply(
            self.connection, CONFIG_MAPS, self.namespace, name, json.dumps(body).encode(), manager=_MANAGER, force=True
        )
        entry = Entry(object_id, "v1", Standing.CREATED, uid=answer["metadata"]["uid"])
        return Leave(entry, observe(answer, CONFIG_MAPS, manager=_MANAGER), CONFIG_MAPS, verdict, "it left the set")

    def remove(self, *leaves: Leave, **rest: Any) -> list[Removed]:
        remover = Remover(self.connection, _MANAGER, "me", Prune(), self.told.append, **rest)
        return list(remover.run(leaves))

    def metadata(self, name: str) -> Any:
        live = objects.get_metadata(self.connection, CONFIG_MAPS, self.namespace, name)
        return live["metadata"] if live is not None else None

    def annotate(self, name: str, mark: str) -> None:
        self.kubectl("annotate", "configmap", name, "-n", self.namespace, mark)

    def free(self, name: str) -> None:
        patch = '{"metadata":{"finalizers":null}}'
        self.kubectl("patch", "configmap", name, "-n", self.namespace, "--type=merge", "-p", patch)


@pytest.fixture
def place(control_plane: ControlPlane, namespace: str) -> Iterator[Place]:
    with Connection.open(kubeconfig=control_plane.kubeconfig) as connection:
        yield Place(connection, namespace, control_plane.kubectl)


@pytest.mark.parametrize(
    ("verdict", "action", "survives"),
    [
        (Verdict.FORGET, None, False),
        (Verdict.KEEP, None, True),
        (Verdict.HOLD, Action.HELD, True),
        (Verdict.WAIT, Action.HELD, True),
        (Verdict.OFFER, Action.HELD, True),
    ],
)
def test_what_is_neither_deleted_nor_released_costs_nothing(
    place: Place, verdict: Verdict, action: Action | None, *, survives: bool
) -> None:
    leave = place.leaving("a", verdict)
    before = place.connection.requests.copy()
    (removed,) = place.remove(leave)
    assert place.connection.requests == before
    assert (removed.change.action if removed.change else None) is action
    assert (removed.survivor is not None) is survives
    assert removed.deleted == ""


def test_a_delete_is_one_request(place: Place) -> None:
    leave = place.leaving("a")
    before = place.connection.requests.copy()
    (removed,) = place.remove(leave)
    assert place.connection.requests - before == {"DELETE": 1}
    assert (removed.survivor, removed.deleted) == (None, leave.entry.uid)
    assert place.metadata("a") is None


def test_finalizers_are_waited_for(place: Place) -> None:
    leave = place.leaving("a", finalizers=["x.example/y"])
    freed = threading.Timer(0.3, place.free, ["a"])
    freed.start()
    (removed,) = place.remove(leave, patience=60.0)
    freed.join()
    assert removed.change is not None
    assert (removed.change.action, removed.survivor) == (Action.PRUNED, None)


@pytest.mark.parametrize("patience", [0.0, 0.2])
def test_finalizers_that_outlast_our_patience_keep_the_entry(place: Place, patience: float) -> None:
    leave = place.leaving("a", finalizers=["x.example/y"])
    (removed,) = place.remove(leave, patience=patience)
    assert removed.change is not None
    assert (removed.change.action, removed.survivor, removed.lives) == (Action.HELD, leave.entry, True)
    assert "x.example/y" in removed.change.message
    assert place.metadata("a")["finalizers"] == ["x.example/y"]
    place.free("a")


def test_who_is_to_stop_waits_for_no_finalizer(place: Place) -> None:
    leave = place.leaving("a", finalizers=["x.example/y"])
    stop = threading.Event()
    stop.set()
    (removed,) = place.remove(leave, patience=600.0, stop=stop)
    assert removed.survivor == leave.entry
    place.free("a")


def test_what_changed_since_it_was_read_is_judged_anew(place: Place) -> None:
    kept, waits = place.leaving("kept"), place.leaving("waits")
    place.annotate("kept", "helm.sh/resource-policy=keep")
    place.annotate("waits", "trimtab.dev/prune=Never")
    first, second = place.remove(kept, waits)
    assert first.change is not None
    assert second.change is not None
    assert (first.change.action, second.change.action) == (Action.RELEASED, Action.HELD)
    assert "trimtab.dev/owner" not in place.metadata("kept")["annotations"]
    assert "trimtab.dev/owner" in place.metadata("waits")["annotations"]


def test_what_the_set_has_under_another_id_keeps_its_marks(place: Place) -> None:
    """Its apply changed it after the read, so the delete is refused, and it is judged anew."""
    leave = place.leaving("a")
    place.annotate("a", "some=mark")
    (removed,) = place.remove(leave, kept_uids=frozenset({leave.entry.uid}))
    assert (removed.change, removed.survivor) == (None, None)
    assert "trimtab.dev/owner" in place.metadata("a")["annotations"]


def test_what_somebody_else_is_deleting_is_not_gone_yet(place: Place) -> None:
    leave = place.leaving("a", finalizers=["x.example/y"])
    place.kubectl("delete", "configmap", "a", "-n", place.namespace, "--wait=false")
    (removed,) = place.remove(leave)
    assert removed.change is not None
    assert (removed.change.action, removed.deleted) == (Action.HELD, leave.entry.uid)
    place.free("a")


@pytest.mark.parametrize("orphans", [{"finalizers": ("orphan",)}, {"propagation": "Orphan"}])
def test_what_is_orphaned_takes_nothing_with_it(place: Place, orphans: dict[str, Any]) -> None:
    leave = place.leaving("a", Verdict.WAIT)
    assert leave.live is not None
    (gone,) = place.remove(replace(leave, live=replace(leave.live, terminating=True)))
    (orphaned,) = place.remove(replace(leave, live=replace(leave.live, terminating=True, **orphans)))
    assert (gone.deleted, orphaned.deleted) == (leave.entry.uid, "")


def test_each_outcome_is_told_once(place: Place) -> None:
    leaves = [place.leaving(f"a{number}") for number in range(3)]
    removed = place.remove(*leaves)
    assert len(place.told) == len(leaves)
    assert set(place.told) == set(removed)
