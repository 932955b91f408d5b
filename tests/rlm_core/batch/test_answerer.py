"""One attempt at a task, with real sandboxes and scripted models."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.adapters.errors import RateLimited
from rlm_core.adapters.fake import FakeAdapter
from rlm_core.batch.answerer import Answerer, Manner, trace_name
from rlm_core.batch.models import Pair
from rlm_core.batch.outcome import Completed, Failed, Stopped, Verdict
from rlm_core.batch.schedule import Attempt
from rlm_core.batch.task import Chat, Files, Inline, Loaded, Shared, Source, Task
from rlm_core.chat_request import Asked, Straight
from rlm_core.context import Context
from rlm_core.errors import ConfigError
from rlm_core.policy import Policy, Price

LOOK = "```python\nprint(P)\n```"
TELL = "FINAL_VAR: P"


def attempt(source: Source, question: str = "Q?", **more: Any) -> Attempt:
    return Attempt(Task("a/b", 1, question, source, **more))


def answerer(
    tmp_path: Path, *script: str, model: Any = None, contexts: Any = None, **manner: Any
) -> Answerer:
    adapter = FakeAdapter(script=script) if model is None else model
    options = {"cache_dir": tmp_path / "cache"} | manner.pop("options", {})
    return Answerer(Pair(adapter), Manner(options=options, **manner), contexts=contexts)


def answer(tmp_path: Path, source: Source, **more: Any) -> str | None:
    outcome = answerer(tmp_path, TELL, contexts=more.pop("contexts", None)).answer(attempt(source))
    assert isinstance(outcome, Completed)
    return outcome.answer


def test_every_kind_of_context_reaches_the_code(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("of a file")
    assert answer(tmp_path, Inline("of the line")) == "of the line"
    assert answer(tmp_path, Files((str(tmp_path / "a.txt"),))) == "of a file"
    assert answer(tmp_path, Loaded(Context.from_text("read before"))) == "read before"
    chat = Chat(Asked("Q?", Context.from_text("of a chat")))
    assert answer(tmp_path, chat) == "of a chat"
    shared = {"minutes": Context.from_text("of the batch")}
    assert answer(tmp_path, Shared("minutes"), contexts=shared) == "of the batch"


def test_the_outcome_tells_what_it_cost_and_what_the_code_ran_under(tmp_path: Path) -> None:
    policy = Policy(prices={"*": Price(1e6, 1e6)})
    outcome = answerer(tmp_path, LOOK, "FINAL: done", policy=policy).answer(attempt(Inline("t")))
    assert isinstance(outcome, Completed)
    assert (outcome.status, outcome.ending, outcome.answer) == ("answered", "final", "done")
    assert outcome.usage.cost == outcome.usage.total_tokens > 0
    assert outcome.usage.steps == 2
    assert outcome.isolation in {"full", "standard"}


def test_short_chats_go_straight_to_the_model(tmp_path: Path) -> None:
    chat = Chat(Straight(({"role": "user", "content": "Hello"},)), max_tokens=9)
    outcome = answerer(tmp_path, "Hi").answer(attempt(chat))
    assert isinstance(outcome, Completed)
    assert (outcome.answer, outcome.isolation) == ("Hi", None)


def test_a_grant_and_the_tasks_own_limits_are_the_runs(tmp_path: Path) -> None:
    policy = Policy(prices={"*": Price(1e6, 1e6)})
    made = answerer(tmp_path, LOOK, LOOK, LOOK, policy=policy)
    given = Attempt(Task("a", 1, "Q?", Inline("t")), grant=1.0)
    outcome = made.answer(given)
    assert isinstance(outcome, Completed)
    assert outcome.ending == "max_cost"
    made = answerer(tmp_path, LOOK, LOOK, LOOK)
    outcome = made.answer(attempt(Inline("t"), limits={"max_steps": 1}))
    assert isinstance(outcome, Completed)
    assert (outcome.ending, outcome.usage.steps) == ("max_steps", 1)


def test_a_schema_makes_the_answer_json(tmp_path: Path) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    script = ["FINAL: three", "n = {'n': 3}\nFINAL_VAR('n')"]
    outcome = answerer(tmp_path, *script).answer(attempt(Inline("t"), output=schema))
    assert isinstance(outcome, Completed)
    assert json.loads(outcome.answer or "") == {"n": 3}


class Refusing:
    """A server that is busy."""

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        raise RateLimited("wait")


def test_what_a_run_raises_is_data(tmp_path: Path) -> None:
    outcome = answerer(tmp_path, model=Refusing()).answer(attempt(Inline("t")))
    assert isinstance(outcome, Failed)
    assert (outcome.error.type, outcome.verdict) == ("RateLimited", Verdict.AGAIN)
    outcome = answerer(tmp_path).answer(attempt(Files((str(tmp_path / "gone.txt"),))))
    assert isinstance(outcome, Failed)
    assert (outcome.error.type, outcome.verdict) == ("ContextError", Verdict.GIVE_UP)


def test_options_that_cannot_work_are_told_before_any_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_concurrent_subcalls"):
        answerer(tmp_path, options={"max_concurrent_subcalls": 0})


class Waiting:
    """Says that it was asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.may = threading.Event()

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        self.asked.release()
        self.may.wait(60)
        return ModelResponse("FINAL: late", Usage(1, 1, 2))


def test_stopping_ends_what_runs_and_what_comes(tmp_path: Path) -> None:
    model = Waiting()
    made = answerer(tmp_path, model=model)
    outcomes: list[object] = []
    thread = threading.Thread(target=lambda: outcomes.append(made.answer(attempt(Inline("t")))))
    thread.start()
    try:
        assert model.asked.acquire(timeout=60)
        made.stop()
        thread.join(60)
        assert isinstance(outcomes[0], Stopped)
        assert isinstance(made.answer(attempt(Inline("t"))), Stopped)
    finally:
        model.may.set()


def test_a_trace_is_written_and_a_run_that_was_cut_off_is_gone_on_with(tmp_path: Path) -> None:
    traces = str(tmp_path / "traces")
    Path(traces).mkdir()
    first = answerer(tmp_path, LOOK, "FINAL: first", traces=traces)
    outcome = first.answer(attempt(Inline("t")))
    assert isinstance(outcome, Completed)
    assert outcome.trace == str(Path(traces, trace_name("a/b")))
    path = Path(outcome.trace)
    lines = path.read_text().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if json.loads(line)["kind"] == "reply") + 1
    path.write_text("".join(lines[:cut]))
    model = FakeAdapter(script=["FINAL: second"])
    again = answerer(tmp_path, model=model, traces=traces)
    task = Task("a/b", 1, "Q?", Inline("t"))
    outcome = again.answer(Attempt(task, lost=1))
    assert isinstance(outcome, Completed)
    assert (outcome.answer, len(model.call_log)) == ("second", 1)
    path.write_text("nonsense\n")
    outcome = answerer(tmp_path, "FINAL: third", traces=traces).answer(Attempt(task, lost=1))
    assert isinstance(outcome, Completed)
    assert outcome.answer == "third"


def test_the_name_of_a_trace_stays_in_its_directory_and_is_its_tasks_alone() -> None:
    assert trace_name("a-1") == "a-1.jsonl"
    ids = ["../../etc/passwd", "/etc/passwd", ".", "..", "a/b", "a b", "a-b", "x" * 300, "ü", "\0"]
    names = [trace_name(each) for each in ids]
    assert len(set(names)) == len(names)
    for name in names:
        assert "/" not in name
        assert not name.startswith(".")
        assert len(name) < 120
