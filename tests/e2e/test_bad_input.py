"""What a user can get wrong: one clear error with what, where and what to do, its exit code, and nothing changed."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., dict[str, Any]]
_APP = "apiVersion: trimtab.dev/v1alpha1\nkind: App\nmetadata: {name: a}\n"


def _clear(result: Any, code: int, *says: str) -> None:
    """One message on standard error that names all of this, and no traceback anywhere."""
    assert result.code == code, (result.code, result.out, result.err)
    assert "Traceback" not in result.out + result.err
    assert result.err.count("error:") == 1, result.err
    for text in says:
        assert text in result.err, result.err


def _app_file(tmp_path: Path, namespace: str, git: dict[str, str]) -> str:
    file = tmp_path / "app.yaml"
    spec = {"source": {"git": git}, "target": {"namespace": namespace}}
    metadata = {"name": "shop", "namespace": namespace}
    file.write_text(
        json.dumps({"apiVersion": "trimtab.dev/v1alpha1", "kind": "App", "metadata": metadata, "spec": spec})
    )
    return str(file)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    (path / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    (path / "out").symlink_to("/etc")
    for command in (
        ["init", "-q", "-b", "main"], ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "one"],
    ):  # fmt: skip
        subprocess.run(["git", *command], cwd=path, check=True)
    return path


@pytest.mark.parametrize(
    ("git", "code", "says"),
    [
        ({"url": "file:///nowhere/at-all.git"}, 5, ("/nowhere/at-all.git", "→")),
        ({"url": "https://127.0.0.1:1/x.git"}, 5, ("https://127.0.0.1:1/x.git", "→")),
        ({"url": "ext::sh -c true"}, 2, ("ext::", "→")),
        ({"url": "--upload-pack=true"}, 2, ("--upload-pack", "→")),
        ({"url": "https://me:hunter2@127.0.0.1/x.git"}, 2, ("→",)),
        ({"branch": "nope"}, 2, ("nope", "→")),
        ({"tag": "v9"}, 2, ("v9", "→")),
        ({"commit": "f" * 40}, 2, ("f" * 12, "→")),
        ({"path": "nope/deeper"}, 2, ("nope/deeper", "→")),
        ({"path": "../outside"}, 2, ("../outside", "→")),
        ({"path": "map.yaml"}, 2, ("map.yaml", "→")),
        ({"path": "out"}, 2, ("out", "→")),
    ],
)
def test_a_source_that_cannot_be_used(
    app: Any, repository: Path, tmp_path: Path, git: dict[str, str], code: int, says: tuple[str, ...]
) -> None:
    file = _app_file(tmp_path, app.namespace, {"url": repository.as_uri(), **git})
    result = app.trimtab("apply", "-f", file, "--inventory-namespace", app.namespace)
    _clear(result, code, *says)
    assert "hunter2" not in result.err
    assert app.names() == set()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("broken.yaml", "kind: ConfigMap\n  bad: indent\n", ("broken.yaml:2:",)),
        ("broken.json", '{"kind": "ConfigMap",', ("broken.json",)),
        ("nokind.yaml", "a: 1\n", ("nokind.yaml", "kind", ".trimtabignore")),
        ("number.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 5}\n", ("number.yaml", "name", "quotes")),
        ("deep.yaml", "a: " + "[" * 60_000, ("deep.yaml",)),
        (
            "twice.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fine}\n",
            ("fine", "twice.yaml", "fine.json"),
        ),
        ("Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n{{", ("Chart.yaml",)),
        ("kustomization.yaml", "resources: [missing.yaml]\n", ("missing.yaml", "resources")),
        ("kustomization.yaml", "resources: [https://example.com/x.yaml]\n", ("https://example.com/x.yaml",)),
        ("kustomization.yaml", "resources: [../../../../../../etc/passwd]\n", ("etc/passwd",)),
    ],
)
def test_a_folder_that_cannot_be_rendered(
    app: Any, make_map: Make, name: str, text: str, says: tuple[str, ...]
) -> None:
    app.folder.put(make_map("before"))
    app.apply()
    (app.folder.path / "configmap-before.json").unlink()
    (app.folder.path / "fine.json").write_text(json.dumps(make_map("fine")))
    app.folder.text(name, text)
    _clear(app.apply(code=None), 2, *says)
    assert app.names() == {"before"}


def test_a_chart_that_fails_says_helms_own_message(app: Any) -> None:
    app.folder.text("Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n")
    app.folder.text("templates/a.yaml", 'a: {{ fail "the database has no name" }}\n')
    result = app.apply(code=None)
    _clear(result, 2, "the database has no name", "templates/a.yaml")
    assert "goroutine" not in result.err
    assert ".go:" not in result.err


@pytest.mark.parametrize("tool", ["helm", "kustomize"])
def test_a_tool_that_is_not_installed(app: Any, tool: str, tmp_path: Path) -> None:
    app.folder.text(
        "Chart.yaml" if tool == "helm" else "kustomization.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n"
    )
    if tool == "kustomize":
        app.folder.text("kustomization.yaml", "resources: []\n")
    empty = tmp_path / "bin"
    empty.mkdir()
    for present in ("git", "prlimit", "unshare"):
        (empty / present).symlink_to(shutil.which(present) or "/nonexistent")
    result = app.trimtab("render", str(app.folder.path), env={"PATH": str(empty)})
    _clear(result, 2, tool, "→")


def test_no_cluster(app: Any, make_map: Make, tmp_path: Path) -> None:
    app.folder.put(make_map("a"))
    kubeconfig = tmp_path / "dead"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: c, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\n"
    )
    _clear(app.apply("--kubeconfig", str(kubeconfig), code=None), 5, "127.0.0.1:1", "→")
    _clear(app.apply("--context", "nope", code=None), 2, "nope", "→")
    _clear(app.apply("--kubeconfig", str(tmp_path / "none"), code=None), 2, "none", "→")
    result = app.trimtab("status", env={"KUBECONFIG": ""})
    _clear(result, 5, "→")


def test_wrong_credentials(app: Any, make_map: Make, control_plane: Any, tmp_path: Path) -> None:
    app.folder.put(make_map("a"))
    kubeconfig = tmp_path / "wrong"
    text = Path(control_plane.kubeconfig).read_text().replace(control_plane.token, "wrong-token")
    kubeconfig.write_text(text)
    _clear(app.apply("--kubeconfig", str(kubeconfig), code=None), 5, "→")


def _account(app: Any, control_plane: Any, rules: list[dict[str, Any]], tmp_path: Path) -> Path:
    """A kubeconfig of a service account that may do no more than this in its namespace."""
    namespace = app.namespace
    for manifest in (
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "small"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "small"}, "rules": rules},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "small"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "small"},
         "subjects": [{"kind": "ServiceAccount", "name": "small", "namespace": namespace}]},
    ):  # fmt: skip
        app.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(manifest))
    token = app.kubectl("create", "token", "small", "-n", namespace).strip()
    kubeconfig = tmp_path / "small"
    kubeconfig.write_text(Path(control_plane.kubeconfig).read_text().replace(control_plane.token, token))
    return kubeconfig


_ALL = ["get", "list", "watch", "create", "update", "patch", "delete"]


def test_no_permission_for_one_kind_leaves_the_others(
    app: Any, make_map: Make, control_plane: Any, tmp_path: Path
) -> None:
    kubeconfig = _account(
        app, control_plane, [{"apiGroups": [""], "resources": ["configmaps"], "verbs": _ALL}], tmp_path
    )
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    app.folder.put(make_map("a"), service)
    changes = app.changes("--kubeconfig", str(kubeconfig), code=4)
    assert changes["ConfigMap/a"]["action"] == "created"
    assert changes["Service/s"]["action"] == "failed"
    assert "services" in changes["Service/s"]["message"]


def test_no_permission_at_all(app: Any, make_map: Make, control_plane: Any, tmp_path: Path) -> None:
    kubeconfig = _account(app, control_plane, [], tmp_path)
    app.folder.put(make_map("a"))
    result = app.apply("--kubeconfig", str(kubeconfig), code=None)
    _clear(result, 1, "configmaps", "→")
    assert app.names() == set()


def test_an_account_of_one_namespace_keeps_its_inventory_there(
    app: Any, make_map: Make, control_plane: Any, tmp_path: Path
) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": _ALL}]
    kubeconfig = _account(app, control_plane, rules, tmp_path)
    app.folder.put(make_map("a"), make_map("b"))
    arguments = ["apply", str(app.folder.path), "--name", "shop", "--namespace", app.namespace, "--kubeconfig",
                 str(kubeconfig)]  # fmt: skip
    first = app.trimtab(*arguments)
    assert first.code == 0, first.err
    app.folder.drop("configmap", "b")
    second = app.trimtab(*arguments)
    assert second.code == 0, second.err
    assert app.names() == {"a"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nope"], ("nope", "trimtab --help")),
        (["render", "--nope"], ("--nope", "trimtab render --help")),
        (["status", "--output", "prose"], ("prose", "json")),
        (["apply"], ("folder",)),
        (["apply", "."], ("--name",)),
        (["apply", ".", "--name", "Not A Name"], ("Not A Name",)),
        (["apply", ".", "--name", "x", "--timeout", "5"], ("5", "30s")),
        (["apply", ".", "--name", "x", "--conflicts", "steal"], ("steal", "yield")),
        (["apply", ".", "--name", "x", "--prune-guard", "lots"], ("lots", "50,10")),
        (["apply", ".", "--name", "x", "--adopt-from", "nobody"], ("nobody", "helm")),
        (["render", "no-such-folder"], ("no-such-folder",)),
        (["render", ".", "--renderer", "magic"], ("magic", "kustomize")),
        (["render", ".", "--values", "no-such-values.yaml"], ("no-such-values.yaml",)),
        (["run", "--git-url", "ftp://example.com/x"], ("ftp://",)),
        (["run", "--git-url", "file:///x", "--git-poll-interval", "often"], ("often",)),
        (["status", "nobody"], ("nobody", "trimtab status")),
        (["delete", "nobody"], ("nobody", "trimtab status")),
        (["approve", "nobody"], ("nobody",)),
    ],
)
def test_a_flag_or_name_that_cannot_be_used(
    app: Any, arguments: list[str], says: tuple[str, ...], tmp_path: Path
) -> None:
    _clear(app.trimtab(*arguments, cwd=tmp_path), 2, *says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: App", ("app.yaml",)),
        (_APP + "spec: {intervall: 5m}", ("intervall",)),
        (_APP + "spec: {interval: often}", ("often",)),
        ("apiVersion: trimtab.dev/v1alpha1\nkind: App\nmetadata: {name: A_B}", ("name",)),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}", ("app.yaml", "App")),
        ("a: [", ("app.yaml:",)),
        (
            f"{_APP}spec: {{source: {{git: {{url: 'file:///x', branch: a, tag: b}}}}}}",
            ("branch", "tag"),
        ),
    ],
)
def test_an_app_file_that_cannot_be_used(app: Any, text: str, says: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(text)
    _clear(app.trimtab("apply", "-f", str(file)), 2, *says)


def test_standard_output_is_data_only(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"))
    result = app.trimtab("render", str(app.folder.path))
    assert result.code == 0
    assert result.out.startswith("apiVersion:")
    assert result.err == ""
    empty = app.folder.path / "empty"
    empty.mkdir()
    nothing = app.trimtab("render", str(empty))
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "")


def test_a_reader_that_goes_away_is_no_error(app: Any, make_map: Make) -> None:
    app.folder.put(*(make_map(f"c{n}", a="x" * 1000) for n in range(300)))
    command = f"{sys.executable} -m pipeline render {app.folder.path} | head -c 10"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_create_namespace_asks_for_no_right_where_there_is_one(
    app: Any, make_map: Make, control_plane: Any, tmp_path: Path
) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": _ALL}]
    kubeconfig = _account(app, control_plane, rules, tmp_path)
    app.folder.put(make_map("a"))
    assert app.actions("--kubeconfig", str(kubeconfig), "--create-namespace") == {"ConfigMap/a": "created"}
