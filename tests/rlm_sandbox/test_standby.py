from __future__ import annotations

import os
import threading
import time
import warnings
from typing import TYPE_CHECKING

import pytest

from rlm_sandbox.standby import StandbyThreads, standing_by
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "standing-by"


@pytest.fixture
def threads() -> Iterator[StandbyThreads]:
    threads = StandbyThreads(NAME)
    yield threads
    threads.end_idle()


def test_threads_are_used_again_while_idle(threads: StandbyThreads) -> None:
    used = set()
    for _ in range(20):
        done = threading.Event()

        def work(done: threading.Event = done) -> None:
            used.add(threading.get_ident())
            done.set()

        threads.start(work)
        assert done.wait(30)
    assert len(used) <= 2  # one may not be back when the next is asked for


def test_work_never_waits_for_other_work(threads: StandbyThreads) -> None:
    for _ in range(20):
        meeting = threading.Barrier(6)

        def meet(meeting: threading.Barrier = meeting) -> None:
            meeting.wait(30)

        for _ in range(5):
            threads.start(meet)
        meeting.wait(30)


def test_idle_threads_end_when_told_and_those_at_work_go_on(threads: StandbyThreads) -> None:
    begun, finish = threading.Barrier(4), threading.Event()

    def work() -> None:
        begun.wait(30)
        finish.wait(30)

    for _ in range(3):
        threads.start(work)
    begun.wait(30)
    short = threading.Event()
    threads.start(short.set)
    assert short.wait(30)
    threads.end_idle()
    assert len(calling()) == 3
    finish.set()
    until(lambda: threads.end_idle() or not calling())


def test_an_idle_thread_ends_by_itself_after_a_while() -> None:
    threads = StandbyThreads(NAME, idle_seconds=0.02)
    done = threading.Event()
    threads.start(done.set)
    assert done.wait(30)
    until(lambda: not calling())
    again = threading.Event()
    threads.start(again.set)
    assert again.wait(30)
    until(lambda: not calling())


def test_nothing_that_was_begun_is_forgotten_while_threads_come_and_go() -> None:
    threads = StandbyThreads(NAME, idle_seconds=0.0001)
    lock, done = threading.Lock(), []

    def work(number: int) -> None:
        with lock:
            done.append(number)

    for number in range(2_000):
        threads.start(lambda number=number: work(number))
        if number % 7 == 0:
            threads.end_idle()
        if number % 50 == 0:
            time.sleep(0.0005)
    until(lambda: len(done) == 2_000)
    assert sorted(done) == list(range(2_000))
    until(lambda: not calling())


def test_a_fork_of_the_process_has_threads_of_its_own() -> None:
    done = threading.Event()
    threads = standing_by(NAME)
    threads.start(done.set)
    assert done.wait(30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
        child = os.fork()
    if child == 0:
        here = threading.Event()
        threads.start(here.set)
        os._exit(0 if here.wait(30) else 1)
    assert os.waitpid(child, 0)[1] == 0
    until(lambda: threads.end_idle() or not calling())


def calling() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]
