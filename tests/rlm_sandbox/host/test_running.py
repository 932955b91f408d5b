"""No more host functions run for a sandbox than may, however many steps have begun them."""

from __future__ import annotations

import threading
import time

import pytest

from rlm_sandbox import Limits, Outcome, Sandbox
from rlm_sandbox.host.running import Running
from tests.rlm_sandbox.promises.running import PATIENCE, printed

LEAVES_TWO_CALLS = """
import threading
def call():
    try: slow()
    except RuntimeError: pass
before = begun()
for _ in range(2): threading.Thread(target=call, daemon=True).start()
while begun() < before + 2: pass
"""


def test_what_has_ended_makes_room() -> None:
    running = Running(2)
    assert [running.begin() for _ in range(3)] == [True, True, False]
    running.end()
    assert [running.begin() for _ in range(2)] == [True, False]


@pytest.mark.parametrize("between", ["1", "import os\nos._exit(1)"])
def test_calls_that_steps_have_left_behind_count_in_later_ones(between: str) -> None:
    over, begun = threading.Event(), []

    def slow() -> None:
        begun.append(1)
        over.wait(PATIENCE)

    functions = {"slow": slow, "begun": lambda: len(begun)}
    with Sandbox(imports="all", functions=functions, limits=Limits(concurrent_calls=5)) as box:
        try:
            assert box.exec(LEAVES_TWO_CALLS).outcome is Outcome.OK
            box.exec(between)  # a process that takes over has left nothing behind itself
            assert box.exec(LEAVES_TWO_CALLS).outcome is Outcome.OK
            more = box.exec(LEAVES_TWO_CALLS.replace("range(2)", "range(1)").replace("+ 2", "+ 1"))
            assert "running still" in str(more.error)  # of its own, to ask how many have begun
            assert "running still" in str(box.exec("slow()").error)
            assert len(begun) == 5
        finally:
            over.set()
        deadline = time.monotonic() + PATIENCE
        while box.exec("slow()").outcome is not Outcome.OK:
            assert time.monotonic() < deadline
        assert printed(box, "print(slow())") == "None\n"
