"""Plug-ins: found by their entry points, held to a contract, and no danger to what is built in."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from renderers import plain, registry
from renderers.api import RenderError
from renderers.inputs import folder_inputs
from renderers.testing import RendererContract

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example's package in it, built and installed as anybody's."""
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", "--target", target, EXAMPLE],
        check=True,
    )  # fmt: skip
    return target


def trimtab(installed: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(Path(__file__).parents[2])])}
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments], env=environment, cwd=cwd, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_the_example_keeps_the_contract(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(Path(__file__).parents[2])])}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", EXAMPLE / "tests"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout


@pytest.mark.parametrize("by", ["step", "flag", "fits"])
def test_a_plug_in_is_chosen_by(installed: Path, tmp_path: Path, by: str) -> None:
    (tmp_path / "web.toml").write_bytes((EXAMPLE / "example" / "web.toml").read_bytes())
    if by == "step":
        step = "render: [plugin: {name: toml, options: {labels: {team: a}}}]\n"
        (tmp_path / ".trimtab.yaml").write_text(step)
    done = trimtab(installed, "render", ".", *(("--renderer", "toml") if by == "flag" else ()), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "color: red" in done.stdout
    assert ("team: a" in done.stdout) == (by == "step")


def test_without_the_plug_in_its_name_is_unknown(tmp_path: Path) -> None:
    (tmp_path / ".trimtab.yaml").write_text("render: [plugin: {name: toml}]\n")
    done = trimtab(tmp_path, "render", ".", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no renderer 'toml'" in done.stderr
    assert "choose one of yaml, kustomize, helm, jinja" in done.stderr


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Pretend that an entry point is installed."""

    def install(name: str, value: str) -> None:
        monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint(name, value, group)])
        registry.plugins.cache_clear()

    yield install
    registry.plugins.cache_clear()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_package", "cannot be loaded: ModuleNotFoundError"),
        ("json", "is no renderer: it has no name, fits, inputs, render, uses"),
        ("renderers.plain", "calls itself yaml"),
    ],
)
def test_a_plug_in_that_cannot_be_used_is_named(entry: Any, value: str, message: str) -> None:
    entry("mine", value)
    with pytest.raises(RenderError, match=message) as caught:
        registry.renderer("mine")
    assert "mine" in caught.value.message


def test_no_plug_in_takes_the_place_of_what_is_built_in(entry: Any) -> None:
    entry("helm", "json")
    assert registry.renderer("helm") is registry.RENDERERS["helm"]


def contract(example: Path, **changes: Any) -> RendererContract:
    """The contract over the plain renderer as a plug-in, with what is given instead of its own."""
    (example / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\n")
    (example / "more.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n")

    def render(request: Any) -> Any:
        return plain.render(replace(request, files=tuple(sorted(request.folder.glob("*.yaml")))))

    parts = {
        "name": "mine", "fits": plain.fits, "render": render, "uses": plain.uses,
        "inputs": lambda request: folder_inputs(request.folder, request.root),
    }  # fmt: skip
    made = type(
        "Contract", (RendererContract,), {"renderer": SimpleNamespace(**{**parts, **changes}), "example": example}
    )
    return made()


NAMES = [name for name in vars(RendererContract) if name.startswith("test_")]


def run(held: RendererContract, name: str, folder: Path) -> None:
    folder.mkdir()
    test = getattr(held, name)
    test(folder) if "tmp_path" in test.__code__.co_varnames else test()


@pytest.mark.parametrize("name", NAMES)
def test_a_good_renderer_passes(tmp_path: Path, name: str) -> None:
    (tmp_path / "example").mkdir()
    run(contract(tmp_path / "example"), name, tmp_path / "run")


def _writes(request: Any) -> Any:
    (request.folder / "left-behind").write_text("x")
    return plain.render(replace(request, files=tuple(sorted(request.folder.glob("*.yaml")))))


def _reads_more(request: Any) -> Any:
    return replace(folder_inputs(request.folder, request.root), files=frozenset({request.folder / "map.yaml"}))


def _raises(request: Any) -> Any:
    for path in request.folder.glob("*.yaml"):
        path.read_text(encoding="utf-8").index("kind")
    return plain.render(replace(request, files=tuple(sorted(request.folder.glob("*.yaml")))))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("test_its_name_is_a_word_that_no_built_in_renderer_has", {"name": "helm"}),
        ("test_it_fits_the_example_and_no_empty_folder", {"fits": lambda folder: True}),
        ("test_its_inputs_are_all_that_it_reads", {"inputs": _reads_more}),
        ("test_it_writes_nothing_into_the_checkout", {"render": _writes}),
        ("test_bad_input_is_an_error_for_people", {"render": _raises}),
        ("test_its_uses_are_read_without_a_change", {"uses": lambda request: None}),
    ],
)
def test_a_renderer_that_breaks_the_contract_fails(tmp_path: Path, name: str, changes: dict[str, Any]) -> None:
    (tmp_path / "example").mkdir()
    with pytest.raises((AssertionError, ValueError)):
        run(contract(tmp_path / "example", **changes), name, tmp_path / "run")
