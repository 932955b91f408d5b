from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rlm_core.adapters.base import Usage
from rlm_core.errors import RunCancelled
from rlm_core.ledger import Ledger, Reservation
from rlm_core.policy import (
    MaxCostExceeded,
    MaxRecursionExceeded,
    MaxSecondsExceeded,
    MaxSubcallsExceeded,
    MaxTokensExceeded,
    Policy,
    PolicyError,
    Price,
)


def never_stopped() -> None:
    """Nothing stops the run."""


def hold(ledger: Ledger, tokens: int, *, depth: int = 1) -> Reservation:
    return ledger.hold_for_subcall(depth, tokens, 0, "m", deepest=1, stopped=never_stopped)


def test_a_subcall_and_its_tokens_are_taken_together_or_not_at_all() -> None:
    ledger = Ledger(Policy(max_subcalls=1, max_total_tokens=100))
    with pytest.raises(MaxTokensExceeded):
        hold(ledger, 101)
    with pytest.raises(MaxRecursionExceeded):
        hold(ledger, 1, depth=2)
    assert (ledger.used().subcalls, ledger.used().held.tokens) == (0, 0)
    hold(ledger, 100)
    with pytest.raises(MaxSubcallsExceeded):
        hold(ledger, 0)


def test_what_a_call_used_is_recorded_even_beyond_the_limit() -> None:
    ledger = Ledger(Policy(max_total_tokens=100))
    held = hold(ledger, 50)
    ledger.settle(held, Usage(90, 60, 150), "m")
    used = ledger.used()
    assert (used.tokens, used.subcall_tokens, used.held.tokens) == (150, 150, 0)
    assert (used.prompt_tokens, used.completion_tokens) == (90, 60)
    assert isinstance(ledger.overdrawn(), MaxTokensExceeded)
    with pytest.raises(MaxTokensExceeded):
        hold(ledger, 1)


def test_a_failed_call_gives_its_tokens_back() -> None:
    ledger = Ledger(Policy(max_total_tokens=100))
    ledger.give_back(hold(ledger, 100))
    hold(ledger, 100)


def test_the_root_gets_what_is_left_and_is_refused_when_nothing_is() -> None:
    ledger = Ledger(Policy(max_total_tokens=100))
    held = ledger.hold_for_root(5_000, 512, None)
    assert held.charge.tokens == 100
    ledger.settle(held, Usage(100, 0, 100), None)
    with pytest.raises(MaxTokensExceeded):
        ledger.hold_for_root(1, 1, None)


def test_money_is_reserved_at_the_price_of_the_model_and_settled_by_use() -> None:
    ledger = Ledger(Policy(max_cost=1.0, prices={"m": Price(1_000_000, 0)}))
    held = hold(ledger, 1)
    with pytest.raises(MaxCostExceeded):
        hold_now(ledger)
    ledger.settle(held, Usage(0, 0, 0), "m")
    assert ledger.used().cost == 0
    hold(ledger, 1)


def test_a_server_that_calls_the_model_otherwise_is_paid_the_same() -> None:
    ledger = Ledger(Policy(prices={"m": Price(1_000_000, 0), "m-new": Price(2_000_000, 0)}))
    for told, cost in (("m-2026-05-01", 3.0), (None, 3.0), ("m-new", 6.0)):
        before = ledger.used().cost
        ledger.settle(ledger.hold_for_root(1, 1, "m"), Usage(3, 0, 3), told)
        assert ledger.used().cost - before == cost


def hold_now(ledger: Ledger) -> None:
    """A hold that does not wait: it says at once that the run has been stopped."""
    try:
        ledger.hold_for_subcall(1, 1, 0, "m", deepest=1, stopped=stop_now)
    except RunCancelled as waited:
        raise MaxCostExceeded("it would have waited") from waited


def stop_now() -> None:
    raise RunCancelled("stopped")


def test_a_call_that_fits_once_others_settle_waits_for_them() -> None:
    ledger = Ledger(Policy(max_total_tokens=100))
    first = hold(ledger, 80)
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(hold, ledger, 80)
        ledger.settle(first, Usage(10, 0, 10), None)
        assert second.result(timeout=30).charge.tokens == 80
    assert ledger.used().tokens == 10


def test_waiting_for_others_ends_when_the_run_is_stopped() -> None:
    ledger = Ledger(Policy(max_total_tokens=100))
    hold(ledger, 80)
    with pytest.raises(RunCancelled):
        ledger.hold_for_subcall(1, 80, 0, None, deepest=1, stopped=stop_now)


def test_many_threads_never_take_more_than_there_is() -> None:
    ledger = Ledger(Policy(max_subcalls=50, max_total_tokens=10_000))
    taken = []
    lock = threading.Lock()

    def work(_: int) -> None:
        try:
            held = hold(ledger, 100)
        except PolicyError:
            return
        ledger.settle(held, Usage(60, 40, 100), None)
        with lock:
            taken.append(held)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(200)))
    assert len(taken) == 50
    assert ledger.used().subcalls == 50
    assert ledger.used().tokens == 5_000


def test_the_clock_ends_a_run() -> None:
    now = [0.0]
    ledger = Ledger(Policy(max_seconds=10), clock=lambda: now[0])
    ledger.step()
    assert ledger.seconds_left() == 10
    now[0] = 10.5
    assert ledger.seconds_left() == 0
    with pytest.raises(MaxSecondsExceeded):
        ledger.step()
    with pytest.raises(MaxSecondsExceeded):
        ledger.subcall(1)


def test_what_is_left_is_told_by_name_and_none_means_no_limit() -> None:
    ledger = Ledger(Policy(max_steps=3, max_subcalls=2, max_total_tokens=100))
    ledger.step()
    hold(ledger, 40)
    assert ledger.left() == {
        "steps": 2,
        "subcalls": 1,
        "tokens": 60,
        "seconds": None,
        "cost": None,
    }
