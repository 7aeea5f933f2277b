"""The walls around a tool, each tested alone: a script that tries to get out, once with the wall and once without."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from renderers import sandbox, tool
from renderers.api import Limits
from renderers.landlock import landlock_abi
from renderers.sandbox import Walls, private_folder
from renderers.tool import Output, ToolError, run, walls_here

ABI = landlock_abi()
NAMESPACES = walls_here().namespaces
NONE = Walls()
LANDLOCK = pytest.param(Walls(landlock=ABI), marks=pytest.mark.skipif(not ABI, reason="this kernel has no Landlock"))
NETWORK = pytest.param(
    Walls(NAMESPACES), marks=pytest.mark.skipif(not NAMESPACES, reason="this kernel gives us no namespaces")
)
PROCESSES = pytest.param(
    Walls(NAMESPACES),
    marks=pytest.mark.skipif("--fork" not in NAMESPACES, reason="this kernel gives us no PID namespace"),
)

Script = Callable[..., Output]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Run a script of bash as a tool, behind these walls only."""

    def run_script(text: str, walls: Walls, *, limits: Limits | None = None, root: Path | None = None) -> Output:
        program = tmp_path / "bin" / "helm"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/bash\n{text}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setattr(tool, "walls_here", lambda: walls)
        with private_folder() as private:
            return run("helm", ["template"], private=private, limits=limits or Limits(), root=root)

    return run_script


@pytest.mark.parametrize("walls", [NONE, LANDLOCK])
@pytest.mark.parametrize("target", ["/etc/passwd", "/proc/self/environ", "/proc/{parent}/environ", "{secret}"])
def test_landlock_keeps_files_from_being_read(script: Script, tmp_path: Path, walls: Walls, target: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    read = f"read -r -n 1 text < {target.format(parent=os.getpid(), secret=secret)} && echo read"
    if walls == NONE:
        assert script(read, walls).text == "read\n"
    else:
        with pytest.raises(ToolError, match="Permission denied"):
            script(read, walls)


@pytest.mark.parametrize("walls", [NONE, LANDLOCK])
@pytest.mark.parametrize("act", ["echo > {place}/new", "/bin/rm {place}/old", "/bin/mkdir {place}/folder"])
def test_landlock_keeps_files_from_being_written(script: Script, tmp_path: Path, walls: Walls, act: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").touch()
    if walls == NONE:
        script(act.format(place=place), walls)
        assert {path.name for path in place.iterdir()} != {"old"}
    else:
        with pytest.raises(ToolError, match="Permission denied"):
            script(act.format(place=place), walls)
        assert {path.name for path in place.iterdir()} == {"old"}


@pytest.mark.parametrize("walls", [NONE, LANDLOCK])
def test_landlock_keeps_the_checkout_from_being_changed(script: Script, tmp_path: Path, walls: Walls) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("content\n")
    assert script(f"/bin/cat {root}/file", walls, root=root).text == "content\n"
    if walls == NONE:
        script(f"echo changed > {root}/file", walls, root=root)
    else:
        with pytest.raises(ToolError, match="Permission denied"):
            script(f"echo changed > {root}/file", walls, root=root)


@pytest.mark.parametrize("walls", [NONE, LANDLOCK])
def test_the_private_folder_may_be_written_and_nothing_in_it_executed(script: Script, walls: Walls) -> None:
    text = "/bin/cp /bin/true $TMPDIR/it; echo text > $HOME/file; /bin/cat $HOME/file; $TMPDIR/it"
    if walls == NONE:
        assert script(text, walls).text == "text\n"
    else:
        assert script(f"{text} 2> /dev/null || echo refused", walls).text == "text\nrefused\n"


@pytest.mark.parametrize("walls", [NONE, LANDLOCK, NETWORK])
def test_nothing_that_listens_on_this_machine_can_be_reached(script: Script, walls: Walls) -> None:
    if walls.landlock and walls.landlock < 4:
        pytest.skip("this kernel's Landlock knows no network")
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"echo hello > /dev/tcp/127.0.0.1/{server.getsockname()[1]}"
        server.setblocking(False)
        if walls == NONE:
            script(connect, walls)
            server.accept()[0].close()
        else:
            with pytest.raises(ToolError, match="Permission denied|unreachable"):
                script(connect, walls)
            with pytest.raises(BlockingIOError):
                server.accept()


@pytest.mark.parametrize("walls", [NONE, LANDLOCK, PROCESSES])
def test_no_other_process_gets_a_signal(script: Script, walls: Walls) -> None:
    if walls.landlock and walls.landlock < 6:
        pytest.skip("this kernel's Landlock knows no signals")
    signal = f"kill -0 {os.getpid()}"
    if walls == NONE:
        script(signal, walls)
    else:
        with pytest.raises(ToolError, match="not permitted|No such process"):
            script(signal, walls)


@pytest.mark.parametrize("walls", [NONE, PROCESSES])
def test_a_daemon_dies_with_the_tool_that_left_it(script: Script, tmp_path: Path, walls: Walls) -> None:
    """It leaves the session, so that the kill of the process group does not reach it."""
    life = tmp_path / "life"
    os.mkfifo(life)
    reader = os.open(life, os.O_RDONLY | os.O_NONBLOCK)
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    daemon = f"/usr/bin/setsid /bin/bash -c 'echo > {ready}; exec /bin/sleep 30' > {life} 2> /dev/null"
    script(f"{daemon} & read -r < {ready}", walls)
    if walls == NONE:
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)  # somebody holds the other end
        _end(life)
    else:
        _wait_for_end(reader)
    os.close(reader)


def _end(life: Path) -> None:
    """Kill whoever holds the file."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            holds = any(each.readlink() == life for each in (process / "fd").iterdir())
            if holds and process.name != str(os.getpid()):
                os.kill(int(process.name), 9)
        except OSError:
            continue


def _wait_for_end(reader: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert os.read(reader, 1) == b""
        except BlockingIOError:
            continue
        return
    pytest.fail("the daemon lives on")


@pytest.mark.parametrize("walls", [NONE, PROCESSES])
def test_many_processes_all_end_at_the_limit(script: Script, tmp_path: Path, walls: Walls) -> None:
    life = tmp_path / "life"
    os.mkfifo(life)
    reader = os.open(life, os.O_RDONLY | os.O_NONBLOCK)
    bomb = f"exec 3> {life}; for i in {{1..50}}; do (while :; do /bin/sleep 9; done) & done; wait"
    with pytest.raises(tool.RenderError, match="took more than 1 seconds"):
        script(bomb, walls, limits=Limits(wall=1))
    _wait_for_end(reader)
    os.close(reader)


@pytest.mark.skipif("-Unp" not in NAMESPACES or os.getuid() == 0, reason="root's processes are not counted")
def test_the_number_of_processes_is_limited(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_MAX_PROCESSES", 20)
    with pytest.raises(ToolError, match="Resource temporarily unavailable"):
        script("for i in {1..50}; do /bin/sleep 9 & done", Walls(NAMESPACES))


@pytest.mark.parametrize("walls", [NONE, NETWORK])
def test_a_tool_has_no_privileges(script: Script, walls: Walls) -> None:
    if os.getuid() != 0:
        pytest.skip("we have none ourselves")
    read = "while read -r line; do case $line in CapEff*) echo $line;; esac; done < /proc/self/status"
    nothing = "CapEff: 0000000000000000\n"
    assert (script(read, walls).text == nothing) == (walls != NONE and "-Unp" in walls.namespaces)


def test_the_walls_close_one_thread_only(script: Script, tmp_path: Path) -> None:
    script("true", walls_here())
    (tmp_path / "file").write_text("still written")
    assert Path("/etc/passwd").read_text()


@pytest.mark.parametrize("abi", range(1, ABI + 1))
def test_each_older_landlock_is_asked_for_what_it_knows(script: Script, abi: int) -> None:
    """The kernel takes the attributes of every version before its own."""
    with pytest.raises(ToolError, match="Permission denied"):
        script("read -r line < /etc/passwd", replace(NONE, landlock=abi))


def test_the_private_folder_is_in_memory_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "memory_left", lambda: 100 << 20)
    with private_folder(10 << 20) as private:
        assert private.is_relative_to("/dev/shm")
    with private_folder(90 << 20) as private:
        assert not private.is_relative_to("/dev/shm")


def test_the_private_folder_is_for_this_user_alone_and_gone_afterwards() -> None:
    with private_folder() as private:
        assert private.stat().st_mode & 0o777 == 0o700
        assert sorted(path.name for path in private.iterdir()) == ["home", "tmp"]
    assert not private.exists()
