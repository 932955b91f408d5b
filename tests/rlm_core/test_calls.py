from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import pytest

from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.calls import CancelScope, call_model
from rlm_core.errors import RunCancelled

if TYPE_CHECKING:
    from collections.abc import Callable

REPLY = ModelResponse("hi", Usage(1, 1, 2))
MESSAGES = [{"role": "user", "content": "hello"}]


class Plain:
    """A model with nothing but `complete`, which does what a test says."""

    instant = False

    def __init__(self, act: Callable[[], ModelResponse]) -> None:
        self.act = act

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        return self.act()


class Submitting(Plain):
    """A model whose calls can be cancelled."""

    def __init__(self) -> None:
        super().__init__(lambda: REPLY)
        self.future: Future[ModelResponse] = Future()
        self.started = threading.Event()

    def submit(
        self, messages: list[dict[str, str]], *, max_tokens: int, temperature: float
    ) -> Future[ModelResponse]:
        self.started.set()
        return self.future


def test_a_model_is_called_and_its_errors_are_raised() -> None:
    assert call_model(Plain(lambda: REPLY), MESSAGES, 5, CancelScope()) is REPLY

    def fail() -> ModelResponse:
        raise LookupError("no such model")

    with pytest.raises(LookupError, match="no such model"):
        call_model(Plain(fail), MESSAGES, 5, CancelScope())


def test_a_model_that_never_waits_is_called_where_it_is_asked() -> None:
    called_in: list[int] = []

    def act() -> ModelResponse:
        called_in.append(threading.get_ident())
        return REPLY

    model = Plain(act)
    call_model(model, MESSAGES, 5, CancelScope())
    model.instant = True
    call_model(model, MESSAGES, 5, CancelScope())
    aside, here = called_in
    assert (aside != threading.get_ident(), here) == (True, threading.get_ident())


def test_cancelling_ends_a_call_in_flight_for_good() -> None:
    scope, model = CancelScope(), Submitting()
    canceller = threading.Thread(target=lambda: model.started.wait(30) and scope.cancel())
    canceller.start()
    with pytest.raises(RunCancelled):
        call_model(model, MESSAGES, 5, scope)
    canceller.join()
    assert model.future.cancelled()


def test_cancelling_does_not_wait_for_a_model_that_cannot_be_cancelled() -> None:
    scope, started, finish = CancelScope(), threading.Event(), threading.Event()

    def slow() -> ModelResponse:
        started.set()
        finish.wait(30)
        return REPLY

    canceller = threading.Thread(target=lambda: started.wait(30) and scope.cancel())
    canceller.start()
    with pytest.raises(RunCancelled):
        call_model(Plain(slow), MESSAGES, 5, scope)
    canceller.join()
    finish.set()


def test_nothing_is_begun_in_a_cancelled_run() -> None:
    scope = CancelScope()
    scope.cancel()
    model = Submitting()
    with pytest.raises(RunCancelled, match="cancelled"):
        call_model(model, MESSAGES, 5, scope)
    assert not model.started.is_set()
    with pytest.raises(RunCancelled), scope.stopping(list):
        pytest.fail("a cancelled scope lets nobody in")


def test_what_began_last_is_stopped_first() -> None:
    scope, stopped = CancelScope(), []
    with scope.stopping(lambda: stopped.append("outer")):
        with scope.stopping(lambda: stopped.append("gone")):
            pass
        with scope.stopping(lambda: stopped.append("inner")):
            scope.cancel()
    assert stopped == ["inner", "outer"]


def test_the_clock_stops_a_run_and_says_that_it_was_the_clock() -> None:
    scope, stopped = CancelScope(), threading.Event()
    with scope.stopping(stopped.set):
        scope.expire_after(0.01)
        assert stopped.wait(30)
    assert scope.expired
    with pytest.raises(RunCancelled, match="time is over"):
        scope.check()
    scope.close()


def test_a_closed_scope_has_no_clock_left() -> None:
    scope = CancelScope()
    scope.expire_after(1_000)
    scope.close()
    assert not scope.cancelled


def test_a_part_is_stopped_alone_or_with_the_whole() -> None:
    whole = CancelScope()
    stopped: list[str] = []
    with whole.below() as first, whole.below() as second:
        with second.stopping(lambda: stopped.append("second")):
            second.cancel()
        assert (whole.cancelled, first.cancelled, second.cancelled) == (False, False, True)
        first.check()
        with pytest.raises(RunCancelled):
            second.check()
        with first.stopping(lambda: stopped.append("first")):
            whole.cancel()
        assert first.cancelled
    assert stopped == ["second", "first"]
    with pytest.raises(RunCancelled), whole.below():
        pass


def test_a_part_knows_that_the_time_of_the_whole_is_over() -> None:
    whole = CancelScope()
    with whole.below() as part:
        whole.expire_after(0.0)
        with pytest.raises(RunCancelled, match="time is over"):
            part.sleep(30)
        assert part.expired
    whole.close()
