from __future__ import annotations

import pytest

from rlm_core.policy import Charge
from rlm_core.serve.account import Account, Hold
from rlm_core.serve.keys import Allowance
from rlm_core.serve.problem import Busy, QuotaUsedUp

HOUR = 3600.0


def test_a_key_has_no_more_requests_at_once_than_it_may() -> None:
    account = Account(Allowance(concurrency=2))
    account.enter()
    account.enter()
    with pytest.raises(Busy, match="2 requests at once"):
        account.enter()
    account.leave()
    account.enter()


def test_requests_at_once_hold_no_more_together_than_is_left() -> None:
    account = Account(Allowance(tokens=1000))
    first = account.hold(800, None, 0.0)
    second = account.hold(800, None, 0.0)
    assert (first.tokens, second.tokens) == (800, 200)
    with pytest.raises(Busy, match="held by its requests under way"):
        account.hold(800, None, 0.0)
    account.settle(first, Charge(100), 0.0)
    assert account.hold(None, None, 0.0).tokens == 700


def test_what_was_used_is_gone_until_the_next_period() -> None:
    account = Account(Allowance(cost=1.0, period_hours=1.0))
    hold = account.hold(None, None, 10.0)
    assert hold == Hold(None, 1.0)
    account.settle(hold, Charge(5, 1.5), 20.0)  # the last call may cost more than was left
    with pytest.raises(QuotaUsedUp, match="next period begins in 3570 seconds") as caught:
        account.hold(None, 0.1, 30.0)
    assert caught.value.retry_after == HOUR - 30
    assert account.hold(None, 0.1, HOUR + 1).cost == 0.1


def test_a_request_that_goes_on_into_the_next_period_counts_there() -> None:
    account = Account(Allowance(tokens=100, period_hours=1.0))
    hold = account.hold(60, None, HOUR - 1)
    assert account.hold(60, None, HOUR + 1).tokens == 40
    account.settle(hold, Charge(30), HOUR + 2)
    assert account.used() == Charge(30)


def test_a_key_without_limits_holds_what_the_profile_says() -> None:
    account = Account(Allowance())
    assert account.hold(500, None, 0.0) == Hold(500, None)
    assert account.hold(None, 2.0, 0.0) == Hold(None, 2.0)
