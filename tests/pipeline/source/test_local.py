"""A folder of the person's own becomes a checkout, in git or not."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.source.local import local_checkout


def test_a_folder_in_a_repository(origin: Any) -> None:
    checkout = local_checkout(origin.work / "deploy")
    assert checkout.root == origin.work.resolve()
    assert checkout.folder == (origin.work / "deploy").resolve()
    assert checkout.commit == origin.git("rev-parse", "HEAD")
    assert checkout.url == str(origin.bare)


def test_a_relative_path_and_a_link(origin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (origin.work / "link").symlink_to("deploy")
    monkeypatch.chdir(origin.work)
    assert local_checkout(Path()).folder == origin.work.resolve()
    assert local_checkout(Path("link")).folder == (origin.work / "deploy").resolve()


def test_a_folder_in_a_worktree(origin: Any, tmp_path: Path) -> None:
    origin.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    checkout = local_checkout(tmp_path / "side" / "deploy")
    assert checkout.root == (tmp_path / "side").resolve()
    assert checkout.commit == origin.git("rev-parse", "HEAD")


def test_a_folder_in_no_repository(tmp_path: Path) -> None:
    checkout = local_checkout(tmp_path)
    assert (checkout.folder, checkout.commit, checkout.url) == (tmp_path.resolve(), "", "")


def test_a_repository_without_a_commit_or_a_remote(make_origin: Any) -> None:
    origin = make_origin("empty")
    origin.git("remote", "remove", "origin")
    checkout = local_checkout(origin.work)
    assert (checkout.commit, checkout.url) == ("", "")


def test_a_damaged_repository_is_a_folder_all_the_same(origin: Any) -> None:
    (origin.work / ".git" / "config").write_text("[broken")
    assert local_checkout(origin.work).commit == ""


def test_without_git_a_folder_is_a_folder(origin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    assert local_checkout(origin.work).root == origin.work.resolve()


def test_credentials_in_the_remotes_url_are_not_shown(origin: Any) -> None:
    origin.git("remote", "set-url", "origin", "https://me:s3cret@example.com/x.git")
    assert local_checkout(origin.work).url == "https://example.com/x.git"


def test_the_repository_runs_nothing_and_nothing_is_written(origin: Any, tmp_path: Path) -> None:
    for key in ("core.fsmonitor", "core.sshCommand", "alias.rev-parse", "core.pager"):
        origin.git("config", key, f"!touch {tmp_path}/ran")
    before = {path: path.stat().st_mtime_ns for path in origin.work.rglob("*")}
    local_checkout(origin.work)
    assert not (tmp_path / "ran").exists()
    assert {path: path.stat().st_mtime_ns for path in origin.work.rglob("*")} == before


def test_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        local_checkout(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is no folder"):
        local_checkout(tmp_path / "file")
