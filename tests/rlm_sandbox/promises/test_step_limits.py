"""Every limit ends the step with its own outcome, and says what is left."""

from __future__ import annotations

import pytest

from rlm_sandbox import (
    AnswerLost,
    Limits,
    Outcome,
    Sandbox,
    SessionLost,
    State,
)
from tests.rlm_sandbox import program
from tests.rlm_sandbox.promises.running import printed


def test_a_step_that_takes_too_long_is_a_timeout_and_keeps_what_it_did() -> None:
    with Sandbox(limits=Limits(step_seconds=0.2)) as box:
        result = box.exec("x = 1\nimport time\nwhile True: time.sleep(0.01)")
        assert (result.outcome, result.state) == (Outcome.TIMEOUT, State.KEPT)
        assert "used its 0.2 s" in str(result.error)
        assert box.get("x") == 1


def test_a_step_that_swallows_the_interrupt_and_ends_is_a_timeout_all_the_same() -> None:
    with Sandbox(limits=Limits(step_seconds=0.2)) as box:
        result = box.exec(
            "try:\n    while True: time.sleep(0.01)\nexcept BaseException: print('no')"
        )
        assert (result.outcome, result.state, result.stdout) == (
            Outcome.TIMEOUT,
            State.KEPT,
            "no\n",
        )


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    try: time.sleep(10)\n    except BaseException: pass",
        "pow(7, 10 ** 9, 10 ** 400_000)",
        "import re\nre.fullmatch('(a*)*b', 'a' * 200)",
    ],
    ids=["it does not listen", "a C loop", "a regex that backtracks"],
)
def test_a_step_that_does_not_listen_is_ended_all_the_same(code: str) -> None:
    with Sandbox(limits=Limits(step_seconds=0.2)) as box:
        result = box.exec(code)
        assert result.outcome is Outcome.TIMEOUT
        assert printed(box, "print('alive')") == "alive\n"


def test_a_step_that_uses_too_much_cpu_time_says_so() -> None:
    with Sandbox(limits=Limits(cpu_seconds=0.2)) as box:
        result = box.exec("while True: pass")
        assert result.outcome is Outcome.CPU
        assert result.cpu_seconds >= 0.2
        assert "0.2 s of CPU time" in str(result.error)


def test_waiting_uses_no_cpu_time() -> None:
    with Sandbox(limits=Limits(cpu_seconds=0.3)) as box:
        assert box.exec("time.sleep(0.5)").outcome is Outcome.OK


def test_cpu_time_is_metered_a_step_at_a_time() -> None:
    with Sandbox(limits=Limits(cpu_seconds=0.5)) as box:
        busy = "end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"
        for _ in range(4):
            assert box.exec(busy).outcome is Outcome.OK


@pytest.mark.parametrize(
    "code",
    [
        "x = b'x' * (1 << 30)",
        "x = []\nwhile True: x.append('y' * 100_000 + str(len(x)))",
        "x = []\nwhile True: x.append(object())",
    ],
    ids=["at once", "in pieces", "in small objects"],
)
def test_a_step_that_uses_too_much_memory_says_so(code: str) -> None:
    with Sandbox(limits=Limits(memory="64MiB")) as box:
        result = box.exec(code)
        assert result.outcome is Outcome.MEMORY
        assert "64 MiB" in str(result.error)
        assert result.peak_memory < 256 * 2**20


def test_a_loaded_text_does_not_count_as_memory_that_the_code_uses() -> None:
    with Sandbox(limits=Limits(memory="32MiB")) as box:
        box.load("P", "x" * (100 * 2**20))
        assert printed(box, "y = P[:10_000_000]\nprint(len(y))") == "10000000\n"
        assert box.exec("z = P + P").outcome is Outcome.MEMORY


def test_a_session_that_is_over_says_that_it_is_the_session() -> None:
    with Sandbox(limits=Limits(session_seconds=0.3)) as box:
        result = box.exec("time.sleep(10)")
        assert result.outcome is Outcome.TIMEOUT
        assert "the session has used its 0.3 s" in str(result.error)


def test_a_signal_that_kills_the_worker_is_a_crash_with_its_name(free_box: Sandbox) -> None:
    free_box.exec("x = 1")
    result = free_box.exec("x = 2\nimport ctypes\nctypes.string_at(0)")
    assert result.outcome is Outcome.CRASHED
    assert "signal 11 (Segmentation fault)" in str(result.error)
    # a forked checkpoint needs the gate, which not every kernel has
    assert result.state is (State.RESTORED if "gate" in free_box.layers else State.LOST)
    left = "1\n" if result.state is State.RESTORED else "None\n"
    assert printed(free_box, "print(globals().get('x'))") == left


def test_leaving_the_interpreter_is_no_harm(box: Sandbox) -> None:
    box.exec("x = 1")
    for code in ("exit(3)", "quit()", "raise SystemExit"):
        result = box.exec(code)
        assert (result.outcome, result.state) == (Outcome.EXITED, State.KEPT)
    assert box.get("x") == 1


def test_a_worker_that_dies_while_it_is_asked_says_so_and_the_next_step_runs(
    free_box: Sandbox,
) -> None:
    free_box.exec(
        "import os\nclass Fatal:\n    def __summary__(self): os._exit(5)\nfatal = Fatal()"
    )
    with pytest.raises((AnswerLost, SessionLost), match=r"the worker .* while it answered"):
        free_box.describe()
    assert printed(free_box, "print('on')") == "on\n"


def test_a_forked_process_that_holds_the_socket_does_not_hang_the_controller() -> None:
    assert (
        program.run("""
        from rlm_sandbox import Limits, Sandbox
        # without a wall, the code may fork, and there are no checkpoints
        with Sandbox(imports="all", isolation="none", limits=Limits(step_seconds=20)) as box:
            box.exec("x = 1")
            result = box.exec("import os, time\\nif os.fork() == 0: time.sleep(1000)\\nos._exit(7)")
            print(result.outcome, result.state, "code 7" in result.error)
    """)
        == "exited lost True\n"
    )
