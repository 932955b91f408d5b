"""One session goes on through the lives of its processes, and says what it could not keep."""

from __future__ import annotations

import psutil
import pytest

from rlm_sandbox import (
    AnswerLost,
    Limits,
    Outcome,
    Sandbox,
    State,
)
from tests.processes import outliving
from tests.rlm_sandbox.host.links import link_of
from tests.rlm_sandbox.promises.running import PATIENCE, printed

DIES = "import os\nos._exit(1)"


def kill_session(box: Sandbox) -> None:
    """Kill the session process from outside and wait until it is gone."""
    process = psutil.Process(link_of(box).process.pid)
    process.kill()
    assert outliving([process], PATIENCE) == []


def test_a_session_killed_between_steps_is_restored_with_the_last_step(free_box: Sandbox) -> None:
    if "gate" not in free_box.layers:
        pytest.skip("this kernel has no seccomp user notifications")
    free_box.exec("x = 1")
    link_of(free_box).settle()
    kill_session(free_box)
    result = free_box.exec("x = 2")
    assert (result.outcome, result.state) == (Outcome.CRASHED, State.RESTORED)
    assert "signal 9" in str(result.error)
    assert free_box.get("x") == 1


def test_a_session_killed_between_steps_is_restored_when_it_is_asked_for_a_value(
    free_box: Sandbox,
) -> None:
    if "gate" not in free_box.layers:
        pytest.skip("this kernel has no seccomp user notifications")
    free_box.exec("x = 1")
    link_of(free_box).settle()
    kill_session(free_box)
    with pytest.raises(AnswerLost, match="its variables are as before"):
        free_box.get("x")
    assert free_box.get("x") == 1


CROWD = """
import threading
over = threading.Event()
try:
    while True: threading.Thread(target=over.wait, daemon=True).start()
except RuntimeError:
    x = 2
"""


def test_a_step_that_could_not_be_saved_is_undone_with_the_next_and_that_is_said() -> None:
    with Sandbox(imports="all", limits=Limits(processes=4)) as box:
        if not {"gate", "user"} <= set(box.layers):
            pytest.skip("threads are not limited here, or there are no checkpoints")
        box.exec("x = 1")
        box.exec(CROWD)  # which leaves no room for a checkpoint
        assert box.get("x") == 2
        result = box.exec(DIES)
        assert (result.outcome, result.state) == (Outcome.EXITED, State.RESTORED)
        assert "before the step that came before this one" in str(result.error)
        assert box.get("x") == 1
        box.exec("x = 3")
        assert "before this step." in str(box.exec(DIES).error)
        assert box.get("x") == 3


def test_without_checkpoints_a_step_that_dies_loses_the_session_and_says_so() -> None:
    with Sandbox(imports="all", limits=Limits(checkpoints=0)) as box:
        box.exec("x = 1")
        result = box.exec(DIES)
        assert (result.outcome, result.state) == (Outcome.EXITED, State.LOST)
        assert "All variables are lost: define again what you need." in str(result.error)
        assert printed(box, "print('x' in globals())") == "False\n"
