"""Dependencies that are not in charts/: what `helm dependency build` and `helm template` give, without running it."""

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from renderers.api import Fetched, NoFetcher, Rendered, RenderError, RenderRequest
from renderers.helm import template
from renderers.manifest import TrimtabError
from renderers.manifest.load import load_text
from renderers.unit import render_unit

pytestmark = pytest.mark.usefixtures("each_helm")

IT = """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-{{ .Chart.Name }}"}
data: {version: "{{ .Chart.Version }}", readme: {{ .Files.Get "README.md" | quote }}}
"""


def chart(name: str, version: str = "1.0.0", more: str = "") -> dict[str, str]:
    """A chart that says its name, its version and its README."""
    return {
        "Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n{more}",
        "templates/it.yaml": IT,
        "README.md": f"I am {name} {version}\n",
    }


def needs(*dependencies: str) -> str:
    """The `dependencies` of a Chart.yaml, each as YAML in one line."""
    return "dependencies:\n" + "".join(f"- {{{text}}}\n" for text in dependencies)


@dataclass
class Shelf:
    """A fetcher that has charts in folders, and remembers what it was asked for."""

    root: Path
    allowed: bool = True
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def chart(self, repository: str, name: str, version: str) -> Fetched:
        """The folder `name-version`, where a range means 1.2.3."""
        self.asked.append((repository, name, version))
        exact = version if version[:1].isdigit() else "1.2.3"
        folder = self.root / f"{name}-{exact}" / name
        return Fetched(f"{repository}/{name}", exact, f"sha256:{name}-{exact}", folder.parent, folder)

    def base(self, url: str) -> Fetched:
        """Nothing here."""
        raise NotImplementedError


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A fetcher with redis 1.2.3 and redis 2.0.0."""
    for version in ("1.2.3", "2.0.0"):
        for name, text in chart("redis", version).items():
            file = tmp_path / "shelf" / f"redis-{version}" / "redis" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    return Shelf((tmp_path / "shelf").resolve())


def render(request: RenderRequest) -> Rendered:
    """The unit as all of Trimtab renders it."""
    return render_unit(template, request)


def objects(rendered: Rendered) -> list[Any]:
    """The objects."""
    return [manifest.data for manifest in rendered.manifests]


def said(rendered: Rendered) -> dict[str, Any]:
    """What the charts say, by the names of their objects."""
    return {manifest.id.name: manifest.data["data"] for manifest in rendered.manifests}


def built(root: Path, folder: str, tmp_path: Path) -> list[Any]:
    """What helm itself gives of a copy of the checkout."""
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, symlinks=True)
    subprocess.run(["helm", "dependency", "build", str(copy / folder)], check=True, capture_output=True, timeout=60)
    argv = ["helm", "template", "demo", str(copy / folder), "--namespace", "shop", "--kube-version", "v1.36.3"]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return [document.data for document in load_text(done.stdout, file="helm").documents]


def lock(folder: Path) -> None:
    """Write the lock as helm does, and nothing else."""
    subprocess.run(["helm", "dependency", "update", str(folder)], check=True, capture_output=True, timeout=60)
    shutil.rmtree(folder / "charts")


@pytest.fixture
def app(repository):
    """`app` depends on `common`, which lies beside it and leaves its README out."""
    repository.write(chart("app", more=needs('name: common, version: ">=1 <2", repository: "file://../common"')), "app")
    return repository.write({**chart("common", "1.4.0"), ".helmignore": "*.md\n"}, "common")


def test_a_local_dependency_is_as_helm_builds_it(app, tmp_path: Path) -> None:
    rendered = render(app.request("app"))
    assert objects(rendered) == built(app.root, "app", tmp_path)
    assert [str(m.origin) for m in rendered.manifests] == ["common/templates/it.yaml", "app/templates/it.yaml"]


def test_what_the_parent_ignores_is_in_its_dependency(app, tmp_path: Path) -> None:
    app.write({".helmignore": "*.md\n"}, "app")
    (app.root / "common/.helmignore").unlink()
    rendered = render(app.request("app"))
    assert objects(rendered) == built(app.root, "app", tmp_path)
    assert {name: data["readme"] for name, data in said(rendered).items()} == {
        "demo-app": "",
        "demo-common": "I am common 1.4.0\n",
    }


def test_the_inputs_are_both_folders_and_nothing_else(app) -> None:
    app.write(chart("other"), "other")
    inputs = template.inputs(app.request("app"))
    assert {file.relative_to(app.root).parts[0] for file in inputs.files} == {"app", "common"}
    assert not inputs.whole


def test_the_checkout_stays_as_it_is(app) -> None:
    before = app.seen()
    render(app.request("app"))
    assert app.seen() == before


def test_aliases_conditions_and_values_reach_a_local_dependency(app, tmp_path: Path) -> None:
    local = 'name: common, version: 1.x, repository: "file://../common"'
    app.write(
        chart("app", more=needs(f"{local}, alias: one", f"{local}, alias: two, condition: two.enabled")), "app"
    ).write({"values.yaml": "two: {enabled: false}\n"}, "app")
    rendered = render(app.request("app"))
    assert objects(rendered) == built(app.root, "app", tmp_path)
    assert [m.id.name for m in rendered.manifests] == ["demo-one", "demo-app"]
    assert str(rendered.manifests[0].origin) == "common/templates/it.yaml"


def test_a_locked_dependency_is_as_helm_builds_it(app, tmp_path: Path) -> None:
    lock(app.root / "app")
    assert objects(render(app.request("app"))) == built(app.root, "app", tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        "version: '>=1.0.0 <2.0.0 & é'.replace",
        "tags: [a, b], condition: common.enabled",
        'import-values: [data, {parent: b, child: "<a>"}], alias: other',
    ],
)
def test_the_digest_of_a_lock_is_helms(app, more: str) -> None:
    version = "version: '>=1.0.0-0 <2'" if "version" in more else f"version: 1.x, {more}"
    app.write(chart("app", more=needs(f'name: common, {version}, repository: "file://../common"')), "app")
    lock(app.root / "app")
    assert len(render(app.request("app")).manifests) == 2


def test_a_lock_of_a_chart_of_version_1(app) -> None:
    app.write(
        {
            "Chart.yaml": "apiVersion: v1\nname: app\nversion: 1.0.0\n",
            "requirements.yaml": needs('name: common, version: 1.x, repository: "file://../common"'),
        },
        "app",
    )
    lock(app.root / "app")
    assert (app.root / "app/requirements.lock").exists()
    assert len(render(app.request("app")).manifests) == 2


def test_a_lock_that_is_out_of_date_says_what_to_do(app) -> None:
    lock(app.root / "app")
    app.write(chart("app", more=needs('name: common, version: ~1.4, repository: "file://../common"')), "app")
    with pytest.raises(RenderError, match=r"Chart\.lock is out of sync with the dependencies in Chart\.yaml") as e:
        render(app.request("app"))
    assert (e.value.where, "helm dependency update" in e.value.hint) == ("app", True)


def test_what_is_in_charts_needs_no_lock(app) -> None:
    lock(app.root / "app")
    app.write(chart("app", more=needs('name: common, version: ~1.4, repository: "file://../common"')), "app")
    app.write(chart("common", "1.4.1"), "app/charts/common")
    assert said(render(app.request("app")))["demo-common"]["version"] == "1.4.1"


def test_a_local_dependency_brings_its_own(app) -> None:
    app.write(chart("common", "1.4.0", needs('name: base, version: 1.0.0, repository: "file://../base"')), "common")
    app.write(chart("base"), "base")
    rendered = render(app.request("app"))
    assert {str(m.origin) for m in rendered.manifests} == {f"{n}/templates/it.yaml" for n in ("app", "common", "base")}
    assert not rendered.warnings


def test_helm_renders_a_local_dependency_without_its_own_and_that_is_said(app, tmp_path: Path) -> None:
    remote = 'name: redis, version: 1.x, repository: "https://charts.example.com"'
    app.write(chart("common", "1.4.0", needs(remote)), "common")
    rendered = render(app.request("app"))
    assert objects(rendered) == built(app.root, "app", tmp_path)
    assert "common: helm renders it without a chart that it depends on: redis 1.x" in rendered.warnings[0]


def test_charts_that_depend_on_each_other_end(app) -> None:
    app.write(chart("common", "1.4.0", needs('name: app, version: 1.0.0, repository: "file://../app"')), "common")
    rendered = render(app.request("app"))
    assert len(rendered.manifests) == 2
    assert "app depends on itself" in rendered.warnings[0]


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("file:///etc", "it leads out of the checkout"),
        ("file://../../../../etc", "it leads out of the checkout"),
        ("file://../link", "it leads out of the checkout"),
        ("file://../nothing", "there is no chart in nothing"),
        ("file://../app", "app depends on itself"),
        ("file://../other", "the chart in other is called other"),
        ("@stable", "only somebody's own helm knows"),
        ("alias:stable", "only somebody's own helm knows"),
        ("", "it has no repository"),
        ("https://charts.example.com", "a render uses no network"),
        ("oci://registry.example.com/charts", "a render uses no network"),
    ],
)
def test_a_dependency_that_cannot_be_had_says_why(app, source: str, cause: str) -> None:
    (app.root / "link").symlink_to("/etc")
    app.write(chart("other"), "other")
    app.write(chart("app", more=needs(f'name: common, version: 1.4.0, repository: "{source}"')), "app")
    with pytest.raises(RenderError, match="not in its charts/ folder: common 1.4.0") as e:
        template.inputs(app.request("app"))
    assert cause in e.value.message
    assert e.value.where == "app"
    assert "helm dependency update" in e.value.hint


def test_all_that_cannot_be_had_is_named_at_once(repository) -> None:
    both = needs("name: a, version: 1, repository: 'https://a.example.com'", "name: b, version: 2, repository: '@b'")
    repository.write(chart("app", more=both), "app")
    with pytest.raises(RenderError, match="2 charts that it depends on are not in") as e:
        template.inputs(repository.request("app"))
    assert "a 1 from https://a.example.com" in e.value.message
    assert "b 2 from @b" in e.value.message


def test_a_disabled_dependency_must_be_there_all_the_same(repository) -> None:
    remote = "name: redis, version: 1.x, repository: 'https://a.example.com', condition: redis.enabled"
    repository.write({**chart("app", more=needs(remote)), "values.yaml": "redis: {enabled: false}\n"}, "app")
    argv = ["helm", "template", str(repository.root / "app")]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert "missing in charts/ directory: redis" in done.stderr
    with pytest.raises(RenderError, match=r"redis 1\.x from"):
        render(repository.request("app"))


REMOTE = "name: redis, version: ^1.0.0, repository: 'https://charts.example.com'"


def test_a_fetched_dependency_is_rendered(repository, shelf: Shelf) -> None:
    repository.write({**chart("app", more=needs(REMOTE)), ".helmignore": "*.md\n"}, "app")
    rendered = render(repository.request("app", fetcher=shelf))
    assert said(rendered)["demo-redis"] == {"version": "1.2.3", "readme": "I am redis 1.2.3\n"}
    assert str(rendered.manifests[0].origin) == "app/charts/redis/templates/it.yaml"
    assert set(shelf.asked) == {("https://charts.example.com", "redis", "^1.0.0")}
    assert [fetched.version for fetched in rendered.units[0].fetched] == ["1.2.3"]


def test_one_chart_in_two_versions(repository, shelf: Shelf) -> None:
    two = REMOTE.replace("^1.0.0", "2.0.0") + ", alias: second"
    repository.write(chart("app", more=needs(REMOTE, two)), "app")
    rendered = render(repository.request("app", fetcher=shelf))
    assert {m.id.name: m.data["data"]["version"] for m in rendered.manifests} == {
        "demo-app": "1.0.0",
        "demo-redis": "1.2.3",
        "demo-second": "2.0.0",
    }


def test_what_is_in_charts_is_not_fetched(repository, shelf: Shelf) -> None:
    repository.write(chart("app", more=needs(REMOTE)), "app").write(chart("redis", "1.0.1"), "app/charts/r")
    rendered = render(repository.request("app", fetcher=shelf))
    assert said(rendered)["demo-redis"]["version"] == "1.0.1"
    assert not shelf.asked


def test_a_link_in_a_fetched_chart_that_leads_out_is_refused(repository, shelf: Shelf) -> None:
    (shelf.root / "redis-1.2.3/redis/templates/passwd").symlink_to("/etc/passwd")
    repository.write(chart("app", more=needs(REMOTE)), "app")
    with pytest.raises(RenderError, match="leads out"):
        template.inputs(repository.request("app", fetcher=shelf))


def test_a_schema_in_a_fetched_chart_that_refers_to_a_file_is_refused(repository, shelf: Shelf) -> None:
    (shelf.root / "redis-1.2.3/redis/values.schema.json").write_text('{"$ref": "file:///etc/passwd"}')
    repository.write(chart("app", more=needs(REMOTE)), "app")
    with pytest.raises(RenderError, match="a schema may refer to no other file"):
        template.inputs(repository.request("app", fetcher=shelf))


def test_what_may_pass_is_not_wrapped(repository) -> None:
    class Unreachable(TrimtabError):
        temporary = True

    class Down(NoFetcher):
        def chart(self, repository: str, name: str, version: str) -> Fetched:
            raise Unreachable("charts.example.com does not answer")

    repository.write(chart("app", more=needs(REMOTE)), "app")
    with pytest.raises(Unreachable):
        template.inputs(repository.request("app", fetcher=Down()))


def test_the_lock_says_the_version_and_what_a_name_of_a_repository_means(
    repository, shelf: Shelf, tmp_path: Path
) -> None:
    """The lock is helm's own: made with the chart repository of a folder that helm knows by a name."""
    with served_repository(tmp_path / "served", shelf.root) as url:
        named = REMOTE.replace("https://charts.example.com", "@mine").replace("^1.0.0", "'>=1.0.0'")
        repository.write(chart("app", more=needs(named)), "app")
        subprocess.run(["helm", "repo", "add", "mine", url], check=True, capture_output=True, timeout=60)
        lock(repository.root / "app")
    rendered = render(repository.request("app", fetcher=shelf))
    assert set(shelf.asked) == {(url, "redis", "2.0.0")}
    assert said(rendered)["demo-redis"]["version"] == "2.0.0"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextmanager
def served_repository(folder: Path, shelf: Path) -> Iterator[str]:
    """A chart repository on 127.0.0.1 with what is on the shelf; it gives its URL."""
    folder.mkdir()
    for place in sorted(shelf.glob("*/redis")):
        subprocess.run(["helm", "package", str(place), "-d", str(folder)], check=True, capture_output=True)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        subprocess.run(["helm", "repo", "index", str(folder), "--url", url], check=True, capture_output=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield url
        server.shutdown()
        thread.join()


def archive(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A `.tgz` of members, as they are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def test_objects_of_an_archive_name_their_template_in_it(repository) -> None:
    repository.write(chart("app", more=needs("name: redis, version: 1.x, alias: cache")), "app")
    members = {f"redis/{name}": text.encode() for name, text in chart("redis", "1.2.3").items()}
    (repository.root / "app/charts").mkdir()
    (repository.root / "app/charts/redis-1.2.3.tgz").write_bytes(archive(members))
    manifest = render(repository.request("app")).manifests[0]
    assert manifest.id.name == "demo-cache"
    assert str(manifest.origin) == "app/charts/redis-1.2.3.tgz/templates/it.yaml"


def test_a_link_in_an_archive_is_an_empty_file(repository) -> None:
    link = tarfile.TarInfo("redis/README.md")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members: dict[str, bytes | tarfile.TarInfo] = {
        f"redis/{name}": text.encode() for name, text in chart("redis").items() if name != "README.md"
    }
    repository.write(chart("app"), "app")
    (repository.root / "app/charts").mkdir()
    (repository.root / "app/charts/redis.tgz").write_bytes(archive({**members, "link": link}))
    assert said(render(repository.request("app")))["demo-redis"]["readme"] == ""


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("redis/../../evil.yaml", "references parent directory"),
        ("redis//etc/evil.yaml", "contains absolute paths"),
        ("redis/c:/evil.yaml", "illegally named files"),
    ],
)
def test_an_archive_that_leads_out_is_refused(repository, name: str, cause: str) -> None:
    members = {f"redis/{file}": text.encode() for file, text in chart("redis").items()}
    repository.write(chart("app"), "app")
    (repository.root / "app/charts").mkdir()
    (repository.root / "app/charts/redis.tgz").write_bytes(archive({**members, name: b"x"}))
    with pytest.raises(RenderError, match=cause):
        render(repository.request("app"))


def test_charts_that_name_each_other_many_times_end(repository) -> None:
    for number in range(12):
        local = f'name: c{number + 1}, version: 1.0.0, repository: "file://../c{number + 1}"'
        twice = needs(f"{local}, alias: a", f"{local}, alias: b")
        repository.write(chart(f"c{number}", more=twice), f"c{number}")
    repository.write(chart("c12"), "c12")
    with pytest.raises(RenderError, match="too many charts depend on each other"):
        template.inputs(repository.request("c0"))
