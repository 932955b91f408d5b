from __future__ import annotations

import sys
import threading

import pytest

from rlm_core.batch.local import LocalEngine
from rlm_core.batch.outcome import Failed, Outcome, Stopped, Verdict
from rlm_core.batch.schedule import Attempt
from rlm_core.batch.task import Inline, Task

DEADLINE = 60.0


class Holding:
    """Answers when it may, and counts how many it is asked at once."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.began = threading.Semaphore(0)

    def answer(self, attempt: Attempt) -> Outcome:
        self.began.release()
        self.may.wait(DEADLINE)
        return Stopped()

    def stop(self) -> None:
        self.may.set()


def attempt(name: str) -> Attempt:
    return Attempt(Task(name, 1, "Q?", Inline("t")))


def engine(holding: Holding, concurrency: int) -> LocalEngine:
    return LocalEngine(holding, concurrency=concurrency)  # ty: ignore[invalid-argument-type] - a double


def collected(of: LocalEngine, count: int) -> set[str]:
    names: set[str] = set()
    while len(names) < count:
        names |= {name for name, _ in of.wait(DEADLINE)}
    return names


def test_tasks_run_at_once_and_are_all_told() -> None:
    holding = Holding()
    made = engine(holding, 3)
    for name in "abc":
        made.start(attempt(name))
    for _ in range(3):
        assert holding.began.acquire(timeout=DEADLINE)
    assert made.wait(0.0) == []
    holding.may.set()
    assert collected(made, 3) == {"a", "b", "c"}
    made.close()


def test_threads_are_used_again() -> None:
    holding = Holding()
    holding.may.set()
    made = engine(holding, 2)
    for number in range(20):
        made.start(attempt(str(number)))
        collected(made, 1)
    assert len(made._threads) == 1
    made.close()


def test_it_can_be_woken_and_stopped() -> None:
    holding = Holding()
    made = engine(holding, 1)
    made.start(attempt("a"))
    made.wake()
    assert made.wait(DEADLINE) == []
    made.stop()
    assert collected(made, 1) == {"a"}
    made.close()


class Leaving:
    """Ends the thread that asks."""

    def answer(self, _: Attempt) -> Outcome:
        sys.exit("gone")


def test_what_ends_a_thread_is_an_outcome_and_ends_none() -> None:
    made = LocalEngine(Leaving(), concurrency=1)  # ty: ignore[invalid-argument-type] - a double
    for name in "ab":
        made.start(attempt(name))
        ((told, outcome),) = made.wait(DEADLINE)
        assert told == name
        assert isinstance(outcome, Failed)
        assert (outcome.error.type, outcome.verdict) == ("SystemExit", Verdict.GIVE_UP)
    made.close()


def test_it_can_be_closed_when_no_thread_could_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    made = engine(Holding(), 1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(RuntimeError, match="can't start"):
            made.start(attempt("a"))
    made.close()
