from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any, Self

import pytest

from rlm_core.adapters.base import Usage
from rlm_core.cache import FileCache
from rlm_core.calls import CancelScope
from rlm_core.config import Options, configure
from rlm_core.diagnostics import Diagnostics
from rlm_core.errors import RunCancelled, StepCancelled
from rlm_core.models import Models
from rlm_core.policy import MaxRecursionExceeded, MaxTokensExceeded, Policy
from rlm_core.provider import Providers
from rlm_core.requests import EpisodeRequest
from rlm_core.stimuli import Finish, Value
from rlm_core.subcalls import Subcalls
from rlm_core.tree import RunTree
from tests.rlm_core.models import Answering


def no_episodes(request: EpisodeRequest) -> Finish:
    raise AssertionError(f"no recursion was asked for: {request}")


class Host:
    """The host functions of a run without a session."""

    def __init__(self, path: Path, model: Answering | None = None, **options: Any) -> None:
        self.model = model or Answering()
        self.cache = FileCache(path)
        self.scope = CancelScope()
        self.tree = RunTree(
            configure(Options(**options)),
            Models(self.model),
            cache=self.cache,
            scope=self.scope,
            diagnostics=Diagnostics(logging.getLogger("test"), enabled=False),
            providers=Providers(),
        )
        self.subcalls = self.subcalls_at(0)

    def subcalls_at(self, level: int) -> Subcalls:
        return Subcalls(self.tree, level=level, parent_id=None, scope=self.scope, nest=no_episodes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tree.close()
        self.cache.close()

    def texts(self, prompts: list[str], **options: object) -> list[str]:
        return [item["text"] for item in self.subcalls.batch(prompts, options)]


def test_a_call_is_answered_charged_and_recorded(tmp_path: Path) -> None:
    with Host(tmp_path, Answering(usage=Usage(5, 2, 7))) as host:
        assert host.subcalls.query("hello") == "HELLO"
        assert host.model.systems[0].startswith("You are a sub-LLM")
        used = host.tree.ledger.used()
        assert (used.subcalls, used.tokens, used.held.tokens) == (1, 7, 0)
        (step,) = host.tree.recorder.trace.steps
        assert (step.kind, step.depth, step.output, step.cache_hit) == (
            "subcall",
            1,
            "HELLO",
            False,
        )
        assert host.subcalls.answered == 1


def test_the_same_question_is_not_paid_for_twice(tmp_path: Path) -> None:
    with Host(tmp_path, policy=Policy(max_subcalls=1)) as host:
        assert host.subcalls.query("a") == host.subcalls.query("a") == "A"
        assert len(host.model.prompts) == 1
        assert host.tree.ledger.used().subcalls == 1
        last = host.tree.recorder.trace.steps[-1]
        assert last.cache_hit
        assert last.usage == Usage(0, 0, 0)


def test_another_model_or_system_prompt_does_not_get_the_cached_reply(tmp_path: Path) -> None:
    with Host(tmp_path, Answering()) as host:
        host.subcalls.query("a")
    with Host(tmp_path, Answering(str.title, identity="other")) as host:
        assert host.subcalls.query("abc") == "Abc"
    with Host(tmp_path, Answering(str.lower), subcall_system_prompt="You are a sub-LLM: x") as host:
        assert host.subcalls.query("a") == "a"


def test_at_the_limit_of_calls_a_text_says_so(tmp_path: Path) -> None:
    with Host(tmp_path, policy=Policy(max_subcalls=1)) as host:
        host.subcalls.query("a")
        assert host.subcalls.query("b") == (
            "[SUBCALL_LIMIT] max_subcalls exceeded. You have used all available sub-LLM calls. "
            "Build your final answer now using the information you already have."
        )


def test_at_the_limit_of_tokens_a_text_says_so_and_nothing_is_asked(tmp_path: Path) -> None:
    with Host(tmp_path, policy=Policy(max_total_tokens=100)) as host:
        assert str(host.subcalls.query("a")).startswith("[SUBCALL_LIMIT] max_total_tokens")
        assert host.model.prompts == []


def test_too_deep_a_call_is_an_error(tmp_path: Path) -> None:
    with Host(tmp_path) as host:
        with pytest.raises(MaxRecursionExceeded):
            host.subcalls.query("a", {"depth": 2})
        with pytest.raises(MaxRecursionExceeded):
            host.subcalls_at(1).batch(["a", "b"])


def test_a_batch_keeps_order_and_runs_at_once_up_to_the_limit(tmp_path: Path) -> None:
    meeting = threading.Barrier(3)

    def answer(prompt: str) -> str:
        meeting.wait(30)
        return prompt.upper()

    with Host(tmp_path, Answering(answer), max_concurrent_subcalls=3) as host:
        assert host.texts(["a", "b", "c", "d", "e", "f"]) == ["A", "B", "C", "D", "E", "F"]
        assert host.model.most_running == 3
        steps = host.tree.recorder.trace.steps
        assert {step.parallel_index for step in steps} == set(range(6))
        assert {step.parallel_total for step in steps} == {6}
        assert len({step.parallel_group_id for step in steps}) == 1


def test_a_failed_prompt_is_reported_by_type_and_the_others_are_kept(tmp_path: Path) -> None:
    def answer(prompt: str) -> str:
        if prompt == "bad":
            raise LookupError("no luck")
        return prompt.upper()

    with Host(tmp_path, Answering(answer)) as host:
        assert host.subcalls.batch(["a", "bad", "c"]) == [
            {"text": "A"},
            {"text": "[ERROR] LookupError: no luck", "error": "LookupError", "message": "no luck"},
            {"text": "C"},
        ]
        with pytest.raises(LookupError):
            host.subcalls.batch(["d", "bad"], {"on_error": "raise"})
        assert host.tree.ledger.used().held.tokens == 0


def test_a_batch_beyond_the_budget_returns_what_was_answered(tmp_path: Path) -> None:
    with Host(tmp_path, policy=Policy(max_subcalls=2)) as host:
        texts = host.texts(["a", "b", "c", "d"])
        assert sorted(text for text in texts if len(text) == 1) == sorted(
            prompt.upper() for prompt in host.model.prompts
        )
        assert sum(text.startswith("[SUBCALL_LIMIT]") for text in texts) == 2


def test_a_batch_that_must_be_whole_raises_the_limit(tmp_path: Path) -> None:
    with (
        Host(tmp_path, policy=Policy(max_total_tokens=50)) as host,
        pytest.raises(MaxTokensExceeded),
    ):
        host.subcalls.batch(["a", "b"], {"on_error": "raise"})


def test_concurrent_calls_never_use_more_tokens_than_there_are(tmp_path: Path) -> None:
    usage = Usage(30, 20, 50)  # less than is held for a call
    policy = Policy(max_total_tokens=1_000)
    with Host(tmp_path, Answering(usage=usage), policy=policy, subcall_max_tokens=20) as host:
        texts = host.texts([f"prompt {number}" for number in range(30)])
        answered = [text for text in texts if text.startswith("PROMPT")]
        assert host.tree.ledger.used().tokens == 50 * len(answered)
        assert 800 <= host.tree.ledger.used().tokens <= 1_000


def test_a_model_that_nobody_named_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with Host(tmp_path) as host, pytest.raises(ValueError, match="leave model= out"):
        host.subcalls.query("a", {"model": "gpt-9"})


@pytest.mark.parametrize(
    ("prompt", "options"),
    [(5, {}), ("a", {"max_tokens": 0}), ("a", {"depth": "deep"}), ("a", {"max_tokens": True})],
)
def test_what_the_worker_sends_is_checked(tmp_path: Path, prompt: object, options: object) -> None:
    with Host(tmp_path) as host, pytest.raises((TypeError, ValueError)):
        host.subcalls.query(prompt, options)


def test_a_cancelled_run_asks_nothing_more(tmp_path: Path) -> None:
    with Host(tmp_path) as host:
        host.scope.cancel()
        with pytest.raises(RunCancelled):
            host.subcalls.query("a")
        with pytest.raises(RunCancelled):
            host.subcalls.batch(["a", "b"])


def test_an_answer_from_the_code_is_taken_once_and_the_last_one_counts(tmp_path: Path) -> None:
    with Host(tmp_path) as host:
        host.subcalls.submit("draft")
        host.subcalls.submit("answer")
        assert host.subcalls.take_submitted() == Value("answer")
        assert host.subcalls.take_submitted() is None


def test_an_answer_that_is_data_is_kept_as_data(tmp_path: Path) -> None:
    with Host(tmp_path) as host:
        host.subcalls.submit({"a": 1}, '{"a": 1}')
        assert host.subcalls.take_submitted() == Value('{"a": 1}', "other", {"a": 1})


def test_a_failed_call_is_in_the_trace_with_its_error(tmp_path: Path) -> None:
    def answer(_: str) -> str:
        raise LookupError("no luck")

    with Host(tmp_path, Answering(answer)) as host:
        with pytest.raises(LookupError):
            host.subcalls.query("a")
        (step,) = host.tree.recorder.trace.steps
        assert (step.kind, step.error, step.output) == ("subcall", "LookupError: no luck", None)


def test_one_call_of_a_batch_can_be_cancelled_and_the_others_are_kept(tmp_path: Path) -> None:
    asked, finish = threading.Event(), threading.Event()

    def answer(prompt: str) -> str:
        if prompt == "slow":
            asked.set()
            finish.wait(30)
        return prompt.upper()

    with Host(tmp_path, Answering(answer)) as host:
        results: list[dict[str, str]] = []
        batch = threading.Thread(target=lambda: results.extend(host.subcalls.batch(["a", "slow"])))
        batch.start()
        assert asked.wait(30)
        while host.subcalls.answered < 1:
            time.sleep(0.01)
        (slow,) = host.tree._running
        assert host.tree.cancel_step(slow)
        batch.join(30)
        finish.set()
        assert results[0] == {"text": "A"}
        assert results[1]["error"] == "StepCancelled"
        assert not host.tree.cancel_step(slow)
        assert not host.scope.cancelled


def test_a_single_call_that_is_cancelled_is_an_error_of_its_own(tmp_path: Path) -> None:
    with Host(tmp_path) as host:
        host.model._answer = lambda _: str(host.tree.cancel_step(1))
        with pytest.raises(StepCancelled, match="step 1 was cancelled"):
            host.subcalls.query("a")
