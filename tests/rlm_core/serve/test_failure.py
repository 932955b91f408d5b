from __future__ import annotations

import pytest

from rlm_core.adapters.errors import (
    BadReply,
    KeyRefused,
    ModelTimeout,
    RateLimited,
    RequestRefused,
    ServerFailed,
    Unreachable,
)
from rlm_core.errors import ConfigError, ContextError, RunCancelled
from rlm_core.policy import MaxSecondsExceeded, MaxTokensExceeded
from rlm_core.serve.failure import problem_of
from rlm_core.serve.problem import Busy
from rlm_sandbox.errors import SandboxError

SECRET = "https://user:pass@inside.example/v1 key sk-123456789012345678 /root/secret.txt"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (KeyRefused(SECRET), 502, "upstream_error"),
        (ServerFailed(SECRET), 502, "upstream_error"),
        (Unreachable(SECRET), 502, "upstream_error"),
        (BadReply(SECRET), 502, "upstream_error"),
        (RequestRefused(SECRET, status=400), 502, "upstream_refused"),
        (RequestRefused(SECRET, status=404), 502, "upstream_error"),
        (RateLimited(SECRET), 429, "upstream_rate_limited"),
        (ModelTimeout(SECRET), 504, "upstream_timeout"),
        (SandboxError(SECRET), 500, "sandbox_failed"),
        (RunCancelled(SECRET), 503, "shutting_down"),
        (TimeoutError(SECRET), 504, "deadline_exceeded"),
        (MaxSecondsExceeded("max_seconds"), 504, "deadline_exceeded"),
        (RuntimeError(SECRET), 500, "internal_error"),
        (OSError(5, SECRET), 500, "internal_error"),
    ],
)
def test_what_fails_inside_is_told_without_saying_where(
    error: Exception, status: int, code: str
) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.code) == (status, code)
    told = str(problem.body())
    assert not any(each in told for each in ("inside", "sk-", "/root", "Traceback", "pass"))


def test_what_the_client_can_put_right_is_told_as_it_is() -> None:
    assert problem_of(ConfigError("no such type")).body()["error"] == {
        "message": "no such type",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert problem_of(ContextError("empty")).status == 400
    assert problem_of(MaxTokensExceeded("max_total_tokens exceeded")).status == 422
    busy = Busy("later")
    assert problem_of(busy) is busy
