"""What is tried again, and how long the wait is, without waiting."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.retry import (
    ConnectionFailure,
    Failure,
    RetryPolicy,
    SilenceFailure,
    StatusFailure,
    is_retried,
    parse_retry_after,
)

NOON = datetime(2025, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_faults_are_tried_again(status: int) -> None:
    assert is_retried(StatusFailure(status))


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 422, 501])
def test_what_would_fail_again_is_not_tried_again(status: int) -> None:
    assert not is_retried(StatusFailure(status))


def test_a_used_up_quota_is_not_tried_again() -> None:
    assert not is_retried(StatusFailure(429, final=True))


@pytest.mark.parametrize("failure", [ConnectionFailure(), SilenceFailure()])
def test_broken_connections_and_silence_are_tried_again(failure: Failure) -> None:
    assert is_retried(failure)


def test_the_wait_doubles_up_to_its_most() -> None:
    policy = RetryPolicy(retries=9, base_delay=1.0, max_delay=10.0)
    waits = [
        policy.delay(ConnectionFailure(), attempt=attempt, elapsed=0.0, chance=1.0)
        for attempt in range(6)
    ]
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@given(attempt=st.integers(0, 10_000), chance=st.floats(0, 1))
def test_full_jitter_takes_any_part_of_the_wait(attempt: int, chance: float) -> None:
    policy = RetryPolicy(retries=20_000, max_delay=30.0)
    wait = policy.delay(ConnectionFailure(), attempt=attempt, elapsed=0.0, chance=chance)
    assert wait is not None
    assert 0.0 <= wait <= 30.0
    assert wait == pytest.approx(chance * min(30.0, 2.0 ** min(attempt, 60)))


def test_the_wait_is_never_shorter_than_the_server_asks() -> None:
    policy = RetryPolicy()
    asked = StatusFailure(429, retry_after=7.0)
    assert policy.delay(asked, attempt=0, elapsed=0.0, chance=0.0) == 7.0


def test_it_gives_up_after_the_last_retry() -> None:
    policy = RetryPolicy(retries=2)
    assert policy.delay(ConnectionFailure(), attempt=1, elapsed=0.0, chance=0.5) is not None
    assert policy.delay(ConnectionFailure(), attempt=2, elapsed=0.0, chance=0.5) is None


def test_a_wait_that_would_pass_the_deadline_is_not_begun() -> None:
    policy = RetryPolicy(deadline=60.0)
    hour = StatusFailure(503, retry_after=3600.0)
    assert policy.delay(hour, attempt=0, elapsed=0.0, chance=0.0) is None
    assert policy.delay(ConnectionFailure(), attempt=0, elapsed=59.9, chance=1.0) is None
    assert policy.delay(ConnectionFailure(), attempt=0, elapsed=58.0, chance=1.0) == 1.0


def test_a_policy_that_makes_no_sense_is_refused() -> None:
    for wrong in ({"retries": -1}, {"base_delay": -1.0}, {"max_delay": -1.0}, {"deadline": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RetryPolicy(**wrong)  # ty: ignore[invalid-argument-type]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("Wed, 01 Jan 2025 12:00:30 GMT", 30.0),
        ("Wed, 01 Jan 2025 12:00:30 -0000", 30.0),
        ("Wed, 01 Jan 2025 11:59:00 GMT", 0.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("\u0665", None),
        ("Wed, 99 Jan 2025 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(header, now=NOON) == seconds


@given(st.text(max_size=40))
def test_any_retry_after_is_read_without_an_error(header: str) -> None:
    wait = parse_retry_after(header, now=NOON)
    assert wait is None or wait >= 0.0
