"""One attempt at a task, with real sandboxes and scripted models."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
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
from rlm_core.cache import FILE_NAME, FileCache
from rlm_core.chat_request import Asked, Straight
from rlm_core.context import Context
from rlm_core.errors import ConfigError
from rlm_core.policy import Policy, Price

LOOK = "```python\nprint(P)\n```"
TELL = "FINAL_VAR: P"
FINAL = "FINAL: hi"


def attempt(source: Source, question: str = "Q?", **more: Any) -> Attempt:
    return Attempt(Task("a/b", 1, question, source, **more))


class Makes:
    """Makes answerers, and closes them."""

    def __init__(self, tmp_path: Path) -> None:
        self._cache = tmp_path / "cache"
        self._made: list[Answerer] = []

    def __call__(
        self, *script: str, model: Any = None, contexts: Any = None, at_once: int = 1, **manner: Any
    ) -> Answerer:
        adapter = FakeAdapter(script=script) if model is None else model
        options = {"cache_dir": self._cache} | manner.pop("options", {})
        told = Manner(options=options, **manner)
        made = Answerer(Pair(adapter), told, contexts=contexts, at_once=at_once)
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            made.close()


@pytest.fixture
def answerer(tmp_path: Path) -> Iterator[Makes]:
    makes = Makes(tmp_path)
    yield makes
    makes.close()


def answer(made: Answerer, source: Source) -> str | None:
    outcome = made.answer(attempt(source))
    assert isinstance(outcome, Completed)
    return outcome.answer


def test_every_kind_of_context_reaches_the_code(tmp_path: Path, answerer: Makes) -> None:
    (tmp_path / "a.txt").write_text("of a file")
    shared = {"minutes": Context.from_text("of the batch")}
    made = answerer(*[TELL] * 5, contexts=shared)
    assert answer(made, Inline("of the line")) == "of the line"
    assert answer(made, Files((str(tmp_path / "a.txt"),))) == "of a file"
    assert answer(made, Loaded(Context.from_text("read before"))) == "read before"
    chat = Chat(Asked("Q?", Context.from_text("of a chat")))
    assert answer(made, chat) == "of a chat"
    assert answer(made, Shared("minutes")) == "of the batch"


def test_no_task_sees_what_another_left(answerer: Makes) -> None:
    leave = (
        "```python\nleft = 'a secret'\nimport json\njson.left = left\n"
        "open('/tmp/left', 'w').write(left)\n```"
    )
    look = (
        "```python\nimport json, os\nfound = [n for n in ('left', 'x') if n in globals()]\n"
        "found += [hasattr(json, 'left'), os.path.exists('/tmp/left')]\n```"
    )
    made = answerer(
        leave, "FINAL: x", look, "FINAL_VAR: found", at_once=2, options={"imports": "all"}
    )
    assert answer(made, Inline("t")) == "x"
    assert answer(made, Inline("t")) == "[False, False]"


def test_the_outcome_tells_what_it_cost_and_what_the_code_ran_under(answerer: Makes) -> None:
    policy = Policy(prices={"*": Price(1e6, 1e6)})
    outcome = answerer(LOOK, "FINAL: done", policy=policy).answer(attempt(Inline("t")))
    assert isinstance(outcome, Completed)
    assert (outcome.status, outcome.ending, outcome.answer) == ("answered", "final", "done")
    assert outcome.usage.cost == outcome.usage.total_tokens > 0
    assert outcome.usage.steps == 2
    assert outcome.isolation in {"full", "standard"}


def test_short_chats_go_straight_to_the_model(answerer: Makes) -> None:
    chat = Chat(Straight(({"role": "user", "content": "Hello"},)), max_tokens=9)
    outcome = answerer("Hi").answer(attempt(chat))
    assert isinstance(outcome, Completed)
    assert (outcome.answer, outcome.isolation) == ("Hi", None)


def test_a_grant_and_the_tasks_own_limits_are_the_runs(answerer: Makes) -> None:
    policy = Policy(prices={"*": Price(1e6, 1e6)})
    made = answerer(LOOK, LOOK, LOOK, policy=policy)
    given = Attempt(Task("a", 1, "Q?", Inline("t")), grant=1.0)
    outcome = made.answer(given)
    assert isinstance(outcome, Completed)
    assert outcome.ending == "max_cost"
    made = answerer(LOOK, LOOK, LOOK)
    outcome = made.answer(attempt(Inline("t"), limits={"max_steps": 1}))
    assert isinstance(outcome, Completed)
    assert (outcome.ending, outcome.usage.steps) == ("max_steps", 1)


def test_a_schema_makes_the_answer_json(answerer: Makes) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    script = ["FINAL: three", "n = {'n': 3}\nFINAL_VAR('n')"]
    outcome = answerer(*script).answer(attempt(Inline("t"), output=schema))
    assert isinstance(outcome, Completed)
    assert json.loads(outcome.answer or "") == {"n": 3}


class Refusing:
    """A server that is busy."""

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        raise RateLimited("wait")


def test_what_a_run_raises_is_data(tmp_path: Path, answerer: Makes) -> None:
    outcome = answerer(model=Refusing()).answer(attempt(Inline("t")))
    assert isinstance(outcome, Failed)
    assert (outcome.error.type, outcome.verdict) == ("RateLimited", Verdict.AGAIN)
    outcome = answerer().answer(attempt(Files((str(tmp_path / "gone.txt"),))))
    assert isinstance(outcome, Failed)
    assert (outcome.error.type, outcome.verdict) == ("ContextError", Verdict.GIVE_UP)


def test_options_that_cannot_work_are_told_before_any_task(answerer: Makes) -> None:
    with pytest.raises(ConfigError, match="max_concurrent_subcalls"):
        answerer(options={"max_concurrent_subcalls": 0})


class NotingThreads:
    """Answers, and notes in which threads it is called."""

    instant = True

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def complete(
        self, messages: list[dict[str, str]], *, max_tokens: int = 512, temperature: float = 0.0
    ) -> ModelResponse:
        self.threads.add(threading.get_ident())
        return ModelResponse(FINAL if "Hello" in messages[-1]["content"] else TELL, Usage(1, 1, 2))


def test_a_task_runs_in_the_thread_that_answers_it(answerer: Makes) -> None:
    model = NotingThreads()
    made = answerer(model=model)
    assert answer(made, Inline("t")) == "t"
    assert answer(made, Chat(Straight(({"role": "user", "content": "Hello"},)))) == FINAL
    assert model.threads == {threading.get_ident()}


def test_all_tasks_share_one_connection_to_the_cache(
    tmp_path: Path, answerer: Makes, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    connect = sqlite3.connect

    def noted(path: Path, **options: Any) -> sqlite3.Connection:
        opened.append(path)
        return connect(path, **options)

    monkeypatch.setattr(sqlite3, "connect", noted)
    ask = "```python\nsaid = llm_query('one ' + P)\n```"
    model = FakeAdapter(
        script=[ask, "first", "FINAL_VAR: said", ask, "second", "FINAL_VAR: said"], cacheable=True
    )
    made = answerer(model=model)
    assert answer(made, Inline("a")) == "first"
    assert answer(made, Inline("b")) == "second"
    assert opened == [tmp_path / "cache" / FILE_NAME]


def test_a_cache_that_fails_at_the_end_is_told_and_fails_no_batch(
    answerer: Makes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = answerer("FINAL: done")
    assert answer(made, Inline("t")) == "done"

    def full(_: FileCache) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(FileCache, "close", full)
        made.close()
    assert "its last replies are not kept: database or disk is full" in caplog.text


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


def test_stopping_ends_what_runs_and_what_comes(answerer: Makes) -> None:
    model = Waiting()
    made = answerer(model=model)
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


def test_a_trace_is_written_and_a_run_that_was_cut_off_is_gone_on_with(
    tmp_path: Path, answerer: Makes
) -> None:
    traces = str(tmp_path / "traces")
    Path(traces).mkdir()
    first = answerer(LOOK, "FINAL: first", traces=traces)
    outcome = first.answer(attempt(Inline("t")))
    assert isinstance(outcome, Completed)
    assert outcome.trace == str(Path(traces, trace_name("a/b")))
    path = Path(outcome.trace)
    lines = path.read_text().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if json.loads(line)["kind"] == "reply") + 1
    path.write_text("".join(lines[:cut]))
    model = FakeAdapter(script=["FINAL: second"])
    again = answerer(model=model, traces=traces)
    task = Task("a/b", 1, "Q?", Inline("t"))
    outcome = again.answer(Attempt(task, lost=1))
    assert isinstance(outcome, Completed)
    assert (outcome.answer, len(model.call_log)) == ("second", 1)
    path.write_text("nonsense\n")
    outcome = answerer("FINAL: third", traces=traces).answer(Attempt(task, lost=1))
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
