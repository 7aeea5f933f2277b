"""A chart repository and registries, made once, and servers in front of them for each test."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import registry
from chartrepo import VERSIONS, ChartServer, packed_version, write_repository
from githttp import Authority

from pipeline.app import ChartSource
from pipeline.source.charts import Charts
from pipeline.source.credentials import Credentials

USER, PASSWORD = "user", "pass:w0rd"


@pytest.fixture(autouse=True)
def helm_on_path(own_environment: Path, tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that reads sources, only these tests ask helm."""
    monkeypatch.setenv("PATH", str(tools), prepend=os.pathsep)


@pytest.fixture(scope="session")
def repository(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a chart repository with all VERSIONS of `app`; for reading."""
    return write_repository(tmp_path_factory.mktemp("charts") / "repository", tools=tools)


@pytest.fixture
def own_repository(tmp_path: Path) -> Path:
    """A folder for a repository of the test's own."""
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


@pytest.fixture
def serve(authority: Authority) -> Iterator[Callable[..., ChartServer]]:
    """Starts https servers of a folder; arguments are ChartServer's. `tls=False`: http."""
    with ExitStack() as stack:
        yield lambda folder, *, tls=True, **options: stack.enter_context(
            ChartServer(folder, authority if tls else None, **options).running()
        )


@pytest.fixture(scope="session")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registry.Registry]:
    """A registry that lets everybody in, with all VERSIONS of `charts/app`."""
    with registry.running(tmp_path_factory.mktemp("registry")) as made:
        for version in VERSIONS:
            made.put("charts/app", version.replace("+", "_"), packed_version(version))
        yield made


@pytest.fixture
def own_registry(tmp_path: Path) -> Iterator[registry.Registry]:
    """An empty registry of the test's own."""
    with registry.running(tmp_path / "registry") as made:
        yield made


@pytest.fixture
def charts(tmp_path: Path) -> Charts:
    return Charts(tmp_path / "cache", timeout=10)


@pytest.fixture
def trusting(authority: Authority) -> Credentials:
    """Nobody's, with the servers' CA."""
    return Credentials(ca=authority.ca)


@pytest.fixture
def user(authority: Authority) -> Credentials:
    """Those of the one user, with the servers' CA."""
    return Credentials(username=USER, password=PASSWORD, ca=authority.ca)


@pytest.fixture
def app(repository: Path, serve: Callable[..., ChartServer]) -> Callable[..., ChartSource]:
    """The chart `app` of a new server of the repository, in a version; further arguments are ChartSource's."""
    server = serve(repository)
    return lambda version="", **rest: ChartSource(**{"repo": server.url, "name": "app", "version": version, **rest})
