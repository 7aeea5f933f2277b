"""Signals: whoever is asked to stop does, at whatever moment that comes."""

import subprocess
import sys

import pytest

#: A signal while this thread has the lock of the Event, as it has for a moment within `wait`.
WITHIN_WAIT = """
    with stop._cond:
        signal.raise_signal(signal.{name})
    assert stop.wait(60)
"""
#: A signal that another thread is given, while this one waits.
ELSEWHERE = """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])
    def send():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.{name}])
        signal.raise_signal(signal.{name})
    threading.Thread(target=send).start()
    assert stop.wait(60)
"""


def run(body: str) -> tuple[str, str]:
    program = "import signal, threading\nfrom pipeline.cli.stopping import stop_on_signals\n"
    program += f"with stop_on_signals() as stop:{body}\nprint(stop.is_set())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout, done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("body", [WITHIN_WAIT, ELSEWHERE])
def test_a_signal_is_heard_at_whatever_moment_and_in_whatever_thread(body: str, name: str) -> None:
    assert run(body.format(name=name)) == ("True\n", "")


def test_who_was_not_asked_is_not_stopped() -> None:
    assert run(" pass") == ("False\n", "")


def test_a_second_interrupt_does_not_wait() -> None:
    out, err = run("\n    signal.raise_signal(signal.SIGINT)\n    signal.raise_signal(signal.SIGINT)")
    assert (out, err.splitlines()[-1]) == ("", "KeyboardInterrupt")
