"""Post steps: kustomize over the output of any renderer, where what no step touches stays value for value."""

from collections.abc import Iterable, Sequence
from textwrap import dedent
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from renderers.api import Limits, Rendered, RenderError
from renderers.manifest import Manifest, ManifestError, Origin, load_text, parse_documents
from renderers.post import apply_post
from renderers.post.carry import same
from renderers.settings import RenderStep, Steps

WEB = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      replicas: 3
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers:
          - {name: web, image: nginx, envFrom: [{configMapRef: {name: settings}}]}
          - {name: side, image: "side:1"}
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings}
    data: {mode: "on", day: "2020-01-01"}
    """


def objects(text: str) -> tuple[Manifest, ...]:
    manifests, _ = parse_documents(dedent(text), file="app/all.yaml", unit="app")
    return manifests


def steps(text: str) -> Steps:
    (document,) = load_text(dedent(text), file="steps").documents
    return Steps.of(msgspec.convert(document.data, list[RenderStep]), where="test")


def post(manifests: str | Iterable[Manifest], text: str, **more: Any) -> Rendered:
    given = objects(manifests) if isinstance(manifests, str) else tuple(manifests)
    return apply_post(Rendered(given, **more), steps(text), limits=Limits())


def data(manifests: Sequence[Manifest], name: str) -> Any:
    return next(manifest.data for manifest in manifests if manifest.id.name == name)


def test_without_steps_nothing_is_run(without_tools: Any) -> None:
    without_tools("kustomize")
    rendered = Rendered(objects(WEB))
    assert apply_post(rendered, Steps(), limits=Limits()) is rendered


def test_a_strategic_merge_patch_merges_lists_by_their_keys() -> None:
    result = post(
        WEB,
        """
        - patches:
          - patch: |
              apiVersion: apps/v1
              kind: Deployment
              metadata: {name: web}
              spec: {template: {spec: {containers: [{name: side, image: "side:2"}]}}}
        """,
    )
    containers = data(result.manifests, "web")["spec"]["template"]["spec"]["containers"]
    assert {container["name"]: container["image"] for container in containers} == {"web": "nginx", "side": "side:2"}
    assert result.warnings == ()


def test_a_json_patch_changes_what_its_target_selects() -> None:
    result = post(
        WEB,
        """
        - patches:
          - target: {kind: Deploy.*, labelSelector: "!missing"}
            patch: '[{op: replace, path: /spec/replicas, value: 7}, {op: remove, path: /spec/selector}]'
        """,
    )
    assert data(result.manifests, "web")["spec"]["replicas"] == 7
    assert "selector" not in data(result.manifests, "web")["spec"]


def test_each_step_sees_what_the_ones_before_it_made() -> None:
    result = post(
        WEB,
        """
        - images: [{name: nginx, newName: registry.example.com/nginx}]
        - images: [{name: registry.example.com/nginx, newTag: "1.27"}]
        - patches:
          - target: {kind: ConfigMap}
            patch: '[{op: test, path: /metadata/name, value: settings}, {op: add, path: /data/first, value: "1"}]'
        - namePrefix: a-
        - namePrefix: b-
        - nameSuffix: -z
        - patches:
          - target: {name: b-a-settings-z}
            patch: '[{op: add, path: /data/second, value: "2"}]'
        """,
    )
    web = data(result.manifests, "b-a-web-z")
    container = web["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example.com/nginx:1.27"
    assert container["envFrom"] == [{"configMapRef": {"name": "b-a-settings-z"}}]
    assert data(result.manifests, "b-a-settings-z")["data"].keys() == {"mode", "day", "first", "second"}
    assert result.warnings == ()


def test_labels_annotations_and_namespace_are_kustomizes() -> None:
    result = post(
        WEB
        + """
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata: {name: reader}
    """,
        """
        - labels: [{pairs: {team: a}, includeTemplates: true}, {pairs: {tier: b}}]
        - annotations: {note: "1"}
        - namespace: shop
        """,
    )
    web = data(result.manifests, "web")
    assert web["metadata"] == {
        "name": "web", "namespace": "shop", "labels": {"team": "a", "tier": "b"}, "annotations": {"note": "1"}
    }  # fmt: skip
    assert web["spec"]["template"]["metadata"]["labels"] == {"app": "web", "team": "a"}
    assert "namespace" not in data(result.manifests, "reader")["metadata"]


def test_hooks_and_tests_stay_what_they_are_and_are_patched_too() -> None:
    web, settings_ = objects(WEB)
    result = post([web], "- namePrefix: x-", hooks=(settings_,), tests=(web, settings_))
    assert [manifest.id.name for manifest in result.manifests] == ["x-web"]
    assert [manifest.id.name for manifest in result.hooks] == ["x-settings"]
    assert [manifest.id.name for manifest in result.tests] == ["x-web", "x-settings"]


def test_two_hooks_of_one_name_both_come_through() -> None:
    first, second = (
        Manifest.of(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "migrate", "annotations": {"helm.sh/hook": hook}},
                "spec": {"template": {"spec": {"containers": [{"name": "a", "envFrom": env}]}}},
            },
            Origin("app", f"{hook}.yaml"),
        )
        for hook, env in {"pre-install": [], "pre-upgrade": [{"configMapRef": {"name": "settings"}}]}.items()
    )
    result = post(objects(WEB), "- namePrefix: x-", hooks=(first, second))
    assert [hook.id.name for hook in result.hooks] == ["x-migrate", "x-migrate"]
    assert [hook.annotations["helm.sh/hook"] for hook in result.hooks] == ["pre-install", "pre-upgrade"]
    (container,) = result.hooks[1].data["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "x-settings"}}]


def test_origins_and_order_survive_renames_and_deletions() -> None:
    manifests = [
        Manifest.of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}, Origin("u", f"{name}.yaml"))
        for name in "zvxwu"
    ]
    result = post(
        manifests,
        """
        - patches:
          - {target: {name: x}, patch: "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, $patch: delete}"}
          - {target: {name: v}, patch: "{apiVersion: v1, kind: ConfigMap, metadata: {name: v, annotations: null}}"}
        - nameSuffix: -z
        """,
    )
    assert [(manifest.id.name, manifest.origin.file) for manifest in result.manifests] == [
        (f"{name}-z", f"{name}.yaml") for name in "zvwu"
    ]
    assert result.warnings == ()


def test_a_patch_that_replaces_whole_objects_keeps_their_origins() -> None:
    manifests = [
        Manifest.of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}, Origin("u", f"{name}.yaml"))
        for name in ("a", "b", "c")
    ]
    new = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"k": "v"}}'
    result = post(
        manifests, f"- patches: [{{target: {{name: b}}, patch: '[{{op: replace, path: \"\", value: {new}}}]'}}]"
    )
    assert [(m.id.name, m.origin.file) for m in result.manifests] == [
        ("a", "a.yaml"), ("new", "b.yaml"), ("c", "c.yaml")
    ]  # fmt: skip


def test_same_names_in_different_namespaces_are_different_objects() -> None:
    result = post(
        """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: c, namespace: one}
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: c, namespace: two}
    """,
        "- patches: [{patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: two}, data: {k: v}}'}]",
    )
    assert ["data" in manifest.data for manifest in result.manifests] == [False, True]


def test_an_unknown_kind_is_patched_as_json_merge_does() -> None:
    result = post(
        """
    apiVersion: example.com/v1
    kind: Thing
    metadata: {name: t}
    spec: {list: [{name: a}, {name: b}], keep: 1}
    """,
        """
        - patches:
          - patch: "{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}, spec: {list: [{name: c}]}}"
        """,
    )
    assert data(result.manifests, "t")["spec"] == {"list": [{"name": "c"}], "keep": 1}


def test_several_patches_in_one_text_each_find_their_object() -> None:
    result = post(
        WEB,
        """
        - patches:
          - patch: |
              {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}}
              ---
              {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {mode: null}}
        """,
    )
    assert data(result.manifests, "web")["spec"]["replicas"] == 1
    assert data(result.manifests, "settings")["data"] == {"day": "2020-01-01"}


def test_a_renamed_object_is_found_by_those_that_refer_to_it() -> None:
    result = post(
        WEB,
        "- patches: [{target: {kind: ConfigMap}, patch: '[{op: replace, path: /metadata/name, value: other}]'}]",
    )
    (container, _) = data(result.manifests, "web")["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "other"}}]


def test_a_patch_that_fits_nothing_is_a_warning_with_its_place() -> None:
    result = post(
        WEB,
        """
        - helm: {}
        - patches:
          - {target: {kind: Deployment}, patch: "[{op: add, path: /spec/paused, value: true}]"}
          - {target: {kind: StatefulSet}, patch: "[{op: add, path: /spec/paused, value: true}]"}
          - {patch: "{apiVersion: apps/v1, kind: Deployment, metadata: {name: wbe}, spec: {replicas: 1}}"}
          - {patch: "{apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: web}, spec: {replicas: 1}}"}
        """,
    )
    assert result.warnings == (
        "render[1].patches[1]: there is no object for the patch (kind: StatefulSet)",
        "render[1].patches[2]: there is no object for the patch (Deployment wbe)",
        "render[1].patches[3]: there is no object for the patch (Deployment web)",
    )
    assert data(result.manifests, "web")["spec"]["paused"] is True


def test_a_patch_of_an_object_that_another_deletes_has_fitted() -> None:
    result = post(
        WEB,
        """
        - patches:
          - {target: {kind: ConfigMap}, patch: "[{op: add, path: /data/x, value: y}]"}
          - {target: {kind: Secret}, patch: "[{op: add, path: /data/x, value: y}]"}
          - {patch: "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, $patch: delete}"}
        """,
    )
    assert [manifest.id.name for manifest in result.manifests] == ["web"]
    assert result.warnings == ("render[0].patches[1]: there is no object for the patch (kind: Secret)",)


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (
            "- namespace: x\n- patches: [{patch: '[{op: add, path: /x, value: 1}]'}]",
            "render[1].patches[0]",
            "a JSON patch needs a target",
        ),
        ("- patches: [{patch: 'metadata: {name: web}'}]", "render[0].patches[0]", "lacks one of them"),
        ("- patches: [{patch: '# nothing'}]", "render[0].patches[0]", "the patch is empty"),
        ("- patches: [{target: {kind: A}, patch: '[spec]'}]", "render[0].patches[0]", "no JSON patch operation"),
        (
            "- patches: [{target: {kind: Deployment}, patch: '[{op: replace, path: /spec/no/pe, value: 1}]'}]",
            "render[0].patches[0]",
            "/spec/no/pe",
        ),
        ("- patches: [{target: {kind: '('}, patch: '[{op: add, path: /x, value: 1}]'}]", "render[0].patches[0]", "("),
        (
            """
            - patches: [{patch: '{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: [1]}'}]
            - namePrefix: x-
            """,
            "render[0].patches[0]",
            "kustomize",
        ),
        ("- patches: [{patch: just words}]", "render[0].patches[0]", "lacks one of them"),
    ],
)
def test_an_error_says_which_step_and_field(text: str, where: str, message: str) -> None:
    with pytest.raises(RenderError) as caught:
        post(WEB, text)
    assert caught.value.where == where
    assert message in caught.value.message


def test_a_patch_that_is_no_yaml_is_named_with_its_line() -> None:
    with pytest.raises(ManifestError) as caught:
        post(WEB, '- patches: [{patch: "a: b\\nc: d: e"}]')
    assert caught.value.where.startswith("render[0].patches[0]:2")


def test_an_object_that_a_patch_spoils_is_named_by_its_origin() -> None:
    with pytest.raises(ManifestError, match="all.yaml:15: .* apiVersion"):
        post(
            WEB, "- patches: [{target: {kind: ConfigMap}, patch: '[{op: replace, path: /apiVersion, value: \"A B\"}]'}]"
        )


def test_what_kustomize_prints_of_objects_is_not_repeated() -> None:
    secret = """
    apiVersion: v1
    kind: Secret
    metadata: {name: s, namespace: one}
    stringData: {password: correct-horse}
    ---
    apiVersion: v1
    kind: Secret
    metadata: {name: s, namespace: two}
    stringData: {password: battery-staple}
    """
    with pytest.raises(RenderError) as caught:
        post(secret, "- namespace: three")
    assert caught.value.where == "render[0].namespace"
    assert "conflict" in str(caught.value)
    assert "horse" not in str(caught.value)
    assert "staple" not in str(caught.value)


ODD = """
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: odd
      annotations:
        config.kubernetes.io/local-config: "true"
        internal.config.kubernetes.io/needsHashSuffix: enabled
        config.kubernetes.io/origin: "path: x"
        empty:
        flag: true
      labels: {number: 1}
      creationTimestamp: null
    values: [null, 9007199254740993, -9223372036854775808, 0.5, -0.0, 1e21, 1e-7, {a: null}, [], {}, ""]
    text: "\\x7f\\x85\\u2028\\ufeff"
    "a\\x07b": "\\0"
    """


def test_what_kustomize_would_change_in_an_object_stays() -> None:
    before = objects(dedent(ODD) + "---\n" + dedent(WEB))
    result = post(
        before, "- patches: [{target: {kind: .*}, patch: '[{op: add, path: /spare, value: 9007199254740993}]'}]"
    )
    assert [manifest.data["spare"] for manifest in result.manifests] == [9007199254740993] * 3
    for old, new in zip(before, result.manifests, strict=True):
        assert same({key: value for key, value in new.data.items() if key != "spare"}, old.data)


def test_a_kind_that_ends_with_list_is_one_object() -> None:
    allow = Manifest.of(
        {"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "a"}, "items": [{"x": 1}]},
        Origin("u", "a.yaml"),
    )
    (result,) = post([allow], "- labels: [{pairs: {a: b}}]").manifests
    assert result.data["items"] == [{"x": 1}]


def test_keys_keep_their_order() -> None:
    (result,) = post("{kind: ConfigMap, metadata: {name: a}, data: {z: '1', a: '2'}, apiVersion: v1}",
                     "- labels: [{pairs: {a: b}}]").manifests  # fmt: skip
    assert list(result.data) == ["kind", "metadata", "data", "apiVersion"]
    assert list(result.data["data"]) == ["z", "a"]


def test_an_untouched_object_is_the_very_same() -> None:
    web, settings_ = objects(WEB)
    result = post([web, settings_], "- images: [{name: nginx, newTag: '1'}]")
    assert result.manifests[0] is not web
    assert result.manifests[1] is settings_


def test_a_large_set_goes_through_in_parts_and_in_order() -> None:
    manifests = [
        Manifest.of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}"}}, Origin("u", f"{n}"))
        for n in range(400)
    ]
    result = post(manifests, "- labels: [{pairs: {a: b}}]")
    assert [manifest.origin.file for manifest in result.manifests] == [str(n) for n in range(400)]
    assert all(manifest.data["metadata"]["labels"] == {"a": "b"} for manifest in result.manifests)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
words = st.sampled_from(["yes", "0644", "1e3", "~", "=", "2020-01-01", "12:30", "|", "- a", "a: b", "#", "\r\n", " x "])
#: Our loader gives no whole number as a float where an int holds it.
floats = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer() or abs(x) >= 2**63)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), texts, words, floats)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=12
)
metadata = st.fixed_dictionaries(
    {}, optional={name: st.none() | st.dictionaries(texts, scalars, max_size=3) for name in ("annotations", "labels")}
)


@settings(
    max_examples=12, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(values, metadata), min_size=20, max_size=40))
def test_every_value_that_no_step_touches_comes_out_as_it_went_in(drawn: list[tuple[Any, dict[str, Any]]]) -> None:
    before = [
        Manifest.of(
            {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": f"n{n}", **meta}, "value": value},
            Origin("u", str(n)),
        )
        for n, (value, meta) in enumerate(drawn)
    ]
    result = post(before, "- images: [{name: none, newTag: '1'}]")
    assert all(new is old for new, old in zip(result.manifests, before, strict=True))
    result = post(
        before,
        """
        - patches:
          - {target: {kind: Thing}, patch: "[{op: add, path: /one, value: 1}]"}
          - {target: {kind: Thing}, patch: "{apiVersion: v1, kind: Thing, metadata: {name: x}, two: 2}"}
        """,
    )
    for new, old in zip(result.manifests, before, strict=True):
        assert same(new.data, {**old.data, "one": 1, "two": 2})
