"""The controller with 100 small Apps of one repository: the first sync, a commit for nothing, one change."""

import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apiproxy import ApiProxy

COUNT = 100
PATIENCE = 600.0
NAMESPACE = "bench-controller"
TARGET = "bench-controller-target"


def controller(
    proxy: ApiProxy, kubeconfig: Path, trimtab: Path, app: Callable[..., list[dict[str, Any]]], verb: Callable[..., str]
) -> None:
    """Print a row a phase. `app` makes the objects of one small App, `verb` names a request."""
    print(f"\n## {COUNT} small Apps of one repository, one controller\n")
    print(
        "| phase | wall s | CPU s | peak MiB | requests | of them |\n| --- | --- | --- | --- | --- | --- |", flush=True
    )
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as temporary:
        repository = _Repository(Path(temporary))
        for number in range(COUNT):
            repository.write(f"app{number:03d}", app(number))
        repository.push()
        _kubectl("apply", "-f", "-", text=subprocess.check_output([trimtab, "install", "--crd-only"], text=True))
        for name in (NAMESPACE, TARGET):
            _kubectl("create", "namespace", name)
        with _running(trimtab, kubeconfig, Path(temporary)) as process:
            measure = _Measure(proxy, process.pid, verb)
            resources = [_app(f"app{number:03d}", repository.url) for number in range(COUNT)]
            _kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": resources}))
            _until(lambda: _ready() == COUNT)
            measure.row("first sync of all")
            syncs = _syncs(Path(temporary))
            repository.push()
            _ask()
            _until(lambda: _syncs(Path(temporary)) >= syncs + COUNT)
            measure.row("a commit that changes nothing")
            repository.write("app000", app(0, value="1"))
            repository.push()
            measure.again()
            _ask()
            _until(lambda: _value() == "1")
            measure.wall()
            time.sleep(3)
            measure.row("one App changed")


class _Repository:
    def __init__(self, folder: Path) -> None:
        self._bare, self._work = folder / "origin.git", folder / "work"
        self._git("init", "-q", "--bare", "-b", "main", str(self._bare), at=folder)
        self._git("clone", "-q", str(self._bare), str(self._work), at=folder)
        self.url = self._bare.as_uri()

    def write(self, name: str, objects: list[dict[str, Any]]) -> None:
        (self._work / name).mkdir(exist_ok=True)
        (self._work / name / "all.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def push(self) -> None:
        self._git("add", "-A")
        author = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
        self._git(*author, "commit", "-q", "--allow-empty", "-m", "change")
        self._git("push", "-q", "origin", "HEAD:main")

    def _git(self, *arguments: str, at: Path | None = None) -> None:
        subprocess.run(["git", *arguments], cwd=at or self._work, check=True, capture_output=True)


class _Measure:
    """What the process and the proxy have counted since the last row."""

    def __init__(self, proxy: ApiProxy, pid: int, verb: Callable[..., str]) -> None:
        self._proxy, self._pid, self._verb = proxy, pid, verb
        self._wall = 0.0
        self.again()

    def again(self) -> None:
        self._requests, self._cpu, self._start, self._wall = (
            len(self._proxy.requests),
            self._used(),
            time.monotonic(),
            0,
        )

    def wall(self) -> None:
        """The phase has reached its end; what else it costs is still counted."""
        self._wall = time.monotonic() - self._start

    def row(self, name: str) -> None:
        wall, cpu = self._wall or time.monotonic() - self._start, self._used() - self._cpu
        made = self._proxy.requests[self._requests :]
        verbs = Counter(self._verb(*request) for request in made if "/leases/" not in request[1])
        told = ", ".join(f"{count} {verb}" for verb, count in verbs.most_common())
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {self._peak():.0f} | {sum(verbs.values())} | {told} |", flush=True)
        self.again()

    def _used(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        # utime, stime, and the same of ended children (proc(5)).
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def _peak(self) -> float:
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@contextmanager
def _running(trimtab: Path, kubeconfig: Path, folder: Path) -> Any:
    command = [
        str(trimtab), "run", "--namespace", NAMESPACE, "--cache-dir", str(folder / "cache"), "--allow-file-urls",
        "--listen", "127.0.0.1:0", "--log-format", "json",
    ]  # fmt: skip
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with (folder / "run.log").open("w") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            _until(lambda: '"leading"' in (folder / "run.log").read_text())
            yield process
        finally:
            process.terminate()


def _app(name: str, url: str) -> dict[str, Any]:
    return {
        "apiVersion": "trimtab.dev/v1alpha1", "kind": "App", "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"source": {"git": {"url": url, "path": name}}, "interval": "1h", "target": {"namespace": TARGET}},
    }  # fmt: skip


def _kubectl(*arguments: str, text: str = "") -> str:
    return subprocess.run(["kubectl", *arguments], input=text, text=True, check=True, capture_output=True).stdout


def _ready() -> int:
    path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
    return _kubectl("get", "apps", "-n", NAMESPACE, "-o", path).split().count("True")


def _ask() -> None:
    """Let the repository be asked now, as a webhook would."""
    request = f"trimtab.dev/sync-requested={time.time()}"
    _kubectl("annotate", "--overwrite", "app", "app000", "-n", NAMESPACE, request)


def _value() -> str:
    path = "jsonpath={.spec.template.spec.containers[0].env[0].value}"
    return _kubectl("get", "deployment", "app000", "-n", TARGET, "-o", path)


def _syncs(folder: Path) -> float:
    lines = [json.loads(line) for line in (folder / "run.log").read_text().splitlines()]
    address = next(line["address"] for line in lines if line["event"] == "listening")
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    return sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("trimtab_syncs_total{"))


def _until(right: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not right():
        if time.monotonic() > deadline:
            raise TimeoutError("the phase did not end")
        time.sleep(0.1)
