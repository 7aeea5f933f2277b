"""Folders for checkouts: one home a process, in memory or on disk, and never another one's."""

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.source import folders
from pipeline.source.folders import Folders


def test_homes_made_at_the_same_time_do_not_sweep_each_other_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each object stands for a process: the locks are between them as between processes."""
    monkeypatch.setattr(folders, "_MEMORY_LIMIT", 0)
    kept: list[Folders] = []

    def start(_: int) -> Path:
        mine = Folders(tmp_path)
        kept.append(mine)
        return mine.new(1)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(start, range(100)))
    assert all(folder.is_dir() for folder in made)
    assert len({folder.parent for folder in made}) == len(made)


def test_a_home_goes_with_its_owner(tmp_path: Path) -> None:
    mine = Folders(tmp_path)
    folder = mine.new(1)
    (folder / "file").touch()
    mine.freeze(folder)
    del mine
    gc.collect()
    assert not folder.parent.exists()


def test_a_home_is_for_nobody_else(tmp_path: Path) -> None:
    mine = Folders(tmp_path)
    assert mine.new(1).parent.stat().st_mode & 0o077 == 0


def test_a_folder_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "trimtab-checkout-link").symlink_to(target)
    (tmp_path / "trimtab-checkout-file").touch()
    Folders(tmp_path)
    assert target.is_dir()
    assert (tmp_path / "trimtab-checkout-file").exists()
