from __future__ import annotations

import threading

import pytest

from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.adapters.fake import FakeAdapter
from rlm_core.errors import RunCancelled
from rlm_core.policy import Policy, Price
from rlm_core.provider import Providers
from rlm_core.running import Running
from rlm_core.stimuli import Ending, RunStatus
from rlm_core.straight import StraightQuestion
from tests.rlm_core.models import Scripted

HELLO = ({"role": "user", "content": "Hello"},)


def question(adapter: object, policy: Policy | None = None) -> StraightQuestion:
    return StraightQuestion(adapter, HELLO, 64, policy or Policy(), Providers())  # ty: ignore[invalid-argument-type] - every test double is one


def test_messages_go_to_the_model_as_they_are_and_cost_what_they_cost() -> None:
    model = Scripted(ModelResponse("Hi", Usage(10, 5, 15)))
    policy = Policy(prices={"*": Price(1e6, 2e6)})
    result = Running(question(model, policy)).run_here()
    assert (result.answer, result.status) == ("Hi", RunStatus.ANSWERED)
    assert model.calls == [list(HELLO)]
    assert (result.usage.total_tokens, result.usage.cost, result.steps) == (15, 20.0, 1)
    assert result.isolation == ""


def test_an_empty_reply_is_no_answer() -> None:
    result = Running(question(FakeAdapter(script=["  "]))).run_here()
    assert result.status is RunStatus.NO_ANSWER


def test_a_limit_that_is_reached_is_data() -> None:
    result = Running(question(FakeAdapter(script=["Hi"]), Policy(max_total_tokens=0))).run_here()
    assert (result.status, result.ending) == (RunStatus.NO_ANSWER, Ending.MAX_TOKENS)


class Silent:
    """Answers when it is allowed to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.allowed = threading.Event()

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        self.asked.set()
        self.allowed.wait(60)
        return ModelResponse("late", Usage(1, 1, 2))


def test_time_that_is_over_is_data_and_a_cancelled_call_is_not() -> None:
    model = Silent()
    try:
        result = Running(question(model, Policy(max_seconds=0.05))).run_here()
        assert (result.status, result.ending) == (RunStatus.NO_ANSWER, Ending.MAX_SECONDS)
        model.asked.clear()
        running = Running(question(model))
        running.begin()
        assert model.asked.wait(60)
        running.cancel()
        with pytest.raises(RunCancelled):
            running.result(60)
    finally:
        model.allowed.set()
