"""Hostile packages: what is refused, and that nothing of it lands outside the folder."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from chartrepo import packed, packed_version, run_helm

from pipeline.errors import SourceError
from pipeline.source.charts import unpack as module
from pipeline.source.charts.unpack import unpack

CHART = b"apiVersion: v2\nname: app\nversion: 1.0.0\n"


def unpacked(tmp_path: Path, content: bytes) -> dict[str, bytes]:
    """The files that a package unpacks to, by name."""
    package, folder = tmp_path / "package.tgz", tmp_path / "in" / "app"
    package.write_bytes(content)
    folder.parent.mkdir()
    unpack(package, folder, shown="app 1.0.0")
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


def test_a_package_of_helm_is_unpacked(tmp_path: Path, repository: Path) -> None:
    files = unpacked(tmp_path, (repository / "other-1.0.0.tgz").read_bytes())
    assert set(files) == {"Chart.yaml", "values.yaml", "templates/config.yaml"}


def test_the_top_folder_may_have_any_name_as_for_helm(tmp_path: Path) -> None:
    assert unpacked(tmp_path, packed({"Chart.yaml": CHART}, top="whatever/")) == {"Chart.yaml": CHART}


def test_names_of_windows_are_read_as_helm_reads_them(tmp_path: Path) -> None:
    content = packed({"Chart.yaml": CHART, "templates\\a.yaml": b"a"}, top="app\\")
    assert set(unpacked(tmp_path, content)) == {"Chart.yaml", "templates/a.yaml"}


def test_of_two_files_with_one_name_the_last_counts(tmp_path: Path) -> None:
    content = packed({"Chart.yaml": CHART, "a": b"one", "./a": b"two"})
    assert unpacked(tmp_path, content)["a"] == b"two"


@pytest.mark.parametrize(
    "name",
    [
        "../evil", "app/../../evil", "app/../evil", "/evil", "app//evil", "app/a/../../../evil", "..\\evil",
        "app\\..\\..\\evil",
        "app\\C:\\evil", "app/c:/evil", "evil", "app/", "app/.", "app/a\nb", "app/\x1b[2Ja", f"app/{'n' * 300}",
    ],
)  # fmt: skip
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    content = packed({"Chart.yaml": CHART, "evil": member(name)})
    with pytest.raises(SourceError, match=r"app 1\.0\.0 is no chart that can be used: the name"):
        unpacked(tmp_path, content)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_what_is_no_file_is_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(SourceError, match="no chart that can be used"):
        unpacked(tmp_path, packed({"Chart.yaml": CHART, "a": member("app/a", kind, "/etc/passwd")}))


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    content = packed({"l": member("app/l", tarfile.SYMTYPE, str(tmp_path)), "l/evil": b"x"})
    with pytest.raises(SourceError, match="l is a link or a device"):
        unpacked(tmp_path, content)
    assert not (tmp_path / "evil").exists()


def test_a_file_and_a_folder_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a file and a folder of one name"):
        unpacked(tmp_path, packed({"Chart.yaml": CHART, "a": b"", "a/b": b""}))


def test_two_top_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="more than one folder: app, other"):
        unpacked(tmp_path, packed({"Chart.yaml": CHART, "x": member("other/x")}))


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", gzip.compress(b"no archive" * 200), packed_version("1.0.0")[:200], packed({})],
    ids=["nothing", "a page", "gzip of something else", "a part", "empty"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match=r"app 1\.0\.0 is no chart that can be used"):
        unpacked(tmp_path, content)


def test_a_package_without_chart_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"it has no Chart\.yaml"):
        unpacked(tmp_path, packed({"values.yaml": b""}))


def test_a_file_past_the_limit_of_helm_is_refused(tmp_path: Path) -> None:
    content = packed({"Chart.yaml": CHART, "big": bytes(module.MAX_FILE_BYTES + 1)})
    with pytest.raises(SourceError, match="5 MiB in a file"):
        unpacked(tmp_path, content)
    (tmp_path / "big.tgz").write_bytes(content)
    with pytest.raises(AssertionError, match="maximum file size"):
        run_helm("template", "r", tmp_path / "big.tgz")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    with pytest.raises(SourceError, match="too big"):
        unpacked(tmp_path, packed({f"f{number}": bytes(300 << 10) for number in range(5)}))


def test_a_bomb_in_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="too big"):
        unpacked(tmp_path, packed({"n": member("app/" + "n" * (4 << 20)), "Chart.yaml": CHART}))


def test_an_archive_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_ARCHIVE", 1 << 20)
    folders = {f"d{number}": member(f"app/d{number}", tarfile.DIRTYPE) for number in range(3000)}
    with pytest.raises(SourceError, match="too big"):
        unpacked(tmp_path, packed(folders))


def test_many_empty_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 10)
    with pytest.raises(SourceError, match="more than 10 files"):
        unpacked(tmp_path, packed({f"f{number}": b"" for number in range(11)}))


def test_headers_of_git_are_passed_over(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "c0ffee"}) as out:
        made = member("app/Chart.yaml", size=len(CHART))
        out.addfile(made, io.BytesIO(CHART))
    assert unpacked(tmp_path, buffer.getvalue()) == {"Chart.yaml": CHART}
