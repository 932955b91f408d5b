from __future__ import annotations

from rlm_core.batch.pace import WINDOW_SECONDS, Pace


def pace(total: int = 100, done: int = 0) -> Pace:
    return Pace(total=total, done=done, failed=0, tokens=5, cost=1.0, now=0.0)


def test_it_counts_what_was_there_before_and_what_comes() -> None:
    counting = pace(done=10)
    counting.count(failed=False, tokens=7, cost=0.5, now=1.0)
    counting.count(failed=True, tokens=1, cost=0.25, now=2.0)
    told = counting.progress(running=3, now=4.0)
    assert (told.done, told.failed, told.running, told.left) == (12, 1, 3, 88)
    assert (told.tokens, told.cost, told.seconds) == (13, 1.75, 4.0)
    assert told.rate == 0.5
    assert told.seconds_left == 176.0


def test_nobody_knows_the_time_that_is_left_before_anything_is_done() -> None:
    told = pace().progress(running=1, now=0.0)
    assert (told.rate, told.seconds_left) == (0.0, None)
    assert pace().progress(running=1, now=9.0).seconds_left is None


def test_the_rate_is_that_of_the_last_minute() -> None:
    counting = pace(total=10_000)
    for second in range(600):
        for _ in range(10 if second < 300 else 1):
            counting.count(failed=False, tokens=0, cost=0.0, now=float(second))
    told = counting.progress(running=1, now=600.0)
    assert 0.9 < told.rate < 1.2
    assert len(counting._moments) < 4 * WINDOW_SECONDS
