"""The life of a control plane: what it gives, how it ends, and that nothing of it stays."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest

PROGRAM = str(harness.LOCAL / "controlplane.py")


def start(*args: str | Path, **options: Any) -> subprocess.Popen[str]:
    """Start controlplane.py; the caller ends it."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, PROGRAM, *args], **{**pipes, **options})


def call(*args: str | Path) -> harness.Result:
    """Run controlplane.py to its end."""
    with start(*args, stdin=subprocess.DEVNULL) as process:
        out, err = process.communicate(timeout=120)
    return harness.Result(process.returncode, out, err)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def until(reached: Callable[[], bool], what: str) -> None:
    """Wait for a condition; fail the test when it does not come."""
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def serving(tools: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A process that serves a control plane as long as its standard input is open, and what it said of it."""
    with start("serve", f"--tools={tools}", stdin=subprocess.PIPE) as process:
        assert process.stdout
        line = process.stdout.readline()
        yield process, json.loads(line)  # leaving the block closes standard input, and waits


def assert_nothing_left(plane: dict[str, Any]) -> None:
    until(lambda: not any(alive(pid) for pid in plane["pids"].values()), "the components should have ended")
    until(lambda: not Path(plane["folder"]).exists(), "the folder should have been deleted")


def test_run_gives_a_command_the_cluster_and_the_tools_and_returns_its_exit_code() -> None:
    script = 'kubectl get nodes -o name && helm version --short && echo "$KUBECONFIG" && exit 7'

    result = call("run", "--", "sh", "-c", script)

    *nodes, helm, kubeconfig = result.out.splitlines()
    assert result.code == 7, result.err
    assert nodes == ["node/node-1", "node/node-2", "node/node-3"]
    assert helm.startswith("v3.")
    assert not Path(kubeconfig).parent.exists()


def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path) -> None:
    # The owner is `run`; its command says where everything is, and then waits for ever.
    script = 'cat "$(dirname "$KUBECONFIG")/plane.json"; echo; exec sleep 1000'
    with start("run", "--", "sh", "-c", script, stdin=subprocess.DEVNULL) as owner:
        assert owner.stdout
        plane = json.loads(owner.stdout.readline())
        assert all(alive(pid) for pid in plane["pids"].values())

        owner.send_signal(signal.SIGKILL)

        owner.wait()
        assert_nothing_left(plane)
        assert owner.stdout.read() == ""  # ends only when the command, which also had it open, has ended


def test_nothing_is_left_when_the_owner_is_terminated() -> None:
    script = 'cat "$(dirname "$KUBECONFIG")/plane.json"; echo; exec sleep 1000'
    with start("run", "--", "sh", "-c", script, stdin=subprocess.DEVNULL) as owner:
        assert owner.stdout
        plane = json.loads(owner.stdout.readline())

        owner.terminate()

        assert owner.wait(60) == 128 + signal.SIGTERM
        assert_nothing_left(plane)


def test_ctrl_c_ends_the_command_and_the_control_plane() -> None:
    script = 'cat "$(dirname "$KUBECONFIG")/plane.json"; echo; exec sleep 1000'
    # A terminal sends the signal to the whole group.
    with start("run", "--", "sh", "-c", script, stdin=subprocess.DEVNULL, start_new_session=True) as owner:
        assert owner.stdout
        plane = json.loads(owner.stdout.readline())

        os.killpg(owner.pid, signal.SIGINT)

        assert owner.wait(60) == 128 + signal.SIGINT
        assert_nothing_left(plane)


def test_the_components_die_with_the_process_that_serves_them_and_the_next_one_clears_up(
    serving: tuple[subprocess.Popen[str], dict[str, Any]], control_plane: harness.ControlPlane
) -> None:
    process, plane = serving

    process.kill()

    until(lambda: not any(alive(pid) for pid in plane["pids"].values()), "the components should have ended")
    # A new folder may belong to one that is just starting; these two are old, and one of them is in use.
    for folder in (plane["folder"], control_plane.folder):
        os.utime(folder, (0, 0))
    assert call("serve", "--tools=/nonexistent").code == 1
    assert not Path(plane["folder"]).exists()
    assert control_plane.kubeconfig.exists()


def test_the_end_of_a_component_is_told_and_ends_the_rest(
    serving: tuple[subprocess.Popen[str], dict[str, Any]],
) -> None:
    process, plane = serving
    assert process.stderr

    os.kill(plane["pids"]["kube-scheduler"], signal.SIGKILL)

    assert process.wait(60) == 1
    assert process.stderr.read().startswith("error: kube-scheduler ended by itself; the last lines that it said:\n")
    assert_nothing_left(plane)


def test_only_the_user_can_read_its_files_and_only_loopback_is_listened_on(
    control_plane: harness.ControlPlane,
) -> None:
    assert control_plane.folder.stat().st_mode & 0o777 == 0o700
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600
    plane = json.loads((control_plane.folder / "plane.json").read_text())
    files = [str(link.readlink()) for pid in plane["pids"].values() for link in Path(f"/proc/{pid}/fd").iterdir()]
    tables = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    sockets = [line.split() for table in tables for line in table]
    # proc_pid_net(5): local address, state (0A: listening), inode.
    listening = [line[1] for line in sockets if line[3] == "0A" and f"socket:[{line[9]}]" in files]
    port = int(plane["url"].rpartition(":")[2])
    assert listening == [f"0100007F:{port:04X}"]


def test_a_failed_start_names_the_component_and_shows_what_it_said(tools: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for tool in tools.iterdir():
        (programs / tool.name).symlink_to(tool)
    (programs / "kube-apiserver").unlink()
    (programs / "kube-apiserver").write_text("#!/bin/sh\necho 'E0000 no room in the harbour' >&2\nexit 3\n")
    (programs / "kube-apiserver").chmod(0o755)

    result = call("serve", f"--tools={programs}")

    assert result.code == 1
    assert result.out == ""
    assert result.err == (
        "error: kube-apiserver ended by itself; the last lines that it said:\n  E0000 no room in the harbour\n"
    )


def test_a_kept_one_stays_until_down(tmp_path: Path) -> None:
    state = f"--state={tmp_path / 'kept'}"
    assert call("status", state).code == 1
    try:
        assert call("up", state).code == 0
        plane = json.loads((tmp_path / "kept" / "plane.json").read_text())

        again = call("up", state)
        assert again.code == 0
        assert f"running at {plane['url']}" in again.out
        used = call(
            "run", "--keep", state, "--", "kubectl", "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"
        )
        assert used.out == plane["url"]
        assert call("status", state).code == 0
    finally:
        assert call("down", state).code == 0
    assert_nothing_left(plane)
    assert call("status", state).code == 1


def test_a_folder_with_other_files_is_refused(tools: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")

    result = call("serve", f"--tools={tools}", f"--state={tmp_path}")

    assert result.code == 1
    assert result.err == (
        f"error: {tmp_path} has files that are not a control plane's; name another folder with --state\n"
    )
    assert (tmp_path / "letter.txt").read_text() == "dear"
