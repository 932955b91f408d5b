"""Host functions: plain data, many threads, exceptions, limits, and whose time it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from rlm_sandbox import (
    Limits,
    Outcome,
    Sandbox,
)
from tests.rlm_sandbox.promises.running import PATIENCE, printed


def test_a_host_function_runs_here_and_its_result_is_there() -> None:
    here = threading.get_ident()
    with Sandbox(functions={"where": lambda *a, **k: [threading.get_ident(), a, k]}) as box:
        result = box.exec("found = where(1, (2,), key={3})")
        assert box.get("found") == [here, (1, (2,)), {"key": {3}}]
        assert result.host_calls == 1


def test_host_functions_are_called_by_several_threads_at_once() -> None:
    meeting = threading.Barrier(8, timeout=PATIENCE)  # passed only by eight at once
    with Sandbox(functions={"meet": meeting.wait}) as box:
        code = (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(8) as pool:\n"
            "    places = sorted(pool.map(lambda _: meet(), range(8)))"
        )
        assert box.exec(code).host_calls == 8
        assert box.get("places") == list(range(8))


def test_many_calls_from_many_threads_each_get_their_own_result() -> None:
    with Sandbox(functions={"echo": lambda value: value}) as box:
        code = (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "def work(n): return all(echo(n * 1000 + i) == n * 1000 + i for i in range(50))\n"
            "with ThreadPoolExecutor(16) as pool: right = list(pool.map(work, range(32)))"
        )
        assert box.exec(code).host_calls == 1600
        assert box.get("right") == [True] * 32


def raising(error: Exception) -> Callable[[], object]:
    def function() -> object:
        raise error

    return function


class MaxRecursionExceeded(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("bad"), "ValueError: bad (line 1)"),
        (KeyError("key"), "KeyError: 'key' (line 1)"),
        (MaxRecursionExceeded("deep"), "MaxRecursionExceeded: deep (line 1)"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), "UnicodeDecodeError: "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_exception_in_a_host_function_is_one_in_the_code(error: Exception, line: str) -> None:
    with Sandbox(functions={"fail": raising(error)}) as box:
        result = box.exec("fail()")
        assert str(result.error).startswith(line)
        name = type(error).__name__
        caught = "try: fail()\nexcept Exception as e: print(type(e).__name__)"
        assert printed(box, caught) == name + "\n"


def test_arguments_and_results_are_plain_data_only() -> None:
    with Sandbox(functions={"f": lambda value=None: object()}) as box:
        assert "builtins.object does not cross" in str(box.exec("f()").error)
        assert "__main__.A does not cross" in str(box.exec("class A: pass\nf(A())").error)


def test_the_number_of_host_calls_a_step_is_limited() -> None:
    with Sandbox(functions={"f": int}, limits=Limits(host_calls=3)) as box:
        result = box.exec("n = 0\nwhile True:\n    f()\n    n += 1")
        assert "at most 3 calls" in str(result.error)
        assert (box.get("n"), result.host_calls) == (3, 3)
        assert box.exec("f()").outcome is Outcome.OK  # the next step has its own


def test_the_bytes_of_host_calls_a_step_are_limited() -> None:
    with Sandbox(functions={"f": len}, limits=Limits(call_bytes=1000)) as box:
        assert "1,000 bytes of arguments" in str(box.exec("while True: f('x' * 100)").error)


def test_more_calls_at_once_than_allowed_wait_their_turn() -> None:
    running, most, lock = [0], [0], threading.Lock()

    def work() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.005)
        with lock:
            running[0] -= 1

    with Sandbox(functions={"work": work}, limits=Limits(concurrent_calls=3)) as box:
        code = (
            "from concurrent.futures import ThreadPoolExecutor\n"
            "with ThreadPoolExecutor(12) as pool: list(pool.map(lambda _: work(), range(24)))"
        )
        assert box.exec(code).outcome is Outcome.OK
    assert 1 <= most[0] <= 3


def test_a_call_outside_any_step_is_refused_in_the_thread_that_makes_it() -> None:
    with Sandbox(functions={"f": int}) as box:
        box.exec(
            "import threading\nsaid, over = [], threading.Event()\n"
            "def late():\n    over.wait()\n    try: f()\n"
            "    except RuntimeError as e: said.append(str(e))\n"
            "thread = threading.Thread(target=late); thread.start()\n"
            "class Trigger:\n    def __summary__(self):\n"
            "        over.set(); thread.join(); return 't'\n"
            "trigger = Trigger()"
        )
        assert box.describe()["trigger"] == "t"  # the thread calls now, between two steps
        assert box.get("said") == ["host functions can be called only while a step runs"]


def test_the_steps_clock_does_not_run_while_the_code_waits_for_a_host_function() -> None:
    with Sandbox(functions={"slow": lambda: time.sleep(2.2)}, limits=Limits(step_seconds=2)) as box:
        result = box.exec("slow()\nx = 1")
        assert (result.outcome, box.get("x")) == (Outcome.OK, 1)
        assert result.worker_seconds < 2 < result.wall_seconds


def test_the_sandbox_cannot_be_used_from_its_own_host_function() -> None:
    boxes: list[Sandbox] = []
    with Sandbox(functions={"again": lambda: boxes[0].exec("1").stdout}) as box:
        boxes.append(box)
        assert str(box.exec("again()").error).startswith("SandboxBusy: this sandbox is in use")
