"""Where the programs come from: the order of places, versions that fit, and builds."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import pytest

PINNED = "v5.8.1"  # of kustomize

#: Stands in for Go, which would take minutes: notes each build, and writes a program that says its version.
GO = f"""#!/bin/sh
[ "$1" = env ] && {{ echo "${{FAKE_GO:-go1.26.0}}"; exit; }}
echo "$PWD $GOFLAGS $*" >> "$NOTES"
[ -n "$FAIL" ] && {{ echo "go: downloading"; echo "go: no route to host" >&2; exit 1; }}
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho {PINNED}\\n' > "$2"
chmod +x "$2"
"""


class Machine:
    """A machine with nothing on it but a shell, and the fake programs that a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.path = folder / "path"
        self.assets = folder / "assets"
        self.notes = folder / "notes"
        self.path.mkdir()
        self.assets.mkdir()
        self.environment = {
            "PATH": f"{self.path}:/nonexistent",
            "TRIMTAB_CACHE": str(self.cache),
            "NOTES": str(self.notes),
        }
        for name in ("sh", "chmod"):
            program = next(folder for folder in map(Path, ("/bin", "/usr/bin")) if (folder / name).exists()) / name
            (self.path / name).symlink_to(program)

    def put(self, folder: Path, text: str, name: str = "kustomize") -> Path:
        program = folder / name
        program.write_text(text)
        program.chmod(0o755)
        return program

    def call(self, *args: str, **environment: str) -> harness.Result:
        done = subprocess.run(
            [sys.executable, str(harness.LOCAL / "tools.py"), *args],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return harness.Result(done.returncode, done.stdout.strip(), done.stderr.strip())

    def chosen(self, **environment: str) -> Path:
        """The kustomize that is chosen."""
        result = self.call("kustomize", **environment)
        assert result.code == 0, result.err
        assert os.listdir(result.out) == ["kustomize"]  # noqa: PTH208 - names only
        return (Path(result.out) / "kustomize").readlink()

    def builds(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.put(machine.path, GO, "go")
    return machine


def says(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


def test_the_assets_folder_comes_before_path(machine: Machine) -> None:
    machine.put(machine.path, says("v5.9.0"))
    in_assets = machine.put(machine.assets, says("v5.2.0"))

    assert machine.chosen(KUBEBUILDER_ASSETS=str(machine.assets)) == in_assets


def test_path_comes_before_the_cache(machine: Machine) -> None:
    cached = machine.chosen()
    assert cached.is_relative_to(machine.cache)
    on_path = machine.put(machine.path, says("v5.0.3"))

    assert machine.chosen() == on_path


def test_the_first_on_path_that_fits_is_taken(machine: Machine, tmp_path: Path) -> None:
    machine.put(machine.path, says("v4.5.7"))
    later = tmp_path / "later"
    later.mkdir()
    fits = machine.put(later, says("v5.1.0"))

    assert machine.chosen(PATH=f"{machine.path}:{later}") == fits


@pytest.mark.parametrize("program", [says("v4.5.7"), says("devel"), "#!/bin/sh\nexit 1\n", "no program"])
def test_what_does_not_fit_is_not_taken(machine: Machine, program: str) -> None:
    machine.put(machine.path, program)

    assert machine.chosen().is_relative_to(machine.cache)


def test_a_misfit_in_the_assets_folder_is_said(machine: Machine) -> None:
    misfit = machine.put(machine.assets, says("v4.5.7"))

    result = machine.call("kustomize", KUBEBUILDER_ASSETS=str(machine.assets))

    assert f"{misfit} is not used: it is not of a version that fits {PINNED}" in result.err
    assert len(machine.builds()) == 1


def test_kubernetes_must_have_the_same_minor_version(machine: Machine) -> None:
    pinned = next(line.split()[1] for line in machine.call("--list", "kubectl").out.splitlines())
    major, minor, _ = pinned.split(".")
    for version, fits in {f"{major}.{minor}.99": True, f"{major}.{int(minor) - 1}.0": False}.items():
        machine.put(machine.path, says(f"Client Version: {version}"), "kubectl")
        assert machine.call("--list", "kubectl").out.endswith("(PATH)") is fits


def test_a_build_is_of_the_pinned_version_with_its_stamp_and_happens_once(machine: Machine) -> None:
    first, second = machine.chosen(), machine.chosen()

    assert first == second
    assert first.name == f"kustomize-{PINNED}"
    (build,) = machine.builds()
    folder, *flags = build.split(" ", 1)
    assert folder == str(harness.LOCAL / "tools" / "kustomize")
    assert flags[0].startswith("-mod=readonly -trimpath build -ldflags ")
    assert f"provenance.version={PINNED}" in flags[0]
    assert flags[0].endswith("sigs.k8s.io/kustomize/kustomize/v5")


def test_parallel_callers_build_once(machine: Machine) -> None:
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: machine.call("kustomize"), range(4)))

    assert {result.code for result in results} == {0}
    assert len({result.out for result in results}) == 1
    assert len(machine.builds()) == 1


def test_the_folder_that_is_printed_is_no_place_to_find_programs(machine: Machine) -> None:
    folder = machine.call("kustomize").out

    again = machine.call("kustomize", PATH=f"{folder}:{machine.path}")

    assert again.out == folder


def test_a_failed_build_leaves_nothing_and_says_why_in_one_line(machine: Machine) -> None:
    result = machine.call("kustomize", FAIL="1")

    assert result.code == 1
    *_, error = result.err.splitlines()
    assert error.startswith(f"error: go could not build kustomize {PINNED}: go: no route to host (all of it: ")
    assert not list((machine.cache / "tools").glob("kustomize-v*[0-9]"))
    assert machine.chosen().exists()


def test_what_a_killed_build_left_is_cleared(machine: Machine) -> None:
    leftover = machine.cache / "tools" / "kustomize-v5.0.0.building"
    leftover.parent.mkdir(parents=True)
    leftover.write_text("half a program")

    machine.chosen()

    assert not leftover.exists()


@pytest.mark.parametrize("go", ["go1.20.14", "go1.19"])
def test_an_old_go_is_said_in_one_line(machine: Machine, go: str) -> None:
    result = machine.call("kustomize", FAKE_GO=go)

    assert result.code == 1
    assert result.err == (
        f"error: {machine.path / 'go'} is {go}: 1.21 or newer is needed to build kustomize {PINNED}; "
        "install Go from https://go.dev/dl and run this again"
    )


def test_a_missing_go_is_said_in_one_line(machine: Machine) -> None:
    (machine.path / "go").unlink()

    result = machine.call("kustomize")

    assert result.code == 1
    assert result.err == (
        f"error: Go is missing: 1.21 or newer is needed to build kustomize {PINNED}; "
        "install Go from https://go.dev/dl and run this again"
    )


def test_a_cache_that_cannot_be_written_is_said_in_one_line(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    result = machine.call("kustomize", TRIMTAB_CACHE=str(tmp_path / "file"))

    assert result.code == 1
    assert result.err.startswith(f"error: the cache {tmp_path / 'file'} cannot be used: ")
    assert len(result.err.splitlines()) == 1


def test_an_unknown_program_is_wrong_usage(machine: Machine) -> None:
    result = machine.call("kustomise")

    assert result.code == 2
    assert "no such program: kustomise; known are kustomize, helm, " in result.err
