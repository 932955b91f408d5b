"""A worker is born, does what it is asked or ends, and takes everything with it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from rlm_sandbox import Outcome, Sandbox
from rlm_sandbox.host import worker as worker_module
from rlm_sandbox.host.nursery import Breed
from rlm_sandbox.host.worker import Worker
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import Spawn, WorkerLimits
from tests.processes import outliving
from tests.rlm_sandbox.host.fake_worker import PATIENCE


def born() -> Worker:
    return Worker(Breed(), Spawn(WorkerLimits.of(Limits()), (), ()))


@pytest.fixture
def worker() -> Iterator[Worker]:
    fresh = born()
    yield fresh
    fresh.first.close()
    fresh.release()


def test_a_worker_has_a_process_that_says_something_first(worker: Worker) -> None:
    assert psutil.pid_exists(worker.first.pid)
    assert worker.first.socket.recv(1)


def test_how_its_process_died_is_known(worker: Worker) -> None:
    worker.first.kill()
    death = worker.death(worker.first.number)
    assert death is not None
    assert (death.signal, death.exit_code) == (signal.SIGKILL, 0)


def test_what_it_used_in_its_life_is_known_from_the_kernel(worker: Worker) -> None:
    assert worker.first.socket.recv(1)
    used = worker.first.cpu_seconds()
    worker.first.kill()
    death = worker.death(worker.first.number)
    assert death is not None
    assert death.cpu_seconds >= used - 0.01  # the kernel counts in ticks here, exactly there
    assert 2**20 < death.peak_memory < 2**30


def test_a_process_whose_controller_hangs_up_leaves_by_itself(worker: Worker) -> None:
    worker.first.socket.recv(1)
    worker.first.hang_up()
    death = worker.death(worker.first.number)
    assert death is not None
    assert (death.signal, death.exit_code) == (0, 0)


def test_memory_can_be_allowed_to_a_process_that_is_gone(worker: Worker) -> None:
    worker.first.kill()
    worker.death(worker.first.number)
    worker.allow_memory(worker.first, 2**30)


def test_a_worker_that_is_released_has_no_process_left() -> None:
    fresh = born()
    session = psutil.Process(fresh.first.pid)
    init = session.parent()
    assert init is not None
    fresh.first.close()
    fresh.release()
    assert outliving([session, init], PATIENCE) == []


def test_a_worker_that_is_shared_lives_until_the_last_one_releases_it() -> None:
    fresh = born()
    session = psutil.Process(fresh.first.pid)
    fresh.share()
    fresh.release()
    assert session.is_running()
    fresh.first.close()
    fresh.release()
    assert outliving([session], PATIENCE) == []


TAKEN_OVER = """
import sys
def spin(*_):
    while True:
        pass
sys.modules["rlm_sandbox.worker.checkpoint"]._rendezvous = spin
"""


def test_a_fork_that_does_not_lie_down_ends_with_its_worker(
    free_box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "ANSWER_SECONDS", 0.5)
    before = _busy()
    assert free_box.exec(TAKEN_OVER).outcome is Outcome.OK
    assert free_box.exec("x = 1").outcome is Outcome.CRASHED
    assert free_box.exec("1 + 1").stdout == "2\n"
    deadline = time.monotonic() + PATIENCE
    while _busy() - before:  # the new worker, which saves a checkpoint, is busy for a moment only
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _busy() -> set[int]:
    """Descendants of this process that run now: a sleeping checkpoint is stopped."""
    return {
        process.pid
        for process in psutil.Process().children(recursive=True)
        if process.status() == psutil.STATUS_RUNNING
    }
