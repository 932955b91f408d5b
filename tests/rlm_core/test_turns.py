from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rlm_core.calls import CancelScope
from rlm_core.errors import RunCancelled
from rlm_core.turns import Turn, Turns
from tests.waiting import until


def test_no_more_are_held_at_once_than_may_be() -> None:
    turns, inside, most = Turns(2), threading.Semaphore(2), []

    def pass_through(_: int) -> None:
        with turns.passing(CancelScope()):
            most.append(inside.acquire(blocking=False))
            inside.release()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(pass_through, range(100)))
    assert all(most)


def test_without_a_limit_nobody_waits() -> None:
    turns = Turns(None)
    held = [turns.take(CancelScope()) for _ in range(100)]
    for turn in held:
        turn.give_back()


def test_a_turn_is_given_back_once() -> None:
    turns, scope = Turns(1), CancelScope()
    turn = turns.take(scope)
    turn.give_back()
    turn.give_back()
    turns.take(scope)
    scope.cancel()
    with pytest.raises(RunCancelled):
        turns.take(scope)


class Waits:
    """Somebody who waits for a turn in a thread."""

    def __init__(self, turns: Turns, scope: CancelScope) -> None:
        self.turn: Turn | None = None
        self.stopped = False
        self._turns, self._scope = turns, scope
        self._thread = threading.Thread(target=self._take)
        self._thread.start()
        until(lambda: scope._stops)

    def _take(self) -> None:
        try:
            self.turn = self._turns.take(self._scope)
        except RunCancelled:
            self.stopped = True

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_who_waits_gets_the_turn_that_is_given_back() -> None:
    turns = Turns(1)
    turn = turns.take(CancelScope())
    waiting = Waits(turns, CancelScope())
    turn.give_back()
    waiting.join()
    assert waiting.turn is not None


def test_who_waits_is_stopped_with_his_run_or_a_part_of_it_and_others_wait_on() -> None:
    turns, run = Turns(1), CancelScope()
    turn = turns.take(CancelScope())
    with run.below() as part:
        first, second = Waits(turns, part), Waits(turns, CancelScope())
        run.cancel()
        first.join()
        assert first.stopped
    turn.give_back()
    second.join()
    assert second.turn is not None
