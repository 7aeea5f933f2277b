"""The queue: each key once, one turn at a time, none starved, none missed."""

import threading
from collections import Counter

import pytest
from waiting import until

from pipeline.control.queue import WorkQueue


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue()


def _take(queue: WorkQueue[str]) -> str:
    taken = queue.take()
    assert taken is not None
    return taken[0]


def test_first_come_first_served_and_each_once(queue: WorkQueue[str]) -> None:
    for key in ("a", "b", "a", "c", "b"):
        queue.add(key)
    assert len(queue) == 3
    assert [_take(queue) for _ in range(3)] == ["a", "b", "c"]
    assert len(queue) == 0


def test_what_is_added_during_its_turn_comes_again_after_it_and_after_the_others(queue: WorkQueue[str]) -> None:
    queue.add("busy")
    assert _take(queue) == "busy"
    queue.add("busy")
    queue.add("busy")
    queue.add("other")
    assert len(queue) == 1, "a key has one turn at a time"
    queue.done("busy")
    assert [_take(queue), _take(queue)] == ["other", "busy"]
    queue.done("busy")
    assert len(queue) == 0


def test_a_later_wish_takes_the_place_of_an_earlier_one(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 3600)
    queue.add_after("b", 0.05)
    queue.add_after("a", 0.0)
    assert _take(queue) == "a"
    queue.add_after("b", 3600)
    queue.add("c")
    assert _take(queue) == "c"
    assert len(queue) == 0


def test_who_waits_is_woken_by_a_key_by_an_alarm_and_by_the_end(queue: WorkQueue[str]) -> None:
    taken: list[object] = []

    def work() -> None:
        while (item := queue.take()) is not None:
            taken.append(item[0])
            queue.done(item[0])
        taken.append(None)

    thread = threading.Thread(target=work)
    thread.start()
    queue.add("now")
    until(lambda: taken == ["now"])
    queue.add_after("soon", 0.02)
    until(lambda: taken == ["now", "soon"])
    queue.close()
    thread.join()
    assert taken[-1] is None
    assert queue.take() is None


def test_a_dropped_key_has_no_turn(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add_after("c", 0.0)
    queue.drop("a")
    queue.drop("c")
    queue.drop("never")
    assert _take(queue) == "b"
    queue.add("b")
    queue.drop("b")
    queue.done("b")
    assert len(queue) == 0


def test_it_says_how_long_a_key_waited(queue: WorkQueue[str]) -> None:
    queue.add("a")
    taken = queue.take()
    assert taken is not None
    assert taken[1] >= 0


def test_many_threads_never_run_one_key_at_the_same_time_and_miss_nothing(queue: WorkQueue[str]) -> None:
    keys = [f"k{n}" for n in range(5)]
    running: Counter[str] = Counter()
    seen: dict[str, int] = dict.fromkeys(keys, 0)
    latest: dict[str, int] = dict.fromkeys(keys, 0)
    clashes: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        while (item := queue.take()) is not None:
            key = item[0]
            with lock:
                running[key] += 1
                if running[key] > 1:
                    clashes.append(key)
                seen[key] = latest[key]
            with lock:
                running[key] -= 1
            queue.done(key)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(1, 2001):
        key = keys[number % len(keys)]
        with lock:
            latest[key] = number
        queue.add(key)
    until(lambda: seen == latest)
    queue.close()
    for thread in threads:
        thread.join()
    assert clashes == []
