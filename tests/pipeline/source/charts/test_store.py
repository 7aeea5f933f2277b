"""The cache of charts: what stays, what goes, who waits."""

import os
import time
from pathlib import Path

import pytest
from chartrepo import packed_version

from pipeline.errors import SourceError, SourceUnreachableError, TrimtabError
from pipeline.source.charts import Pin
from pipeline.source.charts.store import Store

PIN = Pin("app", "1.0.0", f"sha256:{'a' * 64}", "https://charts.example.com/app.tgz")
OTHER = Pin("app", "2.0.0", f"sha256:{'b' * 64}", "https://charts.example.com/app.tgz")


def put(store: Store, pin: Pin, shelf: str = "one") -> Path:
    with store.new_file() as file:
        file.write(packed_version(pin.version))
        return store.put(shelf, pin, file)


def age(folder: Path, days: float) -> None:
    then = time.time() - days * 24 * 3600
    os.utime(folder, (then, then))


def test_a_chart_is_found_after_it_was_put(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find("one", PIN) is None
    folder = put(store, PIN)
    assert store.find("one", PIN) == Store(tmp_path).find("one", PIN) == folder
    assert store.find("another", PIN) is None


def test_who_comes_second_gets_what_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert put(store, PIN) == put(store, PIN)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".new-")] == []


def test_what_is_no_chart_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.new_file() as file:
        file.write(b"nonsense")
        with pytest.raises(SourceError):
            store.put("one", PIN, file)
    assert store.find("one", PIN) is None
    assert list(tmp_path.glob(".new-*")) == []


def test_what_nobody_uses_goes_and_what_is_used_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    unused, used = put(store, PIN, "one"), put(store, PIN, "two")
    for folder in (unused, used):
        age(folder.parent, days=2)
    store.find("two", PIN)
    put(store, OTHER)
    assert (unused.exists(), used.exists()) == (False, True)
    assert put(store, PIN, "one").exists()


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    (tmp_path / ".new-left" / "app").mkdir(parents=True)
    (tmp_path / ".new-file").write_bytes(b"half")
    (tmp_path / ".new-now").write_bytes(b"half")
    for name in (".new-left", ".new-file"):
        age(tmp_path / name, days=1)
    put(Store(tmp_path), PIN)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".new-")] == [".new-now"]


def test_one_makes_a_chart_at_a_time(tmp_path: Path) -> None:
    first, second = Store(tmp_path), Store(tmp_path)
    with first.making("one", PIN, timeout=1):
        with pytest.raises(SourceUnreachableError, match="in the making"), second.making("one", PIN, timeout=0):
            pass
        with second.making("one", OTHER, timeout=0), second.making("two", PIN, timeout=0):
            pass
    with second.making("one", PIN, timeout=0):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrimtabError, match="cache of charts cannot be written") as caught:
        Store(tmp_path / "file" / "charts")
    assert "--cache-dir" in caught.value.hint


def test_nobody_can_write_into_a_chart(tmp_path: Path) -> None:
    folder = put(Store(tmp_path), PIN)
    assert {oct(file.stat().st_mode & 0o777) for file in folder.rglob("*") if file.is_file()} == {"0o400"}
