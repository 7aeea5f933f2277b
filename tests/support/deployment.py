"""An installation of deploy/ on a control plane, and the controller's process as its Deployment says."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import REPOSITORY, ControlPlane

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Discovery
from pipeline.control.leave.own import OWN_FINALIZER
from pipeline.control.resource import CRD_NAME
from pipeline.errors import TrimtabError

NAMESPACE = "trimtab-system"
_EDITED = "- --git-url=git@github.com:you/your-repository.git"
_WITHOUT_FINALIZERS = '{"metadata":{"finalizers":null}}'


class Installation:
    """The files of deploy/, with the one line edited; what is started of it ends with `close`.

    `arguments` stand in the place of `--git-url`. `without` are files that are left out.
    """

    def __init__(self, plane: ControlPlane, folder: Path, *arguments: str, without: str = "") -> None:
        self.plane, self.folder = plane, folder
        self.files = folder / "deploy"
        self._started: list[Process] = []
        self.files.mkdir()
        for file in (REPOSITORY / "deploy").glob("*.yaml"):
            if file.name != without:
                shutil.copy(file, self.files)
        file = self.files / "30-deployment.yaml"
        lines = "\n            ".join(f"- {argument}" for argument in arguments)
        text = file.read_text()
        assert _EDITED in text
        file.write_text(text.replace(_EDITED, lines))

    def apply(self) -> None:
        self.plane.kubectl("apply", "-f", str(self.files))
        self.plane.until_established(CRD_NAME)

    def delete(self) -> "subprocess.Popen[str]":
        """`kubectl delete -f deploy`, which waits until all is gone."""
        return subprocess.Popen(
            ["kubectl", "delete", "-f", str(self.files), "--ignore-not-found"],
            env=self.plane.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    @staticmethod
    def gone(deletion: "subprocess.Popen[str]") -> None:
        """Wait until such a deletion has ended; fails the test when it hangs."""
        try:
            text, _ = deletion.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            deletion.kill()
            text, _ = deletion.communicate()
            raise AssertionError(f"the deletion hangs: {text}") from None
        assert deletion.returncode == 0, text

    def start(self, name: str = "run", *, server: str = "") -> "Process":
        """The container's process: its arguments and environment, its account's rights.

        `server` is a proxy to go through.
        """
        return self.prepared(name, server=server)()

    def prepared(self, name: str, *, server: str = "") -> "Callable[[], Process]":
        """The same, to be started later, when the Deployment may be gone.

        The token is not bound to the Pod: the Pods here are played, and gone at once when they are deleted; a real
        one is there until its process has ended.
        """
        text = self.plane.kubectl("get", "deployment", "trimtab", "-n", NAMESPACE, "-o", "json")
        container = json.loads(text)["spec"]["template"]["spec"]["containers"][0]
        home = self.folder / name
        home.mkdir(exist_ok=True)
        arguments = [text.replace("/var/cache/trimtab", str(home / "cache")) for text in container["args"]]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "POD_NAMESPACE": NAMESPACE, "POD_NAME": name,
            "KUBECONFIG": str(self.kubeconfig(home / "kubeconfig", server=server)),
        }  # fmt: skip
        assert {item["name"] for item in container["env"]} <= environment.keys()

        def start() -> Process:
            self._started.append(Process([*arguments, "--listen=127.0.0.1:0"], environment, home / "log"))
            return self._started[-1]

        return start

    def kubeconfig(self, path: Path, *, server: str = "") -> Path:
        """Of the controller's account."""
        token = self.plane.kubectl("create", "token", "trimtab", "-n", NAMESPACE).strip()
        cluster = (
            {"server": server} if server else {"server": self.plane.url, "certificate-authority": str(self.plane.ca)}
        )
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "pod",
            "clusters": [{"name": "pod", "cluster": cluster}],
            "users": [{"name": "pod", "user": {"token": token}}],
            "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod"}}],
        }  # fmt: skip
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return path

    def close(self) -> None:
        """Kill what runs, and take the rest off the cluster by force, for the next installation."""
        for process in self._started:
            process.kill()
        kubectl = self.plane.kubectl
        kubectl("delete", "-f", str(self.files), "--ignore-not-found", "--wait=false")
        kinds = "serviceaccounts,roles,rolebindings"
        for kind, where in ((kinds, ("-n", NAMESPACE)), ("clusterroles,clusterrolebindings", ())):
            own = kubectl("get", kind, *where, "-l", "app.kubernetes.io/name=trimtab", "-o", "name", check=False)
            for name in own.split():
                kubectl("patch", name, *where, "--type=merge", "-p", _WITHOUT_FINALIZERS, check=False)
        line = "{range .items[*]}{.metadata.namespace} {.metadata.name}{'\\n'}{end}"
        for app in kubectl("get", "apps", "-A", "-o", f"jsonpath={line}", check=False).splitlines():
            namespace, name = app.split()
            kubectl("patch", "app", name, "-n", namespace, "--type=merge", "-p", _WITHOUT_FINALIZERS, check=False)
        kubectl("delete", "-f", str(self.files), "--ignore-not-found")


class Process:
    """One `trimtab run`, and what it says."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("a") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipeline", *arguments],
                env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL, cwd=REPOSITORY,
            )  # fmt: skip

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        if self.code is None:
            self._process.send_signal(number)

    def wait(self, *, patience: float = 90) -> int:
        """The exit code, once it has ended."""
        return self._process.wait(patience)

    def kill(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        self._process.wait()

    def text(self) -> str:
        return self.log.read_text()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        lines = (json.loads(line) for line in self.text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == event]

    def until(self, event: str, *, count: int = 1) -> None:
        """Wait until it has said so; fails the test when it ends before."""
        deadline = time.monotonic() + 60
        while len(self.lines(event)) < count:
            assert self.code is None, f"it ended: {self.text()}"
            assert time.monotonic() < deadline, f"it never said {event!r}: {self.text()}"
            time.sleep(0.02)


@dataclass(frozen=True)
class World:
    """Every object of the cluster at one moment, by kind, namespace and name."""

    objects: dict[str, dict[str, Any]]

    @classmethod
    def seen(cls, connection: Connection) -> "World":
        found: dict[str, dict[str, Any]] = {}
        for resource in Discovery.load(connection).resources():
            # Events tell what was, and a Node's Lease is renewed all the time.
            if "list" in resource.verbs and resource.kind not in ("Event", "Lease", "ComponentStatus"):
                for metadata in _listed(connection, resource):
                    found[f"{resource.kind}/{metadata.get('namespace', '')}/{metadata['name']}"] = metadata
        return cls(found)

    def uids(self, *kinds: str) -> dict[str, str]:
        return {key: meta["uid"] for key, meta in self.objects.items() if not kinds or key.split("/")[0] in kinds}

    def owned(self) -> dict[str, str]:
        """The UIDs of what Apps own, and of what was made of it."""
        return {key: meta["uid"] for key, meta in self.objects.items() if "trimtab.dev/app" in meta.get("labels", {})}

    def going(self) -> set[str]:
        """What is Terminating."""
        return {key for key, meta in self.objects.items() if "deletionTimestamp" in meta}

    def held(self) -> set[str]:
        """What the controller's own finalizer is on."""
        return {key for key, meta in self.objects.items() if OWN_FINALIZER in meta.get("finalizers", ())}

    def marked(self) -> set[str]:
        """What carries a mark of ours."""
        return {key for key, meta in self.objects.items() if any(_marks(meta))}


def _listed(connection: Connection, resource: Any) -> Iterator[dict[str, Any]]:
    try:
        for item in objects.list_metadata(connection, resource, None, selector=""):
            yield item["metadata"]
    except TrimtabError:  # a kind that is on its way out
        return


def _marks(metadata: dict[str, Any]) -> Iterator[str]:
    names = (*metadata.get("labels", {}), *metadata.get("annotations", {}), *metadata.get("finalizers", ()))
    yield from (name for name in names if "trimtab" in name)
    yield from (entry["manager"] for entry in metadata.get("managedFields", ()) if "trimtab" in entry["manager"])
