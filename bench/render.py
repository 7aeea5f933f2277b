"""How long rendering takes: beside plain `helm template`, a second time, and after a small change. Not a test.

    python bench/render.py            with helm and kustomize on PATH; `make bench ARGS='--only render'` has them there

CPU seconds (with children) are what to compare on a shared machine; wall seconds count on a quiet one.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from renderers.cache import RenderCache
from renderers.keys import Index
from renderers.options import RenderOptions
from renderers.tree import render_tree

CHARTS = 100
UNITS, FILES = 200, 5_000


@dataclass(frozen=True)
class Time:
    """Seconds."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall * 1000:9.1f} ms wall {self.cpu * 1000:9.1f} ms CPU"


def taken(act: Callable[[], object]) -> Time:
    """How long it takes."""
    before, start = os.times(), time.perf_counter()
    act()
    wall, after = time.perf_counter() - start, os.times()
    return Time(wall, sum(after[:4]) - sum(before[:4]))


def median(times: list[Time]) -> Time:
    """Each figure's median."""
    return Time(statistics.median(t.wall for t in times), statistics.median(t.cpu for t in times))


def chart(folder: Path, files: int = 6) -> None:
    """A small chart as `helm create` makes one, with that many files in all."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"apiVersion: v2\nname: {folder.name}\nversion: 0.1.0\n")
    (folder / "values.yaml").write_text("replicas: 1\nimage: {name: nginx, tag: '1.27'}\nport: 80\n")
    (folder / "templates/_helpers.tpl").write_text(_HELPERS)
    (folder / "templates/deployment.yaml").write_text(_DEPLOYMENT)
    (folder / "templates/service.yaml").write_text(_SERVICE)
    for number in range(files - 5):
        (folder / f"templates/config-{number}.yaml").write_text(_CONFIG.format(number=number))


def kustomization(folder: Path, files: int) -> None:
    """A kustomization of ConfigMaps, with that many files in all."""
    folder.mkdir(parents=True)
    names = [f"config-{number}.yaml" for number in range(files - 1)]
    for number, name in enumerate(names):
        text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {folder.name}-{number}}}\ndata: {{a: b}}\n"
        (folder / name).write_text(text)
    (folder / "kustomization.yaml").write_text("resources:\n" + "".join(f"- {name}\n" for name in names))


def index_of(root: Path) -> Index:
    """The files of a git checkout, as the controller asks for them."""
    said = subprocess.run(["git", "-C", str(root), "ls-tree", "-r", "-z", "HEAD"], check=True, capture_output=True)
    entries = (line.split("\t", 1) for line in said.stdout.decode().split("\0")[:-1])
    return Index({path: "{0} {2}".format(*about.split()) for about, path in entries})


def commit(root: Path) -> Index:
    """Commit everything."""
    who = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "change"]):
        subprocess.run(["git", "-C", str(root), *command], check=True, capture_output=True)
    return index_of(root)


def charts(folder: Path, runs: int) -> None:
    """The charts by helm alone, by us, and by us again."""
    for number in range(CHARTS):
        chart(folder / f"chart{number:03d}")
    index = commit(folder)
    places = sorted(path for path in folder.iterdir() if path.name.startswith("chart"))

    def helm() -> None:
        def one(place: Path) -> None:
            subprocess.run(["helm", "template", place.name, str(place)], check=True, capture_output=True)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, places))

    caches: list[RenderCache] = []

    def ours(options: RenderOptions, cache: RenderCache | None = None) -> int:
        return len(render_tree(folder, folder, options, cache).manifests)

    plain, first, again, by_content = [], [], [], []
    for _ in range(runs):
        plain.append(taken(helm))
        cache = RenderCache()
        first.append(taken(lambda: ours(RenderOptions(index=index), cache)))  # noqa: B023 - called at once
        again.append(taken(lambda: ours(RenderOptions(index=index), cache)))  # noqa: B023
        ours(RenderOptions(), cache)
        by_content.append(taken(lambda: ours(RenderOptions(), cache)))  # noqa: B023
        caches.append(cache)
    print(f"\n{CHARTS} small charts (medians of {runs})")
    print(f"  helm template, two at a time  {median(plain)}")
    print(f"  render_tree                   {median(first)}  {_ratio(first, plain)} of helm's")
    print(f"  again, with git's ids         {median(again)}  {_ratio(first, again)} faster")
    print(f"  again, by content             {median(by_content)}  {_ratio(first, by_content)} faster")
    print(f"  kept                          {caches[-1].size >> 10} KiB in {caches[-1].entries} entries")


def one_change(root: Path) -> None:
    """One file of a large repository changes."""
    for number in range(UNITS // 2):
        chart(root / f"charts/chart{number:03d}", FILES // UNITS)
        kustomization(root / f"apps/app{number:03d}", FILES // UNITS)
    cache = RenderCache()

    def render(index: Index) -> list[str]:
        rendered = render_tree(root, root, RenderOptions(index=index), cache)
        return [unit.folder for unit in rendered.units if not unit.cached]

    files = len(list(root.rglob("*.*")))
    index = commit(root)
    print(f"\n{UNITS} units, {files} files")
    print(f"  all of it                     {taken(lambda: render(index))}")
    print(f"  again, with the same ids      {taken(lambda: render(index_of(root)))}  with git ls-tree")
    for what, path in (
        ("a chart's template", "charts/chart042/templates/config-3.yaml"),
        ("a kustomization's resource", "apps/app042/config-3.yaml"),
        ("a kustomization", "apps/app042/kustomization.yaml"),
    ):
        with (root / path).open("a") as file:
            file.write("# changed\n")
        index = commit(root)
        new: list[str] = []
        print(f"  {what:28}  {taken(lambda: new.extend(render(index)))}  rendered: {', '.join(new)}")  # noqa: B023


def main(runs: int = 3) -> int:
    """Measure all."""
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as temporary:
        folder = Path(temporary).resolve()
        charts(folder / "charts", runs)
        one_change(folder / "large")
    return 0


def _ratio(these: list[Time], those: list[Time]) -> str:
    mine, other = median(these), median(those)
    return f"{mine.wall / other.wall:.2f} x wall, {mine.cpu / max(other.cpu, 0.001):.2f} x CPU,"


_HELPERS = """\
{{- define "labels" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
"""
_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels: {{- include "labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {{- include "labels" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "labels" . | nindent 8 }}
    spec:
      containers:
        - name: web
          image: "{{ .Values.image.name }}:{{ .Values.image.tag }}"
          ports: [{containerPort: {{ .Values.port }}}]
"""
_SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {{- include "labels" . | nindent 4 }}
  ports: [{port: {{ .Values.port }}}]
"""
_CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: "{{{{ .Release.Name }}}}-{number}"}}
data: {{port: "{{{{ .Values.port }}}}"}}
"""

if __name__ == "__main__":
    sys.exit(main())
