"""From open to close: by whom, when, and from where."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Callable

import pytest

from rlm_sandbox import (
    IsolationUnavailable,
    Outcome,
    Sandbox,
    SandboxBusy,
    SandboxClosed,
)
from tests.rlm_sandbox import program
from tests.rlm_sandbox.promises.running import PATIENCE, printed


def test_a_closed_sandbox_says_that_it_is_closed() -> None:
    box = Sandbox()
    assert not box.closed
    box.close()
    box.close()
    assert box.closed
    for use in (lambda: box.exec("1"), lambda: box.get("x"), lambda: box.set("x", 1), box.describe):
        with pytest.raises(SandboxClosed, match="open another"):
            use()


def background(part: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=part, daemon=True)
    thread.start()
    return thread


def test_close_from_another_thread_ends_a_running_step_as_cancelled() -> None:
    running = threading.Event()
    box = Sandbox(functions={"here": running.set})
    closer = background(lambda: (running.wait(PATIENCE), box.close()))
    result = box.exec("here()\nwhile True: pass")
    closer.join(PATIENCE)
    assert not closer.is_alive()
    assert result.outcome is Outcome.CANCELLED
    assert box.closed


def test_close_from_a_host_function_ends_its_step_as_cancelled() -> None:
    boxes: list[Sandbox] = []
    with Sandbox(functions={"close": lambda: boxes[0].close()}) as box:
        boxes.append(box)
        assert box.exec("close()\nwhile True: pass").outcome is Outcome.CANCELLED
        with pytest.raises(SandboxClosed):
            box.exec("1")


def test_a_second_thread_is_told_that_the_sandbox_is_busy() -> None:
    running, finish = threading.Event(), threading.Event()

    def wait_here() -> None:
        running.set()
        finish.wait(PATIENCE)

    with Sandbox(functions={"wait_here": wait_here}) as box:
        user = background(lambda: box.exec("wait_here()"))
        running.wait(PATIENCE)
        for use in (lambda: box.exec("1"), lambda: box.get("x")):
            with pytest.raises(SandboxBusy, match="for each thread"):
                use()
        finish.set()
        user.join(PATIENCE)
        assert printed(box, "print('free')") == "free\n"


def test_ctrl_c_during_a_step_leaves_a_usable_sandbox() -> None:
    main = threading.main_thread().ident
    assert main is not None
    with Sandbox(functions={"now": lambda: signal.pthread_kill(main, signal.SIGINT)}) as box:
        box.load("P", "context")
        with pytest.raises(KeyboardInterrupt):
            box.exec("x = 1\nnow()\nwhile True: pass")
        assert printed(box, "print(P, 'x' in globals())") == "context False\n"


def test_two_sandboxes_share_nothing() -> None:
    with Sandbox() as one, Sandbox() as other:
        one.exec("x = 1")
        other.exec("x = 2")
        assert (one.get("x"), other.get("x")) == (1, 2)


def test_random_numbers_differ_between_workers() -> None:
    with Sandbox() as one, Sandbox() as other:
        code = "import random\nprint(random.random())"
        assert printed(one, code) != printed(other, code)


def test_code_and_functions_of_the_wrong_type_are_refused_at_once(free_box: Sandbox) -> None:
    with pytest.raises(TypeError, match="code must be str, not bytes"):
        free_box.exec(b"1")  # ty: ignore[invalid-argument-type]
    with pytest.raises(TypeError, match="'f' is not callable"):
        Sandbox(functions={"f": 1})  # ty: ignore[invalid-argument-type]
    with pytest.raises(ValueError, match="not a variable name: 'no name'"):
        Sandbox(functions={"no name": int})


def test_an_unknown_isolation_is_refused() -> None:
    with pytest.raises((ValueError, IsolationUnavailable), match="isolation"):
        Sandbox(isolation="some")


def test_the_default_is_sealed_and_no_isolation_is_given_only_when_asked_for_by_name(
    box: Sandbox,
) -> None:
    assert box.isolation in {"full", "standard"}
    assert (
        program.run("""
        from rlm_sandbox import Sandbox
        with Sandbox(isolation="none") as bare:
            print(bare.isolation)
    """)
        == "none\n"
    )


def test_a_closed_sandbox_does_not_hold_what_it_was_given() -> None:
    text = "a" * 100_000
    before = sys.getrefcount(text)
    box = Sandbox()
    box.load("P", text)
    box.exec("x = 1")
    box.load("Q", text)
    box.close()
    assert sys.getrefcount(text) == before


def test_a_sandbox_that_nobody_holds_any_more_is_closed() -> None:
    box = Sandbox()
    keeper = box._keeper
    del box
    gc.collect()
    assert keeper.closed
