from __future__ import annotations

import pytest

from rlm_core.serve import problem
from rlm_core.serve.problem import BadRequest, Busy, Problem, QuotaUsedUp

KINDS = [
    kind
    for kind in vars(problem).values()
    if isinstance(kind, type) and issubclass(kind, Problem) and kind is not Problem
]


def test_a_problem_has_the_shape_that_clients_know() -> None:
    body = BadRequest("too much", param="n", code="invalid_value").body()
    told = {"message": "too much", "param": "n", "code": "invalid_value"}
    assert body == {"error": {**told, "type": "invalid_request_error"}}


@pytest.mark.parametrize("kind", KINDS)
def test_every_problem_is_listed_with_its_status(kind: type[Problem]) -> None:
    assert 400 <= kind.status < 600
    assert f"{kind.__name__} " in str(problem.__doc__)
    assert f" {kind.status}" in str(problem.__doc__)


def test_clients_are_told_whether_and_when_to_try_again() -> None:
    assert Busy("later", retry_after=2.4).headers() == {
        "x-should-retry": "true",
        "retry-after": "2",
    }
    assert Busy("later", retry_after=0.1).headers()["retry-after"] == "1"
    assert QuotaUsedUp("no").headers() == {"x-should-retry": "false"}


def test_what_a_client_sent_is_not_said_back_at_any_length() -> None:
    body = BadRequest("x" * 10_000_000, param="y" * 10_000_000).body()
    assert len(str(body)) < 3_000


def test_what_was_used_in_vain_is_told() -> None:
    problem = Problem("no")
    problem.usage = {"total_tokens": 5}
    assert problem.body()["usage"] == {"total_tokens": 5}
