"""Output is captured whole, capped, sent in parts, and ended when it never ends."""

from __future__ import annotations

import pytest

from rlm_sandbox import (
    Limits,
    Outcome,
    Sandbox,
    State,
)
from tests.rlm_sandbox.promises.running import printed


def test_output_is_capped_and_says_so() -> None:
    with Sandbox(limits=Limits(output_chars=10)) as box:
        result = box.exec("print('x' * 50)")
        assert (result.stdout, result.truncated) == ("x" * 10 + "...<truncated>", True)
        assert result.outcome is Outcome.OK
        assert printed(box, "print('short')") == "short\n"


def test_output_of_exactly_the_cap_is_not_called_cut() -> None:
    with Sandbox(limits=Limits(output_chars=10)) as box:
        assert printed(box, "print('x' * 9)") == "x" * 9 + "\n"


@pytest.mark.parametrize("text", ["x", "é", "\U0001f40d", "\\ud800"], ids=ascii)
def test_a_long_print_arrives_whole_whatever_its_characters(text: str) -> None:
    with Sandbox(limits=Limits(output_chars=2_000_000, value_bytes=1024)) as box:
        assert len(printed(box, f"print('{text}' * 300_000)")) == 300_000 * len(text) + 1


def test_endless_output_ends_the_step_and_keeps_the_variables(box: Sandbox) -> None:
    result = box.exec("x = 1\nwhile True: print('x' * 1000)")
    assert (result.outcome, result.state) == (Outcome.OUTPUT, State.KEPT)
    assert result.truncated
    assert box.get("x") == 1


def test_what_was_printed_before_a_crash_is_not_lost(free_box: Sandbox) -> None:
    result = free_box.exec("print('x' * 5000)\nimport os\nos.abort()")
    assert result.outcome is Outcome.CRASHED
    assert result.stdout.startswith("x" * 4096)


def test_a_thread_that_prints_between_steps_breaks_nothing(box: Sandbox) -> None:
    printed(
        box,
        "import threading\ngo, done = threading.Event(), threading.Event()\n"
        "def chat():\n    go.wait()\n    for _ in range(20): print('y' * 1000)\n    done.set()\n"
        "threading.Thread(target=chat, daemon=True).start()\n"
        "def later(): threading.Timer(0.0, go.set).start()",
    )
    box.exec("later()")
    for _ in range(20):
        assert "chat" in box.describe()
    result = box.exec("done.wait(10)")
    assert result.outcome is Outcome.OK
