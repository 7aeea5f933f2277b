"""A real Kubernetes control plane on this machine, with simulated nodes, for the demo and the tests.

    python3 deploy/local/controlplane.py run [--] COMMAND...   lives as long as the command
    python3 deploy/local/controlplane.py up | status | down    lives until `down`; `run --keep` uses it

`run` sets KUBECONFIG and puts kubectl and the others on PATH. Both leave it to a process of their own,
`serve`, to start the components. It stops them when its standard input closes, and the kernel stops them when
it dies, so that none is left behind. Only the standard library is used.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any

import folders
from access import AccessError
from folders import FolderError
from plane import Starter
from processes import ProcessError, Processes, StopError, die_with_parent
from tools import ToolError, cache_folder, ensure

STOP_SECONDS = 30.0


def serve(tools: Path, state: Path | None, audit_log: Path | None) -> int:
    """Run a control plane until standard input closes or a signal comes; prints a line of JSON when ready.

    `state` is the folder of one that is kept; None: a temporary one.
    Raises AccessError, FolderError, ProcessError.
    """
    _on_signals(_stop)
    folder = folders.kept(state) if state else folders.temporary()
    processes = Processes(folder.path / "logs", owner=sys.stdin.fileno())
    failed = True
    try:
        plane = Starter(folder.path, tools=tools, processes=processes, audit_log=audit_log).start()
        folder.describe(plane.to_json())
        print(plane.to_json(), flush=True)
        processes.wait(None)
    except StopError:
        failed = False
    finally:
        _on_signals(signal.SIG_IGN)
        processes.kill()
        if not (state and failed):  # a kept one that failed stays, for its logs
            folder.remove()
    return 0


def run(command: Sequence[str], audit_log: Path | None) -> int:
    """Run a command with a control plane of its own; returns the command's exit code. Raises ToolError."""
    with _server(ensure(), audit_log) as server:
        description = server.stdout.readline() if server.stdout else b""
        if not description:
            return server.wait()
        code = _run(command, json.loads(description))
        if code == 0 and server.poll():  # it has said which component ended too early
            return 1
    return code


def run_kept(command: Sequence[str], state: Path, audit_log: Path | None) -> int:
    """Run a command with the kept control plane, which is started when it is not there. Raises ToolError."""
    code = _start_kept(state, audit_log)
    plane = folders.description(state)
    return _run(command, plane) if code == 0 and plane else code


def up(state: Path, audit_log: Path | None) -> int:
    """Start a control plane that is kept, unless it runs already. Raises ToolError."""
    return _start_kept(state, audit_log) or status(state)


def down(state: Path) -> int:
    """Stop the kept control plane, if there is one, and delete its folder. Raises FolderError."""
    pid = folders.holder(state)
    if pid is None:
        if state.exists():  # left by one that failed or was killed
            folders.kept(state).remove()
        print("no control plane was running")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while folders.holder(state) is not None:
        if time.monotonic() > deadline:
            raise FolderError(f"process {pid}, which runs the control plane, does not end: kill -9 {pid}")
        time.sleep(0.05)
    print("stopped")
    return 0


def status(state: Path) -> int:
    """Print what runs and how to use it; 0 when it runs, 1 when not."""
    if folders.holder(state) is None:
        print("not running" + (f"; logs of the last one: {state / 'logs'}" if state.exists() else ""))
        return 1
    plane = folders.description(state)
    if plane is None:
        print("starting")
        return 1
    print(f"running at {plane['url']}; logs: {state / 'logs'}")
    print("processes: " + ", ".join(f"{name} {pid}" for name, pid in plane["pids"].items()))
    print(f"export KUBECONFIG={plane['kubeconfig']} PATH={plane['tools']}:$PATH")
    return 0


def main() -> int:
    """The command line; 0 done, 1 failed, 2 wrong usage, else the exit code of the command that was run."""
    options = _parse()
    if sys.platform != "linux":
        print("error: the local control plane needs Linux", file=sys.stderr)
        return 1
    try:
        match options.do:
            case "run" if options.keep:
                return run_kept(options.command, options.state, options.audit_log)
            case "run":
                return run(options.command, options.audit_log)
            case "up":
                return up(options.state, options.audit_log)
            case "down":
                return down(options.state)
            case "status":
                return status(options.state)
            case _:
                return serve(options.tools, options.state, options.audit_log)
    except (AccessError, FolderError, ProcessError, ToolError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parse() -> argparse.Namespace:
    state, audit, serves = (argparse.ArgumentParser(add_help=False) for _ in range(3))
    folder = cache_folder() / "controlplane"
    state.add_argument("--state", type=_absolute, default=folder, help=f"the kept one's folder (default: {folder})")
    audit.add_argument("--audit-log", type=_absolute, help="write a line a request: its verb, user and object")
    serves.add_argument("--state", type=_absolute, help="the folder of one that is kept (default: a temporary one)")
    serves.add_argument("--tools", type=_absolute, required=True, help="the folder that tools.py printed")
    parser = argparse.ArgumentParser(description="A Kubernetes control plane on this machine.")
    commands = parser.add_subparsers(dest="do", required=True)
    run_it = commands.add_parser("run", parents=[state, audit], help="run a command with a control plane")
    run_it.add_argument("--keep", action="store_true", help="with the kept one; default: one of its own")
    run_it.add_argument("command", nargs="+", metavar="COMMAND", help="write -- before one that has options")
    commands.add_parser("up", parents=[state, audit], help="start one and keep it")
    commands.add_parser("status", parents=[state], help="show the kept one")
    commands.add_parser("down", parents=[state], help="stop the kept one")
    commands.add_parser("serve", parents=[serves, audit], help="run one until standard input closes")
    return parser.parse_args()


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _run(command: Sequence[str], plane: Mapping[str, Any]) -> int:
    """Run a command that finds this control plane and the programs; returns its exit code as a shell tells it."""
    environment = {
        **os.environ,
        "KUBECONFIG": plane["kubeconfig"],
        "PATH": f"{plane['tools']}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    child = subprocess.Popen(
        command,
        env=environment,
        preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - one thread here
    )

    def forward(number: int, _frame: FrameType | None) -> None:
        child.send_signal(signal.SIGKILL if number == signal.SIGALRM else number)
        signal.alarm(10)

    # A terminal sends Ctrl-C to the command too: it decides what comes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, forward)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _start_kept(state: Path, audit_log: Path | None) -> int:
    if folders.holder(state) is not None:
        return 0
    tools = ensure()
    with tempfile.TemporaryFile() as said:
        server = _start_server(tools, state, audit_log, stdin=subprocess.DEVNULL, stderr=said)
        try:
            ready = bool(server.stdout and server.stdout.readline())
        except KeyboardInterrupt:
            server.terminate()
            raise
        if ready:
            return 0
        code = server.wait()
        said.seek(0)
        print(said.read().decode(errors="replace"), end="", file=sys.stderr)
        return code


def _start_server(
    tools: Path, state: Path | None, audit_log: Path | None, *, stdin: int, stderr: IO[bytes] | None
) -> subprocess.Popen[bytes]:
    options = {"--tools": tools, "--state": state, "--audit-log": audit_log}
    given = [f"{option}={value}" for option, value in options.items() if value]
    return subprocess.Popen(
        [sys.executable, __file__, "serve", *given],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,
    )


@contextlib.contextmanager
def _server(tools: Path, audit_log: Path | None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that serves a temporary control plane, and ends with this block or with this process."""
    server = _start_server(tools, None, audit_log, stdin=subprocess.PIPE, stderr=None)
    try:
        yield server
    finally:
        if server.stdin:
            server.stdin.close()
        server.wait(STOP_SECONDS)


def _stop(_number: int, _frame: FrameType | None) -> None:
    _on_signals(signal.SIG_IGN)  # stopping is not to be interrupted
    raise StopError


def _on_signals(action: signal.Handlers | Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, action)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
