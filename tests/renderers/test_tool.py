"""Running a tool: found or not, limits, walls, and what is left of its messages."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from renderers import tool
from renderers.api import Limits, RenderError
from renderers.sandbox import Walls, private_folder
from renderers.tool import Output, find_tool, kill_running, run, tool_version, walls_here

ENDLESS = """
    {{- range $i := until 100000 }}{{ range $j := until 100000 }}
    a{{ $i }}-{{ $j }}: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    {{- end }}{{- end }}
    """
DOUBLING = '{{- $s := repeat 1000000 "x" }}{{ range until 40 }}{{ $s = printf "%s%s" $s $s }}{{ end }}a: {{ len $s }}\n'


def script(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A program called helm that is this shell script."""
    program = folder / "bin" / "helm"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def helm(folder: Path, limits: Limits | None = None) -> Output:
    """`helm template` of a folder."""
    with private_folder() as private:
        return run(
            "helm", ["template", "demo", str(folder)], private=private, limits=limits or Limits(), root=folder.parent
        )


def chart(folder: Path, template: str) -> Path:
    """A chart of one template."""
    (folder / "chart/templates").mkdir(parents=True)
    (folder / "chart/Chart.yaml").write_text("apiVersion: v2\nname: chart\nversion: 0.1.0\n", encoding="utf-8")
    (folder / "chart/templates/it.yaml").write_text(template, encoding="utf-8")
    return folder / "chart"


def test_versions_of_the_tools_are_known() -> None:
    assert tool_version("helm").startswith("v")
    assert tool_version("kustomize").startswith("v5.")


def test_a_missing_tool_is_named(without_tools: Callable[..., None]) -> None:
    without_tools("helm")
    with pytest.raises(RenderError, match="helm is not installed, or not on PATH") as e:
        find_tool("helm")
    assert "install helm" in e.value.hint


@pytest.mark.parametrize(
    ("template", "limits", "message"),
    [
        (ENDLESS, Limits(wall=1), "took more than 1 seconds"),
        (ENDLESS, Limits(cpu=1), "used more than 1 seconds of CPU time"),
        (ENDLESS, Limits(memory=1400 << 20), "needed more than 1400 MiB of memory"),
        (DOUBLING, Limits(memory=1400 << 20), "needed more than 1400 MiB of memory"),
    ],
)
def test_a_hostile_chart_hits_a_limit(tmp_path: Path, template: str, limits: Limits, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        helm(chart(tmp_path, template), limits)


def test_too_much_output_is_an_error_and_never_a_part(tmp_path: Path) -> None:
    line = "a{{ . }}: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"
    big = chart(tmp_path, "{{- range until 20000 }}\n" + line + "{{- end }}\n")
    assert len(helm(big).text) > 1 << 20
    with pytest.raises(RenderError, match="printed more than 1 MiB"):
        helm(big, Limits(output=1 << 20))


def test_output_of_exactly_the_limit_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, monkeypatch, "printf 12345678")
    assert helm(tmp_path, Limits(output=8)).text == "12345678"


def test_the_whole_process_group_dies_at_the_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    monkeypatch.setattr(tool, "walls_here", Walls)
    script(tmp_path, monkeypatch, f"/bin/sleep 600 & echo $! > {pid}; wait")
    with pytest.raises(RenderError, match="took more than 1 seconds"):
        helm(tmp_path, Limits(wall=1))
    assert_dies(int(pid.read_text()))


def test_a_child_that_a_tool_leaves_behind_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    monkeypatch.setattr(tool, "walls_here", Walls)
    script(tmp_path, monkeypatch, f"/bin/sleep 600 >&- 2>&- & echo $! > {pid}")
    helm(tmp_path)
    assert_dies(int(pid.read_text()))


def assert_dies(pid: int) -> None:
    """The process is gone or a zombie: SIGKILL is delivered before `killpg` returns, the end comes soon after."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(10_000):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] in "ZX":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        os.sched_yield()
    os.kill(pid, signal.SIGKILL)
    pytest.fail(f"process {pid} lives on")


def test_an_interrupted_render_can_kill_what_runs(tmp_path: Path) -> None:
    failed: list[str] = []

    def render() -> None:
        try:
            helm(endless, Limits(cpu=100_000))
        except RenderError as e:
            failed.append(e.message)

    endless = chart(tmp_path, ENDLESS)
    thread = threading.Thread(target=render)
    thread.start()
    while thread.is_alive():
        kill_running()
        thread.join(0.05)
    assert "was killed from outside" in failed[0]


def test_a_tool_sees_no_environment_and_an_empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "HELM_PLUGINS", "HELM_DATA_HOME", "XDG_DATA_HOME", "SECRET_TOKEN"):
        monkeypatch.setenv(name, "/somewhere")
    script(tmp_path, monkeypatch, '/usr/bin/env; echo "files: $(/bin/ls -A "$HOME")"; echo "$HOME"; pwd')
    seen = helm(tmp_path).text
    assert "/somewhere" not in seen
    assert "files: \n" in seen
    assert not Path(seen.splitlines()[-1]).exists()
    names = {line.partition("=")[0] for line in seen.splitlines() if "=" in line}
    ours = {"HOME", "TMPDIR", "TZ", "HTTP_PROXY", "HTTPS_PROXY", "GOGC", "GOMEMLIMIT"}
    assert names <= ours | {"PWD", "OLDPWD", "SHLVL", "_"}


@pytest.mark.skipif(not walls_here().namespaces, reason="this kernel gives us no network namespace")
def test_a_tool_has_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script(tmp_path, monkeypatch, f'exec /bin/bash -c "echo hello > /dev/tcp/127.0.0.1/{port}"')
        with pytest.raises(RenderError, match="exit code 1"):
            helm(tmp_path)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_failure_is_the_tools_own_words_without_its_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(
        tmp_path,
        monkeypatch,
        f"""
        echo "Error: it broke in {tmp_path}/chart/it.yaml below {tmp_path.parent}" >&2
        echo "2026/01/02 03:04:05 and says so" >&2
        printf 'panic: oh no\\n\\ngoroutine 1 [running]:\\nmain.main()\\n' >&2
        exit 7
        """,
    )
    with private_folder() as private, pytest.raises(RenderError) as e:
        run(
            "helm",
            ["template"],
            private=private,
            limits=Limits(),
            root=tmp_path,
            where="unit",
            hints={"broke": "mend"},
        )
    assert e.value.message == (
        f"helm template failed with exit code 7: it broke in chart/it.yaml below {tmp_path.parent}\nand says so\n"
        "panic: oh no"
    )
    assert (e.value.where, e.value.hint, e.value.exit_code) == ("unit", "mend", 2)


def test_a_long_failure_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, monkeypatch, "/usr/bin/seq 1 100 >&2; exit 1")
    with pytest.raises(RenderError) as e:
        helm(tmp_path)
    assert e.value.message.endswith("\n40\n… and 60 more lines")


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path, monkeypatch, r"printf 'abc\377'")
    with pytest.raises(RenderError, match="no UTF-8, first at byte 3"):
        helm(tmp_path)


def test_many_threads_run_tools_at_once(tmp_path: Path) -> None:
    """Each gets its own output."""
    charts = [chart(tmp_path / str(i), f"number: {i}\n") for i in range(8)]
    texts: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda i=i: texts.update({i: helm(charts[i]).text}))  # type: ignore[misc]
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(f"number: {i}\n" in texts[i] for i in range(8))
