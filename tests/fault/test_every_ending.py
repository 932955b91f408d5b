"""Every way in which a step can end: what it is called, what is left, and what the model reads.

Before each of these steps the session holds a variable, a function, a class, an open generator and
an import; after it, all of them must be as they were, and the next step must work.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace

import psutil
import pytest

from rlm_sandbox import ExecResult, Limits, Outcome, Sandbox, State
from tests.census import Census

LIMITS = Limits(step_seconds=0.6, cpu_seconds=10, memory="192MiB", output_chars=2_000, processes=32)
UNHURRIED = replace(LIMITS, step_seconds=30)  # where it is not the time that ends the step
BACK_WITHIN = 60.0  # a hang, and nothing about speed

BEFORE = """
import statistics
numbers = [1, 2, 3]
def mean(): return statistics.mean(numbers)
class Stack:
    def __init__(self): self.items = [1]
    def push(self, x): self.items.append(x); return self.items
stack = Stack()
def count():
    n = 0
    while True:
        n += 1
        yield n
counting = count()
next(counting)
"""
AFTER = "print(numbers, mean(), len(stack.push(2)), next(counting), Stack.__name__)"


@dataclass(frozen=True)
class Way:
    """A step, and what it must be called. `states`: what may be left of it."""

    code: str
    outcome: Outcome
    states: tuple[State, ...]
    says: str


KEPT, RESTORED = (State.KEPT,), (State.RESTORED,)
EITHER = (State.KEPT, State.RESTORED)  # whether the interrupt is heard is a matter of the moment
USED_ITS_TIME = "Timeout: the step used its 0.6 s"
HOLDS_TOO_MUCH = "Memory limit: the session may hold 192 MiB"

WAYS = {
    "to its end": Way("x = 1", Outcome.OK, KEPT, ""),
    "an exception": Way("1 / 0", Outcome.ERROR, KEPT, "ZeroDivisionError: division by zero"),
    "a MemoryError": Way("raise MemoryError", Outcome.MEMORY, KEPT, HOLDS_TOO_MUCH),
    "a loop": Way("while True: pass", Outcome.TIMEOUT, KEPT, USED_ITS_TIME),
    "sleep for ever": Way("import time\ntime.sleep(1e8)", Outcome.TIMEOUT, KEPT, USED_ITS_TIME),
    "a loop inside C": Way("10 ** 10 ** 8", Outcome.TIMEOUT, EITHER, USED_ITS_TIME),
    "one that checks no signal": Way(
        "pow(7, 10 ** 9, 10 ** 400_000)", Outcome.TIMEOUT, EITHER, USED_ITS_TIME
    ),
    "a catastrophic pattern": Way(
        "import re\nre.fullmatch('(a*)*b', 'a' * 200)", Outcome.TIMEOUT, EITHER, USED_ITS_TIME
    ),
    "a huge sort": Way(
        "import itertools\nx = [str(i) for i in range(10 ** 5)]\nwhile True: x.sort(key=hash)",
        Outcome.TIMEOUT,
        EITHER,
        USED_ITS_TIME,
    ),
    "it catches everything": Way(
        "import time\nwhile True:\n    try: time.sleep(1000)\n    except BaseException: pass",
        Outcome.TIMEOUT,
        RESTORED,
        USED_ITS_TIME,
    ),
    "signals are blocked": Way(
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        Outcome.TIMEOUT,
        RESTORED,
        USED_ITS_TIME,
    ),
    "signals are ignored": Way(
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        Outcome.TIMEOUT,
        RESTORED,
        USED_ITS_TIME,
    ),
    "it stops itself": Way(
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        Outcome.TIMEOUT,
        RESTORED,
        USED_ITS_TIME,
    ),
    "memory, all at once": Way("x = bytearray(1 << 40)", Outcome.MEMORY, KEPT, HOLDS_TOO_MUCH),
    "memory, fast": Way(
        "x = []\nwhile True: x.append(bytes(1 << 24))", Outcome.MEMORY, EITHER, HOLDS_TOO_MUCH
    ),
    "memory, slowly": Way(
        "import time\nx = []\nwhile True: x.append(bytearray(1 << 20)); time.sleep(0.0005)",
        Outcome.MEMORY,
        EITHER,
        HOLDS_TOO_MUCH,
    ),
    "memory that is made read-only": Way(
        "import ctypes, mmap\nown = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS\ntaken = []\n"
        "while True:\n    m = mmap.mmap(-1, 1 << 22, flags=own)\n    taken.append(m)\n"
        "    for i in range(0, 1 << 22, 4096): m[i] = 1\n"
        "    place = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
        "    ctypes.CDLL(None).mprotect(ctypes.c_void_p(place), 1 << 22, 1)",
        Outcome.MEMORY,
        RESTORED,
        HOLDS_TOO_MUCH,
    ),
    "os._exit": Way(
        "import os\nos._exit(7)", Outcome.EXITED, RESTORED, "the worker's process ended with code 7"
    ),
    "SystemExit": Way("raise SystemExit(3)", Outcome.EXITED, KEPT, "left the interpreter"),
    "a segmentation fault": Way(
        "import ctypes\nctypes.string_at(0)", Outcome.CRASHED, RESTORED, "signal 11 (Segmentation"
    ),
    "a stack overflow": Way(
        "import faulthandler\nfaulthandler._stack_overflow()",
        Outcome.CRASHED,
        RESTORED,
        "signal 11 (Segmentation",
    ),
    "abort": Way("import os\nos.abort()", Outcome.CRASHED, RESTORED, "signal 6 (Aborted)"),
    "it kills itself": Way(
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        Outcome.CRASHED,
        RESTORED,
        "signal 9 (Killed)",
    ),
    "a signal it sends itself": Way(
        "import os, signal\nos.kill(os.getpid(), signal.SIGXCPU)",
        Outcome.CRASHED,
        RESTORED,
        "signal 24",
    ),
    "a flooded channel": Way(
        "import os\nwhile True:\n  for fd in range(3, 64):\n"
        "    try: os.write(fd, b'x' * 65536)\n    except OSError: pass",
        Outcome.VIOLATION,
        RESTORED,
        "the worker broke the protocol",
    ),
    "a closed channel": Way(
        "import os\nos.closerange(3, 64)\nwhile True: pass",
        Outcome.VIOLATION,
        RESTORED,
        "it closed its channel",
    ),
    "output without end": Way(
        "while True: print('x' * 1000)", Outcome.OUTPUT, KEPT, "Output limit: the step printed"
    ),
}


def everything_is_there(box: Sandbox, times: int) -> None:
    """What BEFORE has made works on: `AFTER` has run so many times with this one."""
    result = box.exec(AFTER)
    assert (result.outcome, result.error) == (Outcome.OK, None)
    assert result.stdout == f"[1, 2, 3] 2 {1 + times} {1 + times} Stack\n"


def fresh(limits: Limits) -> Sandbox:
    box = Sandbox(imports="all", limits=limits)
    assert box.exec(BEFORE).outcome is Outcome.OK
    return box


@pytest.mark.parametrize("name", WAYS)
def test_a_step_that_ends_like_this_leaves_the_session_as_it_was(name: str) -> None:
    way = WAYS[name]
    with fresh(LIMITS if way.outcome is Outcome.TIMEOUT else UNHURRIED) as box:
        if "gate" not in box.layers:
            pytest.skip("this kernel has no seccomp user notifications: no checkpoints")
        started = time.monotonic()
        result = box.exec(way.code)
        wall = time.monotonic() - started
        assert (result.outcome, result.state in way.states) == (way.outcome, True), result
        assert way.says in str(result.error)
        if result.outcome not in {Outcome.OK, Outcome.ERROR}:
            readable(str(result.error))
        assert wall < BACK_WITHIN
        plausible(result, wall)
        everything_is_there(box, 1)
        everything_is_there(box, 2)


def plausible(result: ExecResult, wall: float) -> None:
    """What was measured from outside fits together."""
    cores = psutil.cpu_count() or 1
    assert 0 < result.worker_seconds <= result.wall_seconds + 0.001
    assert result.wall_seconds <= wall
    assert 0 <= result.cpu_seconds <= cores * (wall + 0.1)  # a step may be too short to be metered
    assert 2**20 < result.peak_memory < 192 * 2**20 + 256 * 2**20
    assert result.host_calls == 0


def readable(text: str) -> None:
    """As a model reads it: what happened, what is left, and one sentence of advice."""
    assert "\n" not in text
    assert len(text) < 400
    assert text.endswith(".")
    assert len(re.findall(r"[.:](?: |$)", text)) >= 2
    assert any(left in text for left in ("with what the step had done so far", "as they were"))


def endings() -> list[str]:
    """Destructive steps that end quickly, for long rows of them."""
    names = ("os._exit", "a segmentation fault", "it kills itself", "a closed channel", "abort")
    return [WAYS[name].code for name in (*names, "an exception", "memory, all at once")]


def many_destructive_steps(count: int) -> None:
    with fresh(UNHURRIED) as box:
        if "gate" not in box.layers:
            pytest.skip("this kernel has no seccomp user notifications: no checkpoints")
        rows = endings()
        for code in rows:
            box.exec(code)
        everything_is_there(box, 1)
        before, held = counts(box), memory_of_the_trusted(box)
        for number in range(count):
            assert box.exec(rows[number % len(rows)]).state is not State.LOST
        everything_is_there(box, 2)
        deadline = time.monotonic() + BACK_WITHIN
        while more(before, now := counts(box)):  # a dead process is on its way out for a moment
            assert time.monotonic() < deadline, f"{now} processes, descriptors, threads: {before}"
            time.sleep(0.02)
        grown = memory_of_the_trusted(box) - held
        assert grown < 4 * 2**20, f"{grown} bytes more after {count} steps"


def counts(box: Sandbox) -> tuple[int, int, int]:
    """Processes of the worker, descriptors and threads of this process."""
    link = box._keeper.life.link
    assert link is not None
    link.settle()
    census = Census.take()
    return len(census.processes), sum(census.descriptors.values()), len(census.threads)


def more(before: tuple[int, ...], now: tuple[int, ...]) -> bool:
    return any(new > old for old, new in zip(before, now, strict=True))


def memory_of_the_trusted(box: Sandbox) -> int:
    """Private memory of this process and of the worker's init, in bytes."""
    link = box._keeper.life.link
    assert link is not None
    process = psutil.Process(link.process.pid)
    while (above := process.parent()) is not None and above.ppid() != psutil.Process().pid:
        process = above
    return sum(
        each.memory_info().rss - each.memory_info().shared for each in (psutil.Process(), process)
    )


def test_a_hundred_destructive_steps_in_a_row_leak_nothing() -> None:
    many_destructive_steps(100)


@pytest.mark.slow
def test_a_thousand_destructive_steps_in_a_row_leak_nothing() -> None:
    many_destructive_steps(1000)
