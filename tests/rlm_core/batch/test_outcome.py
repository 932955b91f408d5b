from __future__ import annotations

import pickle

import pytest

from rlm_core.adapters.errors import KeyRefused, RateLimited, RequestRefused
from rlm_core.batch.outcome import NOTHING, Verdict, failure, together
from rlm_core.errors import ContextError
from rlm_core.run import RunUsage
from rlm_sandbox.errors import IsolationUnavailable, StartFailed

USED = RunUsage(1, 2, 3, 4, 5, 6.0, 7.0)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (RateLimited("wait"), Verdict.AGAIN),
        (StartFailed("no process"), Verdict.AGAIN),
        (MemoryError(), Verdict.AGAIN),
        (OSError("no file left"), Verdict.AGAIN),
        (RequestRefused("too long"), Verdict.GIVE_UP),
        (ContextError("no text"), Verdict.GIVE_UP),
        (ZeroDivisionError("a mistake"), Verdict.GIVE_UP),
        (KeyRefused("wrong key"), Verdict.STOP_MODEL),
        (IsolationUnavailable("no namespaces"), Verdict.STOP_HOST),
    ],
)
def test_an_error_says_whether_to_try_again(error: Exception, verdict: Verdict) -> None:
    failed = failure(error, USED)
    assert (failed.verdict, failed.error.type) == (verdict, type(error).__name__)
    assert failed.error.message
    assert failed.usage == USED


def test_outcomes_travel() -> None:
    failed = failure(KeyRefused("wrong key"), USED)
    assert pickle.loads(pickle.dumps(failed)) == failed


def test_attempts_add_up() -> None:
    assert together(USED, USED) == RunUsage(2, 4, 6, 8, 10, 12.0, 14.0)
    assert together(USED, NOTHING) == USED
