"""The process of a Deployment's Pod, started here as the Deployment says: nodes are simulated. Stdlib only."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: What the image has as its entry: deploy/trimtab.sh.
_ENTRY = (sys.executable, "-P", "-m", "pipeline")
_PATIENCE = 60.0


class Pod:
    """The container of a Deployment's newest Pod as a process, with the arguments, environment and service account.

    What cannot be as in a Pod, and nothing else, is other: volumes are folders below `folder`, the address to listen
    on is one of 127.0.0.1, and the account's token comes by a kubeconfig. `kubectl` runs kubectl as administrator.
    """

    def __init__(self, kubectl: Callable[..., str], folder: Path, *, name: str, namespace: str) -> None:
        self.folder, self.log = folder, folder / "log"
        deployment = json.loads(kubectl("get", "deployment", name, "-n", namespace, "-o", "json"))
        labels = ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())
        kubectl("rollout", "status", f"deployment/{name}", "-n", namespace, "--timeout=60s")
        pods = json.loads(kubectl("get", "pods", "-n", namespace, "-l", labels, "-o", "json"))["items"]
        pod = max(pods, key=lambda item: str(item["metadata"]["creationTimestamp"]))
        (container,) = pod["spec"]["containers"]
        volumes = {
            mount["mountPath"]: str(folder / mount["name"])
            for mount in container["volumeMounts"]
            if not mount["mountPath"].startswith("/var/run/secrets/")
        }
        for path in volumes.values():
            Path(path).mkdir(parents=True)
        self.arguments = [*(_moved(text, volumes) for text in container["args"]), "--listen=127.0.0.1:0"]
        self.environment = {
            "PATH": os.environ["PATH"],
            "TMPDIR": volumes["/tmp"],
            "KUBECONFIG": str(_kubeconfig(kubectl, folder, pod["spec"]["serviceAccountName"], namespace)),
            **{each["name"]: _moved(_value(each, pod), volumes) for each in container["env"]},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # It is ended with this process, whatever happens to that.
        leash = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*leash, *_ENTRY, *self.arguments],
                env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def ended(self) -> bool:
        """Whether the process is over."""
        return self.process is None or self.process.poll() is not None

    def stop(self) -> int:
        """Ask it to end as a kubelet does, unless it has; its exit code. Raises subprocess.TimeoutExpired."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(_PATIENCE)

    def text(self) -> str:
        """All that it has said."""
        return self.log.read_text(errors="replace")


def _value(variable: dict[str, Any], pod: dict[str, Any]) -> str:
    """The value of a variable, by the downward API where it says so."""
    if "value" in variable:
        return str(variable["value"])
    found: Any = pod
    for key in variable["valueFrom"]["fieldRef"]["fieldPath"].split("."):
        found = found[key]
    return str(found)


def _moved(text: str, volumes: dict[str, str]) -> str:
    """An argument or a value, with the folder of a volume in place of where it is mounted."""
    for mounted, path in volumes.items():
        if text == mounted or text.endswith(f"={mounted}"):
            return text.removesuffix(mounted) + path
    return text


def _kubeconfig(kubectl: Callable[..., str], folder: Path, account: str, namespace: str) -> Path:
    """The administrator's kubeconfig with a token of the account in place of the administrator's."""
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    token = kubectl("create", "token", account, "-n", namespace).strip()
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    file = folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))
    return file
