from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.adapters.fake import FakeAdapter
from rlm_core.chat_request import Straight
from rlm_core.policy import MaxTokensExceeded
from rlm_core.serve.plan import Plan
from rlm_core.serve.problem import NoAnswer
from rlm_core.serve.profile import PriceOf, Profile
from rlm_core.serve.request import read_request
from rlm_core.serve.straight import StraightJob
from rlm_core.serve.upstream import Upstream

SCHEMA = {"type": "object", "required": ["who"]}
FORM = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}


def plan_for(model: Any, profile: Profile | None = None, **more: Any) -> Plan:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "m", "messages": messages, **more}
    request = read_request(json.dumps(body).encode())
    return Plan.of(
        request, "fast", profile or Profile(model="m"), Upstream(model, None), seconds=60.0
    )


def done(plan: Plan) -> tuple[StraightJob, Any]:
    """The job, and its answer or what it raised."""
    assert isinstance(plan.chat, Straight)
    with ThreadPoolExecutor(1) as threads:
        job = StraightJob(plan, plan.chat, threads)
        try:
            return job, asyncio.run(job.answer())
        except Exception as error:
            return job, error


def test_the_reply_is_the_answer_and_is_paid_for() -> None:
    prices = {"*": PriceOf(prompt=1e6, completion=2e6)}
    model = FakeAdapter()
    model.add_rule("hi", "there", usage=Usage(3, 2, 5))
    job, answer = done(plan_for(model, Profile(model="m", prices=prices)))
    assert (answer.text, answer.finish_reason, answer.way) == ("there", "stop", "straight")
    assert job.spent() == answer.spent
    assert (answer.spent.root, answer.spent.cost) == (Usage(3, 2, 5), 7.0)


def test_messages_are_said_in_a_way_that_any_model_takes() -> None:
    said = [
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
        {"role": "user", "content": [{"type": "text", "text": "So?"}]},
    ]
    model = FakeAdapter(script=["42"])
    done(plan_for(model, messages=said))
    assert model.call_log[0] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "42"},
        {"role": "user", "content": "So?"},
    ]


def test_a_reply_that_was_cut_is_told_to_be() -> None:
    class Cut(FakeAdapter):
        def complete(self, *args: Any, **more: Any) -> ModelResponse:
            return replace(super().complete(*args, **more), meta={"finish_reason": "length"})

    assert done(plan_for(Cut(script=["th"])))[1].finish_reason == "length"


def test_a_reply_without_the_form_is_told_what_is_wrong_and_all_tries_are_paid() -> None:
    model = FakeAdapter(script=["none", '```json\n{"who": "Ann"}\n```'])
    job, answer = done(plan_for(model, response_format=FORM))
    assert json.loads(answer.text) == {"who": "Ann"}
    assert job.spent().steps == 2
    assert '"required": ["who"]' in model.call_log[0][-1]["content"]
    assert model.call_log[1][-2]["content"] == "none"


def test_a_model_that_never_gives_the_form_is_given_up() -> None:
    job, error = done(plan_for(FakeAdapter(script=["no"] * 9), response_format=FORM))
    assert isinstance(error, NoAnswer)
    assert job.spent().steps == 3


def test_no_call_is_made_for_which_nothing_is_left() -> None:
    model = FakeAdapter(script=["x" * 4_000, "never asked"])
    plan = plan_for(model, Profile(model="m", max_total_tokens=500), response_format=FORM)
    job, error = done(plan)
    assert isinstance(error, MaxTokensExceeded)
    assert len(model.call_log) == 1
    assert job.spent().total.total_tokens > 500


def test_a_cancelled_call_is_charged_with_what_was_sent() -> None:
    class Slow(FakeAdapter):
        def complete(self, *args: Any, **more: Any) -> ModelResponse:
            asked.set()
            assert free.wait(60)
            return super().complete(*args, **more)

    asked, free = threading.Event(), threading.Event()
    plan = plan_for(Slow(script=["late"]))
    assert isinstance(plan.chat, Straight)

    async def scene(job: StraightJob) -> None:
        task = asyncio.ensure_future(job.answer())
        await asyncio.to_thread(asked.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with ThreadPoolExecutor(1) as threads:
        job = StraightJob(plan, plan.chat, threads)
        asyncio.run(scene(job))
        free.set()
    assert job.spent().total.prompt_tokens > 0


def test_a_model_that_takes_longer_than_the_deadline_is_given_up() -> None:
    class Slow(FakeAdapter):
        def complete(self, *args: Any, **more: Any) -> ModelResponse:
            assert free.wait(60)
            return super().complete(*args, **more)

    free = threading.Event()
    plan = replace(plan_for(Slow(script=["late"])), seconds=0.01)
    assert isinstance(plan.chat, Straight)
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(TimeoutError):
            asyncio.run(StraightJob(plan, plan.chat, threads).answer())
        free.set()
