"""Charts in real registries: open, with passwords and with tokens; what is chosen, what is refused, what is told."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import registry
from chartrepo import Canned, ChartServer, package, packed_version, write_chart
from githttp import Authority, basic

from pipeline.app import ChartSource
from pipeline.errors import SourceError, TrimtabError
from pipeline.source.charts import Charts, Pin
from pipeline.source.credentials import Credentials

Serve = Callable[..., ChartServer]
USER, PASSWORD = "user", "pass:w0rd"  # as the fixture `user` has them


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def failed(call: Callable[[], object]) -> TrimtabError:
    with pytest.raises(TrimtabError) as caught:
        call()
    return caught.value


def app(of: registry.Registry, version: str = "", suffix: str = "") -> ChartSource:
    return ChartSource(oci=f"oci://{of.host}/charts/app{suffix}", version=version)


@pytest.fixture
def token_server(tmp_path: Path, authority: Authority) -> Iterator[registry.TokenServer]:
    """A token server that knows the one user."""
    with registry.TokenServer(tmp_path, authority).running() as server:
        server.allow(USER, PASSWORD)
        yield server  # type: ignore[misc]


@pytest.fixture
def guarded(
    open_registry: registry.Registry, authority: Authority, token_server: registry.TokenServer
) -> Iterator[registry.Registry]:
    """The same content for who has a token, by TLS."""
    with registry.running(open_registry.storage, authority=authority, tokens=token_server) as made:
        yield made


def test_what_helm_has_pushed_is_found_and_fetched(
    own_registry: registry.Registry, charts: Charts, tmp_path: Path
) -> None:
    packed = package(write_chart(tmp_path, "app", version="1.2.3+b.1"), tmp_path)
    url = own_registry.push(packed)
    source = ChartSource(oci=f"{url}/app", version="~1.2")
    pin = charts.resolve(source)
    assert pin == Pin("app", "1.2.3+b.1", digest_of(packed.read_bytes()), f"{url}/app:1.2.3_b.1")
    folder = charts.fetched(source, pin)
    assert folder.name == "app"
    assert "version: 1.2.3+b.1" in (folder / "Chart.yaml").read_text()


def test_the_newest_release_and_a_tag_in_the_url(open_registry: registry.Registry, charts: Charts) -> None:
    assert charts.resolve(app(open_registry)).version == "2.0.0"
    assert charts.resolve(app(open_registry, suffix=":1.1.0")).version == "1.1.0"
    error = failed(lambda: charts.resolve(app(open_registry, "1.1.5", suffix=":1.1.0")))
    assert "take one of the two out" in error.hint


def test_a_chart_by_the_digest_of_its_manifest(own_registry: registry.Registry, charts: Charts) -> None:
    layer = packed_version("1.0.0")
    digest = own_registry.put("charts/app", "1.0.0", layer)
    expected = Pin("app", "1.0.0", digest_of(layer), f"oci://{own_registry.host}/charts/app@{digest}")
    by_url, by_version = app(own_registry, suffix=f"@{digest}"), app(own_registry, digest)
    assert charts.resolve(by_url) == charts.resolve(by_version) == expected
    assert charts.fetched(by_url, expected).is_dir()
    assert charts.resolve(app(own_registry, "~1.0", suffix=f"@{digest}")) == expected
    assert "is version 1.0.0" in failed(lambda: charts.resolve(app(own_registry, "2.0.0", suffix=f"@{digest}"))).message


def test_a_chart_by_digest_must_say_its_version(own_registry: registry.Registry, charts: Charts) -> None:
    for said in (b'{"version": "x\\n"}', b"{}"):
        config = {"mediaType": registry.CONFIG, **own_registry.blob("charts/app", said)}
        digest = own_registry.put("charts/app", "1.0.0", packed_version("1.0.0"), config=config)
        error = failed(lambda digest=digest: charts.resolve(app(own_registry, digest)))  # type: ignore[misc]
        assert "says no version" in error.message


def test_a_tag_that_moves_is_seen_at_the_next_poll(own_registry: registry.Registry, charts: Charts) -> None:
    for content in (packed_version("1.0.0"), packed_version("1.0.0", "other")):
        own_registry.put("charts/app", "1.0.0", content)
        assert charts.resolve(app(own_registry, "1.0.0")).digest == digest_of(content)


def test_a_poll_of_a_version_asks_for_no_content(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    manifest = json.dumps(
        {
            "config": {"mediaType": registry.CONFIG, "digest": f"sha256:{'c' * 64}", "size": 2},
            "layers": [{"mediaType": registry.CHART, "digest": f"sha256:{'a' * 64}", "size": 2}],
        }
    ).encode()
    server = serve(own_repository)
    for which in ("1.0.0", digest_of(manifest)):
        server.canned[f"/v2/charts/app/manifests/{which}"] = Canned(
            200, manifest, {"Docker-Content-Digest": digest_of(manifest)}
        )
    source = ChartSource(oci=f"oci://{server.url.removeprefix('https://')}/charts/app", version="1.0.0")
    charts.resolve(source, trusting)
    server.seen.clear()
    charts.resolve(source, trusting)
    assert [request.method for request in server.seen] == ["HEAD"]


def test_the_password_opens_a_registry(
    open_registry: registry.Registry, authority: Authority, charts: Charts, user: Credentials, trusting: Credentials
) -> None:
    with registry.running(open_registry.storage, authority=authority, user=(USER, PASSWORD)) as guarded:
        source = app(guarded, "~1.2")
        assert charts.fetched(source, charts.resolve(source, user), user).is_dir()
        error = failed(lambda: charts.resolve(source, trusting))
        assert (error.reason, error.temporary) == ("AuthenticationFailed", False)
        assert "asks for credentials" in error.message
        wrong = Credentials(username=USER, password="hunter2", ca=authority.ca)
        error = failed(lambda: charts.resolve(source, wrong))
        assert "refuses the credentials" in error.message
        assert "hunter2" not in str(error)
        assert failed(lambda: charts.resolve(source)).reason == "CertificateUntrusted"


def test_a_token_opens_a_registry_and_is_asked_for_once(
    guarded: registry.Registry, token_server: registry.TokenServer, charts: Charts, user: Credentials
) -> None:
    source = app(guarded, "~1.2")
    assert charts.fetched(source, charts.resolve(source, user), user).is_dir()
    assert token_server.asked == [{"service": ["charts"], "scope": ["repository:charts/app:pull"]}]


def test_a_token_that_has_expired_is_asked_for_anew(
    guarded: registry.Registry, token_server: registry.TokenServer, charts: Charts, user: Credentials
) -> None:
    token_server.lasts = 0
    for _ in range(2):
        charts.resolve(app(guarded, "1.0.0"), user)
    assert len(token_server.asked) > 2


def test_a_token_server_may_give_tokens_to_everybody(
    guarded: registry.Registry, token_server: registry.TokenServer, charts: Charts, trusting: Credentials
) -> None:
    token_server.accepted = None
    assert charts.resolve(app(guarded, "1.0.0"), trusting).version == "1.0.0"


def test_a_token_server_that_refuses_is_named(
    guarded: registry.Registry, token_server: registry.TokenServer, charts: Charts, trusting: Credentials
) -> None:
    error = failed(lambda: charts.resolve(app(guarded, "1.0.0"), trusting))
    assert error.reason == "AuthenticationFailed"
    assert token_server.realm in error.message


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b'{"token": "a b"}', b'{"token": 7}'])
def test_a_token_server_without_a_token(
    body: bytes, guarded: registry.Registry, token_server: registry.TokenServer, charts: Charts, user: Credentials
) -> None:
    token_server.canned = {"/token": Canned(200, body)}
    assert "gives no token" in failed(lambda: charts.resolve(app(guarded, "1.0.0"), user)).message


@pytest.mark.parametrize("realm", ["http://example.com/token", "file:///etc/passwd", "/token"])
def test_a_token_is_never_asked_for_without_tls(
    realm: str, own_repository: Path, serve: Serve, charts: Charts, user: Credentials
) -> None:
    server = serve(own_repository)
    server.canned["/v2/a/app/manifests/1.0.0"] = Canned(401, headers={"WWW-Authenticate": f'Bearer realm="{realm}"'})
    source = ChartSource(oci=f"oci://{server.url.removeprefix('https://')}/a/app", version="1.0.0")
    assert "which is not asked" in failed(lambda: charts.resolve(source, user)).message


def test_a_bearer_token_is_shown_as_it_is(
    own_repository: Path, serve: Serve, charts: Charts, authority: Authority
) -> None:
    server = serve(own_repository)
    server.accepted = {"Bearer t0ken"}
    source = ChartSource(oci=f"oci://{server.url.removeprefix('https://')}/a/app", version="1.0.0")
    failed(lambda: charts.resolve(source, Credentials(bearer_token="t0ken", ca=authority.ca)))
    assert {request.headers["Authorization"] for request in server.seen[1:]} == {"Bearer t0ken"}


def test_many_tags_come_in_pages(own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials) -> None:
    server = serve(own_repository)
    tags = {"": (["1.0.0", "latest"], "/v2/a/app/tags/list?last=one"), "last=one": (["1.1.0_b", "sha256-1.sig"], "")}

    class Pages(dict[str, Canned]):
        def __getitem__(self, path: str) -> Canned:
            page, following = tags[server.seen[-1].path.partition("?")[2]]
            link = {"Link": f'<{following}>; rel="next"'} if following else {}
            return Canned(200, json.dumps({"tags": page}).encode(), link)

    server.canned = Pages({"/v2/a/app/tags/list": Canned()})
    source = ChartSource(oci=f"oci://{server.url.removeprefix('https://')}/a/app", version="~1.9")
    assert failed(lambda: charts.resolve(source, trusting)).hint == "there are: 1.1.0+b, 1.0.0"


def test_tags_without_end_are_refused(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    server = serve(own_repository)
    many = json.dumps({"tags": ["1.0.0"] * 150_000}).encode()
    server.canned["/v2/a/app/tags/list"] = Canned(200, many, {"Link": '<?last=a>; rel="next"'})
    source = ChartSource(oci=f"oci://{server.url.removeprefix('https://')}/a/app")
    assert "too many tags" in failed(lambda: charts.resolve(source, trusting)).message


def test_no_chart_there(open_registry: registry.Registry, charts: Charts) -> None:
    for version in ("", "1.0.0"):
        source = ChartSource(oci=f"oci://{open_registry.host}/charts/none", version=version)
        error = failed(lambda source=source: charts.resolve(source))  # type: ignore[misc]
        assert (error.reason, error.temporary) == ("RepositoryNotFound", False)
        assert "there is no chart" in error.message


def test_a_version_that_is_not_there_names_those_nearby(open_registry: registry.Registry, charts: Charts) -> None:
    error = failed(lambda: charts.resolve(app(open_registry, "1.2.9")))
    assert error.reason == "RefNotFound"
    assert error.hint.startswith("there are: 1.2.7, 1.2.0")


def test_half_a_version_is_a_tag_and_the_hint_says_so(open_registry: registry.Registry, charts: Charts) -> None:
    assert "~1.2 or 1.2.x" in failed(lambda: charts.resolve(app(open_registry, "1.2"))).hint


def test_an_image_is_no_chart(own_registry: registry.Registry, charts: Charts) -> None:
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", **own_registry.blob("charts/app", b"{}")}
    own_registry.put("charts/app", "1.0.0", b"layer", config=config)
    error = failed(lambda: charts.resolve(app(own_registry, "1.0.0")))
    assert isinstance(error, SourceError)
    assert "is no chart, but a container image" in error.message


def test_provenance_beside_the_chart_is_passed_over(own_registry: registry.Registry, charts: Charts) -> None:
    content = packed_version("1.0.0")
    kinds = (("application/vnd.cncf.helm.chart.provenance.v1.prov", b"signed"), (registry.CHART, content))
    layers = [{"mediaType": kind, **own_registry.blob("charts/app", blob)} for kind, blob in kinds]
    own_registry.put("charts/app", "1.0.0", content, layers=layers)
    assert charts.resolve(app(own_registry, "1.0.0")).digest == digest_of(content)


def test_of_an_index_the_chart_in_it_is_taken(own_registry: registry.Registry, charts: Charts) -> None:
    content = packed_version("1.0.0")
    digest = own_registry.put("charts/app", "inner", content)
    inner = {"mediaType": registry.MANIFEST, "digest": digest, "size": 1}
    index = {"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": [inner]}
    own_registry.manifest("charts/app", "1.0.0", index, registry.INDEX)
    assert charts.resolve(app(own_registry, "1.0.0")).digest == digest_of(content)


def test_a_blob_of_another_digest_is_refused(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    server = serve(own_repository)
    pin = Pin("app", "1.0.0", f"sha256:{'a' * 64}", "oci://x/a/app:1.0.0")
    server.canned[f"/v2/a/app/blobs/{pin.digest}"] = Canned(200, packed_version("1.0.0"))
    source = ChartSource(oci=f"oci://{server.url.removeprefix('https://')}/a/app", version="1.0.0")
    assert "has another content" in failed(lambda: charts.fetched(source, pin, trusting)).message


def test_a_manifest_of_another_digest_is_refused(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    server, digest = serve(own_repository), f"sha256:{'a' * 64}"
    server.canned[f"/v2/a/app/manifests/{digest}"] = Canned(200, b"{}")
    source = ChartSource(oci=f"oci://{server.url.removeprefix('https://')}/a/app@{digest}")
    assert "another content than its digest says" in failed(lambda: charts.resolve(source, trusting)).message


def test_a_blob_elsewhere_is_fetched_without_the_token(
    own_repository: Path, serve: Serve, charts: Charts, user: Credentials
) -> None:
    content = packed_version("1.0.0")
    server, store = serve(own_repository), serve(own_repository)
    server.accepted = {basic(USER, PASSWORD)}
    pin = Pin("app", "1.0.0", digest_of(content), "oci://x/a/app:1.0.0")
    path = f"/v2/a/app/blobs/{pin.digest}"
    moved = Canned(307, headers={"Location": f"{store.url}/blob?signature=s3cret"})

    class Guarded(dict[str, Canned]):
        def __contains__(self, asked: object) -> bool:
            return asked == path and server.seen[-1].headers["Authorization"] is not None

    server.canned = Guarded({path: moved})
    store.canned["/blob"] = Canned(200, content)
    source = ChartSource(oci=f"oci://{server.url.removeprefix('https://')}/a/app", version="1.0.0")
    assert charts.fetched(source, pin, user).is_dir()
    assert [request.headers["Authorization"] for request in store.seen] == [None]
    store.canned["/blob"] = Canned(500)
    other = Pin("other", "1.0.0", pin.digest, pin.url)
    assert "s3cret" not in str(failed(lambda: charts.fetched(source, other, user)))


@pytest.mark.parametrize(
    "url",
    [
        "oci://example.com",
        "oci://example.com/A/b",
        "oci://example.com/a b",
        "oci://example.com/a/b:c:d",
        "oci://example.com/a@sha256:short",
    ],
)
def test_what_names_no_chart_is_not_asked(url: str, charts: Charts) -> None:
    assert failed(lambda: charts.resolve(ChartSource(oci=url))).exit_code == 2
