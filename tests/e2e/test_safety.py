"""Renders that fail, Apps that become empty, guards, order of prune, failing objects, lost inventories, secrets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiproxy import ApiProxy

Make = Callable[..., dict[str, Any]]


def _deployment(name: str, *, namespace_selector: dict[str, str] | None = None) -> dict[str, Any]:
    pod: dict[str, Any] = {"containers": [{"name": "web", "image": "nginx:1"}]}
    if namespace_selector:
        pod["nodeSelector"] = namespace_selector
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }  # fmt: skip


def test_a_render_that_fails_changes_nothing(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.folder.drop("configmap", "a").put(make_map("c")).text("broken.yaml", "a: [1\nb: 2\n")
    result = app.apply(code=2)
    assert "broken.yaml:" in result.err
    assert app.names() == {"a", "b"}


@pytest.mark.parametrize("flag", [False, True], ids=["plain", "--allow-empty"])
def test_an_app_that_became_empty_changes_nothing_unless_told(app: Any, make_map: Make, *, flag: bool) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.folder.drop("configmap", "a", "b")
    if flag:
        assert set(app.actions("--allow-empty").values()) == {"pruned"}
        assert app.names() == set()
    else:
        result = app.apply(code=2)
        assert "renders to nothing" in result.err
        assert "--allow-empty" in result.err
        assert app.names() == {"a", "b"}


def test_an_app_that_never_had_anything_may_be_empty(app: Any) -> None:
    assert app.actions() == {}


def test_the_guard_holds_a_large_prune_until_exactly_it_is_approved(app: Any, make_map: Make) -> None:
    app.folder.put(*(make_map(f"c{n}") for n in range(12)), make_map("stay"))
    app.apply()
    app.folder.drop("configmap", *(f"c{n}" for n in range(11))).put(make_map("new"))
    changes = app.actions(code=3)
    assert list(changes.values()).count("held") == 11
    assert changes["ConfigMap/new"] == "created"
    assert len(app.names()) == 14
    assert len(app.record()["held"]) == 11
    # An approval is of these objects: when another one joins them, they are held anew.
    home = ("--inventory-namespace", app.namespace)
    assert app.trimtab("approve", "shop", *home).code == 0
    app.folder.drop("configmap", "c11")
    assert list(app.actions(code=3).values()).count("held") == 12
    assert app.trimtab("approve", "shop", *home).code == 0
    assert list(app.actions().values()).count("pruned") == 12
    assert app.names() == {"stay", "new"}
    assert app.trimtab("approve", "shop", *home).code == 2


def test_yes_approves_what_the_guard_holds(app: Any, make_map: Make) -> None:
    app.folder.put(*(make_map(f"c{n}") for n in range(12)))
    app.apply()
    app.folder.drop("configmap", *(f"c{n}" for n in range(12))).put(make_map("new"))
    assert list(app.actions("--yes").values()).count("pruned") == 12


def test_deleting_an_app_counts_its_whole_inventory(app: Any, make_map: Make) -> None:
    app.kubectl("create", "configmap", "old", "-n", app.namespace, "--from-literal=mine=1")
    app.folder.put(*(make_map(f"c{n}") for n in range(10)), make_map("old"))
    app.apply()
    home = ("--inventory-namespace", app.namespace)
    held = app.trimtab("delete", "shop", *home)
    assert held.code == 3, held.err
    assert len(app.names()) == 11
    done = app.trimtab("delete", "shop", *home, "--yes")
    assert done.code == 0, done.err
    assert app.names() == {"old"}
    assert app.trimtab("delete", "shop", *home).code == 2


def test_delete_release_leaves_everything(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    done = app.trimtab("delete", "shop", "--inventory-namespace", app.namespace, "--release")
    assert done.code == 0, done.err
    assert app.names() == {"a", "b"}
    assert "trimtab" not in json.dumps(app.get("configmap", "a"))


def test_nothing_is_pruned_before_the_new_state_is_ready(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.folder.drop("configmap", "a").put(_deployment("stuck", namespace_selector={"no": "such-node"}))
    result = app.apply("--timeout", "2s", code=1)
    data = json.loads(result.out)
    assert "Deployment.apps" in data["unhealthy"][0]
    assert "a" in app.names()
    assert {c["name"]: c["action"] for c in data["changes"]}["a"] == "held"
    # The next sync of the same commit still waits for it: it was never seen ready.
    assert json.loads(app.apply("--timeout", "2s", code=1).out)["unhealthy"]
    app.folder.put(_deployment("stuck"))
    assert app.actions()["ConfigMap/a"] == "pruned"


def test_one_bad_object_does_not_stop_the_others_and_success_is_not_said(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("good"), make_map("leaves"))
    app.apply()
    bad_schema = {**make_map("schema"), "data": {"a": {"b": 1}}}
    bad_name = make_map("Not_A_Name")
    unknown = {"apiVersion": "nope.example.com/v1", "kind": "Nope", "metadata": {"name": "n"}}
    elsewhere = make_map("elsewhere")
    elsewhere["metadata"]["namespace"] = "no-such-namespace"
    app.folder.put(make_map("good", a="2"), bad_schema, bad_name, unknown, elsewhere).drop("configmap", "leaves")
    changes = app.changes(code=4)
    assert changes["ConfigMap/good"]["action"] == "configured"
    for name, cause in {
        "ConfigMap/schema": "data.a", "ConfigMap/Not_A_Name": "RFC 1123", "Nope/n": "no kind Nope",
        "ConfigMap/elsewhere": "--create-namespace",
    }.items():  # fmt: skip
        assert changes[name]["action"] == "failed"
        assert cause in changes[name]["message"], changes[name]
        assert ".json" in changes[name]["message"]
    assert changes["ConfigMap/leaves"]["action"] == "held"
    assert app.record()["state"] == "NotReady"


def test_an_unchanged_app_writes_nothing(app: Any, make_map: Make, control_plane: Any, tmp_path: Path) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}
    app.folder.put(make_map("a"), secret, _deployment("web"))
    app.apply()
    with ApiProxy(control_plane.url, Path(control_plane.ca)) as proxy:
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", control_plane.token)
        assert set(app.actions("--kubeconfig", str(kubeconfig)).values()) == {"unchanged"}
        assert set(proxy.counts()) == {"GET"}
        lists = [path for _, path in proxy.requests if "labelSelector" in path]
        assert len(lists) == 3
        assert len(proxy.requests) <= 10


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_a_lost_inventory_never_leads_to_a_delete(app: Any, make_map: Make, damage: str) -> None:
    app.folder.put(make_map("a"), make_map("b"), _deployment("web"))
    app.apply()
    head = f"trimtab.{app.namespace}.shop"
    if damage == "lost":
        app.kubectl("delete", "configmap", head, "-n", app.namespace)
    else:
        patch = '{"binaryData":{"entries":"AAAA"}}'
        app.kubectl("patch", "configmap", head, "-n", app.namespace, "--type=merge", "-p", patch)
    app.folder.drop("configmap", "a").drop("deployment", "web")
    result = app.apply()
    assert "inventory was lost" in result.out
    actions = {f"{c['kind']}/{c['name']}": c["action"] for c in json.loads(result.out)["changes"]}
    assert actions["ConfigMap/a"] == actions["Deployment/web"] == "released"
    assert app.names() == {"a", "b"}
    assert app.names("deployment") == {"web"}
    assert set(app.actions().values()) == {"unchanged"}
    app.folder.drop("configmap", "b").put(make_map("c"))
    assert app.actions()["ConfigMap/b"] == "released"


def test_a_lost_inventory_with_two_owners_stops_and_asks(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    app.kubectl("delete", "configmap", f"trimtab.{app.namespace}.shop", "-n", app.namespace)
    app.kubectl("annotate", "configmap", "a", "-n", app.namespace, "trimtab.dev/owner=other", "--overwrite")
    result = app.apply(code=1)
    assert "2 owner ids" in result.err
    assert app.names() == {"a", "b"}


def test_an_inventory_of_another_cluster_prunes_nothing(app: Any, make_map: Make) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    app.apply()
    head = f"trimtab.{app.namespace}.shop"
    live = json.loads(app.kubectl("get", "configmap", head, "-n", app.namespace, "-o", "json"))
    data = json.loads(live["data"]["head"])
    data["cluster"] = "00000000-0000-0000-0000-000000000000"
    patch = json.dumps({"data": {"head": json.dumps(data)}})
    app.kubectl("patch", "configmap", head, "-n", app.namespace, "--type=merge", "-p", patch)
    app.folder.drop("configmap", "a")
    assert app.actions()["ConfigMap/a"] == "released"
    assert app.names() == {"a", "b"}


def test_a_diff_says_where_each_object_comes_from(app: Any, make_map: Make) -> None:
    two = f"{json.dumps(make_map('a'))}\n---\n{json.dumps(make_map('b'))}\n"
    (app.folder.path / "two.yaml").write_text(two)
    asked = ("diff", str(app.folder.path), "--name", "shop", "--namespace", app.namespace,
             "--inventory-namespace", app.namespace)  # fmt: skip
    assert [line for line in app.trimtab(*asked).out.splitlines() if line.startswith("+++ ")] == [
        f"+++ git/ConfigMap/{app.namespace}/a\ttwo.yaml:1",
        f"+++ git/ConfigMap/{app.namespace}/b\ttwo.yaml:3",
    ]
    told = json.loads(app.trimtab(*asked, "-o", "json").out)
    assert [each["origin"] for each in told] == ["two.yaml:1", "two.yaml:3"]


def test_no_secret_value_is_said_anywhere(app: Any, make_map: Make) -> None:
    def secret(value: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
            "stringData": {"k": value}, "data": {"z": "c2VjcmV0LXo="},
        }  # fmt: skip

    first, second = "hunter2-first", "hunter2-second"
    app.folder.put(secret(first), make_map("a"))
    texts = [app.apply()]
    app.folder.put(secret(second))
    texts.append(
        app.trimtab("diff", str(app.folder.path), "--name", "shop", "--namespace", app.namespace,
                    "--inventory-namespace", app.namespace)
    )  # fmt: skip
    assert texts[-1].code == 1
    assert "***" in texts[-1].out
    texts.append(app.apply())
    broken = secret(first)
    broken["stringData"]["k"] = {"nested": first}
    app.folder.put(broken)
    texts.append(app.apply(code=None))
    texts.append(app.trimtab("status", "shop", "--inventory-namespace", app.namespace, "-o", "json"))
    said = "".join(text.out + text.err for text in texts)
    inventory = app.kubectl("get", "configmap", f"trimtab.{app.namespace}.shop", "-n", app.namespace, "-o", "json")
    for value in (first, second, "secret-z", "c2VjcmV0LXo", "aHVudGVyMi"):
        assert value not in said
        assert value not in inventory


def test_crds_and_namespaces_come_first_and_their_objects_follow(app: Any, make_map: Make, namespace: str) -> None:
    group = f"{namespace}.example.com"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"}, "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {"type": "object", "properties": {"x": {"type": "string"}}}},
            }}}]},
    }  # fmt: skip
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": {"x": "y"}}
    inner = make_map("inner")
    inner["metadata"]["namespace"] = f"{namespace}-inner"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-inner"}}
    try:
        app.folder.put(thing, inner, space, crd)
        assert set(app.actions().values()) == {"created"}
        assert set(app.actions().values()) == {"unchanged"}
        # Neither a namespace nor a CRD goes with the App: other people's objects may be inside.
        app.folder.drop("namespace", f"{namespace}-inner").drop("customresourcedefinition", f"things.{group}")
        actions = app.actions()
        assert actions[f"Namespace/{namespace}-inner"] == "released"
        assert actions[f"CustomResourceDefinition/things.{group}"] == "released"
    finally:
        app.kubectl("delete", "crd", f"things.{group}", "--ignore-not-found", "--wait=false")
        app.kubectl("delete", "namespace", f"{namespace}-inner", "--ignore-not-found", "--wait=false")


def test_two_manifests_of_one_object_are_an_error_after_discovery_too(app: Any) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": []}
    app.folder.text("one.json", json.dumps({**role, "metadata": {"name": "trimtab-test-twice"}}))
    app.folder.text("two.json", json.dumps({**role, "metadata": {"name": "trimtab-test-twice", "namespace": "x"}}))
    result = app.apply(code=2)
    assert "one.json" in result.err
    assert "two.json" in result.err


def test_hooks_and_tests_of_a_chart_are_left_out_of_a_sync_and_named(app: Any) -> None:
    app.folder.text("Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n")
    for name, hook in (("plain", ""), ("before", "pre-install"), ("probe", "test")):
        annotations = f"annotations: {{helm.sh/hook: {hook}}}" if hook else ""
        app.folder.text(
            f"templates/{name}.yaml",
            f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  {annotations}\ndata: {{a: b}}\n",
        )
    assert app.actions() == {"ConfigMap/plain": "created"}
    assert app.names() == {"plain"}
    warned = app.trimtab("apply", str(app.folder.path), "--name", "shop", "--namespace", app.namespace,
                         "--inventory-namespace", app.namespace).err  # fmt: skip
    assert "hook ConfigMap/before is left out" in warned
    assert "test ConfigMap/probe is left out" in warned
    printed = app.trimtab("render", str(app.folder.path)).out
    assert "name: before" in printed
    assert "name: probe" not in printed
    assert "name: probe" in app.trimtab("render", str(app.folder.path), "--include-tests").out


def test_pruning_after_applied_does_not_wait(app: Any, make_map: Make, tmp_path: Path) -> None:
    app.folder.put(make_map("a"), make_map("b"))
    file = tmp_path / "app.yaml"
    file.write_text(
        "apiVersion: trimtab.dev/v1alpha1\nkind: App\n"
        f"metadata: {{name: shop, namespace: {app.namespace}}}\nspec: {{prune: {{after: applied}}}}\n"
    )
    app.flags = ("-f", str(file))
    app.apply()
    app.folder.drop("configmap", "a").put(_deployment("stuck", namespace_selector={"no": "such-node"}))
    changes = app.changes("--timeout", "1s", code=1)
    assert changes["ConfigMap/a"]["action"] == "pruned"


def test_what_blocks_its_successor_can_go_first(app: Any) -> None:
    """Two Services cannot have one nodePort: the old one has to leave before the new one comes."""

    def service(name: str, **annotations: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": annotations},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]},
        }  # fmt: skip

    taken = app.kubectl("get", "services", "-A", "-o", "jsonpath={.items[*].spec.ports[*].nodePort}").split()
    port = next(number for number in range(30500, 32000) if str(number) not in taken)
    app.folder.put(service("old", **{"trimtab.dev/prune": "first"}))
    app.apply()
    app.folder.drop("service", "old").put(service("new"))
    assert app.actions() == {"Service/new": "created", "Service/old": "pruned"}
