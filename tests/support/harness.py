"""What the tests share: the one control plane of a test run, and the command line as a process."""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.control.resource import CRD_NAME
from pipeline.install.schema import crd

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LOCAL = REPOSITORY / "deploy" / "local"

#: What a test may know of the environment of the person who runs it. Everything else could change its result.
_KNOWN = {"LANG", "LC_ALL", "PATH", "TMPDIR", "TZ", "USER", "LOGNAME", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}
_KNOWN_PREFIXES = ("PYTEST_", "PYTHON", "COVERAGE_", "COV_CORE_")


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running control plane; `audit_log` has one line of JSON for each request of a test, at its end.

    `tools` is the folder with kubectl and the others.
    """

    kubeconfig: Path
    url: str
    token: str
    ca: Path
    audit_log: Path
    folder: Path
    tools: Path

    @property
    def env(self) -> dict[str, str]:
        """The test's own environment, with this control plane as KUBECONFIG, and the tools on PATH."""
        path = f"{self.tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - as subprocess names it
        check: bool = True,
    ) -> str:
        """Run kubectl as administrator and return what it prints; fails the test when kubectl fails."""
        done = subprocess.run(
            ["kubectl", *args], input=input, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(args)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def until_established(self, definition: str) -> None:
        """Wait until a CustomResourceDefinition is served; a name such as `apps.trimtab.dev`."""
        wait = ("wait", "--for=condition=Established", f"crd/{definition}", "--timeout=60s")
        # One that is very new has no conditions at all, which kubectl takes for an error.
        if "condition met" not in self.kubectl(*wait, check=False):
            self.kubectl(*wait)


def install_crd(plane: ControlPlane) -> None:
    """Install the CustomResourceDefinition of Apps, and wait until it is served."""
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(crd()))
    plane.until_established(CRD_NAME)


def find_tools() -> Path:
    """The folder that has kubectl, helm, kustomize and the rest; builds what is missing."""
    done = subprocess.run([sys.executable, LOCAL / "tools.py"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return Path(done.stdout.strip())


def own_environment(home: Path) -> dict[str, str]:
    """An environment in which nothing leads to the configuration of the person who runs the tests."""
    known = {name: value for name, value in os.environ.items() if name in _KNOWN or name.startswith(_KNOWN_PREFIXES)}
    return known | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "XDG_RUNTIME_DIR": str(home),
        "KUBECONFIG": "/nonexistent",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Tester",
        "GIT_AUTHOR_EMAIL": "tester@example.com",
        "GIT_COMMITTER_NAME": "Tester",
        "GIT_COMMITTER_EMAIL": "tester@example.com",
    }


@contextlib.contextmanager
def shared_control_plane(meeting: Path, tools: Path) -> Iterator[ControlPlane]:
    """The control plane of all processes that name the same folder `meeting`: the first that comes starts it.

    Each user holds a named pipe open for writing. The control plane has its other end as standard input, and stops
    when the last user has closed it or has died: the kernel counts for us.
    """
    pipe, description = meeting / "users", meeting / "plane.json"
    server = None
    with (meeting / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not pipe.exists():
            os.mkfifo(pipe)
        try:
            user = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads: there is none yet, or its last user has gone
            reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
            user = os.open(pipe, os.O_WRONLY)
            server = _start(reader, meeting, tools)
            os.close(reader)
            description.write_text(server.stdout.readline() if server.stdout else "")
    try:
        text = description.read_text()
        if not text:
            raise RuntimeError(f"the control plane did not start:\n{(meeting / 'server.log').read_text()}")
        values = json.loads(text)
        yield ControlPlane(
            kubeconfig=Path(values["kubeconfig"]),
            url=values["url"],
            token=values["token"],
            ca=Path(values["ca"]),
            audit_log=Path(values["audit_log"]),
            folder=Path(values["folder"]),
            tools=tools,
        )
    finally:
        os.close(user)
        if server:
            with server:  # until it has stopped, which is when the last user has gone
                pass


def run_cli(*args: str | Path, env: Mapping[str, str], cwd: Path | None, stdin: str | None, timeout: float) -> Result:
    """Run `trimtab` as a process."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *args],
        env=env,
        cwd=cwd,
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _start(stdin: int, meeting: Path, tools: Path) -> subprocess.Popen[str]:
    program = str(LOCAL / "controlplane.py")
    with (meeting / "server.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, program, "serve", f"--tools={tools}", f"--audit-log={meeting / 'audit.log'}"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            text=True,
        )
