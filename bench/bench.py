"""Figures, side by side with what a user would use instead, on one control plane in one run. Not a test.

    make bench                                    all workloads
    make bench ARGS='--only w1 --tools trimtab'   some of them

kapp and Flux join where TRIMTAB_BENCH_KAPP (a binary) or TRIMTAB_BENCH_FLUX (a command that syncs the folder given as
its last argument) name them. Wall seconds are indicative on a shared machine; requests, CPU seconds and peak memory
are what to compare. CPU is the tool's own (with its children); requests are all that the API server saw from it.
"""

import argparse
import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
import reading
import render
from apiproxy import ApiProxy
from controller import controller

TRIMTAB = Path(sys.executable).with_name("trimtab")


@dataclass
class Figures:
    """One command, or several in a row: wall and CPU seconds, peak memory in MiB, requests by verb."""

    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    requests: Counter[str] = field(default_factory=Counter)
    ok: bool = True


def config_maps(count: int, *, value: str = "0", first: int = 0) -> list[dict[str, Any]]:
    """ConfigMaps of about 1 KB; `value` is in the first one only."""
    return [
        {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number:05d}"},
            "data": {"pad": "x" * 1000, "value": value if number == first else "0"},
        }
        for number in range(first, count)
    ]  # fmt: skip


def small_app(number: int, *, value: str = "0") -> list[dict[str, Any]]:
    """A Deployment of 0 replicas with its ServiceAccount, Service and Ingress."""
    name = f"app{number:03d}"
    labels = {"app": name}
    meta = {"name": name, "labels": labels}
    container = {"name": "web", "image": "nginx:1.27", "env": [{"name": "V", "value": value}]}
    pod = {"serviceAccountName": name, "containers": [container]}
    backend = {"service": {"name": name, "port": {"number": 80}}}
    rule = {"host": f"{name}.example.com", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta,
         "spec": {"selector": labels, "ports": [{"port": 80}]}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta,
         "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": {"rules": [rule]}},
    ]  # fmt: skip


def write(folder: Path, objects: Iterable[dict[str, Any]]) -> Path:
    """One file, as a chart's output or a generated folder would be; also as a Helm chart beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "plain").mkdir(parents=True)
    text = "\n---\n".join(json.dumps(item) for item in objects)
    (folder / "plain" / "all.yaml").write_text(text)
    (folder / "chart" / "templates").mkdir(parents=True)
    (folder / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: bench\nversion: 0.1.0\n")
    (folder / "chart" / "templates" / "all.yaml").write_text(text)
    return folder


class Bench:
    """Runs commands against the control plane, directly or through a counting proxy."""

    def __init__(self, proxy: ApiProxy, kubeconfig: Path) -> None:
        self._proxy = proxy
        self._kubeconfig = kubeconfig

    def measure(self, commands: list[list[str]], *, counted: bool) -> Figures:
        """Run the commands in a row. `counted`: through the proxy, which takes its own share of this machine."""
        figures = Figures()
        self._proxy.requests.clear()
        environment = {**os.environ, **({"KUBECONFIG": str(self._kubeconfig)} if counted else {})}
        start = time.monotonic()
        for command in commands:
            with tempfile.TemporaryFile() as said:
                process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                if process.returncode != 0:
                    figures.ok = False
                    said.seek(0)
                    print(
                        f"  exit {process.returncode}: {' '.join(command)}\n  {said.read()[-500:]!r}", file=sys.stderr
                    )
            figures.cpu += usage.ru_utime + usage.ru_stime
            figures.peak = max(figures.peak, usage.ru_maxrss / 1024)
        figures.wall = time.monotonic() - start
        figures.requests = Counter(verb(method, path) for method, path in self._proxy.requests)
        return figures


def verb(method: str, path: str) -> str:
    """The API server's word for a request, near enough for a table."""
    if method == "PATCH" and "fieldManager=" in path:
        return "APPLY/PATCH"
    if method == "GET" and (path in ("/api", "/apis") or "/openapi" in path or path.startswith(("/version", "/api?"))):
        return "discovery"
    if method == "GET" and "watch=" in path:
        return "WATCH"
    if method == "GET" and ("limit=" in path or "labelSelector=" in path):
        return "LIST"
    return method


@dataclass(frozen=True)
class Tool:
    """How one tool applies a folder as one unit. `deletes` is how it deletes what left, where apply does not prune."""

    name: str
    command: Callable[[Path, str, str], list[str]]
    deletes: Callable[[Path, str], list[str]] | None = None


def tools() -> list[Tool]:
    """Trimtab, kubectl and helm always; the others where they are named."""

    def trimtab(folder: Path, unit: str, namespace: str) -> list[str]:
        home = ["--inventory-namespace", namespace]
        return [str(TRIMTAB), "apply", str(folder / "plain"), "--name", unit, "-n", namespace, "--yes", *home]

    def kubectl(folder: Path, _unit: str, namespace: str) -> list[str]:
        plain = str(folder / "plain")
        return ["kubectl", "apply", "--server-side", "--force-conflicts", "-n", namespace, "-f", plain]

    def kubectl_delete(folder: Path, namespace: str) -> list[str]:
        return ["kubectl", "delete", "--wait=false", "-n", namespace, "-f", str(folder / "plain")]

    def helm(folder: Path, unit: str, namespace: str) -> list[str]:
        return ["helm", "upgrade", "--install", unit, str(folder / "chart"), "-n", namespace]

    found = [Tool("trimtab", trimtab), Tool("kubectl --server-side", kubectl, kubectl_delete), Tool("helm", helm)]
    if kapp := os.environ.get("TRIMTAB_BENCH_KAPP"):
        found.append(
            Tool("kapp", lambda folder, unit, namespace: [
                kapp, "deploy", "-y", "--wait=false", "-a", unit, "-n", namespace, "-f", str(folder / "plain"),
            ])
        )  # fmt: skip
    if flux := os.environ.get("TRIMTAB_BENCH_FLUX"):
        found.append(
            Tool("flux", lambda folder, unit, namespace: [*flux.split(), unit, namespace, str(folder / "plain")])
        )
    return found


Unit = tuple[str, list[dict[str, Any]]]


def w1(value: str, *, half: bool) -> list[Unit]:
    """500 ConfigMaps of 1 KB as one unit."""
    objects = config_maps(500, value=value)
    return [("w1", objects[:250] if half else objects)]


def w2(value: str, *, half: bool) -> list[Unit]:
    """100 small Apps, each a unit of its own; half pruned: each loses its Ingress and its Service."""
    units = []
    for number in range(100):
        objects = small_app(number, value=value if number == 0 else "0")
        units.append((f"app{number:03d}", [objects[0], objects[2]] if half else objects))
    return units


def mixed(value: str, *, half: bool) -> list[Unit]:
    """2,000 objects of many kinds as one unit: 250 times eight, of which half pruned leaves four."""
    objects = []
    for number in range(250):
        one = small_app(number, value=value if number == 0 else "0")
        name = one[0]["metadata"]["name"]
        subject = {"kind": "ServiceAccount", "name": name}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
        rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [name], "verbs": ["get"]}
        more = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-more"}, "data": {"a": "1"}},
            {**rbac, "kind": "Role", "rules": [rule]},
            {**rbac, "kind": "RoleBinding", "subjects": [subject], "roleRef": role},
        ]
        objects += one if half else one + more
    return [("mixed", objects)]


PHASES = (("first apply", "0", False), ("no-op", "0", False), ("one change", "1", False), ("half pruned", "1", True))


def compare(bench: Bench, workload: str, make: Callable[..., list[Unit]], chosen: list[Tool], folder: Path) -> None:
    """All tools through all phases, in turn, each in a namespace of its own; prints a row as soon as it is there."""
    once = workload in ("w2", "mixed")
    print(f"\n## {make.__doc__}\n")
    print("| tool | phase | wall s | CPU s | peak MiB | requests | of them |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    # The runs that are timed and those that are counted go to different namespaces; the large ones are both at once.
    kinds = (True,) if once else (False, True)
    for phase, value, half in PHASES:
        for tool in chosen:
            if half and tool.deletes is not None and workload != "mixed":
                continue
            commands: dict[bool, list[list[str]]] = {}
            for counted in kinds:
                namespace = f"bench-{workload}-{tool.name.split()[0]}-{'counted' if counted else 'timed'}"
                if phase == "first apply":
                    subprocess.run(["kubectl", "create", "namespace", namespace], check=True, capture_output=True)
                commands[counted] = _commands(tool, folder, namespace, make, (value, half))
            requests = bench.measure(commands[True], counted=True)
            figures = requests if once else bench.measure(commands[False], counted=False)
            total = sum(requests.requests.values())
            verbs = ", ".join(f"{count} {name}" for name, count in requests.requests.most_common())
            failed = "" if figures.ok and requests.ok else " (FAILED)"
            print(
                f"| {tool.name}{failed} | {phase} | {figures.wall:.2f} | {figures.cpu:.2f} | {figures.peak:.0f} "
                f"| {total} | {verbs} |",
                flush=True,
            )


def _commands(
    tool: Tool, folder: Path, namespace: str, make: Callable[..., list[Unit]], phase: tuple[str, bool]
) -> list[list[str]]:
    value, half = phase
    commands = []
    for (unit, objects), (_, whole) in zip(make(value, half=half), make(value, half=False), strict=True):
        if half and tool.deletes is not None:
            left = [item for item in whole if item not in objects]
            commands.append(tool.deletes(write(folder / unit, left), namespace))
        else:
            commands.append(tool.command(write(folder / unit, objects), unit, namespace))
    return commands


def startup(runs: int = 5) -> None:
    """What a fresh process costs before it does anything: to be taken off, where the cost of an object is meant."""
    walls, cpus = [], []
    for _ in range(runs):
        start = time.monotonic()
        process = subprocess.Popen([str(TRIMTAB), "status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        usage = os.wait4(process.pid, 0)[2]
        walls.append(time.monotonic() - start)
        cpus.append(usage.ru_utime + usage.ru_stime)
    print(f"start-up (trimtab status): wall {statistics.median(walls):.2f} s, CPU {statistics.median(cpus):.2f} s")


def main() -> int:
    """Run the chosen workloads with the chosen tools."""
    parser = argparse.ArgumentParser(description="Figures of Trimtab beside other tools.")
    parser.add_argument("--only", choices=("w1", "w2", "mixed", "controller", "render", "yaml"), help="one workload")
    parser.add_argument("--tools", help="names, with commas between")
    options = parser.parse_args()
    if options.only in (None, "yaml"):
        reading.reading()
    if options.only in (None, "render"):
        render.main()
    if options.only in ("yaml", "render"):
        return 0
    config = json.loads(
        subprocess.run(
            ["kubectl", "config", "view", "--raw", "-o", "json"], check=True, capture_output=True, text=True
        ).stdout
    )
    wanted = options.tools.split(",") if options.tools else []
    chosen = [tool for tool in tools() if not wanted or tool.name.split()[0] in wanted]
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as temporary:
        folder = Path(temporary)
        ca = folder / "ca.crt"
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        if "certificate-authority" in cluster:
            ca = Path(cluster["certificate-authority"])
        else:
            ca.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        with ApiProxy(cluster["server"], ca, token=user["token"]) as proxy:
            bench = Bench(proxy, proxy.kubeconfig(folder / "kubeconfig", user["token"]))
            startup()
            for name, make in (("w1", w1), ("w2", w2), ("mixed", mixed)):
                if options.only in (None, name):
                    compare(bench, name, make, chosen, folder)
            if options.only in (None, "controller"):
                controller(proxy, folder / "kubeconfig", TRIMTAB, small_app, verb)
    return 0


if __name__ == "__main__":
    sys.exit(main())
