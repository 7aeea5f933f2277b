"""Fixtures of all tests: an environment of their own, the control plane, the command line."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import harness
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our own flags: read the difference before it is committed."""
    parser.addoption("--update-docs", action="store_true", help="write docs/commands.md anew from the program")
    parser.addoption("--update-goldens", action="store_true", help="write what the tools give into tests/corpus")
    parser.addoption("--all-mutations", action="store_true", help="try every change of the corpus, not a sample")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the slow tests evenly, so that each worker begins with some of them and none waits for them at the end."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if item not in slow]
    step = len(others) // max(len(slow), 1)
    for number, item in enumerate(slow):
        others.insert(number * (step + 1), item)
    items[:] = others


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder with helm, kustomize, kubectl and the components of the control plane."""
    return harness.find_tools()


@pytest.fixture(autouse=True)
def own_environment(tools: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test: nothing of the person's own configuration, and the tools on PATH."""
    environment = harness.own_environment(tmp_path_factory.mktemp("home"))
    environment["PATH"] = f"{tools}:{environment['PATH']}"
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def control_plane(
    tools: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[harness.ControlPlane]:
    """The control plane of this test run, shared by all workers."""
    base = tmp_path_factory.getbasetemp()
    in_worker = hasattr(request.config, "workerinput")
    with harness.shared_control_plane(base.parent if in_worker else base, tools) as plane:
        yield plane


@pytest.fixture(scope="session")
def apps_are_known(control_plane: harness.ControlPlane) -> None:
    """The CustomResourceDefinition of Apps is installed."""
    harness.install_crd(control_plane)


@pytest.fixture
def namespace(control_plane: harness.ControlPlane) -> Iterator[str]:
    """A new namespace on the control plane."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def trimtab(request: pytest.FixtureRequest) -> Callable[..., harness.Result]:
    """Runs the command line: `trimtab("apply", path, ...)`, with the control plane when the test asks for it.

    `env` is added to the environment; `input` is the standard input; `timeout` is in seconds.
    """
    asked = "control_plane" in request.fixturenames
    plane: harness.ControlPlane | None = request.getfixturevalue("control_plane") if asked else None

    def run(
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input: str | None = None,  # noqa: A002 - as subprocess names it
        timeout: float = 120,
    ) -> harness.Result:
        environment = {**(plane.env if plane else os.environ), **(env or {})}
        return harness.run_cli(*args, env=environment, cwd=cwd, stdin=input, timeout=timeout)

    return run
