"""Validation against the schemas of a Kubernetes release: what is wrong is said with file and path."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from renderers.api import RenderError
from renderers.manifest import Manifest, dump_all, parse_documents
from renderers.validate.check import Checked, validate
from renderers.validate.deprecations import DEPRECATIONS, outdated, release_of
from renderers.validate.schemas import Schemas, load_schemas

VERSION = "v1.36.3"
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]},
        },
    },
}
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lamps.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Lamp", "plural": "lamps"},
        "versions": [
            {
                "name": "v1", "served": True, "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["color"],
                                "properties": {
                                    "color": {"type": "string", "enum": ["red", "green"]},
                                    "watts": {"x-kubernetes-int-or-string": True},
                                    "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 5},
                                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "size": {"type": "integer", "minimum": 1, "nullable": True},
                                    "anything": {"oneOf": [{"required": ["a"]}, {"required": ["b"]}], "type": "object",
                                                 "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
                                    "odd": {"type": "string", "pattern": "^(?!no)"},
                                },
                            }
                        },
                    }
                },
            }
        ],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def schemas(tools: Any) -> Schemas:
    """Those of the release that the tests' control plane is of; building it put them into Go's module cache."""
    asked = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True, env=_with_go())
    file = Path(asked.stdout.strip(), f"k8s.io/kubernetes@{VERSION}", "api", "openapi-spec")
    if not file.is_dir():  # the programs came from a cache of their own
        subprocess.run(["go", "mod", "download", f"k8s.io/kubernetes@{VERSION}"], check=True, env=_with_go())
    return load_schemas(file, VERSION)


def _with_go() -> dict[str, str]:
    return {**os.environ, "PATH": os.pathsep.join([os.environ["PATH"], "/usr/local/go/bin"]), "GOFLAGS": "-mod=mod"}


def manifests(*objects: Any) -> tuple[Manifest, ...]:
    return parse_documents(dump_all(objects), file="all.yaml", unit=".")[0]


def checked(schemas: Schemas, *objects: Any) -> Checked:
    return validate(manifests(*objects), schemas, VERSION)


def changed(path: str, value: Any, base: dict[str, Any] = DEPLOYMENT) -> dict[str, Any]:
    """A copy with a field set."""
    made = json.loads(json.dumps(base))
    *parts, last = path.split(".")
    place = made
    for part in parts:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[last] = value
    return made


def said(schemas: Schemas, *objects: Any) -> list[str]:
    return [f"{problem.path} {problem.message}".strip() for problem in checked(schemas, *objects).problems]


def test_a_good_object_has_no_problem(schemas: Schemas) -> None:
    assert checked(schemas, DEPLOYMENT) == Checked((), ())


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.replica", 2, "spec.replica is no field of it"),
        ("metadata.lables", {}, "metadata.lables is no field of it"),
        ("spec.replicas", "2", "spec.replicas is a string, and an integer is wanted"),
        ("spec.replicas", 1.5, "spec.replicas is a number, and an integer is wanted"),
        ("spec.template.spec.containers.0.ports.0.containerPort", "http",
         "spec.template.spec.containers[0].ports[0].containerPort is a string, and an integer is wanted"),
        ("spec.template.spec.containers", {}, "spec.template.spec.containers is an object, and an array is wanted"),
        ("spec.template.spec.containers.0.env", [{"value": "x"}],
         "spec.template.spec.containers[0].env[0].name is missing"),
        ("metadata.labels", {"a": 1}, "metadata.labels.a is an integer, and a string is wanted"),
        ("metadata.labels", {"a": True}, "metadata.labels.a is a boolean, and a string is wanted"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_path(schemas: Schemas, path: str, value: Any, message: str) -> None:
    assert said(schemas, changed(path, value)) == [message]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.template.spec.containers.0.resources", {"limits": {"cpu": 1, "memory": "1Gi"}}),
        ("spec.template.spec.containers.0.livenessProbe", {"httpGet": {"port": "http"}}),
        ("spec.template.spec.containers.0.livenessProbe", {"httpGet": {"port": 80}}),
        ("metadata.creationTimestamp", None),
        ("spec.strategy", {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}),
        ("spec.replicas", None),
        ("status", {}),
    ],
)
def test_what_the_api_server_takes_is_no_problem(schemas: Schemas, path: str, value: Any) -> None:
    assert said(schemas, changed(path, value)) == []


def test_a_problem_names_file_and_object(schemas: Schemas) -> None:
    [problem] = checked(
        schemas, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}, changed("spec.x", 1)
    ).problems
    assert str(problem) == "all.yaml:6: Deployment.apps/web: spec.x is no field of it"


def test_no_value_is_shown(schemas: Schemas) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": 8675309}, "type": 8675309}
    texts = said(schemas, secret, changed("spec.color", "canary-8675309", lamp()), CRD)
    assert len(texts) == 3
    assert "8675309" not in str(texts)


def test_a_kind_that_the_release_does_not_have_is_a_problem(schemas: Schemas) -> None:
    assert "has no such kind" in said(schemas, {**DEPLOYMENT, "kind": "Deploymint"})[0]
    assert "has no such kind" in said(schemas, {**DEPLOYMENT, "apiVersion": "apps/v7"})[0]


def test_a_version_that_is_gone_says_what_to_use(schemas: Schemas) -> None:
    [text] = said(schemas, {**DEPLOYMENT, "apiVersion": "extensions/v1beta1"})
    assert "removed since Kubernetes 1.16: use apps/v1" in text


def test_a_kind_that_nobody_defines_is_unknown(schemas: Schemas) -> None:
    result = checked(schemas, lamp())
    assert (result.problems, [str(m.id) for m in result.unknown]) == ((), ["Lamp.example.com/desk"])


def lamp(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": "desk", "labels": {"a": "b"}},
        "spec": {"color": "red", **spec},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, None),
        ({"watts": 5}, None),
        ({"watts": "5"}, None),
        ({"watts": True}, "spec.watts is a boolean, and an integer or a string is wanted"),
        ({"color": "blue"}, "spec.color is none of red, green"),
        ({"color": None}, "spec.color is missing"),
        ({"shade": 1}, "spec.shade is no field of it"),
        ({"name": "Desk"}, "spec.name does not match ^[a-z]+$"),
        ({"name": "abcdef"}, "spec.name breaks the rule maxLength 5 of its schema"),
        ({"free": {"x": {"y": 1}}}, None),
        ({"size": None}, None),
        ({"size": 0}, "spec.size breaks the rule minimum 1 of its schema"),
        ({"anything": {"a": "x"}}, None),
        ({"anything": {"a": "x", "b": "y"}}, "spec.anything breaks the rule oneOf of its schema"),
        ({"odd": "no"}, None),
    ],
)
def test_a_crd_of_the_set_is_the_schema_of_its_kind(
    schemas: Schemas, spec: dict[str, Any], message: str | None
) -> None:
    assert said(schemas, CRD, lamp(**spec)) == ([message] if message else [])


def test_the_metadata_of_a_custom_resource_is_looked_at_too(schemas: Schemas) -> None:
    assert said(schemas, CRD, changed("metadata.lable", 1, lamp())) == ["metadata.lable is no field of it"]


def test_a_crd_without_a_schema_defines_its_kind_all_the_same(schemas: Schemas) -> None:
    crd = changed("spec.versions", [{"name": "v1", "served": True, "storage": True}], CRD)
    assert checked(schemas, crd, lamp(anything=1)) == Checked((), ())


@pytest.mark.parametrize("spec", [None, [], {"names": 1}, {"names": {}, "versions": [1, {"schema": 5}]}, "x"])
def test_a_crd_that_is_none_is_a_problem_and_no_crash(schemas: Schemas, spec: Any) -> None:
    assert said(schemas, {**CRD, "spec": spec})


def test_a_crds_expression_cannot_take_forever(schemas: Schemas) -> None:
    crd = changed("spec.versions.0.schema.openAPIV3Schema.properties.spec.properties.name.pattern", "^(a+)+$", CRD)
    assert len(said(schemas, crd, lamp(name="a" * 50_000 + "!"))) == 2


def test_of_one_object_the_problems_are_limited(schemas: Schemas) -> None:
    texts = said(schemas, changed("spec", {f"x{n}": 1 for n in range(100)}))
    assert len(texts) == 21
    assert texts[-1] == "has 82 more problems"


def test_schemas_that_are_not_there_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMODCACHE", str(tmp_path))
    monkeypatch.delenv("GOPATH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RenderError, match=r"no schemas of Kubernetes v1\.36") as caught:
        load_schemas(None, VERSION)
    assert f"go mod download k8s.io/kubernetes@{VERSION}" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"definitions": 1}', '{"definitions": {"a": 1}}', "[" * 100_000])
def test_a_file_that_is_no_such_document_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "swagger.json").write_text(text)
    with pytest.raises(RenderError, match="is no OpenAPI document"):
        load_schemas(tmp_path, VERSION)


def test_schemas_are_found_in_gos_module_cache_at_any_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMODCACHE", str(tmp_path))
    folder = tmp_path / "k8s.io" / "kubernetes@v1.36.1" / "api" / "openapi-spec"
    folder.mkdir(parents=True)
    (folder / "swagger.json").write_text('{"definitions": {}}')
    assert load_schemas(None, VERSION).kinds == {}


@pytest.mark.parametrize(
    ("version", "expected"),
    [("v1.13.0", []), ("v1.14.0", ["deprecated"]), ("v1.21.9-gke.100", ["deprecated"]), ("1.22", ["removed"])],
)
def test_an_api_version_is_deprecated_and_then_removed(version: str, expected: list[str]) -> None:
    ingress = {"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "a"}}
    found = list(outdated(manifests(ingress), version))
    assert [("removed" if item.removed else "deprecated") for item in found] == expected
    assert all("use networking.k8s.io/v1" in item.message for item in found)


def test_the_table_is_true_of_the_release(schemas: Schemas) -> None:
    """What is removed is not served any more; what is used instead is."""
    release = release_of(VERSION)
    for entry in DEPRECATIONS:
        group, _, version = entry.api_version.rpartition("/")
        if entry.removed <= release:
            assert (group, version, entry.kind) not in schemas.kinds, entry
        if entry.instead:
            group, _, version = entry.instead.rpartition("/")
            assert (group, version, entry.kind) in schemas.kinds, entry
