"""The main job, shown and checked: install with one edited line, a deploy key, a push, and the cluster follows.

Run by `make demo`, inside a control plane (deploy/local); it needs KUBECONFIG and the tools on PATH. Each step shows
what is typed and what came of it; if something does not happen, it says what was expected and what was seen, and
exits with 1.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests" / "support"))
from pod import Pod
from sshd import Sshd

EXAMPLES = Path(__file__).resolve().parent.parent
ROOT = EXAMPLES.parent
TRIMTAB = Path(sys.executable).with_name("trimtab")
HOME = "trimtab-system"
OLD, NEW = "1.13.12", "1.14.2"
PATIENCE = 60.0
STEPS = 9
INDENT = " " * 6


class UnexpectedError(Exception):
    """Something that should have happened did not; the message has what was expected and what was seen."""


@dataclass(frozen=True)
class Example:
    """One of the three: its App, its folder under examples/, the namespace it goes to, where its image's tag stands."""

    app: str
    folder: str
    namespace: str
    tag_file: str
    deployment: str


PLAIN = Example("default", "plain", "default", "deployment.yaml", "nginx")
KUSTOMIZE = Example("kustomize", "kustomize", "demo-kustomize", "overlays/prod/kustomization.yaml", "nginx")
HELM = Example("helm", "helm", "demo-helm", "values.yaml", "helm")
ALL = (PLAIN, KUSTOMIZE, HELM)


class Demo:
    """The steps. What they start ends with the ExitStack, what they write lies in the folder."""

    def __init__(self, folder: Path, started: ExitStack) -> None:
        self.folder, self.started, self.begin = folder, started, time.monotonic()
        self.pod: Pod | None = None

    def play(self) -> None:
        """All steps but the last, in order. Raises UnexpectedError."""
        self.say(1, "A cluster, and three repositories on a git server that takes ssh keys only")
        self.note(f"{self.server()}, nodes {', '.join(self.ready_nodes())}; {self.versions()}")
        self.sshd = self.started.enter_context(Sshd(self.folder / "git"))
        for example in ALL:
            self.make_repository(example)
        self.note(f"{self.sshd.url('plain.git')} (YAML), …/kustomize.git, …/helm.git (a chart): nginx {OLD} each")

        self.say(2, "Install: edit one line, and apply the folder")
        self.edit_deploy()
        self.show("kubectl", "apply", "-f", "deploy", quiet=True)
        self.start_controller()

        self.say(3, "The App says why it cannot read the repository yet, and what to do")
        self.trust_the_server()
        self.add_the_key()

        self.say(4, "Sync")
        self.show("trimtab", "sync")
        self.await_pods(PLAIN, OLD)

        self.say(5, "Two Apps more, as resources: a kustomization and a Helm chart")
        text = (EXAMPLES / "demo" / "apps.yaml").read_text()
        (self.folder / "apps.yaml").write_text(text.replace("ssh://git@git.example.com/", self.sshd.url("")))
        self.show("kubectl", "apply", "-f", "apps.yaml")
        self.show("kubectl", "wait", "-n", HOME, "--for=condition=Ready", "app/kustomize", "app/helm", "--timeout=60s")
        for example in (KUSTOMIZE, HELM):
            self.await_pods(example, OLD)

        self.say(
            6, f"Push nginx {NEW} to all three: `sync` for one that shall not wait, the others follow by themselves"
        )
        for example in ALL:
            self.commit(example, f"nginx {NEW}", partial(self.replace_tag, example))
        self.show("trimtab", "sync", "default")
        for example in ALL:
            self.await_pods(example, NEW)
            self.await_commit(example)
        self.show("kubectl", "get", "apps", "-n", HOME)

        self.say(7, "What is not as git says is put right")
        self.show("kubectl", "scale", "deployment/nginx", "--replicas=1", "-n", KUSTOMIZE.namespace)
        self.until("3 replicas again", lambda: self.replicas(KUSTOMIZE), lambda seen: seen == 3)
        self.await_pods(KUSTOMIZE, NEW)
        self.commit(PLAIN, "no Service", (self.work(PLAIN) / "service.yaml").unlink)
        self.show("trimtab", "sync", "default")
        self.expect("no Service", self.kubectl("get", "service", "nginx", "--ignore-not-found"), "")
        self.seen("the Service that left git is gone from the cluster")

        self.say(8, f"Back to {OLD} until git moves on")
        self.show("trimtab", "rollback", "helm")
        self.await_pods(HELM, OLD)
        self.show("trimtab", "status")

    def leave(self) -> None:
        """The last step: Trimtab goes, and everything else stays. Raises UnexpectedError."""
        self.say(9, "Trimtab goes, and everything else stays")
        before = self.running_pods()
        self.show("kubectl", "delete", "-f", "deploy", quiet=True)
        assert self.pod is not None
        self.expect("the controller ends cleanly", self.pod.stop(), 0)
        self.expect("every Pod runs on", self.running_pods(), before)
        self.expect("nothing is Terminating", self.terminating(), [])
        self.seen(f"the same {len(before)} Pods run, and nothing is Terminating")

    def edit_deploy(self) -> None:
        """A copy of deploy/ in which exactly the line with the repository is another. Shows it."""
        (self.folder / "deploy").mkdir()
        old, new = [], []
        for file in sorted((ROOT / "deploy").glob("*.yaml")):
            text = file.read_text()
            edited = re.sub(r"(?m)(--git-url=).*$", rf"\g<1>{self.sshd.url('plain.git')}", text)
            (self.folder / "deploy" / file.name).write_text(edited)
            old += text.splitlines()
            new += edited.splitlines()
        changed = [(before, after) for before, after in zip(old, new, strict=True) if before != after]
        self.expect("one line of deploy/ to be edited", len(changed), 1)
        self.note(f"deploy/30-deployment.yaml:\n-{changed[0][0]}\n+{changed[0][1]}")

    def start_controller(self) -> None:
        """Nodes are simulated here, so the process of its Pod is started beside them."""
        self.pod = self.started.enter_context(
            Pod(self.kubectl, self.folder / "pod", name="trimtab", namespace=HOME),
        )
        self.seen("the controller runs: arguments, environment and service account as its Deployment says")

    def trust_the_server(self) -> None:
        """The message names the command, and this does just that."""
        message = self.await_reason("HostKeyUnknown")
        self.note(f"HostKeyUnknown: {message}")
        commands = re.findall(r"`([^`]*)`", message)
        self.expect("commands that make the server known", len(commands), 3)
        for command in commands:
            self.show("sh", "-c", command)

    def add_the_key(self) -> None:
        """What a person does on the deploy key page of GitHub or GitLab."""
        message = self.await_reason("AuthenticationFailed")
        self.note(f"AuthenticationFailed: {message}")
        key = self.show("trimtab", "identity").splitlines()[0]
        self.sshd.allow(key)
        self.seen("added on the git server as a deploy key that may only read")

    def say(self, step: int, text: str) -> None:
        print(f"\n[{step}/{STEPS}] {time.monotonic() - self.begin:4.1f} s  {text}", flush=True)

    def note(self, text: str) -> None:
        """Some lines of text, long ones broken."""
        for line in text.splitlines():
            for part in textwrap.wrap(line, 112, break_long_words=False, break_on_hyphens=False):
                print(f"{INDENT}{part}", flush=True)

    def seen(self, text: str) -> None:
        """Something that happened, and was looked at."""
        print(f"{INDENT}✓ {text}", flush=True)

    def show(self, *command: str, quiet: bool = False) -> str:
        """Run a command, and show it with what it printed; `quiet`: with how many lines that were."""
        print(f"{INDENT}$ {command[2] if command[:2] == ('sh', '-c') else shlex.join(command)}", flush=True)
        text = self.call(list(command))
        lines = text.rstrip().splitlines()
        shown = [f"({len(lines)} objects)"] if quiet else lines
        print("".join(f"{INDENT}{line}\n" for line in shown), end="", flush=True)
        return text

    def expect(self, what: str, seen: object, right: object) -> None:
        if seen != right:
            raise UnexpectedError(f"expected {what}: {right}\nsaw: {seen}")

    def until(self, expected: str, look: Callable[[], Any], right: Callable[[Any], bool]) -> Any:
        """Look until it is right, and give what was seen.

        Raises UnexpectedError after PATIENCE seconds, or when the controller has ended.
        """
        deadline = time.monotonic() + PATIENCE
        while not right(seen := look()):
            if (self.pod is not None and self.pod.ended) or time.monotonic() > deadline:
                raise UnexpectedError(f"expected: {expected}\nsaw: {seen}")
            time.sleep(0.1)
        return seen

    def await_reason(self, reason: str) -> str:
        """Wait until the App `default` is not ready for this reason; the message with it."""

        def ready() -> dict[str, Any]:
            return self.ready(self.app("default").get("status", {}))

        return str(self.until(f"App default: {reason}", ready, lambda seen: seen.get("reason") == reason)["message"])

    def app(self, name: str) -> dict[str, Any]:
        text = self.kubectl("get", "app", name, "-n", HOME, "-o", "json", "--ignore-not-found")
        return dict(json.loads(text)) if text else {}

    @staticmethod
    def ready(status: dict[str, Any]) -> dict[str, Any]:
        """The condition Ready."""
        return next((item for item in status.get("conditions", []) if item["type"] == "Ready"), {})

    def await_pods(self, example: Example, tag: str) -> None:
        def images() -> list[str]:
            return sorted(image for name, image in self.running_pods() if name.startswith(f"{example.namespace}/"))

        self.until(
            f"3 running Pods of nginx:{tag} for {example.app}", images, lambda seen: seen == [f"nginx:{tag}"] * 3
        )
        self.seen(f"3 Pods of nginx:{tag} run in namespace {example.namespace}")

    def await_commit(self, example: Example) -> None:
        head = self.git("rev-parse", "HEAD", at=example).strip()

        def state() -> tuple[str, str]:
            status = self.app(example.app).get("status", {})
            return self.ready(status).get("status", ""), status.get("commit", "")

        self.until(f"App {example.app} Ready at {head}", state, lambda seen: seen == ("True", head))

    def running_pods(self) -> list[tuple[str, str]]:
        """Namespace/name and image of each Pod of an App."""
        pods = json.loads(self.kubectl("get", "pods", "-A", "-o", "json"))["items"]
        return sorted(
            (f"{pod['metadata']['namespace']}/{pod['metadata']['name']}", status["image"])
            for pod in pods
            if pod["metadata"]["namespace"] != HOME
            and pod["status"].get("phase") == "Running"
            and "deletionTimestamp" not in pod["metadata"]
            for status in pod["status"].get("containerStatuses", [])
        )

    def terminating(self) -> list[str]:
        kinds = "namespaces,deployments,services,pods,serviceaccounts,crds,clusterroles,clusterrolebindings"
        items = json.loads(self.kubectl("get", kinds, "-A", "-o", "json"))["items"]
        return [f"{x['kind']} {x['metadata']['name']}" for x in items if "deletionTimestamp" in x["metadata"]]

    def replicas(self, example: Example) -> int:
        path = "jsonpath={.spec.replicas}"
        return int(self.kubectl("get", "deployment", example.deployment, "-n", example.namespace, "-o", path))

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

    def versions(self) -> str:
        lines = self.call(["trimtab", "version"]).splitlines()
        return ", ".join(" ".join(line.replace(":", " ").split()) for line in lines)

    def work(self, example: Example) -> Path:
        return self.folder / "work" / example.folder

    def make_repository(self, example: Example) -> None:
        bare = self.folder / "git" / f"{example.folder}.git"
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

    def git(self, *arguments: str, at: Example | None = None) -> str:
        identity = {"user.name": "Demo", "user.email": "demo@example.com", "commit.gpgsign": "false"}
        options = [part for key, value in identity.items() for part in ("-c", f"{key}={value}")]
        where = ["-C", str(self.work(at))] if at else []
        own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return self.call(["git", *options, *where, *arguments], own)

    def kubectl(self, *arguments: str) -> str:
        return self.call(["kubectl", *arguments])

    def call(self, command: list[str], environment: dict[str, str] | None = None) -> str:
        """What a command printed, its errors after it. Raises UnexpectedError when it fails."""
        whole = {**os.environ, **(environment or {})}
        program = [str(TRIMTAB)] if command[0] == "trimtab" else command[:1]
        done = subprocess.run(
            [*program, *command[1:]], cwd=self.folder, env=whole, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise UnexpectedError(
                f"expected `{shlex.join(command)}` to work; saw exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout


def main() -> int:
    """Play the demo; 0 when all of it happened."""
    parser = argparse.ArgumentParser(description="Shows and checks the main job of Trimtab.")
    parser.add_argument("--keep", action="store_true", help="keep everything running before the last step")
    keep = parser.parse_args().keep
    if not os.environ.get("KUBECONFIG"):
        print("error: no control plane: use `make demo`", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="trimtab-demo-") as folder, ExitStack() as started:
        demo = Demo(Path(folder), started)
        try:
            demo.play()
            if keep:
                stay(demo)
            demo.leave()
        except UnexpectedError as error:
            log = demo.pod.text().splitlines()[-20:] if demo.pod else []
            print("FAILED", error, *(["the controller's last words:", *log] if log else []), sep="\n", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
    print("\nAll of it happened, and all of it is stopped. `make demo KEEP=1` waits before step 9, to look around.")
    return 0


def stay(demo: Demo) -> None:
    """Keep everything running until Ctrl-C."""
    print("\nEverything keeps running until you press Ctrl-C. In another terminal:\n")
    tools = Path(shutil.which("kubectl") or "").parent
    print(f"  export KUBECONFIG={os.environ['KUBECONFIG']} PATH={TRIMTAB.parent}:{tools}:$PATH")
    print("  kubectl get apps,pods -A; trimtab status helm; trimtab history")
    print(f"  change something in {demo.folder / 'work'}, commit, git push origin main; trimtab sync")
    sys.stdout.flush()
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
