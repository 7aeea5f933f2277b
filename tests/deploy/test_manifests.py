"""What a user applies: `deploy/`, as people read it, and `trimtab install`, which must come to the same."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from harness import REPOSITORY, ControlPlane, Result

from pipeline import __version__
from pipeline.cli.main import program
from pipeline.install.objects import install_objects
from pipeline.install.options import InstallOptions
from pipeline.install.schema import crd
from pipeline.location import transport_of
from renderers.manifest import dump, load_text

DEPLOY = REPOSITORY / "deploy"
CHART_CRD = REPOSITORY / "charts" / "trimtab" / "files" / "crd.yaml"
HEAD = "# The definition of the App, made from the program: pytest tests/deploy/test_manifests.py --update-docs\n"
KEPT = {"helm.sh/resource-policy": "keep"}


def documents() -> list[dict[str, Any]]:
    """All of deploy/, in the order in which kubectl applies it."""
    files = sorted(DEPLOY.glob("*.yaml"))
    loaded = [load_text(file.read_bytes(), file=file.name) for file in files]
    assert [one.warnings for one in loaded if one.warnings] == []
    return [document.data for one in loaded for document in one.documents]


def kept_crd() -> dict[str, Any]:
    definition = crd()
    return {**definition, "metadata": {**definition["metadata"], "annotations": KEPT}}


@pytest.mark.parametrize(("file", "make"), [(DEPLOY / "10-crd.yaml", crd), (CHART_CRD, kept_crd)])
def test_the_definition_is_what_the_program_makes(
    request: pytest.FixtureRequest, file: Path, make: Callable[[], dict[str, Any]]
) -> None:
    text = HEAD + dump(make())
    if request.config.getoption("--update-docs"):
        file.write_text(text)
    assert file.read_text() == text, "run: pytest tests/deploy/test_manifests.py --update-docs, and read the difference"


def test_install_gives_what_deploy_has() -> None:
    url = re.search(r"--git-url=(\S+)", (DEPLOY / "30-deployment.yaml").read_text())
    assert url is not None
    assert documents() == install_objects(InstallOptions(git_url=url[1]))


def test_the_namespace_and_the_definition_come_first_so_that_they_are_deleted_first() -> None:
    assert [document["kind"] for document in documents()][:2] == ["Namespace", "CustomResourceDefinition"]


def test_the_repository_and_the_image_stand_in_one_place_each() -> None:
    text = "".join(file.read_text() for file in DEPLOY.glob("*.yaml"))
    assert len(re.findall(r"^\s*- --git-url=", text, re.MULTILINE)) == 1
    assert re.findall(r"^\s*image: (.*)$", text, re.MULTILINE) == [f"trimtab:{__version__}"]
    assert "EDIT THIS LINE" in text


def test_the_repository_that_stands_there_is_a_form_that_is_allowed() -> None:
    url = re.findall(r"--git-url=(\S+)", (DEPLOY / "30-deployment.yaml").read_text())[0]
    assert transport_of(url) == "ssh"


@pytest.mark.parametrize(
    "options",
    [
        InstallOptions(),
        InstallOptions(namespace="ops", instance="ship", watch_namespaces=("a", "ops"), cluster_admin=False),
        InstallOptions(watch_all=True, replicas=3, extra_args=("--x",)),
    ],
)
def test_the_controller_finds_its_own_objects_by_their_label(options: InstallOptions) -> None:
    labelled = [o for o in install_objects(options) if o["metadata"]["labels"]["app.kubernetes.io/name"] == "trimtab"]
    assert labelled == install_objects(options)


def test_what_only_cluster_admin_gives_is_in_a_file_of_its_own() -> None:
    whole, less = (install_objects(InstallOptions(cluster_admin=yes)) for yes in (True, False))
    (binding,) = (item for item in whole if item not in less)
    assert binding["roleRef"]["name"] == "cluster-admin"
    assert load_text((DEPLOY / "21-cluster-admin.yaml").read_bytes(), file="").documents[0].data == binding
    assert "cluster-admin" not in json.dumps([item.get("roleRef") for item in less])


def test_every_option_becomes_an_argument_of_run() -> None:
    options = InstallOptions(
        git_url="https://example.com/x", git_branch="main", git_path="deploy", git_poll_interval="1m", name="shop",
        watch_namespaces=("a", "b"), watch_all=True, extra_args=("--verbose",),
    )  # fmt: skip
    (deployment,) = (item for item in install_objects(options) if item["kind"] == "Deployment")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "run", "--git-url=https://example.com/x", "--git-branch=main", "--git-path=deploy", "--git-poll-interval=1m",
        "--name=shop", "--watch-namespace=a", "--watch-namespace=b", "--watch-all-namespaces",
        "--cache-dir=/var/cache/trimtab", "--verbose",
    ]  # fmt: skip


def test_every_argument_is_a_flag_of_run() -> None:
    options = InstallOptions(
        git_url="https://example.com/x", git_branch="main", git_path="deploy", git_poll_interval="1m", name="shop",
        watch_namespaces=("a",), watch_all=True,
    )  # fmt: skip
    (deployment,) = (item for item in install_objects(options) if item["kind"] == "Deployment")
    command, *arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    run = typer.main.get_command(program()).commands[command]  # type: ignore[attr-defined]
    flags = {flag for parameter in run.params for flag in parameter.opts}
    assert [argument for argument in arguments if argument.partition("=")[0] not in flags] == []


def test_the_pod_keeps_to_the_restricted_standard(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    (deployment,) = (item for item in install_objects(InstallOptions()) if item["kind"] == "Deployment")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": deployment["spec"]["template"]["spec"]}
    pod["spec"]["serviceAccountName"] = "default"
    control_plane.kubectl("create", "-n", namespace, "--dry-run=server", "-f", "-", input=json.dumps(pod))


NEEDED = (
    "watch apps.trimtab.dev -A",
    "patch apps.trimtab.dev -n default",
    "patch apps.trimtab.dev --subresource=status -n default",
    "create apps.trimtab.dev -n HOME",
    "update leases.coordination.k8s.io -n HOME",
    "create secrets -n HOME",
    "delete configmaps -n HOME",
    "create events -n default",
    "get events -n default",
    "list deployments.apps -n HOME",
    "create namespaces",
    "watch customresourcedefinitions",
    "patch clusterrolebindings/INSTANCE",
    "patch clusterroles/INSTANCE",
    "patch serviceaccounts -n HOME",
    "patch rolebindings -n HOME",
    "get secrets -n WATCHED",
    "get configmaps -n WATCHED",
)
TOO_MUCH = (
    "get secrets -n default",
    "get configmaps -n default",
    "list secrets -n WATCHED",
    "create configmaps -n default",
    "delete namespaces",
    "patch clusterrolebindings/cluster-admin",
    "create clusterrolebindings",
    "create apps.trimtab.dev -n default",
    "create deployments -n HOME",
    "delete secrets -n HOME",
)


@pytest.fixture
def watched(control_plane: ControlPlane, namespace: str) -> Iterator[str]:
    name = f"{namespace}-watched"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


def test_the_account_may_do_what_the_controller_needs_and_no_more_without_cluster_admin(
    control_plane: ControlPlane, namespace: str, watched: str, trimtab: Callable[..., Result]
) -> None:
    instance = namespace.replace("test-", "t")
    try:
        result = trimtab(
            "install", "--apply", "--namespace", namespace, "--instance", instance, "--no-cluster-admin",
            "--watch-namespace", watched, "--replicas", "0",
        )  # fmt: skip
        assert result.code == 0, result.err
        who = f"--as=system:serviceaccount:{namespace}:{instance}"
        answers = {}
        for question in (*NEEDED, *TOO_MUCH):
            words = question.replace("HOME", namespace).replace("INSTANCE", instance).replace("WATCHED", watched)
            answers[question] = control_plane.kubectl("auth", "can-i", who, *words.split(), check=False).strip()
        assert answers == dict.fromkeys(NEEDED, "yes") | dict.fromkeys(TOO_MUCH, "no")
        for own in ("clusterrole", "clusterrolebinding", "role", "rolebinding", "serviceaccount"):
            for finalizers in (["trimtab.dev/controller"], []):
                patch = json.dumps({"metadata": {"finalizers": finalizers}})
                control_plane.kubectl("patch", own, instance, "-n", namespace, who, "--type=merge", "-p", patch)
    finally:
        for kind in ("clusterrole", "clusterrolebinding"):
            control_plane.kubectl("delete", kind, instance, "--ignore-not-found")
