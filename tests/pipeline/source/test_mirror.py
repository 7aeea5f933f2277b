"""From a source to a commit and its checkout, while all goes well."""

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import GitSource
from pipeline.errors import SourceError
from pipeline.source.credentials import Credentials
from pipeline.source.mirror import Mirrors, default_cache, git_version


def test_a_branch_is_followed(origin: Any, read: Callable[..., str]) -> None:
    assert read(origin.source(branch="main")) == "one"
    origin.push({"deploy/a.yaml": "two"})
    assert read(origin.source(branch="main")) == "two"


def test_without_a_ref_the_remotes_own_branch_is_followed(origin: Any, read: Callable[..., str]) -> None:
    origin.push({"deploy/a.yaml": "other"}, branch="trunk")
    origin.git("symbolic-ref", "HEAD", "refs/heads/trunk", at=origin.bare)
    assert read(origin.source()) == "other"


@pytest.mark.parametrize("annotate", [[], ["--annotate", "-m", "v1"]])
def test_a_tag_is_its_commit(origin: Any, mirrors: Mirrors, read: Callable[..., str], annotate: list[str]) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.git("tag", *annotate, "v1")
    origin.git("push", "--quiet", "--tags", "origin")
    origin.push({"deploy/a.yaml": "two"})
    assert mirrors.resolve(origin.source(tag="v1")) == first
    assert read(origin.source(tag="v1")) == "one"


def test_a_branch_and_a_tag_of_one_name_are_two(origin: Any, read: Callable[..., str]) -> None:
    origin.git("push", "--quiet", "origin", "HEAD:refs/tags/main")
    origin.push({"deploy/a.yaml": "two"})
    assert read(origin.source(tag="main")) == "one"
    assert read(origin.source(branch="main")) == "two"


def test_a_name_is_not_taken_for_the_end_of_another(origin: Any, mirrors: Mirrors) -> None:
    origin.git("push", "--quiet", "origin", "HEAD:refs/heads/x/refs/heads/only")
    with pytest.raises(SourceError, match="the branch only is not in"):
        mirrors.resolve(origin.source(branch="only"))


def test_a_commit_that_no_ref_names_is_fetched_by_its_id(origin: Any, read: Callable[..., str]) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.push({"deploy/a.yaml": "two"})
    assert read(origin.source(commit=first)) == "one"


def test_a_repository_of_sha256_ids(make_origin: Any, read: Callable[..., str]) -> None:
    origin = make_origin("long", "--object-format=sha256")
    assert len(origin.push({"deploy/a.yaml": "one"})) == 64
    assert read(origin.source(branch="main")) == "one"


def test_a_plain_path_is_a_url(origin: Any, read: Callable[..., str]) -> None:
    assert read(GitSource(str(origin.bare))) == "one"


def test_the_checkout_says_where_it_comes_from(origin: Any, mirrors: Mirrors) -> None:
    source = origin.source(branch="main", path="./deploy/")
    commit = mirrors.resolve(source)
    with mirrors.checked_out(source, commit) as checkout:
        assert checkout.folder == checkout.root / "deploy"
        assert checkout.root == checkout.root.resolve()
        assert (checkout.commit, checkout.url, checkout.ref) == (commit, origin.url, "branch main")


def test_a_path_that_is_a_link_inside_is_followed(origin: Any, mirrors: Mirrors) -> None:
    (origin.work / "link").symlink_to("deploy")
    origin.push()
    source = origin.source(path="link")
    with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
        assert checkout.folder == checkout.root / "deploy"


def test_users_of_one_commit_share_its_checkout(origin: Any, mirrors: Mirrors) -> None:
    source = origin.source()
    commit = mirrors.resolve(source)
    with mirrors.checked_out(source, commit) as one, mirrors.checked_out(origin.source(path="deploy"), commit) as two:
        assert one.root == two.root
    with mirrors.checked_out(source, commit) as three:
        assert three.root == one.root


def test_an_old_checkout_stays_while_it_is_used_and_goes_then(origin: Any, mirrors: Mirrors) -> None:
    source = origin.source()
    with mirrors.checked_out(source, mirrors.resolve(source)) as old:
        origin.push({"deploy/a.yaml": "two"})
        with mirrors.checked_out(source, mirrors.resolve(source)) as new:
            assert (old.root / "deploy/a.yaml").read_text() == "one"
        assert new.root.exists()
    assert not old.root.exists()
    assert new.root.exists()


def test_a_checkout_cannot_be_written(origin: Any, mirrors: Mirrors) -> None:
    (origin.work / "run.sh").write_text("exit")
    (origin.work / "run.sh").chmod(0o755)
    (origin.work / "out").symlink_to("/etc/passwd")
    origin.push()
    before = Path("/etc/passwd").stat().st_mode
    source = origin.source()
    with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
        entries = [checkout.root, *checkout.root.rglob("*")]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in entries if not path.is_symlink()}
        assert not any(mode & 0o222 for mode in modes.values()), modes
        assert modes["run.sh"] & 0o111
        assert (checkout.root / "out").is_symlink()
    assert Path("/etc/passwd").stat().st_mode == before


def test_a_commit_in_the_mirror_needs_no_remote(origin: Any, mirrors: Mirrors, cache: Path) -> None:
    source = origin.source()
    commit = mirrors.resolve(source)
    with mirrors.checked_out(source, commit):
        pass
    origin.bare.rename(origin.bare.with_name("gone.git"))
    assert mirrors.resolve(origin.source(commit=commit)) == commit
    with Mirrors(cache).checked_out(origin.source(commit=commit), commit) as checkout:
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"


def test_only_what_is_asked_for_is_fetched(origin: Any, mirrors: Mirrors, cache: Path) -> None:
    other = origin.push({"deploy/a.yaml": "other"}, branch="other")
    origin.git("reset", "--quiet", "--hard", "HEAD~1")
    source = origin.source(branch="main")
    with mirrors.checked_out(source, mirrors.resolve(source)):
        pass
    (mirror,) = cache.glob("*.git")
    with pytest.raises(AssertionError):
        origin.git("cat-file", "-e", other, at=mirror)


def test_many_threads_on_many_commits(origin: Any, mirrors: Mirrors) -> None:
    numbers = range(4)
    for number in numbers:
        origin.push({"deploy/a.yaml": str(number)}, branch=f"b{number}")
    start = threading.Barrier(8)

    def work(worker: int) -> None:
        start.wait()
        for turn in range(4):
            number = (worker + turn) % len(numbers)
            source = origin.source(branch=f"b{number}")
            with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
                assert (checkout.folder / "deploy/a.yaml").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [None] * 8


def test_two_processes_share_a_cache(origin: Any, cache: Path) -> None:
    """Two objects stand for two processes: nothing but the folder joins them."""
    source = origin.source()
    one, two = Mirrors(cache), Mirrors(cache)
    commit = one.resolve(source)
    with ThreadPoolExecutor(2) as pool:
        texts = pool.map(lambda mirrors: _text(mirrors, source, commit), (one, two))
        assert list(texts) == ["one", "one"]
    assert len(list(cache.glob("*.git"))) == 1


def _text(mirrors: Mirrors, source: GitSource, commit: str) -> str:
    with mirrors.checked_out(source, commit) as checkout:
        return (checkout.root / "deploy/a.yaml").read_text()


def test_the_version_of_git_is_a_number() -> None:
    assert git_version()[0].isdigit()


def test_the_cache_is_in_the_users_cache_folder(own_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_cache() == own_environment / ".cache" / "trimtab"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache() == own_environment / ".cache" / "trimtab"


def test_nothing_is_left_in_the_working_folder(origin: Any, mirrors: Mirrors, tmp_path: Path) -> None:
    before = set(Path.cwd().iterdir())
    source = origin.source()
    with mirrors.checked_out(source, mirrors.resolve(source)):
        assert set(Path.cwd().iterdir()) == before


def test_a_renewed_token_keeps_its_mirror_and_another_owner_has_his_own(
    origin: Any, cache: Path, mirrors: Mirrors
) -> None:
    source = origin.source(branch="main")
    commit = mirrors.resolve(source)
    for token, scope in (("old", "Secret a/x"), ("new", "Secret a/x"), ("old", "Secret b/x")):
        with mirrors.checked_out(source, commit, Credentials(password=token, scope=scope)):
            pass
    assert len(list(cache.glob("*.git"))) == 2


def test_what_nobody_has_used_for_a_day_makes_room(make_origin: Callable[..., Any], cache: Path) -> None:
    def read(name: str, mirrors: Mirrors) -> Path:
        before = set(cache.glob("*.git"))
        one = make_origin(name)
        one.push({"a.yaml": name})
        with mirrors.checked_out(one.source(branch="main"), mirrors.resolve(one.source(branch="main"))):
            return (set(cache.glob("*.git")) - before).pop()

    ours = Mirrors(cache)
    kept, gone = read("kept", ours), read("gone", Mirrors(cache))
    for mirror in (kept, gone):
        os.utime(mirror.with_suffix(".lock"), (0, 0))
    new = read("new", ours)
    assert set(cache.glob("*.git")) == {kept, new}, "who has a checkout of it will need it again"
