"""The command as a process: how it ends."""

import subprocess
import sys


def ended(before: str) -> subprocess.CompletedProcess[str]:
    lines = (
        "import sys, threading",
        before,
        "sys.argv = ['trimtab', 'version']",
        "from pipeline.__main__ import main",
        "main()",
    )
    program = "\n".join(lines)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_what_still_runs_in_threads_holds_up_no_end() -> None:
    done = ended("threading.Thread(target=threading.Event().wait).start()")
    assert (done.returncode, done.stdout.startswith("trimtab:"), done.stderr) == (0, True, "")


def test_output_that_cannot_be_written_is_no_success() -> None:
    done = ended("sys.stdout = open('/dev/full', 'w')")
    assert (done.returncode, "could not be written: No space left" in done.stderr) == (1, True)
