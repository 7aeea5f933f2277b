"""Every case of the corpus renders as its own tools render it: the same objects, in the same order, or refused."""

import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import corpus
import pytest
from mutations import mutations

from renderers.cache import RenderCache
from renderers.keys import Index

CASES = list(corpus.cases())
#: How many changes of each case are tried; all of them with --all-mutations.
SAMPLE = 1
#: What we refuse and the tools do not, by our message, and why.
STRICTER = {
    r"has no (apiVersion|metadata)|has metadata.generateName": "kubectl prints it, and nobody could apply it",
    r"which Kubernetes does not allow|it has to be text": "the same: no API server takes such a name or kind",
    r"a schema may refer to no other file|the archive cannot be read": "a chart with links may open it by another name",
}


def runs(cases: list[corpus.Case]) -> pytest.MarkDecorator:
    """Each case with each helm that could matter to it."""
    pairs = [(case, major) for case in cases for major in (["helm", "helm4"] if case.uses_helm else ["helm"])]
    names = [f"{case}-{major}" for case, major in pairs]
    return pytest.mark.parametrize(("case", "major"), pairs, ids=names, indirect=["major"])


@contextmanager
def as_helm(name: str, tools: Path, folder: Path) -> Iterator[None]:
    """That program stands as `helm` on PATH."""
    folder.mkdir(exist_ok=True)
    (folder / "helm").unlink(missing_ok=True)
    (folder / "helm").symlink_to((tools / name).resolve())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder), prepend=":")
        yield


@pytest.fixture
def major(request: pytest.FixtureRequest, tmp_path: Path, tools: Path) -> Iterator[str]:
    """The helm that stands as `helm` on PATH."""
    with as_helm(request.param, tools, tmp_path / "path"):
        yield request.param


def golden(case: corpus.Case, major: str) -> Path:
    """The file that has what the tools gave: of its own for Helm 4 only where it differs."""
    own = case.place / f"golden.{major}.json"
    return own if own.exists() else case.place / "golden.json"


@pytest.fixture
def root(case: corpus.Case, tmp_path: Path) -> Path:
    """The case, built."""
    place = tmp_path.resolve() / "repository"
    case.build(place)
    return place


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """An empty folder for the tools' own files."""
    folder = tmp_path / "private"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("case", [case for case in CASES if not case.settings.stricter], ids=str)
def test_the_golden_is_what_the_tools_give(
    case: corpus.Case, root: Path, private: Path, tools: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    given = {}
    for name in ["helm", "helm4"] if case.uses_helm else ["helm"]:
        with as_helm(name, tools, tmp_path / "path"):
            given[name] = corpus.exact(case.by_tools(root, private))
    texts = {case.place / "golden.json": given["helm"]}
    if given.get("helm4", given["helm"]) != given["helm"]:
        texts[case.place / "golden.helm4.json"] = given["helm4"]
    if request.config.getoption("--update-goldens"):
        for file in case.place.glob("golden*.json"):
            file.unlink()
        for file, text in texts.items():
            file.write_text(text)
    kept = {file: file.read_text() for file in case.place.glob("golden*.json")}
    assert kept == texts, f"run: pytest {Path(__file__).name} --update-goldens, and read the difference"


@runs([case for case in CASES if not case.settings.refused])
def test_trimtab_gives_the_golden(case: corpus.Case, major: str, root: Path) -> None:
    assert corpus.exact(case.by_trimtab(root)) == golden(case, major).read_text()


@runs([case for case in CASES if case.settings.refused])
def test_what_cannot_be_rendered_is_refused_clearly(case: corpus.Case, major: str, root: Path) -> None:
    if not case.settings.stricter:
        assert list(json.loads(golden(case, major).read_text())) == ["refused"]
    outcome = case.by_trimtab(root)
    assert re.search(case.settings.refused, outcome.get("refused", "")), outcome


@pytest.mark.parametrize("by", ["content", "index"])
@pytest.mark.parametrize("case", [case for case in CASES if not case.settings.stricter], ids=str)
def test_a_change_of_the_input_changes_ours_as_it_changes_the_tools(
    case: corpus.Case, by: str, tmp_path: Path, private: Path, request: pytest.FixtureRequest
) -> None:
    """One cache lives over all changes; it is asked by the files' content, and by git's ids as for an App."""
    original = tmp_path.resolve() / "original"
    case.build(original)
    git = Git(tmp_path / "git") if by == "index" else None
    cache = RenderCache()

    def ours(root: Path) -> corpus.Outcome:
        # A base that nobody refers to any more would be a unit of its own, of which the tool knows nothing.
        below = case.place.parent.name == "folders"
        return case.by_trimtab(root, cache, index=git.index(root) if git else None, recursive=below)

    first = ours(original)
    assert cache.entries or not first or "refused" in first
    chosen = list(mutations(original, content_only=bool(case.settings.units)))
    if not request.config.getoption("--all-mutations"):
        chosen = random.Random(f"{case} {by}").sample(chosen, min(SAMPLE, len(chosen)))
    differences = []
    for number, mutation in enumerate(chosen):
        # A checkout of another commit is another folder; a folder in which somebody works stays the same.
        root = tmp_path.resolve() / (f"commit-{number}" if git else "repository")
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(original, root, symlinks=True)
        mutation.on(root)
        mine, theirs = ours(root), case.by_tools(root, private)
        if not same(theirs, mine, ordered=case.ordered(root)):
            differences.append(f"after {mutation}:\n{corpus.exact(theirs)}\nand ours:\n{corpus.exact(mine)}")
    assert not differences, "\n".join(differences)
    assert ours(original) == first


def same(theirs: corpus.Outcome, ours: corpus.Outcome, *, ordered: bool) -> bool:
    """The same objects, or both refuse, or we refuse what we chose to."""
    if "refused" in ours:
        return "refused" in theirs or any(re.search(pattern, ours["refused"]) for pattern in STRICTER)
    return corpus.exact(theirs, ordered=ordered) == corpus.exact(ours, ordered=ordered)


class Git:
    """The ids of a folder's files, as git gives them; its own data is in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        subprocess.run(["git", "init", "--quiet", "--bare", folder], check=True)

    def index(self, root: Path) -> Index:
        """The index of a checkout. Folders without a file are deleted: git knows none."""
        for path in sorted((path for path in root.rglob("*") if path.is_dir() and not path.is_symlink()), reverse=True):
            if not any(path.iterdir()):
                path.rmdir()
        git = ["git", f"--git-dir={self._folder}", f"--work-tree={root}"]
        subprocess.run([*git, "add", "--all", "--force"], cwd=root, check=True)
        listed = subprocess.run([*git, "ls-files", "--stage", "-z"], cwd=root, check=True, capture_output=True).stdout
        entries = (entry.partition("\t") for entry in listed.decode().split("\0") if entry)
        # "mode id stage": all of stage 0
        return Index({path: about.rpartition(" ")[0] for about, _, path in entries})
