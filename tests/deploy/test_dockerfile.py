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

import pathspec
import pytest
from harness import REPOSITORY

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
    # The last pattern that fits decides, as in a .gitignore; and so does one that fits a folder above.
    ignored = pathspec.GitIgnoreSpec.from_lines(IGNORED.read_text().replace("\n!", "\n!/").splitlines())
    for stage in stages:
        for source in (path for origin, paths, _ in stage.copies() if not origin for path in paths):
            place = REPOSITORY / source
            assert place.exists(), source
            files = [place] if place.is_file() else [file for file in place.rglob("*.*") if "__pycache__" not in str(file)]
            assert [str(f) for f in files if _left_out(str(f.relative_to(REPOSITORY)))] == []
    assert ignored.match_file(".git/config")
    assert _left_out(".git/config")
    assert _left_out("tests/conftest.py")
    assert _left_out("deploy/local/controlplane.py")
    assert _left_out("pipeline/__pycache__/x.pyc")


def _left_out(path: str) -> bool:
    """As Docker reads a .dockerignore: the last line that fits the path or a folder above it decides."""
    left_out = False
    for line in IGNORED.read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        expression = "/".join("(.*/)?" if part == "**" else re.escape(part).replace(r"\*", "[^/]*") for part in pattern.split("/"))
        if re.match(expression.replace("(.*/)?/", "(.*/)?") + "(/|$)", path):
            left_out = not line.startswith("!")
    return left_out


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
    for tool in ("helm", "kustomize"):
        wanted = re.search(r"^go (\d+\.\d+)", (REPOSITORY / f"deploy/local/tools/{tool}/go.mod").read_text(), re.MULTILINE)
        assert wanted is not None
        assert _version(arguments["GO"]) >= _version(wanted[1])


def test_python_is_one_that_trimtab_runs_with(arguments: dict[str, str]) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert _version(arguments["PYTHON"]) >= _version(project["requires-python"].removeprefix(">="))


def test_helm_and_kustomize_are_built_as_for_the_tests(stages: list[Stage], tmp_path: Path) -> None:
    """The stage `pins` is run, and the stage `tools` up to the call of go."""
    pins, tools = stages[0], stages[1]
    for _, sources, destination in pins.copies():
        for source in sources:
            _copy(REPOSITORY / source, tmp_path, destination)
    for command in pins.all("RUN"):
        subprocess.run(["sh", "-ec", _with_this_python(command)], cwd=tmp_path, check=True)
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text('#!/bin/sh\nprintf "%s\\n" "$(basename "$PWD")" "$@"\n')
    go.chmod(0o755)
    sys.path.insert(0, str(REPOSITORY / "deploy" / "local"))
    try:
        from pins import TOOLS
    finally:
        sys.path.pop(0)
    for command in tools.all("RUN"):
        done = subprocess.run(
            ["sh", "-ec", command], cwd=tmp_path, env={"PATH": f"{go.parent}:{os.environ['PATH']}"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        folder, *call = done.stdout.splitlines()
        tool = TOOLS[folder]
        assert call == ["build", "-ldflags", tool.stamp, "-o", f"/tools/{folder}", tool.package]
    assert len(tools.all("RUN")) == 2


def test_the_dependencies_are_those_of_the_project(stages: list[Stage], tmp_path: Path) -> None:
    (wheels,) = (stage for stage in stages if stage.name == "wheels")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    listing = wheels.all("RUN")[0].partition("&&")[0]
    subprocess.run(["sh", "-ec", _with_this_python(listing)], cwd=tmp_path, check=True)
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
    """What the last stage copies, laid out below a folder that nobody may write to."""

    root: Path
    env: dict[str, str]
    as_user: list[str]

    def run(self, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [*self.as_user, self.root / "usr/local/bin/trimtab", *arguments]
        return subprocess.run(command, cwd=cwd, env=self.env, capture_output=True, text=True, check=False)


@pytest.fixture
def image(stages: list[Stage], tools: Path, tmp_path: Path) -> Iterator[Image]:
    root, last = tmp_path / "image", stages[-1]
    for origin, sources, destination in last.copies():
        for source in sources:
            place = tools if origin == "tools" else REPOSITORY / source
            _copy(place, root, destination, only=("helm", "kustomize") if origin else ())
    (root / "usr/local/bin/trimtab").chmod(0o755)  # --chmod of its COPY
    (root / "usr/local/bin/python").symlink_to(sys.executable)
    subprocess.run(["chmod", "-R", "a-w,a+rX", root], check=True)
    tmp = tmp_path / "tmp"
    tmp.mkdir()
    for folder in (tmp, *tmp_path.parents):
        if folder.owner() == tmp.owner() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o555 | (0o1777 if folder == tmp else 0))
    own = {**last.env, "PYTHONPATH": str(root / "app"), "HOME": str(tmp), "TMPDIR": str(tmp)}
    as_user = ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups"] if os.geteuid() == 0 else []
    yield Image(root, {**own, "PATH": f"{root}/usr/local/bin:/usr/bin:/bin"}, as_user)
    subprocess.run(["chmod", "-R", "u+w", root], check=True)
