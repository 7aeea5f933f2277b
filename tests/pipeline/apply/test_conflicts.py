"""Taking fields out of a manifest by the paths that the API server writes."""

from typing import Any

import pytest

from pipeline.apply.conflicts import without_fields

_DEPLOYMENT: dict[str, Any] = {
    "metadata": {"labels": {"app": "a", "app.kubernetes.io/name": "b", "app.kubernetes.io": "c"}},
    "spec": {
        "replicas": 3,
        "template": {
            "spec": {
                "containers": [
                    {"name": "a,b", "image": "x"},
                    {"name": "web", "image": "y", "ports": [{"containerPort": 80}, {"containerPort": 81}]},
                ],
                "finalizers": ["one", "two"],
            }
        },
    },
}


@pytest.mark.parametrize(
    ("path", "look"),
    [
        (".spec.replicas", lambda d: "replicas" not in d["spec"]),
        (
            ".metadata.labels.app.kubernetes.io/name",
            lambda d: set(d["metadata"]["labels"]) == {"app", "app.kubernetes.io"},
        ),
        (
            '.spec.template.spec.containers[name="web"].image',
            lambda d: (
                [sorted(c) for c in d["spec"]["template"]["spec"]["containers"]]
                == [["image", "name"], ["name", "ports"]]
            ),
        ),
        (
            '.spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"]',
            lambda d: d["spec"]["template"]["spec"]["containers"][1]["ports"] == [{"containerPort": 81}],
        ),
        ('.spec.template.spec.finalizers[="one"]', lambda d: d["spec"]["template"]["spec"]["finalizers"] == ["two"]),
    ],
)
def test_the_named_field_is_gone(path: str, look: Any) -> None:
    assert look(without_fields(_DEPLOYMENT, [path]))


@pytest.mark.parametrize("path", [".spec.nothing", '.spec.template.spec.containers[name="no"].image', "", ".", "[0]"])
def test_a_path_that_leads_nowhere_changes_nothing(path: str) -> None:
    assert without_fields(_DEPLOYMENT, [path]) == _DEPLOYMENT


def test_the_manifest_itself_is_not_changed() -> None:
    without_fields(_DEPLOYMENT, [".spec.replicas"])
    assert _DEPLOYMENT["spec"]["replicas"] == 3
