from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_core.batch.budget import UNLIMITED, Budget


def granted_to(budget: Budget, *, running: int = 0, slots: int = 1) -> float:
    granted = budget.grant(running=running, slots=slots)
    assert granted is not None
    return granted


def test_without_a_limit_a_task_may_spend_what_it_likes() -> None:
    budget = Budget()
    assert budget.grant(running=5, slots=2) == UNLIMITED
    assert budget.grant(running=5, slots=2, most=0.1) == 0.1
    budget.settle(UNLIMITED, 3.0)
    assert budget.spent == 3.0


def test_free_slots_share_what_is_there() -> None:
    budget = Budget(8.0)
    assert [budget.grant(running=n, slots=4) for n in range(4)] == [2.0, 2.0, 2.0, 2.0]
    assert budget.grant(running=4, slots=4) is None


def test_what_is_not_spent_comes_back() -> None:
    budget = Budget(8.0)
    granted = granted_to(budget)
    assert granted == 8.0
    budget.settle(granted, 1.0)
    assert budget.available == 7.0
    assert budget.grant(running=0, slots=1) == 7.0


def test_what_was_lost_does_not_come_back_and_is_no_experience() -> None:
    budget = Budget(10.0)
    budget.lose(granted_to(budget, slots=5))
    assert (budget.available, budget.mean, budget.spent) == (8.0, 0.0, 0.0)
    unlimited = Budget()
    unlimited.lose(granted_to(unlimited))
    assert unlimited.available == math.inf


def test_what_was_spent_before_counts() -> None:
    assert Budget(5.0, spent=5.0).grant(running=0, slots=1) is None
    assert Budget(5.0, spent=4.0).grant(running=0, slots=1) == 1.0


def test_a_task_that_needs_more_waits_for_others_and_gets_all_there_is_at_last() -> None:
    budget = Budget(8.0)
    small = granted_to(budget, slots=4)
    assert small == 2.0
    assert budget.grant(running=1, slots=4, least=7.0) is None
    budget.settle(small, 1.5)
    assert budget.grant(running=0, slots=4, least=7.0) == 6.5


def test_nothing_is_begun_that_experience_says_cannot_end() -> None:
    budget = Budget(2.0)
    granted = granted_to(budget)
    assert granted == 2.0
    budget.settle(granted, 1.2)
    assert budget.grant(running=0, slots=1) is None


ACTIONS = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 20), st.integers(1, 8)), max_size=60
)


@settings(max_examples=60)
@given(limit=st.floats(0.01, 100), actions=ACTIONS)
def test_granted_and_spent_are_never_more_than_there_is(
    limit: float, actions: list[tuple[bool, float, float, int]]
) -> None:
    budget = Budget(limit)
    grants: list[float] = []
    for begins, share, least, slots in actions:
        if begins:
            granted = budget.grant(running=len(grants), slots=slots, least=least)
            grants += [] if granted is None else [granted]
        elif grants:
            granted = grants.pop()
            budget.settle(granted, granted * share)
        assert sum(grants) + budget.spent <= limit * (1 + 1e-9)
        assert budget.available >= -1e-9 * limit
