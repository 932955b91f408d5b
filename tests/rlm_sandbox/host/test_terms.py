"""A session's time begins when its terms do."""

from __future__ import annotations

import time

from rlm_sandbox.host.terms import Terms
from rlm_sandbox.limits import Limits


def test_a_session_without_a_limit_of_time_has_no_deadline() -> None:
    assert Terms.from_now(Limits(), {"f": abs}) == Terms(Limits(), {"f": abs}, None)


def test_the_deadline_is_so_many_seconds_from_now() -> None:
    before = time.monotonic()
    deadline = Terms.from_now(Limits(session_seconds=50), {}).deadline
    assert deadline is not None
    assert before + 50 <= deadline <= time.monotonic() + 50


def test_nothing_is_waited_for_much_longer_than_the_session_lasts() -> None:
    now = time.monotonic()
    assert Terms(Limits(), {}, None).within(60.0, 5.0) == 60.0
    assert Terms(Limits(), {}, now + 1_000).within(60.0, 5.0) == 60.0
    assert 0 < Terms(Limits(), {}, now + 30).within(60.0, 5.0) <= 30.0
    assert Terms(Limits(), {}, now - 1).within(60.0, 5.0) == 5.0
