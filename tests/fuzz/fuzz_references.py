"""Looks for kustomizations that make kustomize read outside the checkout: `python tests/fuzz/fuzz_references.py`.

Hostile repositories are made at random beside a canary. What `inputs()` accepts is laid out and built by the real
kustomize, without any wall; the canary must not come out, and the result must be that of kustomize on the repository
itself. Every finding is printed with its seed and kept in a folder.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from renderers.api import Fetched, KustomizeOptions, RenderError, RenderRequest
from renderers.inputs import lay_out
from renderers.kustomize import build
from renderers.manifest import TrimtabError
from renderers.manifest.load import load_text
from renderers.unit import render_unit
from tests.support.harness import find_tools
from tests.support.kustomizations import CHART, CONFIG_MAP, FIELDS, PLUGIN_FIELDS

CANARY = "canary-7c1d5e"
FOLDERS = (".", "a", "a/b", "base", "base/deep", "c", "folder")
TIMEOUT = 60


@dataclass
class Case:
    """One repository, with what lies around it."""

    rng: random.Random
    place: Path

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.place / "checkout"

    def make(self) -> None:
        """Write all of it."""
        for folder in (self.root, self.place / "remote"):
            self._write_repository(folder)
        outside = self.place / "outside"
        outside.mkdir()
        for name, text in {
            "token": CANARY,
            "canary.env": f"A={CANARY}\n",
            "it.yaml": CONFIG_MAP.replace("b}", f"{CANARY}}}"),
            "kustomization.yaml": f"configMapGenerator: [{{name: c, literals: [a={CANARY}]}}]\n",
            **{name: text.replace("more: ", f"more: {CANARY} #") for name, text in CHART.items()},
        }.items():
            _write(outside / name, text)

    def _write_repository(self, root: Path) -> None:
        rng = self.rng
        for folder in FOLDERS:
            here = root / folder
            for name in rng.sample(["it.yaml", "good.yaml", "good.env", "x.json", "token", "canary.env"], 4):
                _write(here / name, rng.choice(FILES))
            if rng.random() < 0.2:
                for name, text in CHART.items():
                    _write(here / name, text)
            for _ in range(rng.choice([0, 0, 1, 2])):
                link = here / rng.choice(
                    ["link", "linked", "good.yaml", "folder", "it.yaml", "charts", "kustomization.yaml"]
                )
                with suppress(OSError):  # something is there
                    link.symlink_to(self._target())
        for folder in FOLDERS:
            if folder == "." or rng.random() < 0.8:
                name = rng.choice(["kustomization.yaml"] * 6 + ["kustomization.yml", "Kustomization"])
                file = root / folder / name
                if not file.is_symlink():
                    _write(file, _as_yaml(rng, self._kustomization(root, folder)))

    def _target(self) -> str:
        return self.rng.choice(
            [
                "it.yaml",
                "../base",
                "..",
                ".",
                "../c/it.yaml",
                "b",
                "../../outside",
                "../../outside/token",
                "../../../outside/it.yaml",
                str(self.place / "outside"),
                str(self.root / "base"),
                "/proc/self/environ",
                "link",
                "linked/deep",
                "../../checkout/base",
            ]
        )

    def _reference(self) -> str:
        rng = self.rng
        text = rng.choice(
            [
                *["it.yaml", "good.yaml", "good.env", "x.json", "token"] * 3,
                *["a", "b", "deep", "../base", "../c", "base", "c", "../a/b", "a/b", "folder", "../folder"] * 3,
                *["link", "linked", "folder", "link/token", "linked/it.yaml", "linked/deep", "folder/../it.yaml"],
                *[
                    "../../outside",
                    "../outside",
                    "../outside/token",
                    "../../outside/canary.env",
                    "../../outside/it.yaml",
                ],
                *["kustomization.yaml", ".", "..", "", "nul\0", "a" * 300, "it.yaml/", "./it.yaml", "a//b"],
                *["/proc/self/environ", "/etc/passwd", str(self.place / "outside/token"), str(self.place / "outside")],
                *["https://example.com/it.yaml", "https://example.com/org/repo//a?ref=v1", "git@host:org/repo"],
                *["https://example.com/org/repo//base", "github.com/org/repo", "HTTP:x", "file:///tmp", "x@it.yaml"],
                *[f"https://example.com/org/repo//{rng.choice(FOLDERS)}?ref=v{rng.randrange(9)}"] * 3,
                *[
                    "..%2foutside",
                    "\u2024\u2024/outside",
                    "~/x",
                    "$HOME/x",
                    "*",
                    "it.yaml?ref=x",
                    "it.yaml\n",
                    " it.yaml",
                ],
            ]
        )
        return text.replace("/", "//") if rng.random() < 0.03 else text

    def _kustomization(self, root: Path, folder: str) -> Any:
        rng = self.rng
        data: dict[str, Any] = {}
        if rng.random() < 0.8:
            data["resources"] = [f"of-{folder.replace('/', '-')}.yaml"]
            own = CONFIG_MAP.replace("name: it", f"name: of-{folder.replace('/', '-').replace('.', 'root')}")
            _write(root / folder / data["resources"][0], own)
            if rng.random() < 0.15:
                data["resources"].append(f"https://example.com/org/repo//{rng.choice(FOLDERS)}?ref=v{rng.randrange(3)}")
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            made = self._field(root / folder)
            for key, value in made.items():
                if key in data and isinstance(value, list) and isinstance(data[key], list):
                    data[key] = data[key] + value
                else:
                    data[key] = value
        if rng.random() < 0.2:
            data["namePrefix"] = f"p{rng.randrange(9)}-"
        if folder in ("c", "a/b") and rng.random() < 0.6:
            data |= {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        if rng.random() < 0.1:
            data["helmGlobals"] = rng.choice(
                [{"chartHome": self._reference()}, {"configHome": self._reference()}, {"chartHome": "../charts"}]
            )
        if rng.random() < 0.1:
            data["buildMetadata"] = rng.choice([["originAnnotations"], ["transformerAnnotations"], [], "x"])
        return data

    def _field(self, here: Path) -> dict[str, Any]:
        rng = self.rng
        if rng.random() < 0.25:
            plugin = rng.choice(PLUGIN_FIELDS)
            self._lay(here, plugin.files, plugin.ref, plugin.good)
            text = plugin.plugin(plugin.ref if rng.random() < 0.8 else _plain(self._reference()))
            text = text.replace("name: plugin", f"name: plugin-{rng.randrange(10**6)}")
            name = "generators" if plugin.generates else rng.choice(["transformers", "validators"])
            if rng.random() < 0.1:
                text = text.replace("builtin", rng.choice(["example.com/v1", "v1", "/builtin", "builtin/v1"]))
            if rng.random() < 0.5:
                return {name: [text]}
            file = f"plugin-{rng.randrange(10**6)}.yaml"
            _write(here / file, text)
            return {name: [file if rng.random() < 0.8 else self._reference()]}
        if rng.random() < 0.05:
            chart = {"name": rng.choice(["it", "../it", ".", "-x", self._reference()]), "releaseName": "r"}
            chart |= rng.choice([{}, {"repo": "https://example.com/charts", "version": "1.0.0"}, {"version": "../.."}])
            return {"helmCharts": [chart]}
        chosen = rng.choice(FIELDS)
        loaded = load_text(
            chosen.text.replace("it.yaml, ", "").replace("name: made", f"name: m{rng.randrange(10**6)}"), file=""
        )
        if rng.random() < 0.2 or chosen.ref == "folder":
            remote = f"https://example.com/org/repo//{rng.choice(FOLDERS)}"
            reference = (lambda: remote) if rng.random() < 0.1 else self._reference
            return dict(_filled(loaded.documents[0].data, reference))
        self._lay(here, chosen.files, chosen.ref, chosen.good)
        return dict(_filled(loaded.documents[0].data, lambda: chosen.ref))

    def _lay(self, here: Path, files: Mapping[str, str], ref: str, good: str) -> None:
        for name, text in {**files, ref: good}.items():
            _write(here / name, text)

    def base(self, url: str) -> Fetched:
        """The other repository, by nearly any URL, and by each always the same."""
        rng = random.Random(url)
        if rng.random() < 0.1:
            raise RenderError(f"{url} is not listed", hint="list it")
        root = self.place / "remote"
        folder = (root / rng.choice(FOLDERS)).resolve()
        if not folder.is_relative_to(root) or not folder.is_dir():
            raise RenderError(f"{url} has no such folder", hint="check it")
        return Fetched(url, "v1", "0123abcd", root, folder)

    def chart(self, repository: str, name: str, version: str) -> Fetched:
        """A chart of the other repository, if it has one."""
        folder = (self.place / "remote/charts/it").resolve()
        if not folder.is_dir() or not folder.is_relative_to(self.place / "remote"):
            raise RenderError(f"{name} {version} of {repository} is not listed", hint="list it")
        return Fetched(repository, "1.0.0", "sha256:0123", folder, folder)


FILES = (
    CONFIG_MAP,
    CONFIG_MAP.replace("it", "other"),
    "A=b\n",
    "- op: add\n  path: /data/x\n  value: y\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: it}\ndata: {x: y}\n",
    '{"definitions": {}}',
    "{apiVersion: builtin, kind: PrefixTransformer, metadata: {name: p}, prefix: q-, fieldSpecs: [{path: data/a}]}",
    "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: g}\nfiles: [token, ../../outside/token]\n",
    "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: g}\nfiles: [it.yaml]\n",
    "{apiVersion: builtin, kind: HelmChartInflationGenerator, metadata: {name: h}, name: it, chartHome: ../../outside}",
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: in-list}}\n",
    "",
    "][",
)


def _filled(data: Any, reference: Callable[[], str]) -> Any:
    if isinstance(data, dict):
        return {key: _filled(value, reference) for key, value in data.items()}
    if isinstance(data, list):
        return [_filled(item, reference) for item in data]
    return data.replace("REF", reference()) if isinstance(data, str) else data


def _plain(text: str) -> str:
    return json.dumps(text) if text.isprintable() else "it.yaml"


def _as_yaml(rng: random.Random, data: dict[str, Any]) -> str:
    """The same in one of YAML's many forms, or something near it."""
    form = rng.randrange(14) if data else 0
    text = json.dumps(data, ensure_ascii=False, indent=1)
    if form == 0:
        return text
    parts = []
    for key, value in data.items():
        name = key
        if rng.random() < 0.05:
            name = rng.choice([key.upper(), key.title(), key.replace("s", "\u017f"), key.replace("k", "\u212a")])
        shown = json.dumps(value, ensure_ascii=False)
        parts.append(f"{json.dumps(name, ensure_ascii=False)}: {shown}" if rng.random() < 0.2 else f"{name}: {shown}")
    if form == 1 and parts:
        return f"x: &x {{{parts[0]}}}\n<<: *x\n" + "\n".join(parts[1:]) + "\n"
    if form == 2 and parts:
        return "\n".join(parts) + f"\n<<: {{{rng.choice(parts)}}}\n"
    if form == 3:
        return "\n".join([*parts, rng.choice(parts)]) + "\n"
    if form == 4:
        return rng.choice(["\ufeff", "%YAML 1.1\n---\n", "---\n", "# x\n---\n", "--- "]) + "\n".join(parts) + "\n"
    if form == 5:
        return "\n".join(parts) + "\n---\n" + rng.choice(parts) + "\n"
    if form == 6:
        return "\r\n".join(parts) + "\r\n"
    if form == 7:
        return "<<: [" + ", ".join(f"{{{part}}}" for part in parts) + "]\n"
    return "\n".join(parts) + "\n"


def _write(file: Path, text: str) -> None:
    with suppress(OSError):  # a link stands in the way
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.parent.resolve() == file.parent and not file.is_symlink():
            file.write_text(text, encoding="utf-8")


def kustomize(folder: Path, home: Path, *, helm: bool) -> tuple[int, str]:
    """Exit code, and all that the real kustomize prints: no walls, no network that answers, no git."""
    options = ["--enable-helm", "--helm-command", shutil.which("helm") or "helm"] if helm else []
    options += ["--helm-kube-version", "v1.36.3"] if helm else []
    kustomize = shutil.which("kustomize") or "kustomize"
    nowhere = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(home)}
    done = subprocess.run(
        [kustomize, "build", *options, str(folder)], capture_output=True, timeout=TIMEOUT, env=nowhere, check=False
    )
    return done.returncode, done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace") * (
        done.returncode != 0
    )


def attempt(seed: int, place: Path) -> str:
    """What became of one case, in a word or two. Raises AssertionError for a finding."""
    rng = random.Random(seed)
    case = Case(rng, place)
    case.make()
    (place / "home").mkdir()
    helm = rng.random() < 0.08
    folder = case.root / rng.choice([".", ".", "a", "base"])
    if not folder.is_dir() or not folder.resolve().is_relative_to(case.root):
        return "no unit"
    request = RenderRequest(
        case.root.resolve(),
        folder.resolve(),
        "demo",
        "shop",
        kustomize=KustomizeOptions(enable_helm=helm),
        fetcher=case,
    )
    refused = None
    try:
        inputs = build.inputs(request)
    except TrimtabError as e:
        refused = e
    if refused is not None:
        assert CANARY not in str(refused), "the canary is in a message"
        shutil.rmtree(place / "home")
        (place / "home").mkdir()
        code, output = kustomize(folder, place / "home", helm=helm)
        if code == 0 and CANARY not in output:
            return f"stricter: {_class(refused)}"
        return "refused"
    private = place / "private"
    private.mkdir()
    laid = lay_out(inputs, request, private)
    code, output = kustomize(laid.folder, place / "home", helm=helm)
    assert CANARY not in output, "the canary came out"
    with_fetched = bool(inputs.fetched)
    if not with_fetched:
        whole_code, whole = kustomize(folder, place / "home", helm=helm)
        assert code == whole_code, f"exit codes differ: {code} here, {whole_code} on the repository\n{output}\n{whole}"
        assert code or output == whole, f"the outputs differ\n{output}\n{whole}"
    if rng.random() < 0.3:
        _compare(request, code, output)
    return f"built ({'ok' if code == 0 else 'error'}{', fetched' if with_fetched else ''}{', helm' if helm else ''})"


def _compare(request: RenderRequest, code: int, output: str) -> None:
    """Our own render against what kustomize printed for the same private copy."""
    failed = None
    try:
        rendered = render_unit(build, request)
    except TrimtabError as e:
        failed = e
    if failed is not None:
        assert CANARY not in str(failed), "the canary is in a message"
        return
    assert code == 0, "rendered what kustomize refuses"
    ours = [manifest.data for manifest in rendered.manifests]
    theirs = [item for document in load_text(output, file="").documents for item in _items(document.data)]
    assert ours == theirs, f"the objects differ\n{ours}\n{theirs}"


def _items(data: Any) -> list[Any]:
    return list(data["items"]) if str(data.get("kind")).endswith("List") and "items" in data else [data]


def _class(error: TrimtabError) -> str:
    for text in ("does not exist", "leads out", "absolute", "remote", "one field", "is a plug-in", "no kustomization"):
        if text in error.message:
            return text
    return f"{type(error).__name__} {error.message[:120]}"


@contextmanager
def _kept(seed: int, keep: Path) -> Iterator[Path]:
    """A folder for one case, kept where it ends with an error."""
    place = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)).resolve()
    try:
        yield place
    except BaseException:
        keep.mkdir(parents=True, exist_ok=True)
        shutil.copytree(place, keep / str(seed), symlinks=True, dirs_exist_ok=True)
        raise
    finally:
        shutil.rmtree(place, ignore_errors=True)


def main() -> int:
    """Run until the time is over; the exit code says whether there were findings."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--minutes", type=float, default=1)
    arguments.add_argument("--seed", type=int, default=None, help="try this one alone")
    arguments.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "fuzz-references")
    options = arguments.parse_args()
    seeds = [options.seed] if options.seed is not None else iter(lambda: random.randrange(10**12), -1)
    end = time.monotonic() + options.minutes * 60
    counts, findings = Counter[str](), 0
    for seed in seeds:
        try:
            with _kept(seed, options.keep) as place:
                word = attempt(seed, place)
        except (Exception, subprocess.TimeoutExpired) as e:  # noqa: BLE001 - any is a finding
            findings += 1
            word = f"FOUND {type(e).__name__}"
            print(f"seed {seed}: {''.join(traceback.format_exception(e))}", flush=True)
        if word.startswith("stricter") and not counts[word]:
            print(f"seed {seed}: {word}", flush=True)
        counts[word] += 1
        if sum(counts.values()) % 500 == 0:
            print(dict(counts), flush=True)
        if time.monotonic() > end:
            break
    print(f"{sum(counts.values())} cases, {findings} findings: {dict(counts)}")
    return 1 if findings else 0


if __name__ == "__main__":
    os.environ["PATH"] = f"{find_tools()}:{os.environ['PATH']}"
    sys.exit(main())
