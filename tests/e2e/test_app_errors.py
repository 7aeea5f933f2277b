"""Each mistake that a person can make in an App has its reason and its message, and mending it is enough."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from control import Apps, Controller, Repository

Make = Callable[..., dict[str, Any]]
Start = Callable[..., Controller]

_OK = {"metadata": {"name": "one"}, "apiVersion": "v1", "kind": "ConfigMap"}


@pytest.fixture
def files(repository: Repository) -> Repository:
    """One folder for each thing that can be wrong in a repository."""
    work = repository.work

    def write(path: str, text: str) -> None:
        file = work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    write("good/one.json", json.dumps(_OK))
    write("broken/one.yaml", "a: [")
    write("kindless/one.yaml", "a: 1")
    write("twice/one.yaml", json.dumps(_OK))
    write("twice/two.yaml", json.dumps(_OK))
    write("chart/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n")
    write("chart/templates/a.yaml", '{{ fail "say which image" }}')
    write("kustomize/kustomization.yaml", "resources: [missing.yaml]")
    write("remote/kustomization.yaml", "resources: ['https://example.com/base?ref=v1']")
    write("unknown/one.yaml", "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n")
    write("refused/one.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n")
    write("field/one.yaml", json.dumps({**_OK, "daat": {"a": "1"}}))
    write("empty/.keep", "")
    write("file", "no folder")
    repository.commit()
    return repository


#: Path or source, more of the spec, the condition and its reason, and what the message says.
_MISTAKES: dict[str, tuple[dict[str, Any], dict[str, Any], str, str, str]] = {
    "branch": ({"branch": "mian"}, {}, "SourceReady", "RefNotFound", "there are: main"),
    "tag": ({"tag": "v9"}, {}, "SourceReady", "RefNotFound", "v9"),
    "range": ({"semver": "~9.1"}, {}, "SourceReady", "RefNotFound", "~9.1"),
    "commit": ({"commit": "9" * 40}, {}, "Ready", "CommitNotFound", "9" * 40),
    "path": ({"path": "depoly"}, {}, "Ready", "PathNotFound", "depoly"),
    "path-of-a-file": ({"path": "file"}, {}, "Ready", "PathNotFound", "is a file"),
    "yaml": ({"path": "broken"}, {}, "Ready", "RenderFailed", "broken/one.yaml:"),
    "kind": ({"path": "kindless"}, {}, "Ready", "RenderFailed", "kindless/one.yaml"),
    "chart": ({"path": "chart"}, {}, "Ready", "RenderFailed", "say which image"),
    "kustomization": ({"path": "kustomize"}, {}, "Ready", "RenderFailed", "missing.yaml"),
    "remote-base": ({"path": "remote"}, {}, "Ready", "RenderFailed", "example.com/base"),
    "values": (
        {"path": "chart"}, {"render": [{"helm": {"valueFiles": ["prod.yaml"]}}]}, "Ready", "RenderFailed", "prod.yaml",
    ),
    "unknown-kind": ({"path": "unknown"}, {}, "Ready", "ApplyFailed", "the cluster knows no kind Widget"),
    "refused": ({"path": "refused"}, {}, "Ready", "ApplyFailed", "Not_A_Name"),
    "unknown-field": ({"path": "field"}, {}, "Ready", "ApplyFailed", "daat"),
    "namespace": ({"path": "good"}, {"target": {"namespace": "no-such-namespace"}}, "Ready", "ApplyFailed",
                  "--create-namespace"),
    "secret": ({"path": "good", "url": "https://127.0.0.1:1/x.git", "secret": "nobody"}, {}, "SourceReady",
               "SecretNotFound", "create it, or correct spec.source.secretRef"),
    "host": ({"url": "https://127.0.0.1:1/x.git"}, {}, "SourceReady", "SourceUnreachable", "127.0.0.1"),
    "dependency": ({"path": "good"}, {"dependsOn": [{"name": "nobody"}]}, "Ready", "DependencyNotReady", "nobody"),
    "itself": ({"path": "good"}, {"dependsOn": [{"name": "app-itself", "namespace": "OWN"}]}, "Ready", "InvalidSpec",
               "the App itself"),
    "own-inventory": ({"path": "namespace"}, {}, "Ready", "InvalidSpec", "its own inventory"),
}  # fmt: skip


def test_each_mistake_has_its_reason_and_message_and_mending_it_is_enough(
    apps: Apps, files: Repository, start: Start
) -> None:
    """All at once: so it is also seen that none of them is in the way of another."""
    own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": apps.namespace}}
    files.commit(own, folder="namespace")
    start()
    for name, (source, spec, *_) in _MISTAKES.items():
        text = json.dumps({"target": {"namespace": apps.namespace}, **spec}).replace("OWN", apps.namespace)
        apps.put(f"app-{name}", {"url": files.url, **source}, **json.loads(text))
    for name, (_, _, kind, reason, says) in _MISTAKES.items():
        condition = apps.until_reason(f"app-{name}", reason, kind)
        assert condition["status"] == "False", name
        assert says in condition["message"], f"{name}: {condition['message']}"
        assert apps.condition(f"app-{name}")["status"] == "False", name
    for name in _MISTAKES:
        spec = {"target": {"namespace": apps.namespace}, "render": [], "dependsOn": []}
        apps.put(f"app-{name}", {"url": files.url, "path": "good", "branch": "main"}, **spec)
    # One object, many Apps: the first has it, the others name it.
    for name in _MISTAKES:
        apps.until_condition(
            f"app-{name}",
            lambda ready: ready.get("reason") == "Succeeded" or f"{apps.namespace}.app-" in ready["message"],
        )


def test_an_app_that_has_become_empty_keeps_everything(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(make_map("one"))
    start()
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace})
    apps.until_ready("shop")
    repository.commit(drop=("one",))
    assert "prune.allowEmpty" in apps.until_reason("shop", "RenderedNothing")["message"]
    assert app.names() == {"one"}
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace}, prune={"allowEmpty": True})
    apps.until_reason("shop", "Succeeded")
    assert app.names() == set()


def test_one_bad_object_does_not_stop_the_others(
    app: Any, apps: Apps, repository: Repository, make_map: Make, start: Start
) -> None:
    repository.commit(make_map("one"), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "BAD"}})
    start()
    apps.put("shop", {"url": repository.url}, target={"namespace": app.namespace})
    condition = apps.until_reason("shop", "PartlyApplied")
    assert "BAD" in condition["message"]
    assert app.names() == {"one"}
    assert [problem["reason"] for problem in apps.status("shop")["problems"]] == ["Failed"]
    repository.commit(drop=("BAD",))
    apps.until_reason("shop", "Succeeded")
    assert "problems" not in apps.status("shop")
