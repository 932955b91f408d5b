"""A step over one of its limits is interrupted, then killed; none is touched after its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from rlm_sandbox.host.watch import (
    GRACE_SECONDS,
    LONGEST_GRACE_SECONDS,
    REST_SECONDS,
    Guard,
    Rest,
    Watch,
)
from rlm_sandbox.limits import Limits
from rlm_sandbox.result import Outcome
from rlm_sandbox.session import Clock, Step
from tests.rlm_sandbox.host.fake_worker import PATIENCE, FakeProcess
from tests.waiting import until

LIMITS = Limits(step_seconds=10, cpu_seconds=5)
MEMORY = 100


@pytest.fixture
def process() -> Iterator[FakeProcess]:
    fake = FakeProcess()
    fake.resident = 50
    yield fake
    fake.socket.close()
    fake.peer.close()


def guard_of(process: FakeProcess, *, deadline: float | None = None) -> tuple[Guard, Step]:
    step = Step(1, Clock(started=0.0))
    return Guard(process, step, LIMITS, MEMORY, deadline), step


def test_a_step_within_its_limits_is_left_alone(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    guard.look(9.9)
    assert (process.interrupted, process.killed, guard.stopped) == (0, 0, None)


def test_a_step_over_its_time_is_interrupted_once_and_then_killed(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    guard.look(10.0)
    guard.look(time.monotonic())
    assert (process.interrupted, process.killed, guard.stopped) == (1, 0, Outcome.TIMEOUT)
    guard.look(time.monotonic() + GRACE_SECONDS)
    assert (process.interrupted, process.killed) == (1, 1)
    assert process.peer.recv(1) == b""  # and whoever reads its socket is told


def test_waiting_for_a_processor_is_no_refusal_to_end(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    process.queued = 7.0  # before the step was interrupted
    guard.look(10.0)
    interrupted = time.monotonic()
    process.queued += GRACE_SECONDS
    guard.look(interrupted + 1.5 * GRACE_SECONDS)
    assert process.killed == 0
    guard.look(interrupted + 2.5 * GRACE_SECONDS)
    assert process.killed == 1


def test_an_answer_that_we_have_not_read_is_no_refusal_to_end(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    guard.look(10.0)
    interrupted = time.monotonic()
    process.spoken = True
    guard.look(interrupted + 2 * GRACE_SECONDS)
    assert process.killed == 0
    guard.look(interrupted + LONGEST_GRACE_SECONDS + GRACE_SECONDS)
    assert process.killed == 1


def test_a_step_that_waits_for_a_processor_for_ever_is_killed(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    guard.look(10.0)
    process.queued = 1_000.0
    guard.look(time.monotonic() + LONGEST_GRACE_SECONDS)
    assert process.killed == 1


def test_time_in_host_functions_is_not_counted(process: FakeProcess) -> None:
    guard, step = guard_of(process)
    step.clock.pause(1.0)
    guard.look(1_000.0)
    assert guard.stopped is None
    step.clock.resume(1_000.0)
    guard.look(1_009.5)
    assert guard.stopped is Outcome.TIMEOUT


def test_the_end_of_the_session_counts_even_while_the_code_waits(process: FakeProcess) -> None:
    guard, step = guard_of(process, deadline=50.0)
    step.clock.pause(1.0)
    guard.look(49.0)
    assert guard.stopped is None
    guard.look(50.0)
    assert guard.stopped is Outcome.TIMEOUT


def test_cpu_time_is_counted_from_the_start_of_the_step(process: FakeProcess) -> None:
    process.cpu = 100.0
    guard, _ = guard_of(process)
    process.cpu = 104.9
    guard.look(1.0)
    assert (guard.stopped, guard.cpu_seconds()) == (None, pytest.approx(4.9))
    process.cpu = 105.0
    guard.look(1.1)
    assert (guard.stopped, process.interrupted) == (Outcome.CPU, 1)


def test_too_much_memory_is_killed_at_once(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    process.resident = 101
    guard.look(1.0)
    assert (guard.stopped, process.killed, guard.peak) == (Outcome.MEMORY, 1, 101)


def test_the_first_limit_that_was_reached_is_the_reason(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    guard.look(10.0)
    process.resident = 1_000
    guard.look(time.monotonic() + 1)
    assert guard.stopped is Outcome.TIMEOUT


def test_a_process_that_is_gone_has_its_socket_hung_up(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    process.resident = 0
    guard.look(1.0)
    assert process.peer.recv(1) == b""
    assert guard.stopped is None  # it ended by itself: how, its init knows


class GoneProcess(FakeProcess):
    def cpu_seconds(self) -> float:
        raise ProcessLookupError


def test_a_process_that_ended_before_the_step_can_be_watched_all_the_same() -> None:
    process = GoneProcess()
    guard, _ = guard_of(process)
    assert guard.cpu_seconds() == 0.0
    process.socket.close()
    process.peer.close()


def test_what_was_seen_of_the_cpu_time_stays_when_the_process_is_gone(
    process: FakeProcess,
) -> None:
    guard, _ = guard_of(process)
    process.cpu = 3.0
    guard.look(1.0)
    process.cpu = 0.0
    assert guard.cpu_seconds() == 3.0


def test_a_step_that_has_ended_is_not_touched_any_more(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    guard.finish()
    process.resident = 1_000
    guard.look(1_000.0)
    assert (process.interrupted, process.killed, guard.stopped) == (0, 0, None)


class Seen(Guard):
    """A guard that says when it is looked at."""

    def __init__(self, process: FakeProcess) -> None:
        super().__init__(process, Step(1, Clock(time.monotonic())), LIMITS, MEMORY, None)
        self.looked = threading.Event()

    def look(self, now: float) -> float | None:
        self.looked.set()
        return super().look(now)


def test_one_thread_looks_at_every_step_and_at_those_that_come_later(process: FakeProcess) -> None:
    watch = Watch()
    before = threading.active_count()
    for _ in range(3):
        guards = [Seen(process) for _ in range(5)]
        for guard in guards:
            watch.add(guard)
        assert all(guard.looked.wait(PATIENCE) for guard in guards)
        for guard in guards:
            watch.remove(guard)
    assert threading.active_count() <= before + 1


def test_a_step_that_is_removed_is_finished(process: FakeProcess) -> None:
    watch, guard = Watch(), Seen(process)
    watch.add(guard)
    watch.remove(guard)
    process.resident = 1_000
    guard.look(time.monotonic())
    assert process.killed == 0


def test_a_process_that_was_closed_is_not_watched_any_more(process: FakeProcess) -> None:
    guard, _ = guard_of(process)
    process.given_back = True
    assert guard.look(1_000.0) is None
    assert (process.interrupted, process.killed) == (0, 0)


class Ending(Seen):
    """Ends the thread that looks at it."""

    def look(self, now: float) -> float | None:
        raise MemoryError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_come_to_an_end_is_replaced(process: FakeProcess) -> None:
    watch, before = Watch(), set(threading.enumerate())
    ending = Ending(process)
    watch.add(ending)
    until(lambda: set(threading.enumerate()) <= before)
    watch.remove(ending)
    guard = Seen(process)
    watch.add(guard)
    assert guard.looked.wait(PATIENCE)
    watch.remove(guard)


def test_a_session_that_is_not_used_again_stands_still(process: FakeProcess) -> None:
    rest = Rest(process)
    assert rest.look(time.monotonic() - REST_SECONDS) is not None
    assert not process.stands
    assert rest.look(time.monotonic() + REST_SECONDS) is None
    assert process.stands
    assert not rest.call_off()  # it must be told to go on


def test_a_session_that_is_used_right_away_is_not_stopped(process: FakeProcess) -> None:
    rest = Rest(process)
    assert rest.call_off()
    assert rest.look(time.monotonic() + REST_SECONDS) is None
    assert not process.stands


def test_the_thread_stops_a_session_that_is_not_used_again(process: FakeProcess) -> None:
    watch = Watch()
    watch.add(Rest(process))
    deadline = time.monotonic() + PATIENCE
    while not process.stands:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_cpu_time_since_the_step_before_can_be_charged_to_a_step(process: FakeProcess) -> None:
    process.cpu = 7.0
    guard = Guard(process, Step(1, Clock(0.0)), LIMITS, MEMORY, None, 6.5)
    assert guard.cpu_seconds() == 0.5
    assert guard.cpu_after == 7.0
