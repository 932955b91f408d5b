from __future__ import annotations

import pytest

from rlm_core.accounting import (
    Charge,
    MaxCostExceeded,
    MaxSecondsExceeded,
    Price,
    RunLimits,
    Used,
    check_charge,
    check_seconds,
)


def test_prices_are_by_model_with_a_default_for_the_others() -> None:
    limits = RunLimits(prices={"big": Price(10, 30), "*": Price(1, 1)})
    assert limits.price_of("big").of(1_000_000, 100_000) == pytest.approx(13.0)
    assert limits.price_of("other").of(500_000, 500_000) == pytest.approx(1.0)
    assert RunLimits().price_of("big").of(10, 10) == 0


def test_money_and_time_have_limits_of_their_own() -> None:
    limits = RunLimits(max_cost=1.0, max_seconds=5)
    with pytest.raises(MaxCostExceeded):
        check_charge(limits, Used(cost=0.9), Charge(0, 0.2), subcall=True)
    check_seconds(limits, 4.9)
    with pytest.raises(MaxSecondsExceeded):
        check_seconds(limits, 5.0)


def test_no_token_limit_means_none() -> None:
    check_charge(RunLimits(max_total_tokens=None), Used(tokens=10**12), Charge(1), subcall=False)
