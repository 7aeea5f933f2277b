"""What a release takes off an object, and what it leaves alone."""

from typing import Any

from pipeline.apply.remove import release_operations

_OURS = {"manager": "trimtab-a-1", "operation": "Apply", "fieldsV1": {}}
_OTHER = {"manager": "kubectl", "operation": "Update", "fieldsV1": {}}


def _metadata(**changes: Any) -> dict[str, Any]:
    return {
        "resourceVersion": "7",
        "labels": {"trimtab.dev/app": "x.a", "app": "a"},
        "annotations": {"trimtab.dev/owner": "me", "trimtab.dev/object": "ConfigMap/x/a", "note": "n"},
        "managedFields": [_OURS, _OTHER],
        **changes,
    }


def _paths(metadata: dict[str, Any]) -> dict[str, Any]:
    operations = release_operations(metadata, manager="trimtab-a-1", owner="me")
    return {operation["path"]: operation.get("value") for operation in operations}


def test_all_our_marks_go_in_one_patch_bound_to_the_version_that_was_read() -> None:
    assert _paths(_metadata()) == {
        "/metadata/annotations/trimtab.dev~1owner": None,
        "/metadata/annotations/trimtab.dev~1object": None,
        "/metadata/labels/trimtab.dev~1app": None,
        "/metadata/managedFields": [_OTHER],
        "/metadata/resourceVersion": "7",
    }


def test_the_only_entry_is_cleared_by_one_empty_entry() -> None:
    assert _paths(_metadata(managedFields=[_OURS]))["/metadata/managedFields"] == [{}]


def test_marks_of_another_owner_stay() -> None:
    theirs = {"trimtab.dev/owner": "other", "trimtab.dev/object": "ConfigMap/x/a"}
    assert set(_paths(_metadata(annotations=theirs))) == {"/metadata/managedFields", "/metadata/resourceVersion"}


def test_an_object_without_anything_of_ours_is_not_touched() -> None:
    assert _paths(_metadata(annotations={}, labels={}, managedFields=[_OTHER])) == {}


def test_our_update_entry_is_nobodys_apply_entry() -> None:
    update = {**_OURS, "operation": "Update"}
    assert set(_paths(_metadata(annotations={}, labels={}, managedFields=[update]))) == set()
