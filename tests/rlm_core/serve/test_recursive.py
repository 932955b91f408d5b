from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.adapters.fake import FakeAdapter
from rlm_core.cache import CacheRecord
from rlm_core.chat_request import Asked
from rlm_core.serve.answer import Answer, Spent
from rlm_core.serve.plan import Plan
from rlm_core.serve.problem import NoAnswer
from rlm_core.serve.profile import Profile
from rlm_core.serve.recursive import RecursiveJob, RunCache
from rlm_core.serve.request import read_request
from rlm_core.serve.upstream import Upstream
from rlm_sandbox import SandboxPool

SECONDS = 60.0
FORM = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxPool]:
    """The sandboxes of the jobs of one test."""
    with SandboxPool(1) as pool:
        monkeypatch.setitem(POOL, "", pool)
        yield pool


POOL: dict[str, SandboxPool] = {}


def job_for(model: Any, profile: Profile | None = None, **more: Any) -> RecursiveJob:
    messages = [{"role": "user", "content": "The text."}, {"role": "user", "content": "What?"}]
    body = {"model": "m", "messages": messages, "rlm": {"mode": "rlm"}, **more}
    plan = Plan.of(
        read_request(json.dumps(body).encode()),
        "fast",
        profile or Profile(model="m"),
        Upstream(model, None),
        SECONDS,
    )
    assert isinstance(plan.chat, Asked)
    return RecursiveJob(plan, plan.chat, None, POOL[""])


def done(job: RecursiveJob) -> Answer:
    return asyncio.run(job.answer())


def test_a_run_answers_about_its_own_context() -> None:
    job = job_for(FakeAdapter(script=["```python\nsaid = P.upper()\n```", "FINAL_VAR: said"]))
    assert job.spent() == Spent()
    answer = done(job)
    assert (answer.text, answer.finish_reason, answer.way) == ("THE TEXT.", "stop", "recursive")
    assert answer.spent.steps == 2
    assert answer.isolation in {"full", "standard"}


def test_a_typed_answer_is_json_whatever_its_letters() -> None:
    answer = done(job_for(FakeAdapter(script=['FINAL: {"who": "Zoë"}']), response_format=FORM))
    assert answer.text == '{"who": "Zoë"}'


def test_the_best_answer_there_was_is_told_to_be_cut() -> None:
    script = ["```python\nx = 1\n```", "It may have been Ann."]
    answer = done(job_for(FakeAdapter(script=script), Profile(model="m", max_steps=1)))
    assert (answer.text, answer.finish_reason) == ("It may have been Ann.", "length")
    assert answer.ending == "max_steps"


def test_a_run_without_an_answer_is_a_problem_and_has_cost_what_it_has_cost() -> None:
    used = Usage(10**6, 0, 10**6)
    model = FakeAdapter()
    model.add_rule("", "```python\n1 / 0\n```", usage=used)
    job = job_for(model, Profile(model="m", max_total_tokens=1000), response_format=FORM)
    with pytest.raises(NoAnswer, match="max_tokens"):
        done(job)
    assert job.spent().total.total_tokens == 10**6


def test_a_cancelled_run_ends_and_the_loop_is_told() -> None:
    class Slow:
        def complete(self, *_: Any, **__: Any) -> ModelResponse:
            asked.set()
            assert free.wait(SECONDS)
            return ModelResponse("FINAL: late", Usage(1, 1, 2))

    asked, free = threading.Event(), threading.Event()

    async def scene() -> None:
        job = job_for(Slow())
        ended = asyncio.Event()
        task = asyncio.ensure_future(job.answer())
        await asyncio.to_thread(asked.wait, SECONDS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        job.when_done(ended.set)
        async with asyncio.timeout(SECONDS):
            await ended.wait()
        job.wait(SECONDS)

    asyncio.run(scene())
    free.set()


def test_a_run_that_never_began_has_ended() -> None:
    async def scene() -> bool:
        told = asyncio.Event()
        job = job_for(FakeAdapter())
        job.stop()
        job.wait(0)
        job.when_done(told.set)
        return told.is_set()

    assert asyncio.run(scene())


def test_the_cache_of_a_run_is_nowhere_else(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    cache, other = RunCache(), RunCache()
    record = CacheRecord("text", Usage(1, 1, 2))
    cache.set("key", record)
    assert cache.get("key") == record
    assert other.get("key") is None
    cache.close()
    assert list(tmp_path.iterdir()) == []
