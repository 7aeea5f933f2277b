"""The options of a render: what is fetched, what is given by a cluster, and what is said where it is not there."""

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chartrepo import ChartServer, package, run_helm, write_chart
from control import Repository
from harness import ControlPlane

from pipeline.cli.rendering import Rendering

Trimtab = Callable[..., Any]


def app_file(folder: Path, namespace: str = "team", **spec: Any) -> Path:
    file = folder / "app.yaml"
    metadata = {"name": "shop", "namespace": namespace}
    file.write_text(
        json.dumps({"apiVersion": "trimtab.dev/v1alpha1", "kind": "App", "metadata": metadata, "spec": spec})
    )
    return file


def rendered(result: Any) -> dict[str, Any]:
    assert result.code == 0, result.err
    (document,) = json.loads(result.out)
    return dict(document["data"])


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart whose ConfigMap says `greeting`."""
    return write_chart(tmp_path / "charts", "app")


def test_a_value_is_the_text_of_a_file(trimtab: Trimtab, chart: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("good day")
    result = trimtab("render", chart, "--set-file", "greeting=text", "-o", "json", cwd=tmp_path)
    assert rendered(result)["greeting"] == "good day"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--set-file", "greeting"], "--set-file is 'greeting'"),
        (["--set-file", "a=none"], "none does not exist"),
        (["--values", "none"], "none does not exist"),
        (["--age-key-file", "none"], "none does not exist"),
        (["--allow-remote", "https://me:s3cr3t@example.com"], "carries credentials"),
        (["--allow-remote", "example.com"], "is of no form that is allowed"),
    ],
)
def test_a_bad_flag_is_named(trimtab: Trimtab, chart: Path, flags: list[str], says: str) -> None:
    result = trimtab("render", chart, *flags)
    assert result.code == 2
    assert says in result.err
    assert "s3cr3t" not in result.err


def test_a_key_file_without_a_key_is_told(trimtab: Trimtab, chart: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# s3cr3t\n")
    result = trimtab("render", chart, "--age-key-file", tmp_path / "keys")
    assert result.code == 2
    assert "holds no age identity" in result.err
    assert "s3cr3t" not in result.err


def test_charts_see_an_upgrade_where_that_is_asked(trimtab: Trimtab, tmp_path: Path) -> None:
    template = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {is: "{{ .Release.IsUpgrade }}"}\n'
    chart = write_chart(tmp_path / "charts", "app", {"templates/config.yaml": template})
    assert rendered(trimtab("render", chart, "-o", "json"))["is"] == "false"
    assert rendered(trimtab("render", chart, "--is-upgrade", "-o", "json"))["is"] == "true"


def test_a_remote_base_is_read_where_a_flag_allows_it(trimtab: Trimtab, tmp_path: Path) -> None:
    base = Repository(tmp_path / "git", "base")
    (base.work / "kustomization.yaml").write_text("resources: [one.json]\n")
    base.commit({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}})
    (tmp_path / "over").mkdir()
    (tmp_path / "over" / "kustomization.yaml").write_text(f"resources: ['{base.url}?ref=main']\n")
    refused = trimtab("render", tmp_path / "over")
    assert refused.code == 2
    assert "--allow-remote" in refused.err
    result = trimtab("render", tmp_path / "over", "--allow-remote", base.url, "-o", "json")
    assert rendered(result) == {"a": "1"}


def test_an_app_file_may_name_a_chart_and_values_elsewhere(trimtab: Trimtab, chart: Path, tmp_path: Path) -> None:
    values = Repository(tmp_path / "git", "values")
    (values.work / "prod.yaml").write_text("greeting: from elsewhere\n")
    values.commit()
    (tmp_path / "served").mkdir()
    with ChartServer(tmp_path / "served").running() as server:
        package(chart, server.folder, "1.2.7")
        run_helm("repo", "index", server.folder)
        file = app_file(
            tmp_path,
            source={"chart": {"repo": server.url, "name": "app", "version": "~1.2"}},
            sources=[{"name": "values", "git": {"url": values.url}}],
            render=[{"helm": {"valueFiles": ["values:prod.yaml"]}}],
        )
        data = rendered(trimtab("render", "-f", file, "-o", "json"))
    assert data == {"version": "1.2.7", "greeting": "from elsewhere"}


def test_values_of_a_cluster_need_one(trimtab: Trimtab, chart: Path, tmp_path: Path) -> None:
    file = app_file(tmp_path, render=[{"helm": {"valuesFrom": [{"kind": "Secret", "name": "values"}]}}])
    result = trimtab("render", chart, "-f", file)
    assert result.code == 5
    assert "there is no cluster to talk to" in result.err


def test_values_of_a_cluster_are_read_from_the_apps_namespace(
    trimtab: Trimtab, chart: Path, tmp_path: Path, control_plane: ControlPlane, namespace: str
) -> None:
    data = {"values.yaml": b64encode(b"greeting: hidden").decode()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "values", "namespace": namespace},
        "data": data,
    }
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(secret))
    file = app_file(tmp_path, namespace, render=[{"helm": {"valuesFrom": [{"kind": "Secret", "name": "values"}]}}])
    assert rendered(trimtab("render", chart, "-f", file, "-o", "json"))["greeting"] == "hidden"
    shown = trimtab("diff", chart, "-f", file, "--inventory-namespace", namespace)
    assert shown.code == 1
    assert "hidden" in shown.out


def test_the_three_commands_have_the_same_options(trimtab: Trimtab) -> None:
    flags = {f"--{name.rstrip('_').replace('_', '-')}" for name in Rendering.__slots__}
    for command in ("render", "diff", "apply"):
        text = trimtab(command, "--help", env={"COLUMNS": "300"}).out
        assert {flag for flag in flags if flag not in text} == set(), command
