"""What a sync of two turns comes to."""

from pipeline.plan.model import Action, Change
from pipeline.result import SyncResult
from renderers.manifest import ObjectId


def map_id(name: str) -> ObjectId:
    return ObjectId(kind="ConfigMap", group="", namespace="shop", name=name)


def result(**actions: Action) -> SyncResult:
    changes = tuple(Change(map_id(name), action) for name, action in actions.items())
    return SyncResult("ns/shop", "c0", changes, recorded="old" if "first" in actions else "new")


def test_of_two_turns_each_object_has_one_change() -> None:
    first = result(
        first=Action.CREATED, changed=Action.CONFIGURED, failed=Action.FAILED, held=Action.HELD, gone=Action.HELD,
        pruned=Action.PRUNED, worse=Action.CREATED,
    )  # fmt: skip
    second = result(
        changed=Action.UNCHANGED, failed=Action.CREATED, held=Action.PRUNED, worse=Action.FAILED, new=Action.CREATED
    )
    both = first.then(second)
    assert {change.id.name: change.action for change in both.changes} == {
        "first": Action.CREATED,
        "changed": Action.CONFIGURED,
        "failed": Action.CREATED,
        "held": Action.PRUNED,
        "pruned": Action.PRUNED,
        "worse": Action.FAILED,
        "new": Action.CREATED,
    }
    assert [change.id for change in both.changes] == sorted(change.id for change in both.changes)
    assert both.recorded == "old"
