"""An App from a file or from flags: the same rules, and a message that names file and field."""

from pathlib import Path

import pytest

from pipeline.app import (
    App,
    Dependency,
    GitSource,
    Metadata,
    SecretRef,
    Source,
    Spec,
    Target,
    app_of_resource,
    check,
    load_app_file,
    parse_duration,
)  # fmt: skip
from pipeline.errors import InputError, TrimtabError

_HEAD = "apiVersion: trimtab.dev/v1alpha1\nkind: App\nmetadata: {name: shop}\n"

_WHOLE = """
apiVersion: trimtab.dev/v1alpha1
kind: App
metadata:
  name: shop
  namespace: team-a
  labels: {team: a}
  annotations: {example.com/note: kept for people}
spec:
  source:
    git: {url: "git@example.com:team/shop.git", branch: main, path: ./deploy}
    secretRef: {name: shop-git}
  render:
    - helm:
        releaseName: shop
        valueFiles: [values-prod.yaml]
        values: {replicas: 3, ratio: 1.5, on: yes, mode: "0644", list: [{a: null}]}
        set: [a=b]
        setString: [c=1]
        includeCRDs: false
    - kustomize: {enableHelm: true}
    - yaml: {recursive: false}
  target: {namespace: shop, createNamespace: true}
  interval: 1m30s
  prune: {enabled: true, after: applied, adopted: true, allowEmpty: true, guard: {percent: 30, atLeast: 5}}
  wait: {enabled: false, timeout: 10m}
  conflicts: yield
  adopt: {from: [helm, argocd]}
  dependsOn: [{name: database}, {name: queue, namespace: other}]
  deletionPolicy: release
  suspend: true
"""


def _load(tmp_path: Path, text: str) -> App:
    file = tmp_path / "app.yaml"
    file.write_text(text)
    return load_app_file(file)


def test_every_field_is_read(tmp_path: Path) -> None:
    app = _load(tmp_path, _WHOLE)
    assert str(app) == "team-a/shop"
    assert app.metadata.labels == {"team": "a"}
    spec = app.spec
    assert spec.source == Source(
        GitSource("git@example.com:team/shop.git", branch="main", path="./deploy"), SecretRef("shop-git")
    )
    assert spec.depends_on == (Dependency("database"), Dependency("queue", "other"))
    assert (spec.deletion_policy, spec.suspend) == ("release", True)
    helm = spec.render[0].helm
    assert helm is not None
    assert helm.values == {"replicas": 3, "ratio": 1.5, "true": True, "mode": "0644", "list": [{"a": None}]}
    assert (helm.value_files, helm.set_string, helm.include_crds) == (("values-prod.yaml",), ("c=1",), False)
    assert [step.renderer for step in spec.render] == ["helm", "kustomize", "yaml"]
    assert spec.target == Target(namespace="shop", create_namespace=True)
    assert (spec.prune.guard.percent, spec.prune.guard.at_least, spec.prune.after) == (30, 5, "applied")
    assert (spec.conflicts, spec.adopt.from_) == ("yield", ("helm", "argocd"))


def test_an_app_of_a_name_alone_has_the_defaults(tmp_path: Path) -> None:
    assert _load(tmp_path, _HEAD) == App(Metadata(name="shop"))


def test_the_shape_of_json_is_read_as_well(tmp_path: Path) -> None:
    text = '{"apiVersion": "trimtab.dev/v1alpha1", "kind": "App", "metadata": {"name": "shop"}}'
    assert _load(tmp_path, text).name == "shop"


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("", "0 documents", "one file an App"),
        (_HEAD + "---\n" + _HEAD, "2 documents", "one file an App"),
        ("just text", "is no App", "kind: App"),
        ("[1, 2]", "is no App", "apiVersion"),
        ("kind: App\nmetadata: {name: shop}", "is no App", "apiVersion"),
        ("apiVersion: trimtab.dev/v1\nkind: App\nmetadata: {name: a}", "is no App", "v1alpha1"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}", "is no App", "kind: App"),
        ("apiVersion: trimtab.dev/v1alpha1\nkind: App", "the field metadata is missing", "add it"),
        ("apiVersion: trimtab.dev/v1alpha1\nkind: App\nmetadata: {}", "the field metadata.name is missing", "add it"),
        (_HEAD + "spec: {intervall: 5m}", "no field spec.intervall", "interval, prune"),
        (_HEAD + "spec: {source: {git: {url: /x, version: 1}}}", "no field spec.source.git.version", "branch, commit"),
        (_HEAD + "spec: {source: {git: {url: /x, semver: a lot}}}", "'a lot'", "1.4"),
        (_HEAD + "spec: {source: {git: {url: /x, semver: ~1, tag: v1}}}", "names tag and semver", "choose one"),
        (_HEAD + "spec: {source: {git: {url: ''}}}", "spec.source.git.url is '', which is no URL", "https://"),
        (
            _HEAD + "spec: {source: {git: {url: /x}, secretRef: {name: A_b}}}",
            "spec.source.secretRef.name",
            "lower-case",
        ),
        (_HEAD + "spec: {dependsOn: [{}]}", "the field spec.dependsOn[0].name is missing", "add it"),
        (_HEAD + "spec: {dependsOn: [{name: shop}]}", "names the App itself", "take it out"),
        (_HEAD + "spec: {dependsOn: [{name: shop, namespace: trimtab-system}]}", "names the App itself", "take it out"),
        (_HEAD + "spec: {deletionPolicy: keep}", "spec.deletionPolicy cannot be used", "correct"),
        (_HEAD + "spec: {render: [{helm: {valuesFile: x}}]}", "no field spec.render[0].helm.valuesFile", "valueFiles"),
        (_HEAD + "sped: {}", "no field sped", "spec"),
        (_HEAD + "status: {}", "no field status", "spec"),
        (_HEAD + "spec: {source: {}}", "spec.source names neither git nor chart", "chart: {repo"),
        (
            _HEAD + "spec: {source: {git: {url: /x}, chart: {oci: 'oci://a/b'}}}",
            "spec.source names both git and chart",
            "name one",
        ),
        (_HEAD + "spec: {source: {chart: {name: x}}}", "a chart is named in one of two ways", "repo: https://"),
        (_HEAD + "spec: {source: {chart: {repo: 'https://a', name: x, oci: 'oci://a/b'}}}", "one of two ways", "oci"),
        (_HEAD + "spec: {source: {chart: {repo: 'oci://a', name: x}}}", "stands in the wrong field", "oci is for"),
        (_HEAD + "spec: {source: {chart: {repo: 'ftp://a', name: x}}}", "of no form that is allowed", "https://host"),
        (_HEAD + "spec: {source: {chart: {repo: 'https://a', name: ../x}}}", "no name of a chart", "letters"),
        (_HEAD + "spec: {sources: [{git: {url: /x}}]}", "the field spec.sources[0].name is missing", "add it"),
        (_HEAD + "spec: {sources: [{name: a}]}", "spec.sources[0] names neither git nor chart", "chart: {repo"),
        (
            _HEAD + "spec: {sources: [{name: a, git: {url: /x}}, {name: a, git: {url: /y}}]}",
            "two of spec.sources have the name a",
            "of its own",
        ),
        (_HEAD + "spec: {decryption: {}}", "the field spec.decryption.secretRef is missing", "add it"),
        (
            _HEAD + "spec: {render: [{kustomize: {allowRemote: ['https://a/../b']}}]}",
            "spec.render[0].kustomize.allowRemote: the URL 'https://a/../b' has a path that may mean several places",
            "https://host/path",
        ),
        (_HEAD + "spec: {source: {git: {}}}", "the field spec.source.git.url is missing", "add it"),
        (_HEAD + "spec: {prune: {enabled: 'yes'}}", "spec.prune.enabled cannot be used: Expected bool", "correct"),
        (_HEAD + "spec: {prune: {guard: {percent: 101}}}", "spec.prune.guard.percent cannot be used", "correct"),
        (_HEAD + "spec: {conflicts: steal}", "spec.conflicts cannot be used: Invalid enum value 'steal'", "correct"),
        (_HEAD + "spec: {adopt: {from: [nobody]}}", "spec.adopt.from[0] cannot be used", "correct"),
        (
            _HEAD + "spec: {healthChecks: [{apiVersion: v1, kind: A, ready: {jsonPath: '{.a[', values: [b]}}]}",
            "spec.healthChecks[0].ready.jsonPath: ",
            "{.status.phase}",
        ),
        (_HEAD + "spec:", "spec cannot be used: Expected object, got null", "correct"),
        (_HEAD + "spec: {render: [{helm: {}, yaml: {}}]}", "exactly one", "correct"),
        (_HEAD + "spec: {render: [{}]}", "exactly one", "correct"),
        (_HEAD.replace("shop", "Shop_1"), "metadata.name is 'Shop_1', which is no name", "DNS label"),
        (_HEAD.replace("shop", "a" * 64), "metadata.name is", "at most 63"),
        (_HEAD.replace("shop", '"shop\\n"'), "metadata.name is 'shop\\n', which is no name", "DNS label"),
        (_HEAD + "spec: {target: {namespace: -x}}", "spec.target.namespace is '-x'", "DNS label"),
        (_HEAD + "spec: {interval: often}", "spec.interval is 'often', which is no duration", "30s"),
        (_HEAD + "spec: {interval: '5'}", "spec.interval is '5'", "30s"),
        (_HEAD + "spec: {interval: 10ms}", "too short", "100ms"),
        (_HEAD + "spec: {interval: 9999999h}", "more than a year", "less"),
        (_HEAD + "spec: {wait: {timeout: 5 minutes}}", "wait.timeout is '5 minutes'", "30s"),
        (_HEAD + "spec: {source: {git: {url: /x, branch: a, tag: b}}}", "names branch and tag", "choose one"),
        (_HEAD + "spec: {source: {git: {url: /x, branch: a..b}}}", "the branch 'a..b'", "as git shows it"),
        (_HEAD + "spec: {source: {git: {url: /x, tag: a b}}}", "the tag 'a b'", "as git shows it"),
        (_HEAD + "spec: {source: {git: {url: /x, commit: abc}}}", "the commit 'abc'", "all 40 digits"),
        (_HEAD + "spec: {source: {git: {url: /x, path: ../y}}}", "the path '../y'", "root"),
        (_HEAD + "spec: {source: {git: {url: 'ext::sh -c x'}}}", "no form that is allowed", "https://host/path"),
        (_HEAD + "spec: {interval: 1m, interval: 2m}", "'interval' stands twice", "one meaning"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(tmp_path: Path, text: str, says: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        _load(tmp_path, text)
    assert says in caught.value.message
    assert hint in caught.value.hint
    assert f"{tmp_path}/app.yaml" in str(caught.value)
    assert caught.value.exit_code == 2


def test_broken_yaml_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(TrimtabError, match=r"app\.yaml:5:1:") as caught:
        _load(tmp_path, _HEAD + "spec: [\n")
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: the App file cannot be read: No such file"):
        load_app_file(tmp_path / "none.yaml")


def test_credentials_in_the_url_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        _load(tmp_path, _HEAD + "spec: {source: {git: {url: 'https://me:hunter2@example.com/x'}}}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "app",
    [
        App(Metadata(name="Not A Name")),
        App(Metadata(name="shop", namespace="a/b")),
        App(Metadata(name="shop"), Spec(target=Target(namespace="A"))),
        App(Metadata(name="shop"), Spec(interval="5")),
        App(Metadata(name="shop"), Spec(source=Source(GitSource("ftp://example.com/x")))),
        App(Metadata(name="shop"), Spec(source=Source(GitSource("/x", branch="-x")))),
    ],
)
def test_an_app_of_flags_is_held_to_the_same_rules(app: App) -> None:
    with pytest.raises(InputError):
        check(app)


def test_a_good_app_of_flags_passes() -> None:
    check(App(Metadata(name="shop"), Spec(source=Source(GitSource("/x", branch="main")), interval="100ms")))


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("0s", 0), ("24h", 86400)]
)
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert parse_duration(text, what="it") == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "-5m", "5m ", "5m\n", "1d", "5M", "1e3s", "٣s", "9" * 5000 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InputError, match=r"^it is"):
        parse_duration(text, what="it")


def test_the_servers_own_metadata_and_the_status_are_no_part_of_the_app() -> None:
    resource = {
        "apiVersion": "trimtab.dev/v1alpha1", "kind": "App",
        "metadata": {"name": "shop", "namespace": "a", "uid": "u", "generation": 3, "finalizers": ["x"], "labels": {}},
        "spec": {"source": {"git": {"url": "https://example.com/shop.git"}}}, "status": {"anything": 1},
    }  # fmt: skip
    app = app_of_resource(resource)
    assert str(app) == "a/shop"
    assert app.spec.source == Source(GitSource("https://example.com/shop.git"))


def test_a_resource_needs_a_source() -> None:
    resource = {"apiVersion": "trimtab.dev/v1alpha1", "kind": "App", "metadata": {"name": "shop"}, "spec": {}}
    with pytest.raises(InputError, match=r"spec\.source is missing"):
        app_of_resource(resource)
