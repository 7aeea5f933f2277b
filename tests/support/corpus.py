"""The corpus: small charts, kustomizations and folders, each for one trap, and what their own tools make of them.

`tests/corpus/<kind>/<name>/` has the input in `src/`, options in `case.yaml` (the fields of `Settings`), and in
`golden.json` the objects that the tools gave. Here a case is built in a folder, rendered by its own tools and read by
kubectl, or rendered by Trimtab; both come out in the same form, and nothing is compared here.
"""

import base64
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from harness import REPOSITORY

from renderers.api import Capabilities, Rendered
from renderers.cache import RenderCache
from renderers.helm import template
from renderers.kustomize import build
from renderers.manifest import TrimtabError, load_text
from renderers.options import RenderOptions
from renderers.settings import RenderStep
from renderers.tree import render_tree

CORPUS = REPOSITORY / "tests" / "corpus"
#: The kinds of cases, and the tool of each.
TOOLS = {"charts": "helm", "kustomizations": "kustomize", "folders": "kubectl"}
#: The App's name, for helm the release.
NAME = "demo"
NAMESPACE = "shop"

#: What came of a case: lists of objects by `manifests`, `hooks` and `tests`, or `refused` with who refused.
Outcome = dict[str, Any]


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run of a tool: on the folder, or (kubectl) on files. `args` are added to its arguments."""

    tool: str
    folder: str = "."
    files: tuple[str, ...] = ()
    name: str = NAME
    args: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A `case.yaml`.

    `about` says the trap. `folder` of `src` is rendered, with the App's steps `render`, by the tools of `units`
    (without any: the kind's own tool on that folder). What git or an editor could spoil is built: `texts` and `bytes`
    (base64) are files, `links` symbolic links with their targets, `archives` the folders that are packed as charts.
    `refused` is a pattern of Trimtab's message; `stricter` the reason why we refuse what the tool does not, which is
    then not asked.
    """

    about: str
    folder: str = "."
    render: tuple[RenderStep, ...] = ()
    units: tuple[Unit, ...] = ()
    kube_version: str = "v1.36.3"
    api_versions: tuple[str, ...] = ()
    is_upgrade: bool = False
    texts: Mapping[str, str] = {}
    bytes: Mapping[str, str] = {}
    links: Mapping[str, str] = {}
    archives: Mapping[str, str] = {}
    refused: str = ""
    stricter: str = ""


@dataclass(frozen=True)
class Case:
    """One case of the corpus; `place` is its folder."""

    place: Path
    settings: Settings

    def __str__(self) -> str:
        return f"{self.place.parent.name}/{self.place.name}"

    @classmethod
    def load(cls, place: Path) -> "Case":
        """Read it. Raises msgspec.ValidationError for a word that there is not in `case.yaml`."""
        (document,) = load_text((place / "case.yaml").read_bytes(), file=str(place)).documents
        return cls(place, msgspec.convert(document.data, Settings))

    def build(self, root: Path) -> None:
        """Make the input in the folder `root`, which there is not yet."""
        source, settings = self.place / "src", self.settings
        if source.is_dir():
            shutil.copytree(source, root, symlinks=True)
        root.mkdir(exist_ok=True)
        for name, text in settings.texts.items():
            _write(root / name, text.encode())
        for name, text in settings.bytes.items():
            _write(root / name, base64.b64decode(text))
        for name, target in settings.links.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(target)
        for name, folder in settings.archives.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            with tarfile.open(root / name, "w:gz") as archive:
                archive.add(root / folder, Path(folder).name)
            shutil.rmtree(root / folder)

    @property
    def units(self) -> tuple[Unit, ...]:
        """The runs of tools that say what is right."""
        return self.settings.units or (Unit(TOOLS[self.place.parent.name], self.settings.folder),)

    @property
    def uses_helm(self) -> bool:
        """Whether the major version of helm may matter."""
        return any(unit.tool == "helm" or "--enable-helm" in self._arguments(unit) for unit in self.units)

    def ordered(self, root: Path) -> bool:
        """Whether the order counts: a plain file by a link stands for us where it really lies."""
        return self.place.parent.name != "folders" or not any(path.is_symlink() for path in root.rglob("*"))

    def by_tools(self, root: Path, private: Path) -> Outcome:
        """What the tools make of the folder that `build` made; `private` is an empty folder for their own files."""
        outcome: Outcome = {}
        for unit in self.units:
            for key, objects in self._by_tool(unit, root, private).items():
                if key == "refused":
                    return {key: objects}
                outcome[key] = [*outcome.get(key, []), *objects]
        return outcome

    def by_trimtab(self, root: Path, cache: RenderCache | None = None, **changes: Any) -> Outcome:
        """What Trimtab makes of it; `changes` are further fields of RenderOptions. `refused` is its message."""
        settings = self.settings
        options = RenderOptions(
            name=NAME,
            namespace=NAMESPACE,
            capabilities=Capabilities(settings.kube_version, settings.api_versions),
            is_upgrade=settings.is_upgrade,
            steps=settings.render,
            renderer=self._renderer(root),
        )
        try:
            return outcome_of(render_tree(root, root / settings.folder, replace(options, **changes), cache))
        except TrimtabError as e:
            return {"refused": str(e)}

    def _renderer(self, root: Path) -> str:
        """The renderer to ask for where the folder does not look like one of its kind: its tool is asked as well."""
        folder, fits = root / self.settings.folder, {"helm": template.fits, "kustomize": build.fits}
        tool = self.units[0].tool
        return tool if not self.settings.units and tool in fits and not fits[tool](folder) else ""

    def _by_tool(self, unit: Unit, root: Path, private: Path) -> Outcome:
        if not (root / unit.folder).is_dir():
            return {"refused": unit.tool}
        if unit.tool == "kubectl":
            files = [argument for file in unit.files for argument in ("-f", file)]
            return _read(files or ["-R", "-f", "."], root / unit.folder)
        argv = [*self._arguments(unit), *unit.args]
        if unit.tool == "kustomize":
            argv = ["kustomize", "build", *argv, "--", str(root / unit.folder)]
        else:
            values = _values(self.settings.render, private)
            argv = ["helm", "template", *argv, *values, "--", self._release(unit), str(root / unit.folder)]
        environment = {"PATH": os.environ["PATH"], "HOME": str(private)}
        done = subprocess.run(argv, cwd=root / unit.folder, env=environment, capture_output=True, check=False)
        if done.returncode:
            return {"refused": unit.tool}
        return _read(["-f", "-"], root, done.stdout, by_helm=unit.tool == "helm")

    def _arguments(self, unit: Unit) -> list[str]:
        """The flags that the settings come to."""
        settings = self.settings
        steps = settings.render
        if unit.tool == "kustomize":
            enabled = any(step.kustomize.enable_helm for step in steps if step.kustomize)
            version = ["--helm-kube-version", settings.kube_version]
            return ["--enable-helm", "--helm-command", str(shutil.which("helm")), *version] if enabled else []
        crds = all(step.helm.include_crds for step in steps if step.helm)
        return [
            f"--namespace={NAMESPACE}",
            f"--kube-version={settings.kube_version}",
            *(f"--api-versions={version}" for version in settings.api_versions),
            *(["--is-upgrade"] if settings.is_upgrade else []),
            "--include-crds" if crds else "--skip-crds",
        ]

    def _release(self, unit: Unit) -> str:
        return next((step.helm.release_name for step in self.settings.render if step.helm), "") or unit.name


def cases() -> Iterator[Case]:
    """Every case, by name."""
    for place in sorted(CORPUS.glob("*/*/case.yaml")):
        yield Case.load(place.parent)


def outcome_of(rendered: Rendered) -> Outcome:
    """The objects of a render, in the form of the tools' outcomes."""
    parts = {"manifests": rendered.manifests, "hooks": rendered.hooks, "tests": rendered.tests}
    return {key: [plain(manifest.data) for manifest in found] for key, found in parts.items() if found}


def plain(value: Any) -> Any:
    """The value as the API server reads it: maps in no order, and whole numbers past int64 as floats."""
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def exact(outcome: Outcome, *, ordered: bool = True) -> str:
    """A text that differs where a value or a type does: in Python, 1 is 1.0 and True."""
    outcome = {key: outcome[key] for key in ("refused", "manifests", "hooks", "tests") if key in outcome}
    if not ordered:
        outcome = {key: sorted(map(str, objects)) for key, objects in outcome.items()}
    return json.dumps(outcome, indent=1, ensure_ascii=False) + "\n"


def _read(source: list[str], place: Path, text: bytes = b"", *, by_helm: bool = False) -> Outcome:
    """The objects as kubectl reads them, unchanged: the patch is empty. helm's hooks and tests stand apart."""
    argv = ["kubectl", "patch", "--local", "--type=json", "--patch=[]", "--output=json", *source]
    done = subprocess.run(argv, cwd=place, input=text, capture_output=True, check=False)
    if done.returncode:
        # kubectl calls it an error when there is nothing.
        nothing = b"no objects passed to" in done.stderr or b"recognized file extensions are" in done.stderr
        return {} if nothing else {"refused": "kubectl"}
    outcome: Outcome = {}
    decoder, printed = json.JSONDecoder(), done.stdout.decode().strip()
    while printed:
        data, end = decoder.raw_decode(printed)
        printed = printed[end:].lstrip()
        outcome.setdefault(_part(data) if by_helm else "manifests", []).append(plain(data))
    return outcome


def _part(data: Mapping[str, Any]) -> str:
    """helm, `pkg/release/hook.go`: the annotation makes a hook, and these words a test."""
    annotations = (data.get("metadata") or {}).get("annotations") or {}
    events = {word.strip().lower() for word in annotations.get("helm.sh/hook", "").split(",")} - {""}
    return "manifests" if not events else "tests" if events <= {"test", "test-success"} else "hooks"


def _values(steps: tuple[RenderStep, ...], private: Path) -> list[str]:
    """The values of a chart as helm's flags. Paths are relative to the chart, where helm is started."""
    arguments = []
    for step in filter(None, (step.helm for step in steps)):
        arguments += [f"--values={file}" for file in step.value_files]
        if step.values:
            file = private / "values.json"
            file.write_text(json.dumps(step.values))
            arguments.append(f"--values={file}")
        arguments += [f"--set={text}" for text in step.set]
        arguments += [f"--set-string={text}" for text in step.set_string]
        arguments += [f"--set-file={text}" for text in step.set_file]
    return arguments


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
