"""The gate lets one fork through for each step that ended, and knows its checkpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import psutil
import pytest

from rlm_sandbox import CheckpointUnavailable, Limits, Outcome, Sandbox, State
from rlm_sandbox.host import link as link_module
from rlm_sandbox.host import worker as worker_module
from tests.processes import outliving
from tests.rlm_sandbox.promises.running import PATIENCE, printed

DIES = "import os\nos._exit(1)"

pytestmark = pytest.mark.usefixtures("_gated")


@pytest.fixture
def _gated(box: Sandbox) -> None:
    if "gate" not in box.layers:
        pytest.skip("this kernel has no seccomp user notifications")


def checkpoints_of(box: Sandbox) -> list[psutil.Process]:
    """Every process of the worker but its init and the session process."""
    link = box._keeper.life.link
    assert link is not None
    session = psutil.Process(link.process.pid)
    init = session
    while (above := init.parent()) is not None and above.ppid() != psutil.Process().pid:
        init = above
    return [
        child
        for child in init.children(recursive=True)
        if child.pid != session.pid and child.status() != psutil.STATUS_ZOMBIE
    ]


def settled(box: Sandbox) -> None:
    link = box._keeper.life.link
    assert link is not None
    link.settle()


def at_once(parts: Sequence[Callable[[], object]]) -> list[object]:
    """What each of these gives, all run at the same time."""
    given: dict[int, object] = {}
    meeting = threading.Barrier(len(parts), timeout=PATIENCE)

    def play(number: int, part: Callable[[], object]) -> None:
        meeting.wait()
        given[number] = part()

    threads = [threading.Thread(target=play, args=pair) for pair in enumerate(parts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return [given.get(number) for number in range(len(parts))]


def test_a_fork_during_a_step_is_refused(free_box: Sandbox) -> None:
    for _ in range(2):
        result = free_box.exec("import os\nos.fork()")
        assert str(result.error).startswith("PermissionError")


def test_a_step_cannot_lie_down_as_a_checkpoint_nor_report_one_that_failed(
    free_box: Sandbox,
) -> None:
    free_box.exec(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "given = [libc.syscall(180, state, 0) for state in (0, 1, 2)]"
    )
    assert free_box.get("given") == [-1, -1, -1]
    free_box.exec("x = 1")
    assert free_box.exec(DIES).state is State.RESTORED


def test_forks_of_one_session_that_step_at_once_are_each_saved_and_restored() -> None:
    with Sandbox(imports="all", limits=Limits(checkpoints=8)) as box:
        box.exec("x = 0")
        boxes = [box, *(box.fork() for _ in range(5))]

        def live(own: Sandbox, number: int) -> object:
            for _ in range(6):
                own.exec(f"x += {number}")
                assert own.exec(DIES).state is State.RESTORED
            return own.get("x")

        try:
            parts = [lambda own=own, n=n: live(own, n) for n, own in enumerate(boxes)]
            assert at_once(parts) == [6 * number for number in range(6)]
        finally:
            for own in boxes:
                own.close()


def test_a_checkpoint_that_was_killed_from_outside_is_not_waited_for(
    free_box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    # for one that hangs it waits so long
    monkeypatch.setattr(worker_module, "ANSWER_SECONDS", 10 * PATIENCE)
    monkeypatch.setattr(link_module, "WAKE_SECONDS", 10 * PATIENCE)
    free_box.exec("x = 1")
    settled(free_box)
    (checkpoint,) = checkpoints_of(free_box)
    checkpoint.kill()
    assert outliving([checkpoint], PATIENCE) == []
    started = time.monotonic()
    result = free_box.exec(DIES)
    assert (result.outcome, result.state) == (Outcome.EXITED, State.LOST)
    assert "All variables are lost" in str(result.error)
    assert time.monotonic() - started < PATIENCE
    assert printed(free_box, "print('on')") == "on\n"


def test_there_is_one_checkpoint_however_many_steps_have_run(free_box: Sandbox) -> None:
    for number in range(30):
        assert free_box.exec(DIES if number % 3 == 2 else "x = 1").outcome in {
            Outcome.OK,
            Outcome.EXITED,
        }
    settled(free_box)
    deadline = time.monotonic() + PATIENCE
    while len(checkpoints_of(free_box)) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)  # the one before is on its way out
    assert len(checkpoints_of(free_box)) == 1


UNWILLING = """
import os, signal
from rlm_sandbox.worker import checkpoint
me, honest = os.getpid(), checkpoint._rendezvous
def rise(state, error):
    if os.getpid() == me or state: return honest(state, error)
    signal.signal(signal.SIGCONT, lambda *_: None)
    signal.siginterrupt(signal.SIGCONT, True)
    try: return honest(state, error)
    except InterruptedError:  # it is to get up: from here on nothing has hold of it
        while True: pass
checkpoint._rendezvous = rise
"""


def test_a_checkpoint_that_gets_up_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "ANSWER_SECONDS", 0.5)
    refused: list[str] = []

    def fork() -> None:
        try:
            box.fork().close()
        except CheckpointUnavailable as unavailable:
            refused.append(str(unavailable))

    with Sandbox(imports="all", functions={"fork": fork}) as box:
        assert box.exec(UNWILLING).outcome is Outcome.OK
        settled(box)
        (checkpoint,) = checkpoints_of(box)
        assert box.exec("fork()").outcome is Outcome.OK
        assert len(refused) == 1
        assert outliving([checkpoint], PATIENCE) == []


def test_nor_does_it_outlive_the_session_that_has_lost_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Sandbox(imports="all") as box:
        box.exec("x = 1")
        with box.fork() as twin:  # of the same worker, which lives on
            box.exec(UNWILLING)
            settled(box)
            before = checkpoints_of(box)
            monkeypatch.setattr(worker_module, "ANSWER_SECONDS", 0.5)
            assert box.exec(DIES).state is State.LOST
            box.close()
            monkeypatch.undo()
            assert printed(twin, "print(x)") == "1\n"
            running = [process for process in before if is_running(process)]
            assert running == []


def is_running(process: psutil.Process) -> bool:
    """True if it computes; one that stands, or has ended, does not."""
    try:
        used = process.cpu_times().user
        time.sleep(0.2)
        return process.cpu_times().user > used
    except psutil.NoSuchProcess:
        return False
