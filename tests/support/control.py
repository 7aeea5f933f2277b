"""A controller as a process, the repository that it follows, and the App resources that it serves."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import ControlPlane
from waiting import until


class Repository:
    """A bare repository and a working copy of it, on the branch main."""

    def __init__(self, folder: Path, name: str = "origin") -> None:
        self.bare, self.work = folder / f"{name}.git", folder / f"{name}-work"
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "--bare", "-b", "main", str(self.bare), at=folder)
        self.git("clone", "-q", str(self.bare), str(self.work), at=folder)
        self.git("checkout", "-q", "-b", "main")

    @property
    def url(self) -> str:
        return self.bare.as_uri()

    def commit(self, *manifests: dict[str, Any], drop: tuple[str, ...] = (), folder: str = ".", push: str = "") -> str:
        """Write and drop manifests (a file an object), push, and say the commit's id."""
        place = self.work / folder
        place.mkdir(parents=True, exist_ok=True)
        for manifest in manifests:
            (place / f"{manifest['metadata']['name']}.json").write_text(json.dumps(manifest))
        for name in drop:
            (place / f"{name}.json").unlink()
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        self.git("push", "-q", *([push] if push else []), "origin", "main")
        return self.git("rev-parse", "HEAD").strip()

    def reset_to_nothing(self) -> None:
        """The next push has no history in common with what was there."""
        self.git("checkout", "-q", "--orphan", "again")
        self.git("branch", "-q", "-D", "main")
        self.git("branch", "-m", "main")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=at or self.work, check=True, capture_output=True, text=True
        ).stdout


class Controller:
    """One `trimtab run`, and what it says."""

    def __init__(
        self, plane: ControlPlane, namespace: str, folder: Path, *flags: str, kubeconfig: Path | None = None,
        name: str = "run", env: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.log = folder / f"{name}.log"
        environment = {**plane.env, **({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}), **(env or {})}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "pipeline", "run", "--namespace", namespace,
                    "--cache-dir", str(folder / "cache"), "--lease-duration", "3s", "--log-format", "json", *flags,
                ],
                env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def until(self, what: str, right: Callable[[], object], *, patience: float = 60) -> None:
        """Wait until it is right; fails the test when the process ends before."""
        deadline = time.monotonic() + patience
        while not right():
            assert self.process.poll() is None, f"it ended: {self.text()}"
            assert time.monotonic() < deadline, f"{what} did not happen: {self.text()}"
            time.sleep(0.05)

    def said(self, text: str) -> bool:
        return text in self.text()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        lines = [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def text(self) -> str:
        return self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM, *, patience: float = 70) -> int:
        self.process.send_signal(number)
        return self.process.wait(patience)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait()


class Apps:
    """The App resources of one namespace, as a person with kubectl sees them."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.kubectl = plane.kubectl
        self.namespace = namespace

    def put(self, name: str, source: dict[str, Any], *, namespace: str = "", **spec: Any) -> None:
        """Make or change an App; `source` is its git or chart source, `secret` in it the name of its Secret."""
        source = dict(source)
        secret = source.pop("secret", "")
        kind = "git" if "url" in source else "chart"
        body = {
            "apiVersion": "trimtab.dev/v1alpha1", "kind": "App",
            "metadata": {"name": name, "namespace": namespace or self.namespace},
            "spec": {
                "source": {kind: source, **({"secretRef": {"name": secret}} if secret else {})},
                "interval": "1s", **spec,
            },
        }  # fmt: skip
        self.kubectl("apply", "-f", "-", input=json.dumps(body))

    def get(self, name: str, namespace: str = "") -> dict[str, Any] | None:
        text = self.kubectl("get", "app", name, "-n", namespace or self.namespace, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def status(self, name: str, namespace: str = "") -> dict[str, Any]:
        return (self.get(name, namespace) or {}).get("status") or {}

    def condition(self, name: str, kind: str = "Ready", namespace: str = "") -> dict[str, Any]:
        conditions = self.status(name, namespace).get("conditions") or []
        return next((item for item in conditions if item["type"] == kind), {})

    def until_ready(self, name: str, commit: str = "", *, patience: float = 60) -> None:
        def ready() -> bool:
            status = self.status(name)
            at = not commit or status.get("commit") == commit
            return at and self.condition(name).get("status") == "True"

        until(ready, patience=patience)

    def until_condition(
        self, name: str, right: Callable[[dict[str, Any]], object], kind: str = "Ready", *, namespace: str = ""
    ) -> dict[str, Any]:
        """Wait until a condition is right, and give it."""
        try:
            until(lambda: right(self.condition(name, kind, namespace)))
        except AssertionError as error:
            raise AssertionError(f"{kind} of {name} does not come right: {self.status(name, namespace)}") from error
        return self.condition(name, kind, namespace)

    def until_reason(self, name: str, reason: str, kind: str = "Ready", *, namespace: str = "") -> dict[str, Any]:
        """Wait until a condition has a reason, and give the condition."""
        return self.until_condition(name, lambda found: found.get("reason") == reason, kind, namespace=namespace)

    def free(self) -> None:
        """Take all finalizers off, so that the namespace can go."""
        text = self.kubectl("get", "apps", "-n", self.namespace, "-o", "name", check=False)
        for name in text.split():
            self.kubectl(
                "patch",
                name,
                "-n",
                self.namespace,
                "--type=merge",
                "-p",
                '{"metadata":{"finalizers":null}}',
                check=False,
            )
