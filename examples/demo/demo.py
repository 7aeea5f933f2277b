"""The main job, shown and checked: three repositories, a push to each, and the cluster follows by itself.

Run by `make demo`, inside a control plane (deploy/local); it needs KUBECONFIG and the tools on PATH. Each step says
what it did; if something does not happen, it says what was expected and what was seen, and exits with 1.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent
TRIMTAB = Path(sys.executable).with_name("trimtab")
OLD, NEW = "1.13.12", "1.14.2"
PATIENCE = 60.0
STEPS = 7


class UnexpectedError(Exception):
    """Something that should have happened did not; the message has what was expected and what was seen."""


@dataclass(frozen=True)
class Example:
    """One of the three: its folder under examples/, what is synced of it, and its Deployment."""

    name: str
    folder: str
    path: str
    tag_file: str
    deployment: str

    @property
    def namespace(self) -> str:
        return f"demo-{self.name}"


EXAMPLE_APPS = (
    Example("plain", "plain", ".", "deployment.yaml", "nginx"),
    Example("kustomize", "kustomize", "overlays/prod", "overlays/prod/kustomization.yaml", "nginx"),
    Example("helm", "helm", ".", "values.yaml", "helm"),
)


class Demo:
    """The steps, with everything that they start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started = time.monotonic()
        self.runs: dict[str, subprocess.Popen[bytes]] = {}

    def play(self) -> None:
        """All steps, in order. Raises UnexpectedError."""
        self.say(1, f"tools: {self.versions()}")
        self.say(2, f"a control plane at {self.server()}, nodes {', '.join(self.ready_nodes())} ready")
        for example in EXAMPLE_APPS:
            self.make_repository(example)
        self.say(3, f"three git repositories in {self.folder / 'git'}: {', '.join(e.folder for e in EXAMPLE_APPS)}")
        for example in EXAMPLE_APPS:
            self.start_run(example)
        for example in EXAMPLE_APPS:
            self.await_pods(example, OLD)
        self.say(4, f"three `trimtab run`, and three times 3 Pods of nginx:{OLD} run")
        for example in EXAMPLE_APPS:
            self.commit(example, f"nginx {NEW}", lambda e=example: self.replace_tag(e))
        for example in EXAMPLE_APPS:
            self.await_pods(example, NEW)
            self.await_commit(example)
        self.say(5, f"pushed nginx {NEW}: all Pods follow, and each App is at the commit that was pushed")
        print(self.trimtab("status"), end="")
        plain, kustomize = EXAMPLE_APPS[0], EXAMPLE_APPS[1]
        self.commit(plain, "no Service", (self.work(plain) / "service.yaml").unlink)
        self.until(
            "the Service is gone from the cluster",
            lambda: self.exists(plain, "service", "nginx"),
            lambda seen: not seen,
        )
        self.kubectl("scale", f"deployment/{kustomize.deployment}", "--replicas=1", "-n", kustomize.namespace)
        self.until("3 replicas are put back", lambda: self.replicas(kustomize), lambda seen: seen == 3)
        self.await_pods(kustomize, NEW)
        self.say(6, "took the Service out of git: pruned; scaled a Deployment by hand: put back")

    def close(self) -> None:
        """End every `trimtab run` as a supervisor would. Raises UnexpectedError when one does not end cleanly."""
        for run in self.runs.values():
            run.send_signal(signal.SIGTERM)
        for name, run in self.runs.items():
            try:
                code = run.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                run.kill()
                raise UnexpectedError(f"expected `trimtab run` of {name} to end on SIGTERM; it did not") from None
            if code != 0:
                raise UnexpectedError(f"expected `trimtab run` of {name} to exit with 0; saw {code}\n{self.log(name)}")

    def say(self, step: int, text: str) -> None:
        print(f"[{step}/{STEPS}] {time.monotonic() - self.started:5.1f} s  {text}", flush=True)

    def versions(self) -> str:
        lines = self.trimtab("version").splitlines()
        return ", ".join(" ".join(line.replace(":", " ").split()) for line in lines)

    def server(self) -> str:
        return self.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")

    def ready_nodes(self) -> list[str]:
        nodes = json.loads(self.kubectl("get", "nodes", "-o", "json"))["items"]
        names = [
            node["metadata"]["name"]
            for node in nodes
            if any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", []))
        ]
        if not names:
            raise UnexpectedError(f"expected nodes that are ready; saw {len(nodes)} nodes, none of them ready")
        return names

    def work(self, example: Example) -> Path:
        return self.folder / "work" / example.name

    def make_repository(self, example: Example) -> None:
        bare = self.folder / "git" / f"{example.name}.git"
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        shutil.copytree(EXAMPLES / example.folder, self.work(example))
        self.git("init", "--quiet", "--initial-branch=main", at=example)
        self.git("remote", "add", "origin", bare.as_uri(), at=example)
        self.commit(example, f"nginx {OLD}", lambda: None)

    def commit(self, example: Example, message: str, change: Callable[[], object]) -> None:
        change()
        self.git("add", "--all", at=example)
        self.git("commit", "--quiet", "-m", message, at=example)
        self.git("push", "--quiet", "origin", "main", at=example)

    def replace_tag(self, example: Example) -> None:
        file = self.work(example) / example.tag_file
        text = file.read_text()
        if OLD not in text:
            raise UnexpectedError(f"expected {OLD} in {file}")
        file.write_text(text.replace(OLD, NEW))

    def start_run(self, example: Example) -> None:
        url = (self.folder / "git" / f"{example.name}.git").as_uri()
        with (self.folder / f"{example.name}.log").open("wb") as log:
            self.runs[example.name] = subprocess.Popen(
                [
                    TRIMTAB, "run", "--name", example.name, "--git-url", url, "--git-path", example.path,
                    "--target-namespace", example.namespace, "--create-namespace", "--git-poll-interval", "500ms",
                    "--cache-dir", str(self.folder / "mirrors"),
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def await_pods(self, example: Example, tag: str) -> None:
        def images() -> list[str]:
            pods = json.loads(self.kubectl("get", "pods", "-n", example.namespace, "-o", "json"))["items"]
            return sorted(
                status["image"]
                for pod in pods
                if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
                for status in pod["status"].get("containerStatuses", [])
            )

        self.until(
            f"3 running Pods of nginx:{tag} in {example.namespace}", images, lambda seen: seen == [f"nginx:{tag}"] * 3
        )

    def await_commit(self, example: Example) -> None:
        head = self.git("rev-parse", "HEAD", at=example).strip()

        def state() -> dict[str, Any]:
            data = json.loads(self.trimtab("status", example.name, "-o", "json"))
            return {key: data[key] for key in ("commit", "state", "message")}

        self.until(
            f"App {example.name} Ready at {head}",
            state,
            lambda seen: (seen["commit"], seen["state"]) == (head, "Ready"),
        )

    def exists(self, example: Example, kind: str, name: str) -> bool:
        return bool(
            self.kubectl("get", kind, name, "-n", example.namespace, "--ignore-not-found", "-o", "name").strip()
        )

    def replicas(self, example: Example) -> int:
        path = "jsonpath={.spec.replicas}"
        return int(self.kubectl("get", "deployment", example.deployment, "-n", example.namespace, "-o", path))

    def until(self, expected: str, look: Callable[[], Any], right: Callable[[Any], bool]) -> None:
        """Look until it is right. Raises UnexpectedError after PATIENCE seconds, or when a `trimtab run` has ended."""
        deadline = time.monotonic() + PATIENCE
        while True:
            seen = look()
            if right(seen):
                return
            dead = [name for name, run in self.runs.items() if run.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = "\n".join(f"--- {name}\n{self.log(name)}" for name in dead or self.runs)
                raise UnexpectedError(f"expected: {expected}\nsaw: {seen}\n{logs}")
            time.sleep(0.1)

    def log(self, name: str) -> str:
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-20:])

    def git(self, *arguments: str, at: Example | None = None) -> str:
        identity = {"user.name": "Demo", "user.email": "demo@example.com", "commit.gpgsign": "false"}
        options = [part for key, value in identity.items() for part in ("-c", f"{key}={value}")]
        where = ["-C", str(self.work(at))] if at else []
        own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return self.call(["git", *options, *where, *arguments], own)

    def kubectl(self, *arguments: str) -> str:
        return self.call(["kubectl", *arguments])

    def trimtab(self, *arguments: str) -> str:
        return self.call([str(TRIMTAB), *arguments])

    @staticmethod
    def call(command: list[str], environment: dict[str, str] | None = None) -> str:
        whole = {**os.environ, **(environment or {})}
        done = subprocess.run(command, env=whole, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise UnexpectedError(
                f"expected `{' '.join(command)}` to work; saw exit code {done.returncode}\n{done.stderr}"
            )
        return done.stdout


def main() -> int:
    """Play the demo; 0 when all of it happened."""
    parser = argparse.ArgumentParser(description="Shows and checks the main job of Trimtab.")
    parser.add_argument("--keep", action="store_true", help="leave everything running")
    keep = parser.parse_args().keep
    if not os.environ.get("KUBECONFIG"):
        print("error: no control plane: use `make demo`", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="trimtab-demo-"))
    demo = Demo(folder)
    try:
        demo.play()
        if not keep:
            demo.close()
    except (UnexpectedError, KeyboardInterrupt) as error:
        for run in demo.runs.values():
            run.kill()
        print(f"FAILED\n{error}" if isinstance(error, UnexpectedError) else "interrupted", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        return 1 if isinstance(error, UnexpectedError) else 130
    if keep:
        pids = " ".join(str(run.pid) for run in demo.runs.values())
        demo.say(7, "everything keeps running; look around:")
        print(f"  export KUBECONFIG={os.environ['KUBECONFIG']}")
        print("  kubectl get pods -A; trimtab status; trimtab status helm")
        print(f"  change something in {folder / 'work'}, commit, git push origin main, and watch {folder}/*.log")
        print(f"  to stop: kill {pids}; make down; rm -r {folder}")
        return 0
    shutil.rmtree(folder)
    demo.say(7, "all of it happened, and all of it is stopped. `make demo KEEP=1` leaves it running to look around:")
    print("  kubectl get pods -A, trimtab status, trimtab status helm, a commit of your own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
