"""Between steps a session process stands still, with the threads that its code has left."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest

from rlm_sandbox import Limits, Outcome, Sandbox
from tests.census import GRACE_SECONDS
from tests.processes import outliving
from tests.rlm_sandbox.promises.running import PATIENCE, printed

COUNTING = """
import threading, time
count = 0
def work():
    global count
    while True: count += 1
threading.Thread(target=work, daemon=True).start()
"""


@pytest.fixture(params=[4, 0], ids=["with checkpoints", "without"])
def counting(request: pytest.FixtureRequest) -> Iterator[tuple[Sandbox, psutil.Process]]:
    """A sandbox in which a thread counts without end, and its session process."""
    with Sandbox(imports="all", limits=Limits(checkpoints=request.param)) as box:
        assert box.exec(COUNTING).error is None
        yield box, session_of(box)


def session_of(box: Sandbox) -> psutil.Process:
    link = box._keeper.life.link
    assert link is not None
    return psutil.Process(link.process.pid)


def at_rest(process: psutil.Process) -> float:
    """Wait until the process stands still; its CPU seconds then. Fails if it never does."""
    deadline = time.monotonic() + PATIENCE
    while process.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline, "it works on"
        time.sleep(0.005)
    return sum(process.cpu_times()[:2])


def test_a_thread_left_behind_uses_nothing_between_steps(
    counting: tuple[Sandbox, psutil.Process],
) -> None:
    _, process = counting
    used = at_rest(process)
    time.sleep(0.3)
    assert sum(process.cpu_times()[:2]) == used


def test_it_goes_on_in_the_next_step(counting: tuple[Sandbox, psutil.Process]) -> None:
    box, process = counting
    at_rest(process)
    assert printed(box, "before = count\nwhile count == before: pass\nprint('on')") == "on\n"
    at_rest(process)


def test_what_it_uses_in_a_step_is_charged_to_that_step() -> None:
    with Sandbox(limits=Limits(cpu_seconds=0.3)) as box:
        assert box.exec(COUNTING).outcome is Outcome.OK
        result = box.exec("time.sleep(100)")
        assert result.outcome is Outcome.CPU
        assert result.cpu_seconds >= 0.3


def test_a_session_that_stands_still_answers_and_stands_still_again(
    counting: tuple[Sandbox, psutil.Process],
) -> None:
    box, process = counting
    at_rest(process)
    box.set("given", 7)
    assert box.get("given") == 7
    at_rest(process)


def test_a_sleeping_thread_sleeps_on_over_the_steps() -> None:
    with Sandbox(imports="all") as box:
        box.exec("import threading, time; threading.Thread(target=time.sleep, args=(60,)).start()")
        at_rest(session_of(box))
        assert printed(box, "print(threading.active_count())") == "2\n"


def test_a_session_that_stands_still_can_be_closed(
    counting: tuple[Sandbox, psutil.Process],
) -> None:
    box, process = counting
    at_rest(process)
    box.close()
    assert outliving([process], GRACE_SECONDS) == []


def test_a_fork_and_a_restored_session_stand_still_as_well(box: Sandbox) -> None:
    box.exec("x = 1")
    with box.checkpoint() as saved, box.fork() as twin:
        at_rest(session_of(twin))
        box.restore(saved)
        at_rest(session_of(box))


SLOW_TO_BE_SAVED = """
import time
from rlm_sandbox.worker import checkpoint
honest = checkpoint.save
def save(socket):
    until = time.process_time() + 0.6
    while time.process_time() < until: pass
    return honest(socket)
checkpoint.save = save
"""


@pytest.mark.parametrize("asked", [False, True])
def test_what_a_session_uses_before_it_is_saved_is_charged_to_the_next_step(*, asked: bool) -> None:
    limits = Limits(cpu_seconds=0.5, step_seconds=PATIENCE)
    with Sandbox(imports="all", limits=limits) as box:
        if "gate" not in box.layers:
            pytest.skip("there are no checkpoints")
        assert box.exec(SLOW_TO_BE_SAVED).outcome is Outcome.OK
        if asked:
            box.set("x", 1)
        result = box.exec("import time\nwhile True: time.sleep(0.01)")
        assert result.outcome is Outcome.CPU
        assert result.cpu_seconds >= 0.5


def test_what_a_question_takes_is_charged_to_no_step() -> None:
    takes = (
        "import time\n"
        "class Slow:\n"
        "    def __summary__(self):\n"
        "        until = time.process_time() + 0.6\n"
        "        while time.process_time() < until: pass\n"
        "        return 'slow'\n"
        "slow = Slow()"
    )
    with Sandbox(imports="all", limits=Limits(cpu_seconds=0.5)) as box:
        box.exec(takes)
        assert box.describe()["slow"] == "slow"
        result = box.exec("1")
        assert result.outcome is Outcome.OK
        assert result.cpu_seconds < 0.5
