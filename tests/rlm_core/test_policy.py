from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from rlm_core.policy import (
    MaxRecursionExceeded,
    MaxStepsExceeded,
    MaxSubcallsExceeded,
    MaxTokensExceeded,
    Policy,
)


def test_the_defaults_are_those_that_programs_rely_on() -> None:
    policy = Policy()
    assert (policy.max_steps, policy.max_subcalls, policy.max_recursion_depth) == (40, 200, 1)
    assert (policy.max_total_tokens, policy.max_subcall_tokens) == (200_000, None)


def test_steps_end_at_the_limit() -> None:
    policy = Policy(max_steps=1)
    policy.check_step()
    with pytest.raises(MaxStepsExceeded, match="max_steps exceeded"):
        policy.check_step()
    assert policy.steps == 1


def test_subcalls_end_at_the_limit_and_depth_is_checked_first() -> None:
    policy = Policy(max_subcalls=1, max_recursion_depth=1)
    policy.check_subcall(depth=1)
    with pytest.raises(MaxSubcallsExceeded):
        policy.check_subcall(depth=1)
    with pytest.raises(MaxRecursionExceeded):
        policy.check_subcall(depth=2)
    assert policy.subcalls == 1


def test_tokens_beyond_the_limit_are_refused_and_change_nothing() -> None:
    policy = Policy(max_total_tokens=3, max_subcall_tokens=10)
    policy.add_subcall_tokens(2)
    with pytest.raises(MaxTokensExceeded, match="max_total_tokens"):
        policy.add_subcall_tokens(2)
    with pytest.raises(MaxTokensExceeded, match="max_total_tokens"):
        policy.add_tokens(2)
    assert (policy.total_tokens, policy.subcall_tokens) == (2, 2)


def test_a_reservation_is_held_then_used() -> None:
    policy = Policy(max_total_tokens=20, max_subcall_tokens=10)
    policy.reserve_subcall_tokens(6)
    with pytest.raises(MaxTokensExceeded, match="max_subcall_tokens"):
        policy.reserve_subcall_tokens(5)
    policy.finalize_subcall_tokens(reserved_tokens=6, actual_tokens=4)
    assert (policy.total_tokens, policy.subcall_tokens) == (4, 4)


def test_a_released_reservation_is_free_again() -> None:
    policy = Policy(max_subcall_tokens=10)
    policy.reserve_subcall_tokens(10)
    policy.release_subcall_tokens(10)
    policy.reserve_subcall_tokens(10)
    with pytest.raises(ValueError, match="not held"):
        policy.release_subcall_tokens(11)


def test_more_use_than_fits_gives_the_reservation_back_and_counts_nothing() -> None:
    policy = Policy(max_total_tokens=10)
    policy.reserve_subcall_tokens(10)
    with pytest.raises(MaxTokensExceeded):
        policy.finalize_subcall_tokens(10, 11)
    assert policy.total_tokens == 0
    policy.reserve_subcall_tokens(10)


def test_negative_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        Policy().finalize_subcall_tokens(0, -1)


def test_a_policy_is_frozen_data_without_its_counters() -> None:
    policy = Policy(max_steps=3)
    policy.check_step()
    with pytest.raises(FrozenInstanceError):
        policy.max_steps = 4  # ty: ignore[invalid-assignment]
    assert replace(policy, max_subcalls=1).steps == 0
    assert asdict(policy)["max_steps"] == 3


def test_a_new_ledger_starts_from_nothing_and_is_what_the_counters_show() -> None:
    policy = Policy(max_steps=1)
    policy.check_step()
    ledger = policy.open()
    assert policy.steps == 0
    ledger.step()
    assert policy.steps == 1
