"""The App's definition on a real API server: what it takes, what it refuses and in which words, what it shows."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from harness import ControlPlane, install_crd
from waiting import until

from pipeline.app import App, app_of_resource
from pipeline.errors import InputError
from pipeline.install.schema import app_schema

URL = "https://example.com/team/shop.git"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def definition(control_plane: ControlPlane) -> ControlPlane:
    """The control plane, which knows Apps. Other tests apply the same definition, so it stays."""
    install_crd(control_plane)
    return control_plane


def app(git: Any = None, name: str = "shop", **spec: Any) -> dict[str, Any]:
    source = spec.pop("source", {"git": {"url": URL, **(git or {})}})
    return {
        "apiVersion": "trimtab.dev/v1alpha1",
        "kind": "App",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"source": source, **spec},
    }


def chart(**given: Any) -> dict[str, Any]:
    return app(source={"chart": given})


CHARTS = "https://charts.example.com/stable"
GOOD = {
    "chart": chart(repo=CHARTS, name="nginx", version="~1.2"),
    "chart of a bare host": chart(repo="https://charts.example.com", name="nginx"),
    "chart of a registry": chart(oci="oci://registry.example.com:5000/team/nginx", repo="", name=""),
    "further sources": app(
        sources=[
            {"name": "values", "git": {"url": URL}, "secretRef": {"name": "opens"}},
            {"name": "base", "chart": {"repo": CHARTS, "name": "base"}},
        ],
        decryption={"secretRef": {"name": "keys"}},
        render=[
            {
                "helm": {
                    "valueFiles": ["values:prod.yaml"],
                    "valuesFrom": [{"kind": "Secret", "name": "v", "optional": True}],
                    "setFile": ["a=b"],
                    "allowRemote": [CHARTS],
                }
            },
            {"substitute": {"vars": {"A": "1"}, "from": [{"kind": "ConfigMap", "name": "vars"}]}},
            {"patches": [{"patch": "{}", "target": {"kind": "Deployment"}}]},
        ],
    ),
    "least": app(),
    "ssh": app({"url": "ssh://git@example.com:2222/team/shop.git"}),
    "scp": app({"url": "git@example.com:team/shop.git", "branch": "main"}),
    "ipv6": app({"url": "ssh://git@[::1]:22/shop.git"}),
    "folder": app({"url": "file:///srv/git/shop.git", "path": "deploy/./prod"}),
    "empty refs": app({"branch": "", "tag": "", "semver": "", "commit": COMMIT}),
    "sha256": app({"commit": COMMIT + COMMIT[:24]}),
    "semver": app({"semver": ">=1.2.0 <2.0.0"}),
    "render": app(render=[{"helm": {"values": {"a": {"b": [1, "x", None]}}}}, {"yaml": {}}]),
    "durations": app(interval="100ms", wait={"timeout": "1h30m5.5s"}),
    "depends": app(dependsOn=[{"name": "base"}, {"name": "shop", "namespace": "other"}]),
    "a dot that is no way out": app({"path": "a..b/.hidden"}),
    "all": app(
        {"tag": "v1.2.0"},
        target={"namespace": "shop", "createNamespace": True},
        prune={"enabled": False, "after": "applied", "adopted": True, "allowEmpty": True, "guard": {"percent": 100}},
        conflicts="yield",
        adopt={"from": ["helm", "argocd", "flux", "kapp", "kluctl"]},
        deletionPolicy="release",
        suspend=True,
    ),
}

#: What is wrong → the App, and what the API server must say about it.
BAD = {
    "no spec": ({**app(), "spec": None}, "spec"),
    "no source": ({**app(), "spec": {"suspend": True}}, "spec.source: Required value"),
    "no git and no chart": (app(source={"secretRef": {"name": "x"}}), "name exactly one of git and chart"),
    "git and chart": (
        app(source={"git": {"url": URL}, "chart": {"repo": CHARTS, "name": "x"}}),
        "name exactly one of git and chart",
    ),
    "chart without a name": (chart(repo=CHARTS), "in one of two ways"),
    "chart without a repository": (chart(name="x"), "in one of two ways"),
    "chart of both": (chart(repo=CHARTS, name="x", oci="oci://a.example.com/x"), "in one of two ways"),
    "chart and a name too many": (chart(name="x", oci="oci://a.example.com/x"), "in one of two ways"),
    "no chart at all": (chart(version="1"), "in one of two ways"),
    "password of charts": (chart(repo="https://me:s3cr3t@example.com", name="x"), "carries credentials"),
    "password of a registry": (chart(oci="oci://me:s3cr3t@example.com/x"), "carries credentials"),
    "repository of no form": (chart(repo="oci://example.com", name="x"), "is of no form that is allowed"),
    "registry of no form": (chart(oci="https://example.com/x"), "is of no form that is allowed"),
    "name that leads out": (chart(repo=CHARTS, name="../x"), "spec.source.chart.name"),
    "source without a name": (app(sources=[{"git": {"url": URL}}]), "spec.sources[0].name: Required value"),
    "source of a bad name": (app(sources=[{"name": "A", "git": {"url": URL}}]), "spec.sources[0].name"),
    "two sources of a name": (app(sources=[{"name": "a", "git": {"url": URL}}] * 2), "Duplicate value"),
    "further source of nothing": (app(sources=[{"name": "a"}]), "name exactly one of git and chart"),
    "further source with a token": (
        app(sources=[{"name": "a", "git": {"url": "https://s3cr3t@example.com/x"}}]),
        "carries credentials",
    ),
    "decryption without a Secret": (app(decryption={}), "spec.decryption.secretRef: Required value"),
    "allowed with a token": (
        app(render=[{"helm": {"allowRemote": ["https://me:s3cr3t@example.com"]}}]),
        "carries credentials",
    ),
    "no url": (app(source={"git": {"branch": "main"}}), "spec.source.git.url: Required value"),
    "unknown field": (app({"brnch": "main"}), 'unknown field "spec.source.git.brnch"'),
    "two refs": (app({"branch": "main", "tag": "v1"}), "choose one of branch, tag, semver and commit"),
    "semver and commit": (app({"semver": "1.x", "commit": COMMIT}), "choose one of branch, tag, semver and commit"),
    "short commit": (app({"commit": "0123abc"}), "is no full commit id"),
    "upper case": (app({"commit": COMMIT.upper()}), "is no full commit id"),
    "password": (app({"url": "https://me:s3cr3t@example.com/shop.git"}), "carries credentials"),
    "token": (app({"url": "https://s3cr3t@example.com/shop.git"}), "carries credentials"),
    "ssh password": (app({"url": "ssh://me:s3cr3t@example.com/shop.git"}), "carries credentials"),
    "query": (app({"url": "https://example.com/shop.git?token=s3cr3t"}), "carries credentials"),
    "http": (app({"url": "http://example.com/shop.git"}), "is of no form that is allowed"),
    "transport helper": (app({"url": "ext::sh -c true"}), "is of no form that is allowed"),
    "option": (app({"url": "--upload-pack=touch"}), "is of no form that is allowed"),
    "option behind the host": (app({"url": "git@example.com:-oProxyCommand=x"}), "is of no form that is allowed"),
    "empty url": (app({"url": ""}), "spec.source.git.url"),
    "line break": (app({"url": URL + "\n"}), "is of no form that is allowed"),
    "path leads out": (app({"path": "../other"}), "does not lie in the repository"),
    "path leads out later": (app({"path": "a/../../b"}), "does not lie in the repository"),
    "absolute path": (app({"path": "/etc"}), "does not lie in the repository"),
    "bare number": (app(interval="30"), "is no duration"),
    "other unit": (app(interval="1d"), "is no duration"),
    "too short": (app(interval="99ms"), "must be at least 100ms"),
    "too long": (app(interval="9000h"), "at most a year"),
    "far too long": (app(interval="999999999h"), "at most a year"),
    "timeout": (app(wait={"timeout": "soon"}), "is no duration"),
    "no renderer": (app(render=[{}]), "exactly one of helm, kustomize, yaml"),
    "two renderers": (app(render=[{"helm": {}, "yaml": {}}]), "exactly one of helm, kustomize, yaml"),
    "depends on itself": (app(dependsOn=[{"name": "shop"}]), "names the App itself"),
    "name with a dot": (app(name="shop.prod"), "is no DNS label"),
    "long name": (app(name="a" * 64), "metadata.name"),
    "namespace": (app(target={"namespace": "Shop"}), "spec.target.namespace"),
    "secret": (app(source={"git": {"url": URL}, "secretRef": {"name": "a_b"}}), "spec.source.secretRef.name"),
    "percent": (app(prune={"guard": {"percent": 101}}), "spec.prune.guard.percent"),
    "enumeration": (app(conflicts="win"), 'supported values: "fail", "take", "yield"'),
    "deployer": (app(adopt={"from": ["helmfile"]}), "spec.adopt.from[0]"),
    "text for a number": (app(prune={"guard": {"atLeast": "ten"}}), "must be of type integer"),
}


@pytest.mark.parametrize("case", GOOD)
def test_an_app_that_is_right_is_taken(definition: ControlPlane, case: str) -> None:
    out = definition.kubectl("apply", "--dry-run=server", "-f", "-", "-o", "json", input=json.dumps(GOOD[case]))
    # With the defaults that the API server filled in, it is still an App to the controller, and the same one.
    assert app_of_resource(json.loads(out)).spec == app_of_resource(GOOD[case]).spec


@pytest.mark.parametrize("case", BAD)
def test_an_app_that_is_wrong_is_refused_with_what_is_wrong(definition: ControlPlane, case: str) -> None:
    manifest, message = BAD[case]
    refusal = refused(definition, manifest)
    assert message in refusal
    assert "s3cr3t" not in refusal


@pytest.mark.parametrize("case", [case for case in BAD if case != "no spec"])
def test_what_the_api_server_refuses_the_controller_refuses_too(case: str) -> None:
    with pytest.raises(InputError):
        app_of_resource(BAD[case][0])


def test_the_controller_knows_every_field_of_the_definition_and_no_other() -> None:
    assert paths(app_schema()["properties"]["spec"]) == set(fields(msgspec.inspect.type_info(App).fields[1].type))


def test_every_field_has_a_description() -> None:
    assert [path for path, schema in walk(app_schema()) if not schema.get("description") and path != "metadata"] == []


def test_kubectl_explains_a_field(definition: ControlPlane) -> None:
    # What kubectl explains by follows the definition a moment later.
    until(lambda: definition.kubectl("explain", "app", check=False))
    text = " ".join(definition.kubectl("explain", "app.spec.source.git.semver").split())
    assert "A range of semantic versions" in text


def test_kubectl_shows_how_an_app_is(definition: ControlPlane, namespace: str) -> None:
    definition.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps({**app(), "metadata": {"name": "shop"}}))
    condition = {"type": "Ready", "status": "False", "reason": "Failed", "message": "no such branch: main"}
    condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    status = {"conditions": [condition], "shortCommit": "0123456789ab", "ref": "branch main", "objects": 3}
    definition.kubectl(
        "patch", "app", "shop", "-n", namespace, "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": status}),
    )  # fmt: skip
    narrow, wide = (definition.kubectl("get", "apps", "-n", namespace, *more) for more in ((), ("-o", "wide")))
    assert narrow.split("\n")[0].split() == ["NAME", "READY", "COMMIT", "MESSAGE", "AGE"]
    assert narrow.split("\n")[1].split()[:7] == ["shop", "False", "0123456789ab", "no", "such", "branch:", "main"]
    assert wide.split("\n")[0].split()[-3:] == ["REF", "SUSPENDED", "OBJECTS"]
    assert wide.split("\n")[1].split()[-4:] == ["branch", "main", "false", "3"]


def test_the_status_that_the_controller_writes_is_kept_as_it_is(definition: ControlPlane, namespace: str) -> None:
    status = {
        "observedGeneration": 1,
        "conditions": [{"type": "Ready", "status": "Unknown", "reason": "Waiting"}],
        "held": {"digest": "d", "count": 1, "objects": ["ConfigMap/default/a"]},
        "problems": [{"object": "ConfigMap/default/b", "reason": "Refused", "message": "m"}],
        "rollback": {"to": "a", "rejected": "b"},
        "history": [{"at": "2026-01-01T00:00:00Z", "reason": "Synced", "counts": {"created": 2}}],
        "warnings": ["w"],
    }
    definition.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps({**app(), "metadata": {"name": "shop"}}))
    definition.kubectl(
        "patch", "app", "shop", "-n", namespace, "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": status}),
    )  # fmt: skip
    live = json.loads(definition.kubectl("get", "app", "shop", "-n", namespace, "-o", "json"))
    assert live["status"] == status


def refused(plane: ControlPlane, manifest: dict[str, Any]) -> str:
    """What kubectl says when the API server refuses this."""
    done = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "-f", "-"],
        input=json.dumps(manifest), env=plane.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0, done.stdout
    return done.stderr


def walk(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field below, with its schema."""
    schema = schema.get("items", schema)
    for name, field in (schema.get("properties") or {}).items():
        place = f"{path}.{name}".removeprefix(".")
        if place != "metadata.name":  # Kubernetes' own
            yield place, field
            yield from walk(field, place)


def paths(schema: Any) -> set[str]:
    return {path for path, _ in walk(schema)}


def fields(info: Any, path: str = "") -> Iterator[str]:
    """The places of all fields of a struct, as YAML names them."""
    for part in (getattr(info, "item_type", None), getattr(info, "type", None), *getattr(info, "types", ())):
        if part is not None:
            yield from fields(part, path)
    for field in getattr(info, "fields", ()):
        place = f"{path}.{field.encode_name}".removeprefix(".")
        yield place
        yield from fields(field.type, place)
