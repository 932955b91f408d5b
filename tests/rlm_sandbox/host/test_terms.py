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
