"""The mirror outlives kills, damage, and all that may happen to the remote."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import GitSource
from pipeline.errors import SourceError, SourceUnreachableError
from pipeline.source import bare
from pipeline.source.command import kill_running
from pipeline.source.mirror import Mirrors


@pytest.fixture
def mirror(origin: Any, read: Callable[..., str], cache: Path) -> Path:
    """The mirror of the repository, used once."""
    read(origin.source(branch="main"))
    (path,) = cache.glob("*.git")
    return path


def test_a_rewritten_branch_is_followed(origin: Any, mirror: Path, read: Callable[..., str]) -> None:
    origin.push({"deploy/a.yaml": "rewritten"}, amend=True)
    assert read(origin.source(branch="main")) == "rewritten"


def test_a_branch_without_common_history_is_followed(origin: Any, mirror: Path, read: Callable[..., str]) -> None:
    origin.git("checkout", "--quiet", "--orphan", "fresh")
    origin.push({"deploy/a.yaml": "fresh"})
    assert read(origin.source(branch="main")) == "fresh"


def test_a_commit_that_was_rewritten_between_question_and_fetch(origin: Any, mirrors: Mirrors) -> None:
    source = origin.source(branch="main")
    commit = mirrors.resolve(source)
    origin.push({"deploy/a.yaml": "rewritten"}, amend=True)
    with mirrors.checked_out(source, commit) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"


def test_a_branch_that_becomes_a_folder_of_branches(origin: Any, mirror: Path, read: Callable[..., str]) -> None:
    origin.push({"deploy/a.yaml": "two"}, branch="team")
    assert read(origin.source(branch="team")) == "two"
    origin.git("push", "--quiet", "origin", ":team")
    origin.push({"deploy/a.yaml": "three"}, branch="team/a")
    assert read(origin.source(branch="team/a")) == "three"


def test_a_moved_tag_is_followed(origin: Any, read: Callable[..., str]) -> None:
    for text in ("one", "two"):
        origin.push({"deploy/a.yaml": text})
        origin.git("tag", "--force", "--annotate", "-m", text, "v1")
        origin.git("push", "--quiet", "--force", "--tags", "origin")
        assert read(origin.source(tag="v1")) == text


def test_a_deleted_branch_is_an_error_and_its_commit_stays(origin: Any, mirrors: Mirrors) -> None:
    origin.push({"deploy/a.yaml": "two"}, branch="short")
    source = origin.source(branch="short")
    commit = mirrors.resolve(source)
    with mirrors.checked_out(source, commit):
        pass
    origin.git("push", "--quiet", "origin", ":short")
    with pytest.raises(SourceError, match=r"the branch short is not in .*\n.*there are: main"):
        mirrors.resolve(source)
    with mirrors.checked_out(source, commit) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "two"


def test_a_remote_that_comes_back(origin: Any, mirror: Path, mirrors: Mirrors, read: Callable[..., str]) -> None:
    away = origin.bare.with_name("away.git")
    origin.bare.rename(away)
    for _ in range(20):
        with pytest.raises(SourceUnreachableError):
            mirrors.resolve(origin.source())
    away.rename(origin.bare)
    assert read(origin.source()) == "one"


def test_a_remote_made_anew_under_the_same_url(
    origin: Any, mirror: Path, make_origin: Any, read: Callable[..., str]
) -> None:
    other = make_origin("other", "--object-format=sha256")
    other.push({"deploy/a.yaml": "anew"})
    shutil.rmtree(origin.bare)
    other.bare.rename(origin.bare)
    assert read(origin.source(branch="main")) == "anew"


@pytest.mark.parametrize(
    "damage",
    [
        lambda mirror: (mirror / "HEAD").unlink(),
        lambda mirror: (mirror / "HEAD").write_text("nonsense"),
        lambda mirror: (mirror / "config").write_text("[broken"),
        lambda mirror: [path.write_bytes(b"") for path in _packs(mirror)],
        lambda mirror: [path.write_bytes(path.read_bytes()[:-40]) for path in _packs(mirror)],
        lambda mirror: [path.unlink() for path in mirror.glob("objects/pack/*.idx")],
        lambda mirror: shutil.rmtree(mirror / "objects"),
        lambda mirror: [path.write_text("0" * 40) for path in mirror.glob("refs/trimtab/*")],
        lambda mirror: [path.write_text("f" * 40) for path in mirror.glob("refs/trimtab/*")],
        lambda mirror: [path.unlink() for path in mirror.rglob("*") if path.is_file()],
        shutil.rmtree,
    ],
)
@pytest.mark.parametrize("new", [True, False])
def test_a_damaged_mirror_is_made_anew(
    origin: Any, mirror: Path, cache: Path, damage: Callable[[Path], Any], *, new: bool
) -> None:
    if new:
        origin.push({"deploy/b.yaml": "two"})
    for path in _packs(mirror):
        path.chmod(0o600)
    damage(mirror)
    mirrors = Mirrors(cache)
    source = origin.source(branch="main")
    with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"
    assert not list(cache.glob("*.new"))


def _packs(mirror: Path) -> list[Path]:
    return list(mirror.glob("objects/pack/*.pack"))


def test_a_damaged_mirror_stays_when_the_remote_is_gone(origin: Any, mirror: Path, cache: Path) -> None:
    commit = origin.git("rev-parse", "HEAD")
    (mirror / "HEAD").unlink()
    origin.bare.rename(origin.bare.with_name("gone.git"))
    with (
        pytest.raises(SourceUnreachableError, match="does not appear to be a git repository"),
        Mirrors(cache).checked_out(origin.source(branch="main"), commit),
    ):
        pass
    assert mirror.exists()


def test_locks_of_a_killed_git_do_not_block(origin: Any, mirror: Path, read: Callable[..., str]) -> None:
    (ref,) = mirror.glob("refs/trimtab/*")
    left = [ref.with_name(f"{ref.name}.lock"), mirror / "packed-refs.lock", mirror / "objects/pack/tmp_pack_x"]
    for path in left:
        path.touch()
    before = mirror.stat().st_ino
    origin.push({"deploy/a.yaml": "two"})
    assert read(origin.source(branch="main")) == "two"
    assert not any(path.exists() for path in left)
    assert mirror.stat().st_ino == before, "the mirror was cloned again"


def test_a_mirror_in_use_is_waited_for_but_not_for_ever(origin: Any, mirror: Path, cache: Path) -> None:
    commit = origin.push({"deploy/a.yaml": "two"})
    lock = os.open(mirror.with_suffix(".lock"), os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (
            pytest.raises(SourceUnreachableError, match="in use"),
            Mirrors(cache, timeout=0.02).checked_out(origin.source(), commit),
        ):
            pass
    finally:
        os.close(lock)


def test_a_remote_that_hangs_is_given_up(origin: Any, cache: Path, tmp_path: Path, monkeypatch: Any) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ssh").write_text("#!/bin/sh\nsleep 1000 & echo $! > $0.pid\nwait\n")
    (tools / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    source = origin.source()
    with pytest.raises(SourceUnreachableError, match="no answer within 1 seconds"):
        Mirrors(cache, timeout=1).resolve(type(source)("git@example.com:x.git"))
    sleeper = int((tools / "ssh.pid").read_text())
    assert not _alive(sleeper), "what ssh had started was left behind"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_many_fetches_do_not_leave_as_many_packs(
    origin: Any, mirror: Path, read: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare, "_MANY_PACKS", 2)
    for number in range(5):
        origin.push({"deploy/a.yaml": str(number)})
        assert read(origin.source(branch="main")) == str(number)
    assert len(_packs(mirror)) <= 3


def test_a_git_that_outlives_its_process_keeps_the_mirror_locked(
    origin: Any, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ssh").write_text("#!/bin/sh\necho $$ > $0.new && mv $0.new $0.pid\nexec sleep 1000\n")
    (tools / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    source = GitSource("git@example.com:x.git", commit="1" * 40)
    process = subprocess.Popen([sys.executable, "-c", _USE, cache, source.url, source.commit], cwd=_ROOT)
    pid = tools / "ssh.pid"
    while not pid.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    try:
        with (
            pytest.raises(SourceUnreachableError, match="in use"),
            Mirrors(cache, timeout=0.02).checked_out(source, source.commit),
        ):
            pass
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    (tools / "ssh").write_text("#!/bin/sh\necho gone away >&2\nexit 1\n")
    with pytest.raises(SourceUnreachableError, match="gone away"), Mirrors(cache).checked_out(source, source.commit):
        pass


def test_git_can_be_stopped(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "ssh").write_text("#!/bin/sh\ntouch $0.started\nsleep 1000\n")
    (tools / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    source = GitSource("git@example.com:x.git", commit="1" * 40)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lambda: Mirrors(cache).checked_out(source, source.commit).__enter__())
        while not (tools / "ssh.started").exists():
            assert not ended.done()
            time.sleep(0.01)
        kill_running()
        with pytest.raises(SourceUnreachableError, match="git was killed"):
            ended.result()


_ROOT = Path(__file__).parents[3]
_USE = """
import os, sys, signal
from pathlib import Path
from pipeline.app import GitSource
from pipeline.source.mirror import Mirrors
how = sys.argv[3]
mirrors, source = Mirrors(Path(sys.argv[1])), GitSource(sys.argv[2], commit=how if len(how) == 40 else "")
with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
    print(checkout.root, flush=True)
    if how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "stay":
        sys.stdin.read()
"""


def _start(cache: Path, url: str, how: str) -> tuple[subprocess.Popen[str], Path]:
    """A process with a checkout that dies, stays until its standard input ends, or ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _USE, cache, url, how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_checkouts_of_a_dead_process_are_removed_and_others_stay(origin: Any, cache: Path) -> None:
    living, used = _start(cache, origin.url, "stay")
    dead, left = _start(cache, origin.url, "die")
    try:
        assert dead.wait(30) == -signal.SIGKILL
        assert left.is_dir()
        Mirrors(cache)
        assert not left.parent.exists()
        assert used.is_dir()
    finally:
        living.communicate("", timeout=30)
        dead.communicate()
    assert living.returncode == 0
    assert not used.parent.exists(), "an orderly end leaves nothing"
