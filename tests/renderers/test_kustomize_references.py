"""References of kustomizations: every field that takes a path, what may stand there, and that it is all of them."""

import os
import pwd
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from renderers.api import KustomizeOptions, RenderError, RenderRequest
from renderers.kustomize import build
from renderers.kustomize.fields import ENTRIES, FILES, FOLDERS, OTHERS, PLUGIN_FILES, PLUGINS, FileFields
from renderers.kustomize.references import referenced_folders
from renderers.manifest import TrimtabError
from tests.support.kustomizations import (
    CONFIG_MAP,
    FIELDS,
    FORMS,
    HOSTILE,
    PLUGIN_FIELDS,
    WITH_HELM,
    PathField,
    PluginField,
    data,
    rendered,
)

TOKEN = "the-token-of-the-controller"


@pytest.fixture
def outside(tmp_path: Path, repository) -> Path:
    """A folder outside the checkout with a token, and links to both at the root of the checkout."""
    folder = tmp_path.resolve() / "outside"
    folder.mkdir()
    (folder / "token").write_text(TOKEN, encoding="utf-8")
    (folder / "kustomization.yaml").write_text("configMapGenerator: [{name: t, files: [token]}]\n", encoding="utf-8")
    (repository.root / "link").symlink_to(folder / "token")
    (repository.root / "linked").symlink_to(folder)
    return folder


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_each_field_refuses_what_it_must(repository, outside, field: PathField) -> None:
    repository.write(field.laid_out())
    for text, cause in HOSTILE:
        repository.write({"kustomization.yaml": field.kustomization(text)})
        with pytest.raises(RenderError, match=cause) as e:
            build.inputs(repository.request(kustomize=WITH_HELM))
        assert (e.value.where, e.value.exit_code) == ("kustomization.yaml", 2)
        assert e.value.message.startswith(field.name)
        assert e.value.hint


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("field", PLUGIN_FIELDS, ids=str)
def test_each_field_of_a_plug_in_refuses_what_it_must(repository, outside, field: PluginField, form: str) -> None:
    for text, cause in HOSTILE:
        repository.write(field.laid_out(text, form))
        with pytest.raises(RenderError, match=cause) as e:
            build.inputs(repository.request(kustomize=WITH_HELM))
        assert f" {field.kind}.{field.name} refers to " in e.value.message


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_each_field_reaches_what_it_names(repository, field: PathField) -> None:
    repository.write(field.laid_out())
    request = repository.request(kustomize=KustomizeOptions(enable_helm=field.helm))
    good = repository.root / field.ref
    good = good / "kustomization.yaml" if good.is_dir() else good
    assert good in build.inputs(request).files
    before = data(rendered(request))
    good.write_text("][", encoding="utf-8")
    assert outcome(request) != before


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("field", PLUGIN_FIELDS, ids=str)
def test_each_field_of_a_plug_in_reaches_what_it_names(repository, field: PluginField, form: str) -> None:
    repository.write(field.laid_out(field.ref, form))
    request = repository.request(kustomize=KustomizeOptions(enable_helm=field.helm))
    good = repository.root / field.ref
    assert good in build.inputs(request).files
    before = data(rendered(request))
    good.write_text("][", encoding="utf-8")
    assert outcome(request) != before


def outcome(request: RenderRequest) -> Any:
    """The objects, or the error."""
    try:
        return data(rendered(request))
    except TrimtabError as e:
        return e


def test_only_what_is_reached_is_an_input(repository) -> None:
    repository.write(
        {
            "app/kustomization.yaml": "resources: [it.yaml, ../base]\n",
            "app/it.yaml": CONFIG_MAP,
            "app/not-this.yaml": CONFIG_MAP,
            "base/kustomization.yaml": "configMapGenerator: [{name: made, files: [linked/a.txt]}]\n",
            "base/folder/a.txt": "a",
            "base/folder/not-this.txt": "b",
        }
    )
    (repository.root / "base/linked").symlink_to("folder")
    found = build.inputs(repository.request("app"))
    assert {path.relative_to(repository.root).as_posix() for path in found.files} == {
        "app/kustomization.yaml",
        "app/it.yaml",
        "base/kustomization.yaml",
        "base/folder/a.txt",
    }
    assert found.links == {repository.root / "base/linked"}
    assert (found.whole, found.tools) == (False, ("kustomize",))
    assert [manifest["kind"] for manifest in data(rendered(repository.request("app")))] == ["ConfigMap", "ConfigMap"]


def test_a_kustomization_has_no_fields_but_those_that_are_known() -> None:
    """kustomize's own structs, where its source is at hand."""
    source = kustomize_source() / "types/kustomization.go"
    struct = source.read_text(encoding="utf-8").partition("type Kustomization struct {")[2].partition("\n}\n")[0]
    patterns = chain(ENTRIES, FOLDERS, PLUGINS, all_of(FILES))
    known = OTHERS | {pattern.partition(".")[0].removesuffix("[]") for pattern in patterns}
    assert set(re.findall(r'json:"(\w+),omitempty"', struct)) | {"apiVersion", "kind"} == known


def test_no_built_in_plug_in_reads_a_file_but_those_that_are_known() -> None:
    reading = {
        file.stem
        for file in (kustomize_source() / "internal/builtins").glob("*.go")
        if re.search(r"\bLoader\(\)|\bldr\.Load", file.read_text(encoding="utf-8"))
    }
    assert reading == PLUGIN_FILES.keys()


def test_the_tables_of_these_tests_have_every_field() -> None:
    tried = {re.sub(r"\[\d+\]", "[]", field.name) for field in FIELDS}
    assert {*ENTRIES, *FOLDERS, *PLUGINS, *all_of(FILES)} <= tried
    tried_of_plugins = {(field.kind, re.sub(r"\[\d+\]", "[]", field.name)) for field in PLUGIN_FIELDS}
    assert {(kind, name) for kind, fields in PLUGIN_FILES.items() for name in all_of(fields)} <= tried_of_plugins


def all_of(fields: FileFields) -> tuple[str, ...]:
    """Every pattern."""
    return (*fields.paths, *fields.keyed, *fields.or_texts)


def kustomize_source() -> Path:
    """The folder of the module `api` that the tests' kustomize was built from, in Go's module cache."""
    module = Path(__file__).parents[2] / "deploy/local/tools/kustomize/go.mod"
    version = re.search(r"kustomize/api (v\S+)", module.read_text(encoding="utf-8"))
    assert version
    home = os.environ.get("GOMODCACHE") or Path(pwd.getpwuid(os.getuid()).pw_dir, "go/pkg/mod")  # HOME is the test's
    folder = Path(home) / f"sigs.k8s.io/kustomize/api@{version[1]}"
    if not folder.is_dir():
        pytest.skip("kustomize's source is not in Go's module cache")
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "HTTPS://example.com/it.yaml",
        "http:it.yaml",
        "github.com/org/repository//deploy?ref=main",
        "GitHub.com/org/repository",
        "git@github.com:org/repository.git//deploy",
        "git::https://example.com/org/repository",
        "ssh://git@example.com/org/repository",
        "file:///srv/repository",
        "someone@example.com/org/repository",
        "oci://example.com/chart",
    ],
)
def test_every_form_of_a_remote_is_seen(repository, text: str) -> None:
    repository.write({"kustomization.yaml": f'resources: ["{text}"]\n'})
    with pytest.raises(RenderError, match="is remote") as e:
        build.inputs(repository.request())
    assert "copy it into the repository" in e.value.hint


def test_a_folder_with_the_name_of_a_remote_is_remote_as_for_kustomize(repository) -> None:
    repository.write(
        {
            "kustomization.yaml": "resources: [github.com/org/repository]\n",
            "github.com/org/repository/kustomization.yaml": "resources: [it.yaml]\n",
            "github.com/org/repository/it.yaml": CONFIG_MAP,
        }
    )
    with pytest.raises(RenderError, match="is remote"):
        build.inputs(repository.request())


@pytest.mark.parametrize("name", ["app@2/it.yaml", "github.com/org/repository/it.yaml"])
def test_a_file_with_the_name_of_a_remote_is_a_file_as_for_kustomize(repository, name: str) -> None:
    repository.write({"kustomization.yaml": f"resources: [{name}]\n", name: CONFIG_MAP})
    assert len(data(rendered(repository.request()))) == 1


def test_references_without_end_are_refused(repository) -> None:
    repository.write({"kustomization.yaml": f"resources: [{'it.yaml, ' * 20_001}]\n", "it.yaml": CONFIG_MAP})
    with pytest.raises(RenderError, match="more than 20000 references"):
        build.inputs(repository.request())


def test_a_reference_of_a_base_names_the_bases_file(nginx_kustomization) -> None:
    nginx_kustomization.write({"base/kustomization.yaml": "resources: [deployment.yaml, gone.yaml]\n"})
    with pytest.raises(RenderError, match=r"resources\[1\] refers to gone.yaml, which does not exist") as e:
        build.inputs(nginx_kustomization.request("overlay"))
    assert e.value.where == "base/kustomization.yaml"


def test_a_base_behind_a_link_out_is_refused(repository, outside) -> None:
    repository.write({"kustomization.yaml": "resources: [linked]\n"})
    with pytest.raises(RenderError, match="leads out of the checkout"):
        build.inputs(repository.request())


def test_a_kustomization_file_that_is_a_link_out_is_refused(repository, outside) -> None:
    (repository.root / "kustomization.yaml").symlink_to(outside / "kustomization.yaml")
    with pytest.raises(RenderError, match=r"kustomization\.yaml is a link that leads out of the checkout"):
        build.inputs(repository.request())


def test_a_kustomization_file_may_be_a_link_to_a_file_beside_it(repository) -> None:
    repository.write({"files/k.yaml": "resources: [it.yaml]\n", "it.yaml": CONFIG_MAP})
    (repository.root / "kustomization.yaml").symlink_to("files/k.yaml")
    assert len(data(rendered(repository.request()))) == 1


def test_a_kustomization_file_that_is_a_link_out_of_its_folder_is_none_as_for_kustomize(repository) -> None:
    repository.write({"app/kustomization.yml": "resources: [it.yaml]\n", "app/it.yaml": CONFIG_MAP, "k.yaml": "x: y\n"})
    (repository.root / "app/kustomization.yaml").symlink_to("../k.yaml")
    assert len(data(rendered(repository.request("app")))) == 1


def test_links_in_a_circle_are_no_error_where_nobody_follows_them(repository) -> None:
    """What a kustomization makes of plug-ins may refer to all below their user, so all of that is looked at."""
    repository.write(PLUGIN_FIELDS[0].laid_out("good.yaml", "folder"))
    repository.write({"plugins/kustomization.yaml": "resources: [plugin.yaml]\nnamePrefix: a-\n"})
    (repository.root / "circle").symlink_to("circle")
    assert len(data(rendered(repository.request()))) == 1
    repository.write({"kustomization.yaml": "resources: [circle]\n"})
    with pytest.raises(RenderError, match="does not exist"):
        build.inputs(repository.request())


def test_a_link_that_stays_inside_is_followed(nginx_kustomization) -> None:
    nginx_kustomization.write({"linked/kustomization.yaml": "resources: [there]\n"})
    (nginx_kustomization.root / "linked/there").symlink_to("../base")
    assert len(data(rendered(nginx_kustomization.request("linked")))) == 2


def test_a_link_to_a_link_that_stays_inside_is_followed(repository) -> None:
    repository.write({"kustomization.yaml": "resources: [a/it.yaml]\n", "files/it.yaml": CONFIG_MAP})
    (repository.root / "b").symlink_to("files")
    (repository.root / "a").symlink_to("b")
    assert len(data(rendered(repository.request()))) == 1


def test_dots_are_taken_away_before_links_are_followed_as_in_kustomize(repository) -> None:
    """`link/../it.yaml` is `it.yaml` here, and not what stands beside the link's target."""
    repository.write(
        {"app/kustomization.yaml": "resources: [link/../it.yaml]\n", "app/it.yaml": CONFIG_MAP, "a/b/c": ""}
    )
    (repository.root / "app/link").symlink_to("../a/b")
    assert len(data(rendered(repository.request("app")))) == 1


def test_two_spellings_of_one_field_are_refused(repository) -> None:
    repository.write({"kustomization.yaml": "resources: [it.yaml]\nRESOURCES: [it.yaml]\n", "it.yaml": CONFIG_MAP})
    with pytest.raises(RenderError, match="resources and RESOURCES are one field"):
        build.inputs(repository.request())


@pytest.mark.parametrize("name", ["re\u017fources", "Resources", "rEsOuRcEs"])
def test_a_field_is_known_however_it_is_spelled(repository, outside, name: str) -> None:
    repository.write({"kustomization.yaml": f"{name}: [linked]\n"})
    with pytest.raises(RenderError, match=rf"{name}\[0\] refers to linked, which leads out"):
        build.inputs(repository.request())


@pytest.mark.parametrize(
    "text",
    [
        '{"resources": ["linked"]}',
        "x: &x [linked]\nresources: *x\n",
        "a: &a {resources: [linked]}\n<<: *a\n",
        "resources: []\n<<: {resources: [linked]}\n",
        "<<: [{resources: [linked]}, {resources: []}]\n",
        "resources: []\nresources: [linked]\n",
        '"\\x72esources": ["\\x6cinked"]\n',
        "\ufeffresources: [linked]\n",
        "%YAML 1.1\n---\nresources: [linked]\n",
        "? resources\n: - linked\n",
        "resources: [!!str linked]\n",
        "resources: ['li\\\n  nked', linked]\n",
    ],
)
def test_yaml_hides_no_reference(repository, outside, text: str) -> None:
    repository.write({"kustomization.yaml": text})
    with pytest.raises(TrimtabError):
        build.inputs(repository.request())


def test_kustomize_reads_what_was_looked_at(repository) -> None:
    """Of a key that stands twice kustomize takes the last, with a merge key that; so it is written out."""
    repository.write(
        {
            "kustomization.yaml": """
                resources: [gone.yaml]
                resources: [it.yaml]
                namePrefix: a-
                <<: {namePrefix: b-}
                """,
            "it.yaml": CONFIG_MAP,
        }
    )
    assert data(rendered(repository.request()))[0]["metadata"]["name"] == "b-it"


def test_only_the_first_document_counts_as_for_kustomize(repository) -> None:
    repository.write(
        {"kustomization.yaml": "resources: [it.yaml]\n---\nresources: [gone.yaml]\n", "it.yaml": CONFIG_MAP}
    )
    assert len(data(rendered(repository.request()))) == 1


def test_a_kustomization_can_be_data_too(repository) -> None:
    files = "files: [kustomization.yaml, k=kustomization.yaml]"
    text = f"# as it is\nresources: [it.yaml]\nconfigMapGenerator: [{{name: made, {files}}}]\n"
    repository.write({"kustomization.yaml": text, "it.yaml": CONFIG_MAP})
    made = data(rendered(repository.request()))[1]
    assert made["data"] == {"kustomization.yaml": text, "k": text}


def test_a_reference_that_is_no_text_is_refused(repository) -> None:
    repository.write({"kustomization.yaml": "resources: [8]\n"})
    with pytest.raises(RenderError, match=r"resources\[0\] is no text"):
        build.inputs(repository.request())


@pytest.mark.parametrize("text", ["a" * 5000, "a/" * 3000, "nul\\0", "a: [\\nsecret"])
@pytest.mark.parametrize("field", ["resources", "patchesStrategicMerge", "transformers", "components"])
def test_a_text_that_is_no_path_is_an_error_of_ours(repository, field: str, text: str) -> None:
    repository.write({"kustomization.yaml": f'{field}: ["{text}"]\n'})
    with pytest.raises(RenderError, match=r"does not exist|is no path") as e:
        build.inputs(repository.request())
    assert "secret" not in str(e.value)
    assert len(e.value.message) < 6000


def test_a_folder_without_a_kustomization_is_said_plainly(repository) -> None:
    repository.write({"kustomization.yaml": "resources: [folder]\n", "folder/it.yaml": CONFIG_MAP})
    with pytest.raises(
        RenderError, match=r"resources\[0\] refers to the folder folder, which has no kustomization.yaml"
    ):
        build.inputs(repository.request())


FUNCTION = """
    apiVersion: example.com/v1
    kind: Evil
    metadata:
      name: it
      annotations:
        {annotation}: |
          {text}
    """


@pytest.mark.parametrize("field", ["generators", "transformers", "validators"])
@pytest.mark.parametrize("annotation", ["config.kubernetes.io/function", "config.k8s.io/function"])
@pytest.mark.parametrize(
    "text", ["exec: {path: ./evil.sh}", "container: {image: evil}", "starlark: {path: evil.star, name: evil}"]
)
def test_functions_are_refused(repository, field: str, annotation: str, text: str) -> None:
    repository.write(
        {
            "kustomization.yaml": f"resources: [it.yaml]\n{field}: [plugin.yaml]\n",
            "plugin.yaml": FUNCTION.format(annotation=annotation, text=text),
            "it.yaml": CONFIG_MAP,
        }
    )
    with pytest.raises(RenderError, match=r"is a function \(Evil of example.com/v1\), and no code") as e:
        build.inputs(repository.request())
    assert "built into kustomize" in e.value.hint


@pytest.mark.parametrize("api_version", ["someteam.example.com/v1", "v1", "builtin/v1"])
@pytest.mark.parametrize("form", FORMS)
def test_plug_ins_are_refused(repository, form: str, api_version: str) -> None:
    files = PLUGIN_FIELDS[0].laid_out("good.yaml", form)
    repository.write({name: text.replace(": builtin", f": {api_version}") for name, text in files.items()})
    with pytest.raises(RenderError, match=f"is a plug-in \\(PatchTransformer of {api_version}\\)"):
        build.inputs(repository.request())


def test_what_a_kustomization_makes_of_plug_ins_runs_no_code(repository) -> None:
    """A patch turns a built-in plug-in into a function, where only kustomize sees it."""
    repository.write(
        {
            "kustomization.yaml": "resources: [it.yaml]\ntransformers: [plugins]\n",
            "plugins/kustomization.yaml": """
                resources: [suffix.yaml]
                patches:
                - target: {kind: SuffixTransformer}
                  patch: |
                    - {op: replace, path: /apiVersion, value: example.com/v1}
                    - op: add
                      path: /metadata/annotations
                      value: {config.kubernetes.io/function: "exec: {path: ./evil.sh}"}
                """,
            "plugins/suffix.yaml": "apiVersion: builtin\nkind: SuffixTransformer\nmetadata: {name: it}\nsuffix: -x\n",
            "evil.sh": "#!/bin/sh\ntouch ran\n",
            "it.yaml": CONFIG_MAP,
        }
    )
    (repository.root / "evil.sh").chmod(0o755)
    with pytest.raises(RenderError, match="external plugins disabled"):
        rendered(repository.request())
    assert not list(repository.root.rglob("ran"))


def test_what_a_kustomization_makes_of_plug_ins_may_read_below_their_user(repository) -> None:
    repository.write(
        {
            "kustomization.yaml": "resources: [it.yaml]\ngenerators: [plugins]\n",
            "plugins/kustomization.yaml": """
                resources: [made.yaml]
                patches:
                - target: {kind: ConfigMapGenerator}
                  patch: "- {op: replace, path: /files, value: [deep/b.txt]}"
                """,
            "plugins/made.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: m}\nfiles: [a.txt]\n",
            "a.txt": "a",
            "deep/b.txt": "b",
            "it.yaml": CONFIG_MAP,
        }
    )
    assert data(rendered(repository.request()))[1]["data"] == {"b.txt": "b"}
    with pytest.raises(RenderError, match="with --enable-helm it may only name their files"):
        build.inputs(repository.request(kustomize=WITH_HELM))


def test_a_token_is_not_shipped_by_a_config_map(repository, outside) -> None:
    for reference in (outside / "token", "link", "linked/token", "../outside/token"):
        repository.write({"kustomization.yaml": f"configMapGenerator: [{{name: t, files: ['{reference}']}}]\n"})
        with pytest.raises(RenderError) as e:
            rendered(repository.request())
        assert TOKEN not in str(e.value)


def test_the_folders_that_a_kustomization_refers_to(nginx_kustomization) -> None:
    nginx_kustomization.write(
        {"both/kustomization.yaml": "resources: [../overlay, it.yaml, https://example.com/a]\ncomponents: [../base]\n"}
    )
    root = nginx_kustomization.root
    assert referenced_folders(root / "both", root) == {root / "overlay", root / "base"}
    assert referenced_folders(root / "base", root) == set()
