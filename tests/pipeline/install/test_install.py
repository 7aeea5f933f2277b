"""`trimtab install`: what it prints, what it applies, and what it says of options that cannot work."""

import json
from collections.abc import Callable, Iterator

import pytest
from harness import ControlPlane, Result

from pipeline.cluster.connection import Connection
from pipeline.cluster.session import Session
from pipeline.errors import InputError
from pipeline.install.apply import Applied, InstallError, apply_objects
from pipeline.install.objects import install_objects
from pipeline.install.options import InstallOptions, check_options
from pipeline.install.schema import crd
from renderers.manifest import load_text

BAD = {
    "password in the URL": (InstallOptions(git_url="https://me:s3cr3t@example.com/x"), "credentials"),
    "URL": (InstallOptions(git_url="example.com/x"), "of no form that is allowed"),
    "branch": (InstallOptions(git_url="git@example.com:x", git_branch="-x"), "the branch '-x'"),
    "path": (InstallOptions(git_url="git@example.com:x", git_path="../x"), "the path '../x'"),
    "interval": (InstallOptions(git_url="git@example.com:x", git_poll_interval="5"), "--git-poll-interval is '5'"),
    "branch of nothing": (InstallOptions(git_branch="main"), "--git-branch is given, and no --git-url"),
    "App of nothing": (InstallOptions(name="shop"), "--name is given, and no --git-url"),
    "namespace": (InstallOptions(namespace="Ops"), "--namespace is 'Ops'"),
    "no namespace": (InstallOptions(namespace=""), "--namespace is ''"),
    "watched namespace": (InstallOptions(watch_namespaces=("a", "b.c")), "--watch-namespace is 'b.c'"),
    "App": (InstallOptions(git_url="git@example.com:x", name="a/b"), "--name is 'a/b'"),
    "instance": (InstallOptions(instance="1st"), "--instance is '1st'"),
    "image": (InstallOptions(image=""), "--image is ''"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_option_that_cannot_work_is_named(case: str) -> None:
    options, message = BAD[case]
    with pytest.raises(InputError) as raised:
        check_options(options)
    assert message in str(raised.value)
    assert raised.value.hint
    assert "s3cr3t" not in str(raised.value)


def test_what_is_printed_is_the_installation_as_yaml(trimtab: Callable[..., Result]) -> None:
    result = trimtab(
        "install", "--git-url", "git@example.com:team/config.git", "--git-branch", "main", "--image", "example.com/t:1",
        "--watch-all-namespaces", "--replicas", "2", "--arg=--x=1",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    options = InstallOptions(
        git_url="git@example.com:team/config.git", git_branch="main", image="example.com/t:1", watch_all=True,
        replicas=2, extra_args=("--x=1",),
    )  # fmt: skip
    printed = [document.data for document in load_text(result.out, file="").documents]
    assert printed == install_objects(options)


def test_the_definition_alone_can_be_printed(trimtab: Callable[..., Result]) -> None:
    result = trimtab("install", "--crd-only")
    assert [document.data for document in load_text(result.out, file="").documents] == [crd()]


def test_a_bad_option_ends_with_two_and_prints_nothing(trimtab: Callable[..., Result]) -> None:
    result = trimtab("install", "--git-url", "ftp://example.com/x")
    assert (result.code, result.out) == (2, "")
    assert "→" in result.err


@pytest.fixture
def instance(control_plane: ControlPlane, namespace: str) -> Iterator[str]:
    """The name of an installation that is taken away again; the App's definition stays for other tests."""
    name = namespace.replace("test-", "t")
    yield name
    for kind, own in (
        ("clusterrole", name),
        ("clusterrolebinding", name),
        ("clusterrolebinding", f"{name}-cluster-admin"),
    ):
        control_plane.kubectl("delete", kind, own, "--ignore-not-found")


def test_apply_installs_and_says_what_became_of_each_object(
    control_plane: ControlPlane, namespace: str, instance: str, trimtab: Callable[..., Result]
) -> None:
    flags = ("install", "--apply", "--namespace", namespace, "--instance", instance, "--replicas", "0")
    first = trimtab(*flags, "--git-url", "git@example.com:a/b.git")
    assert first.code == 0, first.err
    assert f"created    Deployment.apps/{namespace}/{instance}" in first.out
    assert "trimtab identity" in first.err
    control_plane.kubectl("wait", "--for=condition=Established", "crd/apps.trimtab.dev", "--timeout=0")
    second = trimtab(*flags, "--git-url", "git@example.com:a/b.git")
    assert {line.split()[0] for line in second.out.splitlines()} == {"unchanged"}
    third = trimtab(*flags, "--git-url", "git@example.com:a/c.git")
    assert f"configured Deployment.apps/{namespace}/{instance}" in third.out
    live = json.loads(control_plane.kubectl("get", "deployment", instance, "-n", namespace, "-o", "json"))
    assert "--git-url=git@example.com:a/c.git" in live["spec"]["template"]["spec"]["containers"][0]["args"]


def test_apply_takes_over_what_kubectl_applied(
    control_plane: ControlPlane, namespace: str, instance: str, trimtab: Callable[..., Result]
) -> None:
    flags = ("install", "--namespace", namespace, "--instance", instance, "--replicas", "0")
    control_plane.kubectl("apply", "-f", "-", input=trimtab(*flags, "--image", "example.com/t:1").out)
    result = trimtab(*flags, "--image", "example.com/t:2", "--apply")
    assert result.code == 0, result.err
    assert f"configured Deployment.apps/{namespace}/{instance}" in result.out


def test_an_object_that_is_refused_does_not_stop_the_others(control_plane: ControlPlane, namespace: str) -> None:
    def config_map(name: str, where: str) -> dict[str, object]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": where}}

    unknown = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
    with Connection.open(kubeconfig=control_plane.kubeconfig, context="") as connection:
        nowhere, thing, good = apply_objects(
            Session(connection), [config_map("a", "no-such-namespace"), unknown, config_map("b", namespace)]
        )
    assert isinstance(nowhere, InstallError)
    assert "ConfigMap/no-such-namespace/a was not applied" in nowhere.message
    assert isinstance(thing, InstallError)
    assert "does not know this kind" in thing.message
    assert isinstance(good, Applied)
    assert good.outcome == "created"


def test_a_cluster_out_of_reach_ends_with_five(trimtab: Callable[..., Result]) -> None:
    result = trimtab("install", "--apply")
    assert result.code == 5
    assert "→" in result.err
