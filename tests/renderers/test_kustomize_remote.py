"""Remote bases of kustomizations: refused together, or fetched and built as part of the private copy."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from renderers.api import Fetched, RenderError
from renderers.boundary import shown
from renderers.inputs import lay_out
from renderers.kustomize import build
from renderers.manifest import TrimtabError
from tests.support.kustomizations import CONFIG_MAP, WITH_HELM, data, rendered

URL = "https://example.com/org/repository//base?ref=v1"


class OneFetcher:
    """Brings folders below `root` by what is asked for, and remembers."""

    def __init__(self, root: Path, folders: Mapping[str, str]) -> None:
        self.root = root.resolve()
        self.folders = folders
        self.asked: list[str] = []

    def base(self, url: str) -> Fetched:
        self.asked.append(url)
        if url not in self.folders:
            raise RenderError(f"{url} is not listed", hint="list it in allowRemote")
        return Fetched(url, "v1", "0123abcd", self.root, self.root / self.folders[url])

    def chart(self, repository: str, name: str, version: str) -> Fetched:
        self.asked.append(f"{repository} {name} {version}")
        raise RenderError("no charts")


class Unreachable(OneFetcher):
    """The network is down."""

    def base(self, url: str) -> Fetched:
        raise TemporaryError(f"{url} cannot be reached", reason="AuthenticationFailed")


class TemporaryError(TrimtabError):
    """May pass."""

    temporary = True


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another repository."""
    files = {
        "base/kustomization.yaml": "resources: [it.yaml, ../more]\n",
        "base/it.yaml": CONFIG_MAP,
        "more/kustomization.yaml": "configMapGenerator: [{name: made, files: [linked.txt]}]\n",
        "more/a.txt": "text",
    }
    for name, text in files.items():
        (tmp_path / "other" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "other" / name).write_text(text, encoding="utf-8")
    (tmp_path / "other/more/linked.txt").symlink_to("a.txt")
    return tmp_path / "other"


def test_all_that_is_remote_is_named_in_one_error(repository) -> None:
    repository.write(
        {
            "app/kustomization.yaml": f"resources: ['{URL}', ../base]\ncomponents: [github.com/org/components//one]\n",
            "base/kustomization.yaml": "bases: ['git@example.com:org/three']\n",
        }
    )
    with pytest.raises(RenderError) as e:
        rendered(repository.request("app"))
    assert e.value.where == "app/kustomization.yaml"
    for url in (URL, "github.com/org/components//one", "git@example.com:org/three"):
        assert f"{url} is remote, and a render uses no network" in e.value.message
    assert "base/kustomization.yaml: bases[0]: git@" in e.value.message
    assert "allowRemote" in e.value.hint


def test_a_base_that_is_allowed_is_built_with_all_that_it_refers_to(repository, other) -> None:
    repository.write({"app/kustomization.yaml": f"resources: ['{URL}']\nnamePrefix: p-\n"})
    fetcher = OneFetcher(other, {URL: "base"})
    request = repository.request("app", fetcher=fetcher)
    assert [found["metadata"]["name"].partition("-m")[0] for found in data(rendered(request))] == ["p-it", "p"]
    assert build.inputs(request).fetched == (Fetched(URL, "v1", "0123abcd", other.resolve(), other.resolve() / "base"),)
    assert set(fetcher.asked) == {URL}


def test_a_manifest_of_a_remote_base_says_so(repository, other) -> None:
    repository.write({"app/kustomization.yaml": f"resources: ['{URL}']\n"})
    found = rendered(repository.request("app", fetcher=OneFetcher(other, {URL: "base"}))).manifests
    assert [manifest.origin.file for manifest in found] == [f"{URL} (base/it.yaml)", f"{URL} (more/kustomization.yaml)"]


@pytest.mark.parametrize("field", ["resources", "bases", "components", "transformers", "generators", "validators"])
def test_every_field_may_name_a_remote_base(repository, other, field: str) -> None:
    kinds = {"components": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"}
    plugin = "apiVersion: builtin\nkind: PrefixTransformer\nmetadata: {name: p}\nprefix: remote-\n"
    plugin += "fieldSpecs: [{path: metadata/name}]\n"
    if field == "generators":
        plugin = "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: remote-made}\n"
    if field == "validators":
        plugin = "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: a}\n"
    content = "it.yaml" if field in ("resources", "bases", "components") else "plugin.yaml"
    (other / "base/kustomization.yaml").write_text(f"{kinds.get(field, '')}resources: [{content}]\n", encoding="utf-8")
    (other / "base/plugin.yaml").write_text(plugin, encoding="utf-8")
    (other / "base/it.yaml").write_text(CONFIG_MAP.replace("name: it", "name: remote-it"), encoding="utf-8")
    local = CONFIG_MAP.replace("name: it", "name: local")
    repository.write({"kustomization.yaml": f"{field}: ['{URL}']\nconfigurations: []\n", "local.yaml": local})
    if field not in ("resources", "bases"):
        repository.write({"kustomization.yaml": f"resources: [local.yaml]\n{field}: ['{URL}']\n"})
    found = data(rendered(repository.request(fetcher=OneFetcher(other, {URL: "base"}))))
    names = [item["metadata"]["name"] for item in found]
    assert field == "validators" or any(name.startswith("remote-") for name in names)


def test_a_remote_base_may_refer_to_a_remote_base(repository, other) -> None:
    second = "git@example.com:org/second//more?ref=main"
    (other / "base/kustomization.yaml").write_text(f"resources: [it.yaml, '{second}']\n", encoding="utf-8")
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n"})
    fetcher = OneFetcher(other, {URL: "base", second: "more"})
    assert [found["kind"] for found in data(rendered(repository.request(fetcher=fetcher)))] == ["ConfigMap"] * 2


def test_what_a_remote_base_refers_to_has_to_be_listed_too(repository, other) -> None:
    (other / "base/kustomization.yaml").write_text("resources: [github.com/org/second]\n", encoding="utf-8")
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n"})
    with pytest.raises(RenderError, match=r"resources\[0\]: github.com/org/second is not listed") as e:
        rendered(repository.request(fetcher=OneFetcher(other, {URL: "base"})))
    assert e.value.where == f"{URL} (base/kustomization.yaml)"
    assert e.value.hint == "list it in allowRemote"


@pytest.mark.parametrize("reference", ["../../repository/secret", "../../outside", "out", "../up"])
def test_a_remote_base_reads_nothing_outside_itself(repository, other, reference: str) -> None:
    """Not even of the checkout that refers to it."""
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n", "secret/kustomization.yaml": "namePrefix: x\n"})
    (other / "base/out").symlink_to("/etc")
    (other / "up").symlink_to(repository.root / "secret")
    (other / "base/kustomization.yaml").write_text(f"resources: [{reference}]\n", encoding="utf-8")
    with pytest.raises(RenderError, match=r"leads out of https://example\.com/org/repository//base\?ref=v1") as e:
        rendered(repository.request(fetcher=OneFetcher(other, {URL: "base"})))
    assert "base/kustomization.yaml" in e.value.where


def test_a_link_in_a_remote_base_keeps_kustomizes_rule(repository, other) -> None:
    (other / "more/linked.txt").unlink()
    (other / "more/linked.txt").symlink_to("../base/it.yaml")
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n"})
    with pytest.raises(RenderError, match="is not in or below"):
        rendered(repository.request(fetcher=OneFetcher(other, {URL: "base"})))


def test_a_remote_base_that_refers_to_itself_ends(repository, other) -> None:
    (other / "base/kustomization.yaml").write_text(f"resources: ['{URL}']\n", encoding="utf-8")
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n"})
    with pytest.raises(RenderError, match="cycle detected"):
        rendered(repository.request(fetcher=OneFetcher(other, {URL: "base"})))


def test_a_folder_without_a_kustomization_is_said_of_a_remote_base_too(repository, other) -> None:
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n"})
    with pytest.raises(RenderError, match="has no kustomization.yaml") as e:
        rendered(repository.request(fetcher=OneFetcher(other, {URL: "."})))
    assert URL in e.value.message


@pytest.mark.parametrize("url", ["https://example.com/it.yaml", "https://example.com/a/b/releases/download/v1/x.yml?y"])
def test_a_single_remote_file_is_refused_in_its_own_words(repository, url: str) -> None:
    repository.write({"kustomization.yaml": f"resources: ['{url}']\n"})
    with pytest.raises(RenderError, match="which is remote, and a single file is not fetched") as e:
        build.inputs(repository.request())
    assert e.value.hint == "copy it into the repository, and refer to the copy"


def test_a_password_in_a_remote_is_neither_used_nor_shown(repository, other) -> None:
    url = "https://me:secret@example.com/org/repository"
    repository.write({"kustomization.yaml": f"resources: ['{url}']\n"})
    fetcher = OneFetcher(other, {url: "base"})
    with pytest.raises(RenderError, match=r"refers to https://example\.com/org/repository with a password in it") as e:
        build.inputs(repository.request(fetcher=fetcher))
    assert "secret" not in str(e.value)
    assert fetcher.asked == []


def test_an_error_that_may_pass_stays_one(repository, other) -> None:
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n"})
    with pytest.raises(TemporaryError, match="cannot be reached") as e:
        build.inputs(repository.request(fetcher=Unreachable(other, {})))
    assert e.value.temporary
    assert e.value.reason == "AuthenticationFailed"


def test_what_was_fetched_lies_in_the_private_copy_alone(repository, other, tmp_path: Path) -> None:
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n"})
    request = repository.request(fetcher=OneFetcher(other, {URL: "base"}))
    before = repository.seen()
    (tmp_path / "private").mkdir()
    laid = lay_out(build.inputs(request), request, tmp_path / "private")
    assert repository.seen() == before
    assert URL not in (laid.folder / "kustomization.yaml").read_text(encoding="utf-8")
    assert "base/it.yaml" in {shown(path, other.resolve()) for path in other.resolve().rglob("*")}
    assert all(found.is_relative_to(tmp_path / "private") for found in (laid.root, laid.folder))


def test_a_hostile_base_cannot_have_helm_run_what_it_likes(repository, other) -> None:
    (other / "base/kustomization.yaml").write_text(
        "helmCharts: [{name: nginx}]\nhelmGlobals: {chartHome: ../../../repository}\n", encoding="utf-8"
    )
    repository.write({"kustomization.yaml": f"resources: ['{URL}']\n"})
    request = repository.request(fetcher=OneFetcher(other, {URL: "base"}), kustomize=WITH_HELM)
    with pytest.raises(RenderError, match=r"leads out of https://example"):
        build.inputs(request)
