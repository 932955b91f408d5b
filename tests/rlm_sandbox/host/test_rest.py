"""Between steps a session rests: threads that code has left behind may not work on for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest

from rlm_sandbox import Sandbox
from rlm_sandbox.host.watch import REST_CPU_SECONDS, REST_SECONDS

COUNTING = """
import ctypes, threading
ctypes.CDLL(None).prctl(15, b"counting", 0, 0, 0)
count = 0
def work():
    global count
    while True: count += 1
threading.Thread(target=work, daemon=True).start()
"""


@pytest.fixture
def counting() -> Iterator[tuple[Sandbox, psutil.Process]]:
    """A sandbox in which a thread counts without end, and its session process."""
    with Sandbox(imports="all") as box:
        assert box.exec(COUNTING).error is None
        found = [p for p in psutil.process_iter(["name"]) if p.info["name"] == "counting"]
        yield box, max(found, key=lambda process: sum(process.cpu_times()[:2]))


def at_rest(process: psutil.Process) -> None:
    """Wait until the process is paused; fails if it never is."""
    deadline = time.monotonic() + 20
    while process.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, "it works on"
        time.sleep(0.02)


def test_a_thread_left_behind_is_paused(counting: tuple[Sandbox, psutil.Process]) -> None:
    _, process = counting
    at_rest(process)
    used = sum(process.cpu_times()[:2])
    time.sleep(2 * REST_SECONDS)
    assert sum(process.cpu_times()[:2]) == used


def test_it_goes_on_in_the_next_step(counting: tuple[Sandbox, psutil.Process]) -> None:
    box, process = counting
    at_rest(process)
    assert (
        box.exec("before = count\nimport time; time.sleep(0.2)\ncount > before").stdout == "True\n"
    )


def test_a_paused_session_answers(counting: tuple[Sandbox, psutil.Process]) -> None:
    box, process = counting
    at_rest(process)
    box.set("given", 7)
    assert box.get("given") == 7


def test_a_session_that_rests_is_left_alone() -> None:
    with Sandbox(imports="all") as box:
        box.exec("import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()")
        time.sleep(REST_CPU_SECONDS + 2 * REST_SECONDS)
        assert box.exec("threading.active_count()").stdout == "2\n"


def test_a_paused_session_can_be_closed(counting: tuple[Sandbox, psutil.Process]) -> None:
    box, process = counting
    at_rest(process)
    box.close()
    assert not process.is_running()
