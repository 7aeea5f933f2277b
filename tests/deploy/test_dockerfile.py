"""The image, as far as it can be tried without a container engine: its file is read, and its layout laid out."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import LOCAL, REPOSITORY

from pipeline import __version__

DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"
IGNORED = REPOSITORY / "deploy" / "Dockerfile.dockerignore"


@dataclass
class Stage:
    """One FROM and what follows it."""

    image: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [text for step, text in self.steps if step == word]

    def copies(self) -> Iterator[tuple[str, list[str], str]]:
        """Of each COPY: the stage it copies from (empty: the repository), the sources, the destination."""
        for text in self.all("COPY"):
            words = shlex.split(text)
            origin = "".join(word.partition("=")[2] for word in words if word.startswith("--from="))
            paths = [word for word in words if not word.startswith("--")]
            yield origin, paths[:-1], paths[-1]

    @property
    def env(self) -> dict[str, str]:
        return dict(word.split("=", 1) for text in self.all("ENV") for word in shlex.split(text))


@pytest.fixture(scope="module")
def arguments() -> dict[str, str]:
    return dict(re.findall(r"^ARG (\w+)=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def stages(arguments: dict[str, str]) -> list[Stage]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    text = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], text)
    found: list[Stage] = []
    for line in filter(str.strip, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            found.append(Stage(image, name))
        elif found:
            found[-1].steps.append((word, rest.strip()))
    return found


def test_what_is_copied_exists_and_is_not_ignored(stages: list[Stage]) -> None:
    for source in (path for stage in stages for origin, paths, _ in stage.copies() if not origin for path in paths):
        place = REPOSITORY / source
        assert place.exists(), source
        files = [place] if place.is_file() else [file for file in place.rglob("*") if file.suffix in {".py", ".mod"}]
        assert files
        assert [file for file in files if left_out(str(file.relative_to(REPOSITORY)))] == []


@pytest.mark.parametrize(
    "path",
    [".git/config", "tests/conftest.py", "deploy/local/plane.py", "pipeline/cli/__pycache__/x.pyc", ".venv/bin/pip"],
)
def test_what_is_not_copied_is_not_sent_to_the_builder(path: str) -> None:
    assert left_out(path)


def left_out(path: str) -> bool:
    """As Docker reads a .dockerignore: the last line that fits the path, or a folder above it, decides."""
    answer = False
    for line in IGNORED.read_text().splitlines():
        pattern = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if line and not line.startswith("#") and re.match(f"{pattern}(/|$)", path):
            answer = not line.startswith("!")
    return answer


def test_each_stage_is_used_and_the_last_has_no_compiler(stages: list[Stage]) -> None:
    *earlier, last = stages
    used = {origin for stage in stages for origin, _, _ in stage.copies() if origin}
    used |= set(re.findall(r"from=(\w+)", " ".join(last.all("RUN"))))
    assert used == {stage.name for stage in earlier}
    assert last.image.endswith("-slim-bookworm")
    installed = re.search(r"apt-get install .*?recommends ([^&]+)", " ".join(last.all("RUN")))
    assert installed is not None
    assert set(installed[1].split()) == {"ca-certificates", "git", "openssh-client"}


def test_go_is_as_new_as_the_tools_want(arguments: dict[str, str]) -> None:
    for tool in ("helm", "kustomize", "sops"):
        wanted = re.search(
            r"^go (\d+\.\d+)", (REPOSITORY / f"deploy/local/tools/{tool}/go.mod").read_text(), re.MULTILINE
        )
        assert wanted is not None
        assert version(arguments["GO"]) >= version(wanted[1])


def test_python_is_one_that_trimtab_runs_with(arguments: dict[str, str]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert version(arguments["PYTHON"]) >= version(project["requires-python"].removeprefix(">="))


def test_helm_kustomize_and_sops_are_built_as_for_the_tests(stages: list[Stage], tmp_path: Path) -> None:
    """The stage `pins` is run, and the stage `tools` up to the call of go."""
    pins, tools = stages[0], stages[1]
    for _, sources, destination in pins.copies():
        for source in sources:
            copy(REPOSITORY / source, tmp_path, destination)
    for command in pins.all("RUN"):
        subprocess.run(["sh", "-ec", with_this_python(command)], cwd=tmp_path, check=True)
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\nbasename "$PWD"\nprintf "%s\\n" "$@"\n')
    go.chmod(0o755)
    (build,) = tools.all("RUN")
    called = subprocess.run(
        ["sh", "-ec", build], cwd=tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    wanted = (
        "from pins import TOOLS\n"
        "for tool in (TOOLS['helm'], TOOLS['kustomize'], TOOLS['sops']):\n"
        "    print(tool.module, 'build', '-ldflags', tool.stamp, '-o', f'/tools/{tool.name}', tool.package, sep='\\n')"
    )
    pinned = subprocess.run([sys.executable, "-c", wanted], cwd=LOCAL, capture_output=True, text=True, check=True)
    assert called.stdout == pinned.stdout


def test_the_dependencies_are_those_of_the_project(stages: list[Stage], tmp_path: Path) -> None:
    (wheels,) = (stage for stage in stages if stage.name == "wheels")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    listing = wheels.all("RUN")[0].partition("&&")[0]
    subprocess.run(["sh", "-ec", with_this_python(listing)], cwd=tmp_path, check=True)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert (tmp_path / "requirements.txt").read_text().splitlines() == project["dependencies"]


def test_the_user_is_the_deployments_and_has_a_name_for_ssh(stages: list[Stage]) -> None:
    last = stages[-1]
    assert last.all("USER") == ["65532:65532"]
    assert "useradd --uid 65532" in " ".join(last.all("RUN"))
    assert "runAsUser: 65532" in (REPOSITORY / "deploy" / "30-deployment.yaml").read_text()
    assert json.loads(last.all("ENTRYPOINT")[0]) == ["trimtab"]
    assert json.loads(last.all("CMD")[0]) == ["run"]


@dataclass
class Image:
    """What the last stage copies, laid out below a folder that is read-only for whoever runs it."""

    root: Path
    env: dict[str, str]

    def run(self, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """The image's entry point, as somebody without any privilege: root, too, cannot write what is read-only."""
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
        command = [*drop, self.root / "usr/local/bin/trimtab", *arguments]
        return subprocess.run(command, cwd=cwd, env=self.env, capture_output=True, text=True, check=False)


@pytest.fixture
def image(stages: list[Stage], tools: Path, tmp_path: Path) -> Iterator[Image]:
    root, home, last = tmp_path / "image", tmp_path / "tmp", stages[-1]
    home.mkdir()
    for origin, sources, destination in last.copies():
        for source in sources:
            if not origin:
                copy(REPOSITORY / source, root, destination)
    programs = root / "usr/local/bin"
    for name in ("helm", "kustomize", "sops"):
        (programs / name).symlink_to(tools / name)
    # This Python, with the packages that it has, in place of the base image's with the wheels.
    (programs / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for program in ("python", "trimtab"):
        (programs / program).chmod(0o755)
    subprocess.run(["chmod", "-R", "a-w", root], check=True)
    own = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home)}
    yield Image(root, {**last.env, **own, "PYTHONPATH": f"{root}{last.env['PYTHONPATH']}"})
    subprocess.run(["chmod", "-R", "u+w", root], check=True)


def test_the_command_runs_from_the_layout_alone(image: Image, tmp_path: Path) -> None:
    result = image.run("version", "-o", "json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["trimtab"] == __version__
    assert "not installed" not in result.stdout
    code = "import pipeline, renderers; print(pipeline.__file__, renderers.__file__)"
    where = subprocess.run(
        ["python", "-P", "-c", code], env=image.env, capture_output=True, text=True, check=True
    ).stdout
    assert [Path(file).parent.parent for file in where.split()] == [image.root / "app"] * 2


@pytest.mark.parametrize("example", ["plain", "kustomize/overlays/prod", "helm"])
def test_each_renderer_works_from_a_read_only_layout(image: Image, tmp_path: Path, example: str) -> None:
    folder = tmp_path / "work" / "examples"
    shutil.copytree(REPOSITORY / "examples", folder)
    result = image.run("render", folder / example, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "kind: Deployment" in result.stdout
    assert list(image.root.rglob("__pycache__")) == []


def test_a_folder_of_the_same_name_where_it_is_called_is_not_run(image: Image, tmp_path: Path) -> None:
    trap = tmp_path / "repository" / "pipeline"
    trap.mkdir(parents=True)
    (trap / "__init__.py").write_text("raise SystemExit('the repository was run')")
    result = image.run("version", cwd=trap.parent)
    assert result.returncode == 0, result.stderr


def copy(source: Path, root: Path, destination: str) -> None:
    """One COPY: a file goes into a folder whose name ends with a slash, of a folder what is in it."""
    target = root / destination.lstrip("/")
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        target = target / source.name if destination.endswith("/") else target
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def with_this_python(command: str) -> str:
    return command.replace("python ", f"{shlex.quote(sys.executable)} ", 1)


def version(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))
