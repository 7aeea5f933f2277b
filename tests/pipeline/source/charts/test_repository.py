"""Chart repositories behind a real server, with TLS and passwords: what is asked, what is believed, what is told."""

import gzip
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import registry
from chartrepo import Canned, ChartServer, packed, packed_version
from githttp import Authority

from pipeline.app import ChartSource
from pipeline.errors import SourceError, SourceUnreachableError, TrimtabError
from pipeline.source.charts import Charts, Pin
from pipeline.source.credentials import Credentials

USER, PASSWORD = "user", "pass:w0rd"  # as the fixture `user` has them
Source = Callable[..., ChartSource]
Serve = Callable[..., ChartServer]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write_index(folder: Path, *urls: str, digest: str = "", version: str = "1.0.0") -> None:
    entry = {"name": "app", "version": version, "urls": urls, **({"digest": digest} if digest else {})}
    (folder / "index.yaml").write_text(json.dumps({"apiVersion": "v1", "entries": {"app": [entry]}}))


def failed(call: Callable[[], object]) -> TrimtabError:
    with pytest.raises(TrimtabError) as caught:
        call()
    return caught.value


def test_a_chart_is_resolved_and_fetched(app: Source, charts: Charts, trusting: Credentials, repository: Path) -> None:
    source = app("~1.2")
    pin = charts.resolve(source, trusting)
    package = (repository / "app-1.2.7.tgz").read_bytes()
    assert pin == Pin("app", "1.2.7", digest_of(package), f"{source.repo}/app-1.2.7.tgz")
    folder = charts.fetched(source, pin, trusting)
    assert folder.name == "app"
    assert folder == folder.resolve()
    assert "version: 1.2.7" in (folder / "Chart.yaml").read_text()


def test_a_poll_costs_one_answer_without_content(
    repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    server = serve(repository)
    source = ChartSource(repo=f"{server.url}/", name="app")
    charts.resolve(source, trusting)
    charts.resolve(source, trusting)
    assert server.paths() == ["/index.yaml"] * 2
    assert server.seen[1].headers["If-None-Match"]


def test_another_process_polls_with_what_the_first_has_kept(
    repository: Path, serve: Serve, tmp_path: Path, trusting: Credentials
) -> None:
    server = serve(repository)
    source = ChartSource(repo=server.url, name="app")
    pins = {Charts(tmp_path / "cache").resolve(source, trusting) for _ in range(2)}
    assert len(pins) == 1
    assert server.seen[1].headers["If-None-Match"]


def test_a_new_version_is_seen_at_the_next_poll(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    source = ChartSource(repo=serve(own_repository).url, name="app")
    for version in ("1.0.0", "1.1.0"):
        write_index(own_repository, "a.tgz", digest="a" * 64, version=version)
        assert charts.resolve(source, trusting).version == version


def test_what_is_in_the_cache_asks_nobody(
    repository: Path, serve: Serve, charts: Charts, trusting: Credentials, tmp_path: Path
) -> None:
    server = serve(repository)
    source = ChartSource(repo=server.url, name="app")
    pin = charts.resolve(source, trusting)
    folder = charts.fetched(source, pin, trusting)
    asked = len(server.seen)
    assert Charts(tmp_path / "cache").fetched(source, pin, trusting) == folder
    assert len(server.seen) == asked


def test_a_restarted_process_fetches_what_is_pinned(
    app: Source, charts: Charts, trusting: Credentials, tmp_path: Path
) -> None:
    source = app("1.0.0")
    pin = charts.resolve(source, trusting)
    assert (Charts(tmp_path / "another").fetched(source, pin, trusting) / "Chart.yaml").is_file()


def test_what_one_credential_may_read_another_is_not_given(
    repository: Path, serve: Serve, charts: Charts, user: Credentials, trusting: Credentials
) -> None:
    server = serve(repository)
    server.allow(USER, PASSWORD)
    source = ChartSource(repo=server.url, name="app")
    pin = charts.resolve(source, user)
    charts.fetched(source, pin, user)
    assert failed(lambda: charts.fetched(source, pin, trusting)).reason == "AuthenticationFailed"


def test_another_repository_that_names_the_digest_is_not_given_the_chart(
    repository: Path, own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    source = ChartSource(repo=serve(repository).url, name="app")
    pin = charts.resolve(source, trusting)
    charts.fetched(source, pin, trusting)
    write_index(own_repository, "app.tgz", digest=pin.digest)
    (own_repository / "app.tgz").write_bytes(packed_version("1.0.0"))
    thief = ChartSource(repo=serve(own_repository).url, name="app")
    error = failed(lambda: charts.fetched(thief, charts.resolve(thief, trusting), trusting))
    assert "has another content than it should" in error.message


def test_threads_that_want_the_same_chart_download_it_once(
    repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    server = serve(repository)
    source = ChartSource(repo=server.url, name="app")
    pin = charts.resolve(source, trusting)
    together = threading.Barrier(4)

    def fetch() -> Path:
        together.wait()
        return charts.fetched(source, pin, trusting)

    with ThreadPoolExecutor(4) as pool:
        folders = {future.result() for future in [pool.submit(fetch) for _ in range(4)]}
    assert len(folders) == 1
    assert sum(path.endswith(".tgz") for path in server.paths()) == 1


def test_a_package_of_another_digest_is_refused(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    write_index(own_repository, "app.tgz", digest="a" * 64)
    (own_repository / "app.tgz").write_bytes(packed_version("1.0.0"))
    source = ChartSource(repo=serve(own_repository).url, name="app")
    error = failed(lambda: charts.fetched(source, charts.resolve(source, trusting), trusting))
    assert isinstance(error, SourceError)
    assert "has another content than it should" in error.message
    assert not error.temporary


def test_an_index_without_digests_is_pinned_by_what_came(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    write_index(own_repository, "app.tgz")
    source = ChartSource(repo=serve(own_repository).url, name="app")
    for content in (packed_version("1.0.0"), packed({"Chart.yaml": b"name: app", "new": b""})):
        (own_repository / "app.tgz").write_bytes(content)
        pin = charts.resolve(source, trusting)
        assert pin.digest == digest_of(content)
        assert charts.fetched(source, pin, trusting).is_dir()


def test_the_first_url_that_works_is_taken(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    content = packed_version("1.0.0")
    (own_repository / "app.tgz").write_bytes(content)
    server = serve(own_repository)
    write_index(own_repository, "gone.tgz", f"{server.url}/app.tgz", digest=digest_of(content))
    source = ChartSource(repo=server.url, name="app")
    assert charts.fetched(source, charts.resolve(source, trusting), trusting).is_dir()


def test_relative_urls_lie_below_the_repository(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    (own_repository / "stable").mkdir()
    write_index(own_repository / "stable", "packages/app.tgz", digest="a" * 64)
    server = serve(own_repository)
    pin = charts.resolve(ChartSource(repo=f"{server.url}/stable", name="app"), trusting)
    assert pin.url == f"{server.url}/stable/packages/app.tgz"


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://example.com/app.tgz", "ftp://example.com/a", "gopher://a"]
)
def test_a_url_of_another_scheme_is_not_asked(
    url: str, own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    write_index(own_repository, url, digest="a" * 64)
    source = ChartSource(repo=serve(own_repository).url, name="app")
    assert isinstance(failed(lambda: charts.resolve(source, trusting)), SourceError)


def test_the_password_opens_the_repository(repository: Path, serve: Serve, charts: Charts, user: Credentials) -> None:
    server = serve(repository)
    server.allow(USER, PASSWORD)
    source = ChartSource(repo=server.url, name="app")
    assert charts.fetched(source, charts.resolve(source, user), user).is_dir()


def test_a_bearer_token_opens_the_repository(
    repository: Path, serve: Serve, charts: Charts, authority: Authority
) -> None:
    server = serve(repository)
    server.accepted = {"Bearer t0ken"}
    source = ChartSource(repo=server.url, name="app")
    assert charts.resolve(source, Credentials(bearer_token="t0ken", ca=authority.ca)).version == "2.0.0"


def test_packages_on_another_host_are_asked_without_credentials(
    own_repository: Path, serve: Serve, charts: Charts, user: Credentials, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    content = packed_version("1.0.0")
    (tmp_path / "other" / "app.tgz").write_bytes(content)
    other, server = serve(tmp_path / "other"), serve(own_repository)
    server.allow(USER, PASSWORD)
    write_index(own_repository, f"{other.url}/app.tgz", digest=digest_of(content))
    source = ChartSource(repo=server.url, name="app")
    assert charts.fetched(source, charts.resolve(source, user), user).is_dir()
    assert [request.headers["Authorization"] for request in other.seen] == [None]


def test_an_index_may_name_a_chart_in_a_registry(
    own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials, open_registry: registry.Registry
) -> None:
    write_index(own_repository, f"oci://{open_registry.host}/charts/app:1.2.7", version="1.2.7", digest="a" * 64)
    source = ChartSource(repo=serve(own_repository).url, name="app")
    pin = charts.resolve(source, trusting)
    assert (pin.name, pin.version) == ("app", "1.2.7")
    assert "version: 1.2.7" in (charts.fetched(source, pin, trusting) / "Chart.yaml").read_text()


def test_a_packed_index_is_read(own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials) -> None:
    write_index(own_repository, "app.tgz", digest="a" * 64)
    server = serve(own_repository)
    text = (own_repository / "index.yaml").read_bytes()
    server.canned["/index.yaml"] = Canned(200, gzip.compress(text), {"Content-Encoding": "gzip"})
    assert charts.resolve(ChartSource(repo=server.url, name="app"), trusting).version == "1.0.0"


def test_no_credentials_at_all(repository: Path, serve: Serve, charts: Charts, trusting: Credentials) -> None:
    server = serve(repository)
    server.allow(USER, PASSWORD)
    error = failed(lambda: charts.resolve(ChartSource(repo=server.url, name="app"), trusting))
    assert isinstance(error, SourceUnreachableError)
    assert (error.reason, error.temporary) == ("AuthenticationFailed", False)
    assert "asks for credentials" in error.message
    assert "username and password" in error.hint


def test_the_wrong_password_is_not_repeated(
    repository: Path, serve: Serve, charts: Charts, authority: Authority
) -> None:
    server = serve(repository)
    server.allow(USER, PASSWORD)
    wrong = Credentials(username=USER, password="hunter2", ca=authority.ca)
    error = failed(lambda: charts.resolve(ChartSource(repo=server.url, name="app"), wrong))
    assert error.reason == "AuthenticationFailed"
    assert "refuses the credentials" in error.message
    assert "hunter2" not in str(error)


def test_an_unknown_ca_says_where_to_give_it(app: Source, charts: Charts) -> None:
    error = failed(lambda: charts.resolve(app()))
    assert (error.reason, error.temporary) == ("CertificateUntrusted", False)
    assert "ca.crt" in error.hint


def test_an_expired_certificate(repository: Path, serve: Serve, charts: Charts, trusting: Credentials) -> None:
    server = serve(repository, expired=True)
    error = failed(lambda: charts.resolve(ChartSource(repo=server.url, name="app"), trusting))
    assert error.reason == "CertificateUntrusted"
    assert "expired" in error.message


def test_a_client_certificate(repository: Path, serve: Serve, charts: Charts, authority: Authority) -> None:
    source = ChartSource(repo=serve(repository, client_ca=authority.ca).url, name="app")
    certificate, key = authority.issue("client")
    own = Credentials(ca=authority.ca, client_certificate=certificate, client_key=key)
    assert charts.resolve(source, own).version == "2.0.0"
    error = failed(lambda: charts.resolve(source, Credentials(ca=authority.ca)))
    # The server's complaint may be lost with the connection: then only the hint is sure.
    assert "tls.crt and tls.key" in error.hint


def test_no_repository_there(own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials) -> None:
    error = failed(lambda: charts.resolve(ChartSource(repo=serve(own_repository).url, name="app"), trusting))
    assert (error.reason, error.temporary) == ("RepositoryNotFound", False)
    assert "has no index.yaml" in error.message


def test_a_page_for_people(own_repository: Path, serve: Serve, charts: Charts, trusting: Credentials) -> None:
    (own_repository / "index.yaml").write_text("<html><body>Sign in")
    error = failed(lambda: charts.resolve(ChartSource(repo=serve(own_repository).url, name="app"), trusting))
    assert "a page for people" in error.message


def test_a_chart_that_is_not_there_names_those_that_are(app: Source, charts: Charts, trusting: Credentials) -> None:
    error = failed(lambda: charts.resolve(app(name="apps"), trusting))
    assert error.reason == "RepositoryNotFound"
    assert error.hint == "there are: app, other"


def test_a_version_that_is_not_there_names_those_nearby(app: Source, charts: Charts, trusting: Credentials) -> None:
    error = failed(lambda: charts.resolve(app("1.2.9"), trusting))
    assert (error.reason, error.temporary) == ("RefNotFound", False)
    assert error.hint.startswith("there are: 1.2.7, 1.2.0, 1.2.0-beta.1, 1.10.0")


def test_prereleases_that_would_fit_are_named(app: Source, charts: Charts, trusting: Credentials) -> None:
    error = failed(lambda: charts.resolve(app(">2.0"), trusting))
    assert error.hint.startswith("there are prereleases only: 2.1.0-rc.2, 3.0.0-alpha; name one")


def test_a_busy_server_is_asked_again_later(
    repository: Path, serve: Serve, charts: Charts, trusting: Credentials
) -> None:
    server = serve(repository)
    for status in (429, 500, 503):
        server.canned["/index.yaml"] = Canned(status)
        error = failed(lambda: charts.resolve(ChartSource(repo=server.url, name="app"), trusting))
        assert (error.reason, error.temporary) == ("SourceUnreachable", True)


def test_the_same_index_is_asked_for_again_where_its_copy_is_lost(
    repository: Path, serve: Serve, tmp_path: Path, charts: Charts, trusting: Credentials
) -> None:
    source = ChartSource(repo=serve(repository).url, name="app")
    charts.resolve(source, trusting)
    for file in (tmp_path / "cache" / "indexes").iterdir():
        file.write_bytes(b"nonsense")
    assert charts.resolve(source, trusting).version == "2.0.0"


def test_an_index_that_nobody_asks_for_goes(
    repository: Path, serve: Serve, tmp_path: Path, charts: Charts, trusting: Credentials
) -> None:
    for days in (2, 0):
        charts.resolve(ChartSource(repo=serve(repository).url, name="app"), trusting)
        (kept,) = (tmp_path / "cache" / "indexes").iterdir()
        then = time.time() - days * 24 * 3600
        os.utime(kept, (then, kept.stat().st_mtime))


@pytest.mark.parametrize(
    "source",
    [
        ChartSource(repo="https://user:secret@example.com/charts", name="app"),
        ChartSource(repo="https://example.com/charts?token=secret", name="app"),
        ChartSource(repo="http://example.com/charts", name="app"),
        ChartSource(repo="file:///etc", name="app"),
        ChartSource(repo="https://example.com", name="../app"),
        ChartSource(repo="https://example.com"),
        ChartSource(),
    ],
)
def test_what_is_never_asked(source: ChartSource, charts: Charts) -> None:
    error = failed(lambda: charts.resolve(source))
    assert error.exit_code == 2
    assert "secret" not in str(error)
