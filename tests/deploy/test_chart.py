"""Our own chart: the same objects as `trimtab install`, rendered by helm and by Trimtab itself, which applies it."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from harness import REPOSITORY, ControlPlane, Result

from pipeline import __version__
from pipeline.install.objects import install_objects
from pipeline.install.options import InstallOptions
from renderers.manifest import load_text

CHART = REPOSITORY / "charts" / "trimtab"

#: Values of the chart, and the same as options.
SAME: dict[str, tuple[dict[str, Any], InstallOptions]] = {
    "defaults": ({}, InstallOptions()),
    "a repository": (
        {
            "git": {"url": "git@example.com:a/b.git", "branch": "main", "path": "deploy", "pollInterval": "1m"},
            "name": "shop",
        },
        InstallOptions(
            git_url="git@example.com:a/b.git", git_branch="main", git_path="deploy", git_poll_interval="1m", name="shop"
        ),
    ),
    "everything": (
        {
            "watch": {"namespaces": ["a", "trimtab-system"], "allNamespaces": True},
            "image": {"repository": "example.com/trimtab", "tag": "9"},
            "replicas": 3,
            "rbac": {"clusterAdmin": False},
            "extraArgs": ["--x=1", "--y"],
        },
        InstallOptions(
            watch_namespaces=("a", "trimtab-system"), watch_all=True, image="example.com/trimtab:9", replicas=3,
            cluster_admin=False, extra_args=("--x=1", "--y"),
        ),
    ),
}  # fmt: skip


def template(values: Any, *flags: str, code: int = 0) -> str:
    """`helm template` of the chart; its standard error where it must fail."""
    done = subprocess.run(
        ["helm", "template", "trimtab", CHART, "-n", "trimtab-system", "-f", "-", *flags],
        input=json.dumps(values), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def by_id(manifests: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(m["kind"], m["metadata"].get("namespace", ""), m["metadata"]["name"]): m for m in manifests}


def without_helms_own(manifest: dict[str, Any]) -> dict[str, Any]:
    """Less the two labels that every chart adds, and the word to helm that `helm uninstall` leaves the definition."""
    meta = dict(manifest["metadata"])
    meta["labels"] = {
        key: value
        for key, value in meta["labels"].items()
        if (key, value) not in {("app.kubernetes.io/managed-by", "Helm"), ("helm.sh/chart", f"trimtab-{__version__}")}
    }
    if meta.get("annotations") == {"helm.sh/resource-policy": "keep"}:
        del meta["annotations"]
    return {**manifest, "metadata": meta}


@pytest.mark.parametrize("case", SAME)
def test_the_chart_gives_what_install_gives_but_for_the_namespace_that_helm_makes(case: str) -> None:
    values, options = SAME[case]
    loaded = load_text(template(values), file="")
    assert loaded.warnings == ()
    chart = [without_helms_own(document.data) for document in loaded.documents if document.data]
    installed = [item for item in install_objects(options) if item["kind"] != "Namespace"]
    assert by_id(chart) == by_id(installed)
    assert len(chart) == len(installed)


def test_the_versions_are_the_programs() -> None:
    chart = load_text((CHART / "Chart.yaml").read_bytes(), file="").documents[0].data
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_helm_finds_nothing_to_say() -> None:
    done = subprocess.run(["helm", "lint", "--strict", "--quiet", CHART], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"gitt": {}}, "gitt"),
        ({"git": {"ulr": "x"}}, "ulr"),
        ({"git": {"url": "https://token@example.com/x"}}, "git/url"),
        ({"git": {"pollInterval": "5"}}, "pollInterval"),
        ({"replicas": "many"}, "replicas"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"watch": {"namespaces": ["A"]}}, "watch/namespaces"),
    ],
)
def test_a_wrong_value_is_refused(values: Any, complaint: str) -> None:
    assert complaint in template(values, code=1)


def test_every_value_is_in_the_schema_and_every_key_of_the_schema_has_a_default() -> None:
    values = load_text((CHART / "values.yaml").read_bytes(), file="").documents[0].data
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert keys(values, schema) == keys(schema, schema, properties=True) - {"global"}


def keys(data: Any, schema: Any, *, properties: bool = False) -> set[str]:
    """The places of all keys, as far as the schema names them."""
    if properties:
        found = data.get("properties", {})
        return {
            f"{k}{'.' + sub if sub else ''}" for k, v in found.items() for sub in {"", *keys(v, v, properties=True)}
        }
    known = schema.get("properties", {})
    below = {k: known.get(k, {}) for k in data} if isinstance(data, dict) and known else {}
    return {f"{k}{'.' + sub if sub else ''}" for k, s in below.items() for sub in {"", *keys(data[k], s)}}


def test_what_is_only_in_the_chart_reaches_the_pod() -> None:
    values = {
        "imagePullSecrets": [{"name": "registry"}],
        "image": {"pullPolicy": "Always"},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "resources": {"limits": {"memory": "2Gi"}},
    }
    pods = [d.data for d in load_text(template(values), file="").documents if d.data and d.data["kind"] == "Deployment"]
    pod = pods[0]["spec"]["template"]["spec"]
    assert {name: pod[name] for name in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity")} == {
        name: values[name] for name in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity")
    }
    assert pod["containers"][0]["imagePullPolicy"] == "Always"
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "2Gi"}


def test_the_definition_can_be_left_out() -> None:
    assert "CustomResourceDefinition" not in template({"crds": {"install": False}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"git": {"url": "git@example.com:a/b.git"}}, ("trimtab identity -n", "trimtab sync -n", "trimtab status -n")),
        ({}, ("follows no repository",)),
        ({"rbac": {"clusterAdmin": False}}, ("Apps may write nothing yet",)),
    ],
)
def test_the_notes_say_what_comes_next(control_plane: ControlPlane, values: Any, said: tuple[str, ...]) -> None:
    # Without the definition: the control plane may have it already, and not from Helm.
    values = {**values, "crds": {"install": False}}
    done = subprocess.run(
        ["helm", "install", "trimtab", CHART, "-n", "ops", "-f", "-", "--dry-run=client"],
        input=json.dumps(values), env=control_plane.env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    notes = done.stdout.partition("NOTES:")[2]
    assert [text for text in said if text not in notes] == []


def test_trimtab_renders_its_own_chart_as_helm_does(trimtab: Callable[..., Result]) -> None:
    result = trimtab("render", CHART, "--release-name", "trimtab", "--namespace", "trimtab-system", "-o", "json")
    assert (result.code, result.err) == (0, "")
    documents = load_text(template({}), file="").documents
    assert by_id(json.loads(result.out)) == by_id([document.data for document in documents if document.data])


def test_trimtab_applies_its_own_chart(
    control_plane: ControlPlane, namespace: str, trimtab: Callable[..., Result]
) -> None:
    release = f"t{namespace.removeprefix('test-')}"
    flags = ("--name", release, "--inventory-namespace", namespace)
    try:
        result = trimtab("apply", CHART, "--namespace", namespace, *flags, "--timeout", "60s", "-o", "json")
        assert result.code == 0, result.out + result.err
        outcome = {(c["kind"], c["name"]): c["action"] for c in json.loads(result.out)["changes"]}
        assert outcome["Deployment", release] == "created"
        assert outcome["ClusterRoleBinding", f"{release}-cluster-admin"] == "created"
        assert outcome["CustomResourceDefinition", "apps.trimtab.dev"] in {"created", "configured", "unchanged"}
        again = trimtab("apply", CHART, "--namespace", namespace, *flags, "-o", "json")
        assert {change["action"] for change in json.loads(again.out)["changes"]} == {"unchanged"}
    finally:
        # The definition is shared with other tests, and is kept: that is what its annotation asks for.
        trimtab("delete", release, "--inventory-namespace", namespace, "--yes")
    assert control_plane.kubectl("get", "crd", "apps.trimtab.dev", "-o", "name").strip()
    assert not control_plane.kubectl("get", "clusterrole", release, "--ignore-not-found").strip()


def test_trimtab_takes_over_what_install_applied(
    control_plane: ControlPlane, namespace: str, trimtab: Callable[..., Result]
) -> None:
    """The way from a first installation to one that follows its own repository."""
    release = f"t{namespace.removeprefix('test-')}"
    flags = ("--name", release, "--inventory-namespace", namespace)
    try:
        installed = trimtab("install", "--apply", "--namespace", namespace, "--instance", release, "--replicas", "0")
        assert installed.code == 0, installed.err
        result = trimtab("apply", CHART, "--namespace", namespace, *flags, "--set", "crds.install=false", "--no-wait")
        assert result.code == 0, result.out + result.err
    finally:
        trimtab("delete", release, "--inventory-namespace", namespace, "--yes")
        for kind, name in (
            ("clusterrole", release),
            ("clusterrolebinding", release),
            ("clusterrolebinding", f"{release}-cluster-admin"),
        ):
            control_plane.kubectl("delete", kind, name, "--ignore-not-found")
