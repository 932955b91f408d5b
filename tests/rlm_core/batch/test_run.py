"""A whole batch in this process, with real sandboxes and scripted models."""

from __future__ import annotations

import json
import threading
import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rlm_core.adapters.base import ModelResponse, Usage, prompt_text
from rlm_core.adapters.errors import KeyRefused, RateLimited
from rlm_core.adapters.fake import FakeAdapter
from rlm_core.batch import (
    BadInput,
    BatchSummary,
    Control,
    OutputInUse,
    OutputUnwritable,
    Progress,
    Why,
    run_batch,
)
from rlm_core.batch.journal import Journal
from rlm_core.batch.local import LocalEngine
from rlm_core.batch.models import GivenModels, OfflineModels, Pair
from rlm_core.batch.outcome import NOTHING, Completed, Outcome
from rlm_core.batch.run import Plan, carry_out
from rlm_core.batch.schedule import Attempt, Rules
from rlm_core.context import Context
from rlm_core.errors import ConfigError
from rlm_core.policy import Policy, Price
from rlm_core.provider import ProviderLimits
from rlm_sandbox import Limits

PRICED = Policy(prices={"*": Price(1e6, 1e6)})


class Model:
    """Answers at once, but for prompts that hold a word that it was told of."""

    cacheable = False

    def __init__(self, **replies: str | Exception) -> None:
        self.replies = replies
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        prompt = prompt_text(messages)
        with self._lock:
            self.asked.append(prompt)
        for word, reply in self.replies.items():
            if word in prompt:
                if isinstance(reply, Exception):
                    raise reply
                return ModelResponse(reply, Usage(1, 1, 2))
        return ModelResponse("FINAL: yes", Usage(1, 1, 2))


def tasks(*names: str) -> list[dict[str, object]]:
    return [
        {"custom_id": name, "question": f"Q about {name}?", "context": {"text": f"of {name}"}}
        for name in names
    ]


class Batch:
    """Runs batches in a directory, each with the same results."""

    def __init__(self, directory: Path) -> None:
        self.results = directory / "results.jsonl"
        self._cache = directory / "cache"

    def run(self, given: Any, model: Any = None, **options: Any) -> BatchSummary:
        model = Model() if model is None else model
        return run_batch(given, self.results, model, cache_dir=self._cache, **options)

    def lines(self) -> dict[str, dict[str, Any]]:
        lines = [json.loads(line) for line in self.results.read_text().splitlines()]
        by_id = {line["custom_id"]: line for line in lines}
        assert len(by_id) == len(lines)
        return by_id


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


def test_every_task_has_one_line(batch: Batch) -> None:
    summary = batch.run(tasks("a", "b", "c", "d"), concurrency=2)
    assert (summary.why, summary.total, summary.statuses) == (Why.DONE, 4, {"answered": 4})
    assert summary.is_complete
    assert {line["answer"] for line in batch.lines().values()} == {"yes"}
    assert sorted(batch.lines()) == ["a", "b", "c", "d"]
    assert [path.name for path in batch.results.parent.glob("results*")] == ["results.jsonl"]


def test_started_again_it_runs_what_is_missing_and_nothing_else(batch: Batch) -> None:
    batch.run(tasks("a", "b"))
    model = Model()
    summary = batch.run(tasks("a", "b", "c"), model)
    assert (summary.before, summary.statuses) == (2, {"answered": 3})
    assert len(model.asked) == 1
    assert "Q about c?" in model.asked[0]


def test_tasks_that_are_gone_before_they_are_run_are_told(batch: Batch, tmp_path: Path) -> None:
    given = tmp_path / "tasks.jsonl"
    given.write_text("\n".join(map(json.dumps, tasks("a", "b", "c"))))

    class Shortening(Model):
        def complete(
            self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
        ) -> ModelResponse:
            given.write_text("")
            return super().complete(messages, max_tokens=max_tokens, temperature=temperature)

    long = "x" * 100_000  # so that the file is not read to its end at once
    lines = [task | {"context": {"text": long}} for task in tasks("a", "b", "c")]
    given.write_text("\n".join(map(json.dumps, lines)))
    summary = batch.run(given, Shortening(), concurrency=1)
    assert summary.why is Why.DONE
    assert 0 < summary.gone < 3
    assert summary.statuses == {"answered": 3 - summary.gone}
    assert not summary.is_complete


def test_a_failed_task_touches_no_other_and_can_be_run_again(batch: Batch) -> None:
    broken = Model(**{"about b": LookupError("a mistake")})
    summary = batch.run(tasks("a", "b", "c"), broken)
    assert (summary.why, summary.without_answer) == (Why.DONE, 1)
    assert not summary.is_complete
    line = batch.lines()["b"]
    assert (line["status"], line["answer"]) == ("failed", None)
    assert line["error"] == {"type": "LookupError", "message": "a mistake"}
    assert batch.run(tasks("a", "b", "c")).statuses == {"answered": 2, "failed": 1}
    summary = batch.run(tasks("a", "b", "c"), retry_failed=True)
    assert summary.is_complete
    assert batch.lines()["b"]["answer"] == "yes"


def test_hostile_code_and_runaway_memory_are_a_tasks_own_affair(batch: Batch) -> None:
    hostile = Model(
        **{
            "about killer": "```python\nimport os, signal\nos.kill(0, signal.SIGKILL)\n```",
            "about eater": "```python\nx = [b'x' * 2**26 for _ in range(10_000)]\n```",
        }
    )
    given = tasks("killer", "a", "eater", "b")
    limits = Limits(memory="256MiB", step_seconds=10)
    policy = Policy(max_steps=1)
    summary = batch.run(given, hostile, concurrency=4, policy=policy, limits=limits)
    lines = batch.lines()
    assert summary.why is Why.DONE
    assert [lines[name]["answer"] for name in "ab"] == ["yes", "yes"]
    assert [lines[name]["status"] for name in ("killer", "eater")] == ["no_answer", "no_answer"]


def test_a_context_of_the_batch_is_shared_by_its_tasks(batch: Batch) -> None:
    given = [{"custom_id": n, "question": "Q?", "context_ref": "minutes"} for n in "ab"]
    contexts = {"minutes": Context.from_text("the bridge")}
    model = Model(**{"Q?": "FINAL_VAR: P"})
    batch.run(given, model, contexts=contexts)
    assert [batch.lines()[n]["answer"] for n in "ab"] == ["the bridge", "the bridge"]


def test_bad_lines_are_told_before_anything_is_asked_or_written(batch: Batch) -> None:
    model = Model()
    with pytest.raises(BadInput, match="line 2: the question is empty"):
        batch.run([*tasks("a"), {"custom_id": "b", "question": "", "context": "x"}], model)
    assert (model.asked, batch.results.exists()) == ([], False)


def test_bad_lines_can_be_left_out(batch: Batch) -> None:
    summary = batch.run([*tasks("a"), {"custom_id": "b"}], skip_bad=True)
    assert (summary.total, summary.skipped_count, summary.statuses) == (1, 1, {"answered": 1})
    assert summary.skipped[0][0] == 2


def test_the_batch_spends_no_more_than_it_may(batch: Batch) -> None:
    summary = batch.run(
        tasks(*map(str, range(30))), policy=PRICED, max_cost=20.5, concurrency=3, max_tokens=1
    )
    assert summary.why is Why.BUDGET
    assert 0 < summary.cost <= 20.5
    assert summary.cost == 2 * len(batch.lines())
    more = batch.run(tasks(*map(str, range(30))), policy=PRICED, max_cost=1e6)
    assert (more.why, more.cost) == (Why.DONE, 60.0)


def test_an_answer_after_a_failure_is_an_answer(batch: Batch) -> None:
    class Recovering(Model):
        def complete(self, messages: list[dict[str, str]], **more: Any) -> ModelResponse:
            first = not self.asked
            reply = super().complete(messages, **more)
            if first:
                raise RateLimited("wait")
            return reply

    models = GivenModels(Pair(Recovering()))
    carry_out(Plan(tasks("a"), batch.results, models, rules=Rules(retry_delay=0.01)))
    assert (batch.lines()["a"]["answer"], batch.lines()["a"]["attempts"]) == ("yes", 2)


def test_a_refused_key_ends_the_batch_and_spoils_no_task(batch: Batch) -> None:
    summary = batch.run(tasks("a", "b"), Model(Q=KeyRefused("not this one")))
    assert (summary.why, summary.told) == (Why.MODEL, "not this one")
    assert batch.results.read_bytes() == b""
    assert batch.run(tasks("a", "b")).is_complete


def test_two_batches_do_not_share_a_file(batch: Batch) -> None:
    journal = Journal(batch.results)
    try:
        with pytest.raises(OutputInUse):
            batch.run(tasks("a"))
    finally:
        journal.close()


class Held(Model):
    """Answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Semaphore(0)
        self.may = threading.Event()

    def complete(self, messages: list[dict[str, str]], **more: Any) -> ModelResponse:
        self.began.release()
        self.may.wait(60)
        return super().complete(messages, **more)


@pytest.mark.parametrize("stops", [False, True])
def test_it_can_be_ended_and_gone_on_with(batch: Batch, stops: bool) -> None:
    model, control = Held(), Control()
    told: list[BatchSummary] = []
    given = tasks("a", "b", "c", "d")
    thread = threading.Thread(
        target=lambda: told.append(batch.run(given, model, concurrency=2, control=control))
    )
    thread.start()
    try:
        for _ in range(2):
            assert model.began.acquire(timeout=60)
        if stops:
            control.stop()
        else:
            control.finish()
            model.may.set()
        thread.join(60)
    finally:
        model.may.set()
    assert told[0].why is Why.INTERRUPTED
    assert sorted(batch.lines()) == ([] if stops else ["a", "b"])
    assert batch.run(given).is_complete


def test_whoever_watches_sees_it_go_on(batch: Batch) -> None:
    model = Held()
    seen: list[Progress] = []

    def look(progress: Progress) -> None:
        seen.append(progress)
        model.may.set()

    batch.run(tasks("a", "b"), model, listener=look)
    assert seen[0].total == 2
    assert seen[0].running == 2


def test_a_full_disk_stops_the_batch_with_advice(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal, lines: list[bytes]) -> None:
        raise OutputUnwritable("full: make room")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", full)
        with pytest.raises(OutputUnwritable, match="make room"):
            batch.run(tasks(*map(str, range(8))), concurrency=2)
    assert batch.run(tasks(*map(str, range(8)))).is_complete


def test_chats_have_a_reply_in_openais_form(batch: Batch) -> None:
    body = {"model": "gpt", "messages": [{"role": "user", "content": "Hello"}]}
    batch.run([{"custom_id": "a", "body": body}], FakeAdapter(script=["Hi"]))
    response = batch.lines()["a"]["response"]
    assert response["body"]["choices"][0]["message"]["content"] == "Hi"
    assert response["body"]["model"] == "gpt"


def test_what_a_provider_allows_holds_for_the_whole_batch(batch: Batch) -> None:
    class Counting(Model):
        inside = 0
        most = 0

        def complete(self, messages: list[dict[str, str]], **more: Any) -> ModelResponse:
            with self._lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            try:
                return super().complete(messages, **more)
            finally:
                with self._lock:
                    self.inside -= 1

    model = Counting()
    limits = {"*": ProviderLimits(concurrent=1)}
    batch.run(tasks(*"abcdef"), model, concurrency=6, provider_limits=limits)
    assert (len(model.asked), model.most) == (6, 1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"concurrency": 0}, "concurrency"),
        ({"attempts": 0}, "attempts"),
        ({"max_cost": 1.0}, "needs prices"),
        ({"max_cost": 0.0, "policy": PRICED}, "more than 0"),
        ({"trace_path": "x"}, "traces=DIRECTORY"),
        ({"repl_backend": "monty"}, "monty"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(
    batch: Batch, options: dict[str, Any], why: str
) -> None:
    model = Model()
    with pytest.raises(ConfigError, match=why):
        batch.run(tasks("a"), model, **options)
    assert model.asked == []


class Instantly:
    """An answerer that needs no model and no sandbox."""

    def answer(self, attempt: Attempt) -> Outcome:
        return Completed("answered", "final", "yes", NOTHING, "full")

    def stop(self) -> None:
        """There is nothing to stop."""


def instant_engine(plan: Plan, resources: ExitStack) -> LocalEngine:
    return LocalEngine(Instantly(), concurrency=plan.concurrency)  # ty: ignore[invalid-argument-type] - a double


def peak_of(directory: Path, count: int) -> int:
    """Bytes of Python objects at the most, while so many tasks are answered."""
    given = directory / f"{count}.jsonl"
    long = {"context": {"text": "x" * 2_000}}
    given.write_text("\n".join(json.dumps(task | long) for task in tasks(*map(str, range(count)))))
    plan = Plan(given, directory / f"{count}.out", OfflineModels(), make_engine=instant_engine)
    tracemalloc.start()
    try:
        assert carry_out(plan).statuses == {"answered": count}
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_by_some_bytes_a_task_however_long_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_core.batch.writer.MOST_WAITING", 50)  # however slow the disk
    few, many = peak_of(tmp_path, 200), peak_of(tmp_path, 1_200)
    assert many - few < 200 * 1_000
