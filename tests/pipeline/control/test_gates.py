"""Gates: no more than so many in a step, and nobody who is to stop waits at one."""

import threading

from waiting import until

from pipeline.control.gates import Gates, Limits


def test_no_more_than_the_limit_are_in_a_step_and_steps_do_not_disturb_each_other() -> None:
    gates = Gates(Limits(renders=2, applies=1, waits=1))
    inside: list[int] = []
    most: list[int] = []
    leave = threading.Event()
    lock = threading.Lock()

    def render() -> None:
        with gates.through("render", threading.Event()):
            with lock:
                inside.append(1)
                most.append(len(inside))
            leave.wait(10)
            with lock:
                inside.pop()

    threads = [threading.Thread(target=render) for _ in range(6)]
    for thread in threads:
        thread.start()
    until(lambda: len(inside) == 2)
    with gates.through("apply", threading.Event()), gates.through("wait", threading.Event()):
        pass
    leave.set()
    for thread in threads:
        thread.join()
    assert max(most) == 2
    assert len(most) == 6


def test_who_is_to_stop_does_not_wait() -> None:
    gates = Gates(Limits(renders=1))
    stop = threading.Event()
    passed = threading.Event()
    with gates.through("render", threading.Event()):

        def second() -> None:
            with gates.through("render", stop):
                passed.set()

        thread = threading.Thread(target=second)
        thread.start()
        assert not passed.is_set()
        stop.set()
        until(passed.is_set)
        thread.join()
    # The place that was never taken is not given back either.
    with gates.through("render", threading.Event()):
        assert not gates._gates["render"].acquire(blocking=False)


def test_there_are_as_many_workers_as_places() -> None:
    assert Limits(renders=1, applies=2, waits=3).workers == 6
