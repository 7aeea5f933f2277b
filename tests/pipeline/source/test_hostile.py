"""What a repository holds can hurt nobody: nothing of it runs, nothing is written or read outside its checkout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SourceError
from pipeline.source import bare, command, folders
from pipeline.source.mirror import Mirrors


def _tree(origin: Any, *entries: tuple[str, str, str]) -> str:
    """A tree object of (mode, name, content or object id), also with names that git would not add itself."""
    raw = b""
    for mode, name, content in entries:
        kind = ["-t", "blob", "-w", "--stdin"]
        object_id = content if len(content) == 40 else origin.git("hash-object", *kind, stdin=content.encode())
        raw += f"{mode} {name}\0".encode() + bytes.fromhex(object_id)
    return str(origin.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=raw))


def _push_tree(origin: Any, tree: str) -> str:
    commit = origin.git("commit-tree", "-m", "hostile", tree)
    origin.git("push", "--quiet", "--force", "origin", f"{commit}:refs/heads/main")
    return str(commit)


@pytest.mark.parametrize("name", ["..", ".git", "../escaped", "a/../../escaped", ".GIT", "git~1"])
def test_a_file_name_that_leads_out_is_refused(origin: Any, mirrors: Mirrors, cache: Path, name: str) -> None:
    commit = _push_tree(origin, _tree(origin, ("100644", name, "boo")))
    with (
        pytest.raises(SourceError, match=f"commit {commit[:12]} of .* invalid path"),
        mirrors.checked_out(origin.source(), commit),
    ):
        pass
    assert not list(cache.rglob("escaped"))


def test_a_file_below_a_link_is_not_written_through_it(origin: Any, mirrors: Mirrors, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = _tree(origin, ("100644", "file", "boo"))
    commit = _push_tree(origin, _tree(origin, ("120000", "a", str(outside)), ("40000", "a", folder)))
    try:
        with mirrors.checked_out(origin.source(), commit):
            pass
    except SourceError:
        pass
    assert list(outside.iterdir()) == []


def test_attributes_neither_change_a_byte_nor_run_anything(origin: Any, read: Callable[..., str]) -> None:
    text = "a: $Id$\nb: ä\n"
    attributes = (
        "* text eol=crlf ident filter=evil export-ignore export-subst\n"
        "plain working-tree-encoding=UTF-16 diff=evil merge=evil\n"
        "strange working-tree-encoding=no-such-encoding\n"
    )
    names = (".gitattributes", "normal", "plain", "strange")
    _push_tree(origin, _tree(origin, *(("100644", name, attributes if name[0] == "." else text) for name in names)))
    assert [read(origin.source(), name) for name in names] == [attributes, text, text, text]


def test_large_file_pointers_are_not_followed(origin: Any, read: Callable[..., str]) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    origin.push({".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "x.bin": pointer})
    assert read(origin.source(), "x.bin") == pointer


def test_hooks_do_not_run(origin: Any, mirrors: Mirrors, cache: Path, tmp_path: Path) -> None:
    source = origin.source()
    with mirrors.checked_out(source, mirrors.resolve(source)):
        pass
    (mirror,) = cache.glob("*.git")
    for folder in (mirror, origin.bare):
        for hook in ("post-checkout", "post-index-change", "reference-transaction", "post-upload-pack"):
            path = folder / "hooks" / hook
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-{hook}\n")
            path.chmod(0o755)
    # What is pushed straight into the objects runs no hook of the remote's own.
    commit = origin.git("commit-tree", "-m", "two", "HEAD^{tree}")
    (origin.bare / "hooks" / "reference-transaction").unlink()
    origin.git("push", "--quiet", "origin", f"{commit}:refs/heads/two")
    with mirrors.checked_out(origin.source(branch="two"), commit):
        pass
    assert list(tmp_path.glob("ran-*")) == []


def test_submodules_are_not_fetched(origin: Any, mirrors: Mirrors) -> None:
    gitmodules = '[submodule "s"]\n\tpath = s\n\turl = file:///nowhere\n'
    tree = _tree(origin, ("100644", ".gitmodules", gitmodules), ("160000", "s", "1" * 40))
    commit = _push_tree(origin, tree)
    with mirrors.checked_out(origin.source(), commit) as checkout:
        assert list((checkout.root / "s").iterdir()) == []


@pytest.mark.parametrize(
    ("target", "path", "says"),
    [
        ("/etc", "link", "path link leads out of commit"),
        ("/etc", "link/ssl", "path link/ssl leads out of commit"),
        ("../..", "link", "path link leads out of commit"),
        ("link", "link", "path link"),
        ("nowhere", "link", "path link is not in commit"),
    ],
)
def test_a_path_over_a_link_that_leads_out(origin: Any, mirrors: Mirrors, target: str, path: str, says: str) -> None:
    (origin.work / "link").symlink_to(target)
    commit = origin.push()
    with pytest.raises(SourceError, match=says), mirrors.checked_out(origin.source(path=path), commit):
        pass


def test_too_many_files(origin: Any, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "MAX_FILES", 1)
    commit = mirrors.resolve(origin.source())
    with pytest.raises(SourceError, match="too big"), mirrors.checked_out(origin.source(), commit):
        pass


def test_too_many_bytes(origin: Any, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "MAX_BYTES", 3)
    commit = mirrors.resolve(origin.source())
    with pytest.raises(SourceError, match="too big"), mirrors.checked_out(origin.source(), commit):
        pass


def test_a_bomb_of_trees_is_too_big_before_anything_is_written(
    origin: Any, mirrors: Mirrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten trees of ten entries each, every entry the tree below: 10^10 files in a kilobyte."""
    monkeypatch.setattr(command, "OUTPUT_LIMIT", 1 << 20)
    mode, content = "100644", "boo"
    for _ in range(10):
        content = _tree(origin, *((mode, f"n{number}", content) for number in range(10)))
        mode = "40000"
    commit = _push_tree(origin, content)
    with pytest.raises(SourceError, match="too big"), mirrors.checked_out(origin.source(), commit):
        pass


def test_a_checkout_that_does_not_fit_into_memory_goes_to_the_cache(
    origin: Any, mirrors: Mirrors, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_MEMORY_LIMIT", 1)
    source = origin.source()
    with mirrors.checked_out(source, mirrors.resolve(source)) as checkout:
        assert checkout.root.is_relative_to(cache.resolve())
        assert (checkout.root / "deploy/a.yaml").read_text() == "one"


def test_the_persons_own_git_is_not_asked(
    origin: Any, read: Callable[..., str], own_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run as from a hook of another repository, with configuration and attributes that would change everything."""
    config = f'[url "file:///nowhere/"]\n\tinsteadOf = {origin.url}\n[core]\n\tautocrlf = true\n'
    (own_environment / ".gitconfig").write_text(config)
    (own_environment / ".config/git").mkdir(parents=True)
    (own_environment / ".config/git/attributes").write_text("* text eol=crlf\n")
    other = tmp_path / "other"
    origin.git("init", "--quiet", str(other))
    (other / ".git" / "config").write_text(config)
    monkeypatch.chdir(other)
    origin.push({"deploy/a.yaml": "one\n"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own_environment / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'url.file:///nowhere/.insteadOf={origin.url}'")
    assert read(origin.source()) == "one\n"
    assert not (tmp_path / "index").exists()
